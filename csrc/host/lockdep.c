// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kernel code asks of lockdep (profile debug): whether the running task holds a lock, and whether it is inside a read
 * section of RCU.  The locks themselves are noted by host/locks.c in every profile; here each is found by its map.
 * keeps: who holds what, shared or exclusive; sections that have a map and no lock.
 * leaves out: classes, the order of locks, interrupt states.  The boot task, which checks and tears down, holds nothing
 * and is asked nothing.
 */
#include "check/held.h"
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>

#ifdef CONFIG_LOCKDEP
#include <linux/lockdep.h>

#define IP	__builtin_return_address(0)

int debug_locks = 1, debug_locks_silent, oops_in_progress;
struct lock_class_key __lockdep_no_validate__, __lockdep_no_track__;
struct lockdep_map rcu_lock_map, rcu_bh_lock_map, rcu_sched_lock_map, rcu_callback_map;

void lockdep_init_map_type(struct lockdep_map *map, const char *name, struct lock_class_key *key, int subclass,
			   u8 inner, u8 outer, u8 type)
{
	*map = (struct lockdep_map){ .name = name, .key = key };
}

void lockdep_register_key(struct lock_class_key *key) { }
void lockdep_unregister_key(struct lock_class_key *key) { }
void lockdep_reset_lock(struct lockdep_map *map) { }
void lockdep_set_selftest_task(struct task_struct *task) { }
void lockdep_init_task(struct task_struct *task) { }
int debug_locks_off(void) { return 0; }

static const struct lockdep_map *map_of(const struct fl_held *held)
{
	const void *lock = held->lock;

	switch (held->kind) {
	case FL_LOCK_SPIN:
		return &container_of(lock, raw_spinlock_t, raw_lock)->dep_map;
	case FL_LOCK_READ:
	case FL_LOCK_WRITE:
		return &container_of(lock, rwlock_t, raw_lock)->dep_map;
	case FL_LOCK_RWSEM_READ:
	case FL_LOCK_RWSEM_WRITE:
		return &((const struct rw_semaphore *)lock)->dep_map;
	case FL_LOCK_MUTEX:
		return &((const struct mutex *)lock)->dep_map;
	case FL_LOCK_MAP_READ:
	case FL_LOCK_MAP:
		return lock;
	default:
		return NULL;
	}
}

static bool is_shared(const struct fl_held *held)
{
	return held->kind == FL_LOCK_READ || held->kind == FL_LOCK_RWSEM_READ || held->kind == FL_LOCK_MAP_READ;
}

static bool is_boot(void)
{
	return fl.cur->id == FL_ID_BOOT;
}

static const struct fl_held *held_of(const struct lockdep_map *map)
{
	for (int i = fl.cur->nheld - 1; i >= 0; i--)
		if (map_of(&fl.cur->held[i]) == map)
			return &fl.cur->held[i];
	return NULL;
}

/* How the running task must hold it: 0 exclusively, 1 shared, -1 either way. */
int lock_is_held_type(const struct lockdep_map *map, int read)
{
	const struct fl_held *held;

	if (is_boot())
		return LOCK_STATE_UNKNOWN;
	held = held_of(map);
	return held && (read < 0 || !read == !is_shared(held)) ? LOCK_STATE_HELD : LOCK_STATE_NOT_HELD;
}

/* Asked by who wants to know later whether the lock was let go of meanwhile; all ones: it is not held. */
u32 lock_sequence(struct lockdep_map *map)
{
	const struct fl_held *held = is_boot() ? NULL : held_of(map);

	return held ? held->number : ~0U;
}

/* host/rcu.c counts these sections. */
static bool is_rcu(const struct lockdep_map *map)
{
	return map == &rcu_lock_map || map == &rcu_bh_lock_map || map == &rcu_sched_lock_map || map == &rcu_callback_map;
}

