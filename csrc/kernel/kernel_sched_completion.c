// SPDX-License-Identifier: GPL-2.0-only
/* Completions.  The tree's file has no includes of its own: the kernel builds it as part of a bigger unit. */
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/completion.h>
#include <linux/spinlock.h>
#include <linux/swait.h>
#include <linux/export.h>

/* Of kernel/sched/sched.h, which would draw in the whole scheduler. */
#ifndef WF_SYNC
#define WF_SYNC	0x10
#define WF_CURRENT_CPU	0x40
#endif
void swake_up_all_locked(struct swait_queue_head *q);
void __prepare_to_swait(struct swait_queue_head *q, struct swait_queue *wait);
#if FL_KVER < 605
void swake_up_locked(struct swait_queue_head *q);
#else
void swake_up_locked(struct swait_queue_head *q, int wake_flags);
#endif
#include FL_SOURCE
