// SPDX-License-Identifier: GPL-2.0-only
/* Simple wait queues, which completions wait on.  The tree's file has no includes of its own. */
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/swait.h>
#include <linux/export.h>

/* Of kernel/sched/sched.h, which would draw in the whole scheduler. */
int try_to_wake_up(struct task_struct *task, unsigned int state, int wake_flags);
void swake_up_all_locked(struct swait_queue_head *q);
void __prepare_to_swait(struct swait_queue_head *q, struct swait_queue *wait);
#include FL_SOURCE
