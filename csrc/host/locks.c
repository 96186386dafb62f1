// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks.  A sleeping lock that is taken makes the task wait.  So does a spinning one while operations overlap; else a task
 * gives up the CPU only where it sleeps, so that a spinning lock which is taken can only be a mistake.
 */
#include <linux/sched/debug.h>
#include <linux/spinlock.h>
#include <linux/rwsem.h>
#include <linux/mutex.h>
#include "check/held.h"
#include "check/order.h"
#include "sched/sched.h"

#define IP	__builtin_return_address(0)

/* A lock keeps its class in itself (asm/spinlock_types.h), a sleeping one in the spin lock that it has for real queues. */
static __always_inline unsigned int class_of(const void *lock, unsigned short *order)
{
	return *order ?: (*order = fl_class_find(lock));
}
#define CLASS(raw)		class_of(raw, &(raw)->order)
#define SLEEP_CLASS(lock)	class_of(lock, &((arch_spinlock_t *)&(lock)->wait_lock)->order)

/* A waiter of either kind has the lock's address here until it goes on. */
static void wait_until_released(const void *lock)
{
	FL_NOTE(FL_WRITE, lock);
	fl.cur->wait_lock = lock;
	fl.lock_waiters++;
	fl_task_block();
	fl.lock_waiters--;
	fl.cur->wait_lock = NULL;
	FL_NOTE(FL_WRITE, lock);
}

/* Returns if the lock may be tried again. */
static void spin_stuck(const void *lock, int kind)
{
	if (fl_overlap && !fl_held_find(fl.cur, lock)) {
		fl.spinning |= 1UL << fl.cur->id;
		wait_until_released(lock);
		fl.spinning &= ~(1UL << fl.cur->id);
		return;
	}
	for (int i = 0; i < FL_NTASKS; i++) {
		struct fl_held *held = fl_held_find(&fl.task[i], lock);

		if (held && &fl.task[i] == fl.cur)
			fl_lock_recursion(lock, kind, held->ip);
		if (held)
			fl_report(FL_KIND_HANG, held->ip, "a spinlock is held by a task that sleeps");
	}
	fl_report(FL_KIND_HANG, NULL, "a spinlock is taken that nobody holds: overwritten or never initialised");
}

static __always_inline void wake_waiters(const void *lock)
{
	if (unlikely(fl.lock_waiters))
		fl_wake_lock_waiters(lock);
}

static __always_inline void take_spin(raw_spinlock_t *lock, const void *ip)
{
	arch_spinlock_t *raw = &lock->raw_lock;

	fl_order_check(raw, FL_LOCK_SPIN, CLASS(raw), ip);
	FL_POINT(LOCK, raw);
	fl.cur->spins++;	/* also while it spins: its CPU does nothing else */
	while (unlikely(raw->owner))
		spin_stuck(raw, FL_LOCK_SPIN);
	raw->owner = fl.cur->id + 1;
	fl_held_take(raw, FL_LOCK_SPIN, raw->order, ip);
}

static __always_inline void release_spin(raw_spinlock_t *lock, const void *ip)
{
	arch_spinlock_t *raw = &lock->raw_lock;

	if (fl_canary_is(KEEP_SPIN) && fl.cur->what.code == FL_OP_MPROTECT)
		return;
	fl_held_del(raw, FL_LOCK_SPIN, ip);
	fl.cur->spins--;
	raw->owner = 0;
	wake_waiters(raw);
	FL_POINT(UNLOCK, raw);
}

void __lockfunc _raw_spin_lock(raw_spinlock_t *lock) { take_spin(lock, IP); }
void __lockfunc _raw_spin_lock_bh(raw_spinlock_t *lock) { take_spin(lock, IP); }
void __lockfunc _raw_spin_unlock(raw_spinlock_t *lock) { release_spin(lock, IP); }
void __lockfunc _raw_spin_unlock_bh(raw_spinlock_t *lock) { release_spin(lock, IP); }
void __lockfunc _raw_spin_lock_nested(raw_spinlock_t *lock, int subclass) { take_spin(lock, IP); }
#ifdef CONFIG_DEBUG_LOCK_ALLOC
void __lockfunc _raw_spin_lock_nest_lock(raw_spinlock_t *lock, struct lockdep_map *nest) { take_spin(lock, IP); }
#endif