void lock_acquire(struct lockdep_map *map, unsigned int subclass, int trylock, int read, int check,
		  struct lockdep_map *nest, unsigned long ip)
{
	if (!is_rcu(map))
		fl_held_add(map, read ? FL_LOCK_MAP_READ : FL_LOCK_MAP, (const void *)ip);
}

void lock_release(struct lockdep_map *map, unsigned long ip)
{
	struct fl_held *held;

	if (is_rcu(map))
		return;
	held = fl_held_find(fl.cur, map);
	fl_held_del(map, held ? held->kind : FL_LOCK_MAP, (const void *)ip);
}

void lock_sync(struct lockdep_map *map, unsigned int subclass, int read, int check, struct lockdep_map *nest,
	       unsigned long ip)
{
}

void lock_set_class(struct lockdep_map *map, const char *name, struct lock_class_key *key, unsigned int subclass,
		    unsigned long ip)
{
}

/* Memory that goes away, or is initialised anew, while a lock in it is held. */
void debug_check_no_locks_freed(const void *from, unsigned long len)
{
	for (int i = 0; i < fl.cur->nheld; i++)
		if (fl.cur->held[i].lock >= from && fl.cur->held[i].lock < from + len)
			fl_report(FL_KIND_LOCK_LEAK, fl.cur->held[i].ip, "memory with a held lock in it is freed");
}

void debug_check_no_locks_held(void)
{
	fl_check_idle(fl.cur);
}

/* Direct reclaim takes no lock but in lockdep's eyes, where it orders others. */
void fs_reclaim_acquire(gfp_t gfp) { }
void fs_reclaim_release(gfp_t gfp) { }

int debug_lockdep_rcu_enabled(void)
{
	return !is_boot();
}

int rcu_read_lock_held(void)
{
	return is_boot() || rcu_preempt_depth();
}

int rcu_read_lock_sched_held(void)
{
	return is_boot() || preempt_count() || fl.cur->spins || fl_irqs_off;
}

int rcu_read_lock_bh_held(void)
{
	return rcu_read_lock_sched_held();
}

int rcu_read_lock_any_held(void)
{
	return rcu_read_lock_held() || rcu_read_lock_sched_held();
}

/* No CPU is ever idle in RCU's eyes, and no interrupt comes in which a reader could be. */
bool rcu_is_watching(void) { return true; }
void srcu_check_nmi_safety(struct srcu_struct *ssp, bool nmi_safe) { }
void __srcu_check_read_flavor(struct srcu_struct *ssp, int flavor) { }

void lockdep_rcu_suspicious(const char *file, const int line, const char *what)
{
	fl_report(FL_KIND_KERNEL_BUG, NULL, "suspicious RCU usage: %s", what);
}

#ifdef CONFIG_DEBUG_ATOMIC_SLEEP
/* Kernel code says that it might sleep here, whether it does or not.  `held`: locks that it lets go of before it sleeps. */
static void might_sleep_here(unsigned int held)
{
	if (!held)
		fl_check_sleep("what is called here");
}

#ifdef FL_HAVE_MIGHT_RESCHED
void __might_resched(const char *file, int line, unsigned int offsets) { might_sleep_here(offsets); }
void __might_sleep(const char *file, int line) { might_sleep_here(0); }
#else
void ___might_sleep(const char *file, int line, int preempt_offset) { might_sleep_here(preempt_offset); }
void __might_sleep(const char *file, int line, int preempt_offset) { might_sleep_here(preempt_offset); }
#endif

static void cant_sleep_here(void)
{
	if (!fl.cur->spins && !preempt_count() && !fl_irqs_off)
		fl_report(FL_KIND_KERNEL_BUG, NULL, "may be preempted where it must not be");
}

#ifdef FL_HAVE_CANT_SLEEP_OFFSET
void __cant_sleep(const char *file, int line, int preempt_offset) { cant_sleep_here(); }
#else
void __cant_sleep(const char *file, int line) { cant_sleep_here(); }
#endif
#endif
#endif
