/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_TLBFLUSH_H
#define FL_ASM_TLBFLUSH_H

struct vm_area_struct;
struct mm_struct;
extern void fl_tlb_flush(struct mm_struct *mm, unsigned long start, unsigned long end);
#define flush_tlb_all()	fl_tlb_flush((struct mm_struct *)0, 0, ~0UL)
#define flush_tlb_mm(mm)	fl_tlb_flush(mm, 0, ~0UL)
#define flush_tlb_page(vma, addr)	fl_tlb_flush((vma)->vm_mm, (addr), (addr) + PAGE_SIZE)
#define flush_tlb_range(vma, start, end)	fl_tlb_flush((vma)->vm_mm, start, end)
#define flush_tlb_kernel_range(start, end)	do { (void)(start); (void)(end); } while (0)
#define local_flush_tlb_all()	fl_tlb_flush((struct mm_struct *)0, 0, ~0UL)

#ifdef CONFIG_ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH
/* Each may be put off, whatever CPUs the address space was on; before it is done no page that it is about may go. */
struct arch_tlbflush_unmap_batch;
extern void fl_tlb_defer(struct arch_tlbflush_unmap_batch *batch, struct mm_struct *mm);
extern void arch_tlbbatch_flush(struct arch_tlbflush_unmap_batch *batch);
#define arch_tlbbatch_should_defer(mm)	((void)(mm), 1)
#define arch_tlbbatch_add_pending(batch, mm, ...)	fl_tlb_defer(batch, mm)
#define arch_tlbbatch_add_mm(batch, mm)	fl_tlb_defer(batch, mm)
#define arch_flush_tlb_batched_pending(mm)	flush_tlb_mm(mm)
#endif

#endif