void __lockfunc _raw_spin_lock_irq(raw_spinlock_t *lock)
{
	fl_irqs_off = ARCH_IRQ_DISABLED;
	take_spin(lock, IP);
}

void __lockfunc _raw_spin_unlock_irq(raw_spinlock_t *lock)
{
	release_spin(lock, IP);
	fl_irqs_off = ARCH_IRQ_ENABLED;
}

unsigned long __lockfunc _raw_spin_lock_irqsave(raw_spinlock_t *lock)
{
	unsigned long flags = fl_irqs_off;

	fl_irqs_off = ARCH_IRQ_DISABLED;
	take_spin(lock, IP);
	return flags;
}

void __lockfunc _raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags)
{
	release_spin(lock, IP);
	fl_irqs_off = flags;
}

int __lockfunc _raw_spin_trylock(raw_spinlock_t *lock)
{
	arch_spinlock_t *raw = &lock->raw_lock;

	FL_POINT(TRY, raw);
	if (raw->owner)
		return 0;
	fl.cur->spins++;
	raw->owner = fl.cur->id + 1;
	fl_held_take(raw, FL_LOCK_SPIN, CLASS(raw), IP);
	return 1;
}

/* The points of a lock that readers share. */
static __always_inline void point_before(const void *lock, bool shared)
{
	if (shared)
		FL_POINT(LOCK_SHARED, lock);
	else
		FL_POINT(LOCK, lock);
}

static __always_inline void point_after(const void *lock, bool shared)
{
	if (shared)
		FL_POINT(UNLOCK_SHARED, lock);
	else
		FL_POINT(UNLOCK, lock);
}

static __always_inline void take_rwlock(rwlock_t *lock, int kind, const void *ip)
{
	arch_rwlock_t *raw = &lock->raw_lock;

	fl_order_check(raw, kind, CLASS(raw), ip);
	point_before(raw, kind == FL_LOCK_READ);
	fl.cur->spins++;
	while (unlikely(kind == FL_LOCK_WRITE ? raw->holders : raw->holders < 0))
		spin_stuck(raw, kind);
	raw->holders = kind == FL_LOCK_WRITE ? -1 : raw->holders + 1;
	fl_held_take(raw, kind, raw->order, ip);
}

static __always_inline void release_rwlock(rwlock_t *lock, int kind, const void *ip)
{
	fl_held_del(&lock->raw_lock, kind, ip);
	lock->raw_lock.holders = kind == FL_LOCK_WRITE ? 0 : lock->raw_lock.holders - 1;
	fl.cur->spins--;
	wake_waiters(&lock->raw_lock);
	point_after(&lock->raw_lock, kind == FL_LOCK_READ);
}

void __lockfunc _raw_read_lock(rwlock_t *lock) { take_rwlock(lock, FL_LOCK_READ, IP); }
void __lockfunc _raw_read_unlock(rwlock_t *lock) { release_rwlock(lock, FL_LOCK_READ, IP); }
void __lockfunc _raw_write_lock(rwlock_t *lock) { take_rwlock(lock, FL_LOCK_WRITE, IP); }
void __lockfunc _raw_write_unlock(rwlock_t *lock) { release_rwlock(lock, FL_LOCK_WRITE, IP); }

void __lockfunc _raw_write_lock_irq(rwlock_t *lock)
{
	fl_irqs_off = ARCH_IRQ_DISABLED;
	take_rwlock(lock, FL_LOCK_WRITE, IP);
}

void __lockfunc _raw_write_unlock_irq(rwlock_t *lock)
{
	release_rwlock(lock, FL_LOCK_WRITE, IP);
	fl_irqs_off = ARCH_IRQ_ENABLED;
}

/*
 * Sleeping locks.  A waiter gives up the CPU until the holder lets go.
 * keeps: a writer that waits comes before readers that ask later.
 * leaves out: the order of other waiters, optimistic spinning; interrupted waits end on a fatal signal only.
 */
