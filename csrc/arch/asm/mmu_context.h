/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_MMU_CONTEXT_H
#define FL_ASM_MMU_CONTEXT_H

#include <linux/mm_types.h>
struct task_struct;
extern int fl_init_context(struct mm_struct *mm);
extern void fl_destroy_context(struct mm_struct *mm);
#define init_new_context init_new_context
static inline int init_new_context(struct task_struct *tsk, struct mm_struct *mm) { return fl_init_context(mm); }
#define destroy_context destroy_context
static inline void destroy_context(struct mm_struct *mm) { fl_destroy_context(mm); }
/* TLB entries carry an address space tag: a switch flushes nothing. */
static inline void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *tsk) { }
#include <asm-generic/mm_hooks.h>
#ifdef FL_HAVE_MMU_CONTEXT_HOOKS
#include <asm-generic/mmu_context.h>
#else
static inline void enter_lazy_tlb(struct mm_struct *mm, struct task_struct *tsk) { }
static inline void activate_mm(struct mm_struct *prev, struct mm_struct *next) { }
static inline void deactivate_mm(struct task_struct *tsk, struct mm_struct *mm) { }
#endif

#endif
