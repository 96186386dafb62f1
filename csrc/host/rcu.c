// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU.  Callbacks run when an operation has ended: a sleeping task is never inside a read section (that is a finding), so
 * then a grace period has passed.
 */
#include "host/host.h"
#include <linux/rcupdate.h>
#include <linux/srcu.h>
#include <linux/slab.h>

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

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	queue(head, func);
}

#if FL_KVER >= 602
static void *deferred[4096];

/* keeps: the object lives until the operation has ended.  leaves out: batching. */
void kvfree_call_rcu(struct rcu_head *head, void *ptr)
{
	if (ndeferred == ARRAY_SIZE(deferred))
		fl_report(FL_KIND_TOOL_ERROR, NULL, "too many objects wait for RCU");
	deferred[ndeferred++] = ptr;
}
#else
void kvfree_call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	queue(head, func);
}
#endif

void fl_rcu_run(void)
{
	while (first || ndeferred) {
		struct rcu_head *head = first;

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
}

void synchronize_rcu_expedited(void)
{
	fl_check_sleep("synchronize_rcu_expedited()");
}

void rcu_barrier(void)
{
	fl_check_sleep("rcu_barrier()");
	fl_rcu_run();
}
