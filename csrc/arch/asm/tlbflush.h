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

#endif
