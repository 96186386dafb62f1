// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU.  Callbacks run when an operation has ended: a sleeping task is never inside a read section (that is a finding), so
 * then a grace period has passed.
 */
#include "sched/sched.h"
#include "check/races.h"
#include <linux/rcupdate.h>
#include <linux/srcu.h>
#include <linux/slab.h>

/* A sleeping task is in no read section, but one that was interrupted may be. */
static void wait_for_readers(const char *what)
{
	while (unlikely(fl_overlap) && fl_sched_in_rcu())
		fl_sched_yield(what);
	fl_race_learn_all();
}

static void *deferred[4096];
static int ndeferred;
static struct rcu_head *first, **last = &first;

void __rcu_read_lock(void)
{
	current->rcu_read_lock_nesting++;
}

void __rcu_read_unlock(void)
{
	if (unlikely(current->rcu_read_lock_nesting-- <= 0))
		fl_report(FL_KIND_UNLOCK_NOT_OWNER, NULL, "rcu_read_unlock() without rcu_read_lock()");
}

static void queue(struct rcu_head *head, rcu_callback_t func)
{
	head->func = func;
	head->next = NULL;
	*last = head;
	last = &head->next;
}

/* A grace period that does not wait for readers. */
static void canary(void)
{
	if (fl_canary_is(RCU_EARLY) && fl_overlap)
		fl_rcu_run();
}

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	queue(head, func);
	canary();
}

static void defer(void *ptr)
{
	if (ndeferred == ARRAY_SIZE(deferred))
		fl_report(FL_KIND_TOOL_ERROR, NULL, "too many objects wait for RCU");
	deferred[ndeferred++] = ptr;
	canary();
}

/* keeps: the object lives until the operation has ended.  leaves out: batching. */
#ifdef FL_HAVE_KVFREE_CALL_RCU_PTR
#ifndef FL_HAVE_KVFREE_RCU_HEAD
#define kvfree_rcu_head	callback_head	/* the type's own name: the usual one is a macro */
#endif
void kvfree_call_rcu(struct kvfree_rcu_head *head, void *ptr)
{
	defer(ptr);
}
#else
/* The callback is the head's offset in the object, or with no head the object itself. */
void kvfree_call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	defer(head ? (void *)head - (unsigned long)func : (void *)func);
}
#endif

/*
 * SRCU.
 * keeps: nesting, callbacks after the readers.  leaves out: a reader that sleeps in its section while another task waits
 * for it; that is reported.
 */
static int srcu_readers;

int __srcu_read_lock(struct srcu_struct *ssp)
{
	srcu_readers++;
	return 0;
}

void __srcu_read_unlock(struct srcu_struct *ssp, int idx)
{
	if (unlikely(srcu_readers-- <= 0))
		fl_report(FL_KIND_UNLOCK_NOT_OWNER, NULL, "srcu_read_unlock() without srcu_read_lock()");
}

void synchronize_srcu(struct srcu_struct *ssp)
{
	fl_check_sleep("synchronize_srcu()");
	while (srcu_readers && fl_overlap)
		fl_sched_yield("synchronize_srcu()");
	if (unlikely(srcu_readers))
		fl_report(FL_KIND_HANG, NULL, "synchronize_srcu() while a read section is open");
	fl_race_learn_all();
}

void call_srcu(struct srcu_struct *ssp, struct rcu_head *head, rcu_callback_t func)
{
	queue(head, func);
}

void srcu_barrier(struct srcu_struct *ssp)
{
	fl_check_sleep("srcu_barrier()");
	wait_for_readers("srcu_barrier()");
	fl_rcu_run();
}

void fl_rcu_run(void)
{
	while (first || ndeferred) {
		fl_race_learn_all();
		struct rcu_head *head = first;

		if (unlikely(fl_overlap) && fl_sched_in_rcu())
			fl_report(FL_KIND_USE_AFTER_FREE, NULL, "what waits for RCU is freed while a task is in a read section");
		while (ndeferred)
			kvfree(deferred[--ndeferred]);
		first = NULL;
		last = &first;
		while (head) {
			struct rcu_head *next = (struct rcu_head *)head->next;

			head->func(head);
			head = next;
		}
	}
}

void synchronize_rcu(void)
{
	fl_check_sleep("synchronize_rcu()");
	wait_for_readers("synchronize_rcu()");
}

void synchronize_rcu_expedited(void)
{
	fl_check_sleep("synchronize_rcu_expedited()");
	wait_for_readers("synchronize_rcu_expedited()");
}

void rcu_barrier(void)
{
	fl_check_sleep("rcu_barrier()");
	wait_for_readers("rcu_barrier()");
	fl_rcu_run();
}
