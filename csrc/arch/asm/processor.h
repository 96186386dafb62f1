/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PROCESSOR_H
#define FL_ASM_PROCESSOR_H

#include <asm/page.h>
#include <asm/ptrace.h>

#define TASK_SIZE	(1UL << (29 + CONFIG_FL_PTE_BITS))	/* the lower half of the top table */
#define TASK_SIZE_MAX	TASK_SIZE
#define STACK_TOP	TASK_SIZE
#define STACK_TOP_MAX	TASK_SIZE
#define TASK_UNMAPPED_BASE	(TASK_SIZE / 4)
struct task_struct;
struct thread_struct { unsigned long sp; };
#define INIT_THREAD	{ 0 }
extern _Bool fl_overlap;
extern void fl_sched_relax(void);
/* Who spins gives way while operations overlap. */
static inline void cpu_relax(void)
{
	__asm__ __volatile__("" : : : "memory");
	if (__builtin_expect(fl_overlap, 0))
		fl_sched_relax();
}
#define task_pt_regs(tsk)	((struct pt_regs *)0)
#define KSTK_EIP(tsk)	0UL
#define KSTK_ESP(tsk)	0UL
static inline unsigned long __get_wchan(struct task_struct *tsk) { return 0; }
#define start_thread(regs, ip, sp)	do { } while (0)
#if FL_KVER < 600
#define release_thread(tsk)	do { } while (0)
#endif

#endif
