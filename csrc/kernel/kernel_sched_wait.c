// SPDX-License-Identifier: GPL-2.0-only
/* Wait queues.  The tree's file has no includes of its own: the kernel builds it as part of a bigger unit. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/debug.h>
#include <linux/wait.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/poll.h>
#include <linux/export.h>

/* Wake flags of kernel/sched/sched.h, which would draw in the whole scheduler. */
#ifndef WF_SYNC
#define WF_SYNC	0x10
#define WF_CURRENT_CPU	0x40
#endif
#include FL_SOURCE