static int wait_for(const void *lock, bool killable)
{
	wait_until_released(lock);
	return killable && fl.cur->killed ? -EINTR : 0;
}

/* rw_semaphore.count: a writer is 1, as the tree's rwsem_assert_held_write() expects, a reader is 256. */
#define WRITER	1L
#define READER	256L
#define WAITING	254L	/* writers that wait, in twos */
#define WAITING_ONE	2L

static __always_inline long rwsem_count(struct rw_semaphore *sem)
{
	return atomic_long_read(&sem->count);
}

/* While operations overlap no reader comes before a writer that waits. */
static int wait_to_write(struct rw_semaphore *sem, bool killable)
{
	bool counts = fl_overlap;
	int err;

	if (counts)
		atomic_long_add(WAITING_ONE, &sem->count);
	err = wait_for(sem, killable);
	if (counts)
		atomic_long_sub(WAITING_ONE, &sem->count);
	if (err)
		wake_waiters(sem);
	return err;
}

static __always_inline int take_rwsem(struct rw_semaphore *sem, int kind, const void *ip, bool killable)
{
	struct fl_held *held;

	fl_check_sleep("taking an rwsem");
	held = fl_held_find(fl.cur, sem);
	if (unlikely(held))
		fl_lock_recursion(sem, kind, held->ip);
	fl_order_check(sem, kind, SLEEP_CLASS(sem), ip);
	point_before(sem, kind == FL_LOCK_RWSEM_READ);
	while (unlikely(kind == FL_LOCK_RWSEM_WRITE ? rwsem_count(sem) & ~WAITING : rwsem_count(sem) & (WRITER | WAITING)))
		if (kind == FL_LOCK_RWSEM_WRITE ? wait_to_write(sem, killable) : wait_for(sem, killable))
			return -EINTR;
	atomic_long_add(kind == FL_LOCK_RWSEM_WRITE ? WRITER : READER, &sem->count);
	fl_held_take(sem, kind, SLEEP_CLASS(sem), ip);
	if (unlikely(fl_vmas_watched) && kind == FL_LOCK_RWSEM_WRITE)
		fl_vmas_locked(sem);
	return 0;
}

static __always_inline void release_rwsem(struct rw_semaphore *sem, int kind, const void *ip)
{
	if (fl_canary_is(KEEP_MMAP_LOCK) && fl.cur->what.code == FL_OP_MADVISE)
		return;
	if (fl_canary_is(DOUBLE_UNLOCK) && fl.cur->what.code == FL_OP_MUNMAP)
		fl_held_del(sem, kind, ip);
	if (unlikely(fl_vmas_watched) && kind == FL_LOCK_RWSEM_WRITE)
		fl_vmas_unlock(sem);
	fl_held_del(sem, kind, ip);
	atomic_long_sub(kind == FL_LOCK_RWSEM_WRITE ? WRITER : READER, &sem->count);
	wake_waiters(sem);
	point_after(sem, kind == FL_LOCK_RWSEM_READ);
}

void __init_rwsem(struct rw_semaphore *sem, const char *name, struct lock_class_key *key)
{
	memset(sem, 0, sizeof(*sem));
#ifdef FL_HAVE_RWSEM_WAIT_LIST
	INIT_LIST_HEAD(&sem->wait_list);
#endif
}

void __sched down_read(struct rw_semaphore *sem) { take_rwsem(sem, FL_LOCK_RWSEM_READ, IP, false); }
int __sched down_read_killable(struct rw_semaphore *sem) { return take_rwsem(sem, FL_LOCK_RWSEM_READ, IP, true); }
int __sched down_read_interruptible(struct rw_semaphore *sem) { return take_rwsem(sem, FL_LOCK_RWSEM_READ, IP, true); }
void __sched down_write(struct rw_semaphore *sem) { take_rwsem(sem, FL_LOCK_RWSEM_WRITE, IP, false); }
int __sched down_write_killable(struct rw_semaphore *sem) { return take_rwsem(sem, FL_LOCK_RWSEM_WRITE, IP, true); }
void up_read(struct rw_semaphore *sem) { release_rwsem(sem, FL_LOCK_RWSEM_READ, IP); }
void up_write(struct rw_semaphore *sem) { release_rwsem(sem, FL_LOCK_RWSEM_WRITE, IP); }

