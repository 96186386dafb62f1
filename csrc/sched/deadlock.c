// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlock: tasks that wait for each other.
 * keeps: spinning and sleeping locks, the folio lock, writers that wait for a vma's readers.
 * leaves out: waiting for an event that only a program's own operation brings: that is where the program ends.
 */
#include "sched/sched.h"
#include "check/held.h"

static struct fl_held *any_holder(const void *lock)
{
	for (int i = 0; i < FL_NTASKS; i++) {
		struct fl_held *held = fl_held_find(&fl.task[i], lock);

		if (held)
			return held;
	}
	return NULL;
}

#if defined(FL_HAVE_VMA_REFCNT) && defined(CONFIG_PER_VMA_LOCK)
/* The task waits until a mapping of its memory has no readers: whether this is one's lock. */
static bool waits_for_reader(const struct fl_task *task, const struct fl_held *held)
{
	struct vm_area_struct *vma;

	if (held->kind != FL_LOCK_VMA)
		return false;
	vma = container_of((refcount_t *)held->lock, struct vm_area_struct, vm_refcnt);
	return rcu_access_pointer(vma->vm_mm->vma_writer_wait.task) == task->ts;
}
#else
static bool waits_for_reader(const struct fl_task *task, const struct fl_held *held)
{
	return false;
}
#endif

/* What `holder` has that `task` waits for, NULL: nothing. */
static struct fl_held *waits_for(const struct fl_task *task, struct fl_task *holder)
{
	const void *lock = task->wait_lock ?: fl_folio_waited_for(task->ts);

	if (lock)
		return fl_held_find(holder, lock);
	for (int i = 0; i < holder->nheld; i++)
		if (waits_for_reader(task, &holder->held[i]))
			return &holder->held[i];
	return NULL;
}

/* Who waits for its release, by name; NULL: for no lock. */
const char *fl_lock_waited_for(const struct fl_task *task)
{
	const void *lock = task->wait_lock ?: fl_folio_waited_for(task->ts);
	struct fl_held *held = lock ? any_holder(lock) : NULL;

	if (held)
		return fl_lock_name(lock, held->kind);
	for (int i = 0; !lock && i < FL_NTASKS; i++)
		if (&fl.task[i] != task && waits_for(task, &fl.task[i]))
			return "vma lock";
	return lock ? "lock that nobody holds" : NULL;
}

/* Whether following who waits for whom leads from `at` back to `task`. */
static bool leads_back(struct fl_task *task, struct fl_task *at, unsigned long *seen)
{
	for (unsigned long left = fl.asleep & ~*seen; left; left &= left - 1) {
		struct fl_task *holder = &fl.task[__builtin_ctzl(left)];

		if (holder->state != FL_TASK_BLOCKED || !holder->nheld || *seen & 1UL << holder->id || !waits_for(at, holder))
			continue;
		*seen |= 1UL << holder->id;
		if (holder == task || leads_back(task, holder, seen))
			return true;
	}
	return false;
}

static struct fl_held *held_by_others(struct fl_task *task)
{
	for (int i = 0; i < FL_ID_BOOT; i++) {
		struct fl_held *held = waits_for(task, &fl.task[i]);

		if (held)
			return held;
	}
	return NULL;
}

/* Nobody can go on: whether that is since tasks wait for each other's locks, or for one that nobody lets go. */
void fl_sched_check_deadlock(void)
{
	for (unsigned long left = fl.asleep; left; left &= left - 1) {
		struct fl_task *task = &fl.task[__builtin_ctzl(left)];
		unsigned long seen = 0;
		struct fl_held *held;

		if (task->state != FL_TASK_BLOCKED || !leads_back(task, task, &seen))
			continue;
		held = held_by_others(task);
		fl_report_as(task);
		fl_report(FL_KIND_HANG, held->ip, "deadlock: it waits for a %s whose holder waits for it",
			  fl_lock_name(held->lock, held->kind));
	}
	if (fl.spinning && !fl_sched_anybody_yields()) {
		fl_report_as(&fl.task[__builtin_ctzl(fl.spinning)]);
		fl_report(FL_KIND_HANG, NULL, "deadlock: it spins for a lock that nobody lets go");
	}
}
