/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_THREAD_INFO_H
#define FL_ASM_THREAD_INFO_H

#include <asm/page.h>
#define THREAD_SHIFT	14
#define THREAD_SIZE	(1UL << THREAD_SHIFT)
#define THREAD_SIZE_ORDER	(THREAD_SHIFT - PAGE_SHIFT)
#ifndef __ASSEMBLY__
struct thread_info {
	unsigned long flags;
	unsigned long syscall_work;
	int preempt_count;
	int cpu;
};
#define INIT_THREAD_INFO(tsk)	{ .flags = 0 }
#endif
#define TIF_SYSCALL_TRACE	0
#define TIF_NOTIFY_RESUME	1
#define TIF_SIGPENDING	2
#define TIF_NEED_RESCHED	3
#define TIF_SINGLESTEP	4
#define TIF_RESTORE_SIGMASK	5
#define TIF_NOTIFY_SIGNAL	6
#define TIF_UPROBE	7
#define TIF_MEMDIE	17
#define _TIF_SYSCALL_TRACE	(1 << TIF_SYSCALL_TRACE)
#define _TIF_NOTIFY_RESUME	(1 << TIF_NOTIFY_RESUME)
#define _TIF_SIGPENDING	(1 << TIF_SIGPENDING)
#define _TIF_NEED_RESCHED	(1 << TIF_NEED_RESCHED)
#define _TIF_NOTIFY_SIGNAL	(1 << TIF_NOTIFY_SIGNAL)
#define _TIF_UPROBE	(1 << TIF_UPROBE)

#endif