#ifdef CONFIG_DEBUG_LOCK_ALLOC	/* taken with a word to lockdep about their order */
void down_read_nested(struct rw_semaphore *sem, int subclass) { take_rwsem(sem, FL_LOCK_RWSEM_READ, IP, false); }
void down_write_nested(struct rw_semaphore *sem, int subclass) { take_rwsem(sem, FL_LOCK_RWSEM_WRITE, IP, false); }
void _down_write_nest_lock(struct rw_semaphore *sem, struct lockdep_map *nest)
{
	take_rwsem(sem, FL_LOCK_RWSEM_WRITE, IP, false);
}
int down_read_killable_nested(struct rw_semaphore *sem, int subclass)
{
	return take_rwsem(sem, FL_LOCK_RWSEM_READ, IP, true);
}
int down_write_killable_nested(struct rw_semaphore *sem, int subclass)
{
	return take_rwsem(sem, FL_LOCK_RWSEM_WRITE, IP, true);
}
#endif

int down_read_trylock(struct rw_semaphore *sem)
{
	FL_POINT(TRY_SHARED, sem);
	if (rwsem_count(sem) & (WRITER | WAITING))
		return 0;
	atomic_long_add(READER, &sem->count);
	fl_held_take(sem, FL_LOCK_RWSEM_READ, SLEEP_CLASS(sem), IP);
	return 1;
}

int down_write_trylock(struct rw_semaphore *sem)
{
	FL_POINT(TRY, sem);
	if (rwsem_count(sem))
		return 0;
	atomic_long_set(&sem->count, WRITER);
	fl_held_take(sem, FL_LOCK_RWSEM_WRITE, SLEEP_CLASS(sem), IP);
	if (unlikely(fl_vmas_watched))
		fl_vmas_locked(sem);
	return 1;
}

void downgrade_write(struct rw_semaphore *sem)
{
	if (unlikely(fl_vmas_watched))
		fl_vmas_unlock(sem);
#ifdef CONFIG_LOCKDEP
	struct fl_held *held = fl_held_find(fl.cur, sem);
	unsigned int number = held ? held->number : 0;
#endif
	fl_held_del(sem, FL_LOCK_RWSEM_WRITE, IP);
	atomic_long_add(READER - WRITER, &sem->count);
	fl_held_take(sem, FL_LOCK_RWSEM_READ, SLEEP_CLASS(sem), IP);
#ifdef CONFIG_LOCKDEP
	fl.cur->held[fl.cur->nheld - 1].number = number;	/* it was not let go of */
#endif
	wake_waiters(sem);
	FL_POINT(UNLOCK, sem);
}

static __always_inline int take_mutex(struct mutex *lock, const void *ip, bool killable)
{
	struct fl_held *held;

	fl_check_sleep("taking a mutex");
	held = fl_held_find(fl.cur, lock);
	if (unlikely(held))
		fl_lock_recursion(lock, FL_LOCK_MUTEX, held->ip);
	fl_order_check(lock, FL_LOCK_MUTEX, SLEEP_CLASS(lock), ip);
	FL_POINT(LOCK, lock);
	while (unlikely(atomic_long_read(&lock->owner)))
		if (wait_for(lock, killable))
			return -EINTR;
	atomic_long_set(&lock->owner, fl.cur->id + 1);
	fl_held_take(lock, FL_LOCK_MUTEX, SLEEP_CLASS(lock), ip);
	return 0;
}

#if defined(FL_HAVE_MUTEX_INIT_GENERIC) && defined(CONFIG_DEBUG_LOCK_ALLOC)
void mutex_init_lockdep(struct mutex *lock, const char *name, struct lock_class_key *key)
#elif defined(FL_HAVE_MUTEX_INIT_GENERIC)
void mutex_init_generic(struct mutex *lock)
#else
void __mutex_init(struct mutex *lock, const char *name, struct lock_class_key *key)
#endif
{
	memset(lock, 0, sizeof(*lock));
#ifdef FL_HAVE_MUTEX_WAIT_LIST
	INIT_LIST_HEAD(&lock->wait_list);
#endif
}

