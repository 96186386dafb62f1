// SPDX-License-Identifier: GPL-2.0-only
/* Lock checks: owner, recursion, leak, sleeping in atomic context. */
#include "check/held.h"
#include <linux/rcupdate.h>

static const char *const kind_names[] = {
	[FL_LOCK_SPIN] = "spinlock", [FL_LOCK_READ] = "rwlock (read)", [FL_LOCK_WRITE] = "rwlock (write)",
	[FL_LOCK_RWSEM_READ] = "rwsem (read)", [FL_LOCK_RWSEM_WRITE] = "rwsem (write)", [FL_LOCK_MUTEX] = "mutex",
	[FL_LOCK_FOLIO] = "folio lock", [FL_LOCK_VMA] = "vma lock",
	[FL_LOCK_MAP_READ] = "section (read)", [FL_LOCK_MAP] = "section",
};

/* The lock's own name where it is a well-known one: nothing else about it is the same in every run. */
const char *fl_lock_name(const void *lock, int kind)
{
	for (int p = 0; p < FL_PROCESSES; p++) {
		struct mm_struct *mm = fl.process[p].mm;

		if (mm && lock == &mm->mmap_lock)
			return "mmap_lock";
		if (mm && lock == &mm->page_table_lock)
			return "page_table_lock";
	}
	if ((kind == FL_LOCK_RWSEM_READ || kind == FL_LOCK_RWSEM_WRITE) && fl.cur->ts->mm &&
	    lock == &fl.cur->ts->mm->mmap_lock)
		return "mmap_lock";
	if (!strcmp(fl_slab_name(lock), "vma_lock"))
		return "vma lock";
	if (kind == FL_LOCK_SPIN && virt_addr_valid(lock) && (unsigned long)lock >= fl_memmap_start &&
	    (unsigned long)lock < fl_memmap_end)
		return "page table lock";
	return kind_names[kind];
}

struct fl_held *fl_held_find(struct fl_task *task, const void *lock)
{
	for (int i = task->nheld - 1; i >= 0; i--)
		if (task->held[i].lock == lock)
			return &task->held[i];
	return NULL;
}

/* Where the running task let the lock go last, as far as that is known. */
const void *fl_held_released(const void *lock)
{
	for (unsigned int n = 1; n <= FL_RELEASED && n <= fl.cur->nreleased; n++) {
		struct fl_held *before = &fl.cur->released[(fl.cur->nreleased - n) % FL_RELEASED];

		if (before->lock == lock)
			return before->ip;
	}
	return NULL;
}

void fl_held_full(void)
{
	fl_report(FL_KIND_LOCK_LEAK, fl.cur->held[0].ip, "more than %d locks held", FL_HELD_MAX);
}

void fl_events_used_up(void)
{
	fl_report(FL_KIND_HANG, NULL, "no end in sight: the operation took locks %lu times", FL_EVENTS_MAX);
}

/* The lock now belongs to a device, which gives it back when it is done. */
void fl_held_hand_over(const void *lock, int kind)
{
	fl_held_del(lock, kind, __builtin_return_address(0));
	fl.cur->nreleased--;
}

/* Who wakes a task that has waited for a folio's lock for long takes the lock for it, inside the queue. */
void fl_held_pass_on(struct fl_task *to)
{
	struct fl_task *from = fl.cur;
	const struct fl_held *held = &from->held[from->nheld - 1];

	if (from == to || from->nheld < 2 || held->kind != FL_LOCK_FOLIO || held[-1].kind != FL_LOCK_SPIN ||
	    !fl_filemap_has_queue(held[-1].lock))
		return;
	if (to->nheld == FL_HELD_MAX)
		fl_held_full();
	to->held[to->nheld++] = *held;
	from->nheld--;
}

void fl_held_missing(const void *lock, int kind)
{
	for (int i = 0; i < FL_NTASKS; i++) {
		struct fl_held *held = fl_held_find(&fl.task[i], lock);

		if (held)
			fl_report(FL_KIND_UNLOCK_NOT_OWNER, held->ip, "%s released, but held %s", fl_lock_name(lock, kind),
				  &fl.task[i] == fl.cur ? "in another mode" : "by another task");
	}
	fl_report(FL_KIND_UNLOCK_NOT_OWNER, fl_held_released(lock), "%s released%s", fl_lock_name(lock, kind),
		  fl_held_released(lock) ? " twice" : ", but not held");
}

void fl_lock_recursion(const void *lock, int kind, const void *taken_at)
{
	fl_report(FL_KIND_LOCK_RECURSION, taken_at, "%s taken again by the task that holds it", fl_lock_name(lock, kind));
}

/* After an operation: every lock free, every count back at zero. */
void fl_check_idle(struct fl_task *task)
{
	if (unlikely(task->nheld)) {
		struct fl_held *held = &task->held[task->nheld - 1];

		fl_report(FL_KIND_LOCK_LEAK, held->ip, "%s still held after the operation",
			  fl_lock_name(held->lock, held->kind));
	}
	if (unlikely(rcu_preempt_depth()))
		fl_report(FL_KIND_LOCK_LEAK, NULL, "rcu_read_lock() still held after the operation");
	if (unlikely(preempt_count()))
		fl_report(FL_KIND_LOCK_LEAK, NULL, "preemption still disabled after the operation");
	if (unlikely(current->pagefault_disabled))
		fl_report(FL_KIND_LOCK_LEAK, NULL, "page faults still disabled after the operation");
	fl_check_deferred_flush(task);
	if (unlikely(fl_irqs_off))
		fl_report(FL_KIND_LOCK_LEAK, NULL, "interrupts still off after the operation");
}

void fl_sleeping_in_atomic(const char *what)
{
	struct fl_task *task = fl.cur;

	for (int i = task->nheld - 1; i >= 0; i--)
		if (task->held[i].kind <= FL_LOCK_WRITE)
			fl_report(FL_KIND_SLEEP_IN_ATOMIC, task->held[i].ip, "%s may sleep, but a %s is held", what,
				  fl_lock_name(task->held[i].lock, task->held[i].kind));
	fl_report(FL_KIND_SLEEP_IN_ATOMIC, NULL, "%s may sleep, but %s", what,
		  rcu_preempt_depth() ? "rcu_read_lock() is held" : "preemption is disabled");
}

void fl_held_reset(struct fl_task *task)
{
	task->nheld = 0;
	task->nreleased = 0;
	task->spins = 0;
	task->events = 0;
	task->irqs_off = 0;
}