bool mutex_is_locked(struct mutex *lock) { return atomic_long_read(&lock->owner) != 0; }

static __always_inline int try_mutex(struct mutex *lock, const void *ip)
{
	FL_POINT(TRY, lock);
	if (atomic_long_read(&lock->owner))
		return 0;
	atomic_long_set(&lock->owner, fl.cur->id + 1);
	fl_held_take(lock, FL_LOCK_MUTEX, SLEEP_CLASS(lock), ip);
	return 1;
}

#ifdef CONFIG_DEBUG_LOCK_ALLOC	/* the plain names are macros for these */
void __sched mutex_lock_nested(struct mutex *lock, unsigned int subclass) { take_mutex(lock, IP, false); }
void __sched _mutex_lock_nest_lock(struct mutex *lock, struct lockdep_map *nest) { take_mutex(lock, IP, false); }
int __sched mutex_lock_interruptible_nested(struct mutex *lock, unsigned int subclass)
{
	return take_mutex(lock, IP, true);
}
#ifdef mutex_lock_killable_nest_lock
int __sched _mutex_lock_killable(struct mutex *lock, unsigned int subclass, struct lockdep_map *nest)
#else
int __sched mutex_lock_killable_nested(struct mutex *lock, unsigned int subclass)
#endif
{
	return take_mutex(lock, IP, true);
}
#else
void __sched mutex_lock(struct mutex *lock) { take_mutex(lock, IP, false); }
int __sched mutex_lock_killable(struct mutex *lock) { return take_mutex(lock, IP, true); }
int __sched mutex_lock_interruptible(struct mutex *lock) { return take_mutex(lock, IP, true); }
#endif

#if defined(CONFIG_DEBUG_LOCK_ALLOC) && defined(mutex_trylock_nest_lock)
int __sched _mutex_trylock_nest_lock(struct mutex *lock, struct lockdep_map *nest) { return try_mutex(lock, IP); }
#else
int __sched mutex_trylock(struct mutex *lock) { return try_mutex(lock, IP); }
#endif

void __sched mutex_unlock(struct mutex *lock)
{
	fl_held_del(lock, FL_LOCK_MUTEX, IP);
	atomic_long_set(&lock->owner, 0);
	wake_waiters(lock);
	FL_POINT(UNLOCK, lock);
}

#if defined(FL_HAVE_VMA_REFCNT) && defined(CONFIG_PER_VMA_LOCK)
/* The read lock of a vma, which is a reference (asm/atomic.h); waited for by the tree's own code. */
static bool is_vma_lock(atomic_t *count)
{
	return fl_slab_in_vma(count, offsetof(struct vm_area_struct, vm_refcnt));
}

void fl_refcount_taken(atomic_t *count)
{
	if (!is_vma_lock(count))
		return;
	FL_NOTE(FL_WRITE, count);
	fl_held_add(count, FL_LOCK_VMA, IP);
}

/* A task that took no reference may drop the last one, the vma's own, under mmap_lock: it is being unmapped. */
void fl_refcount_dropped(atomic_t *count, int was)
{
	struct vm_area_struct *vma;
	struct fl_held *held;

	if (!is_vma_lock(count))
		return;
	FL_NOTE(FL_WRITE, count);
	if (!fl_held_find(fl.cur, count)) {
		vma = container_of((refcount_t *)count, struct vm_area_struct, vm_refcnt);
		held = fl_held_find(fl.cur, &vma->vm_mm->mmap_lock);
		if (held && held->kind == FL_LOCK_RWSEM_WRITE)
			return;
	}
	fl_held_del(count, FL_LOCK_VMA, IP);
}
#endif

/*
 * The folio lock: taken and released by bit operations (asm/fl_bitlock.h), waited for by the tree's own code.  Where it lies
 * free it cannot be told whether it was only tried: it comes before others, but after none.
 */
void fl_folio_locked(volatile unsigned long *flags, _Bool fresh)
{
	fl_held_add((const void *)flags, FL_LOCK_FOLIO, IP);
}

void fl_folio_unlocked(volatile unsigned long *flags)
{
	fl_held_del((const void *)flags, FL_LOCK_FOLIO, IP);
}
