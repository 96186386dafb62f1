/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PGALLOC_H
#define FL_ASM_PGALLOC_H

#include <linux/mm.h>
#include <asm-generic/pgalloc.h>

extern pgd_t *pgd_alloc(struct mm_struct *mm);

static inline void pmd_populate_kernel(struct mm_struct *mm, pmd_t *pmd, pte_t *table)
{
	set_pmd(pmd, __pmd(__pa(table) | _PAGE_TABLE));
}

static inline void pmd_populate(struct mm_struct *mm, pmd_t *pmd, pgtable_t table)
{
	set_pmd(pmd, __pmd(page_to_phys(table) | _PAGE_TABLE));
}

static inline void pud_populate(struct mm_struct *mm, pud_t *pud, pmd_t *table)
{
	set_pud(pud, fl_make_pud(__pa(table) | _PAGE_TABLE));
}

#ifndef pmd_pgtable
#define pmd_pgtable(pmd)	pmd_page(pmd)
#endif
/* A table is given back after the flush, as a CPU may still walk it until then. */
#ifdef FL_HAVE_TLB_REMOVE_PAGE_PTDESC
#ifdef FL_HAVE_PAGETABLE_DTOR
#define pagetable_pte_dtor	pagetable_dtor
#define pagetable_pmd_dtor	pagetable_dtor
#endif
#define __pte_free_tlb(tlb, table, address) do {			\
	pagetable_pte_dtor(page_ptdesc(table));				\
	tlb_remove_page_ptdesc((tlb), page_ptdesc(table));		\
} while (0)
#define __pmd_free_tlb(tlb, table, address) do {			\
	pagetable_pmd_dtor(virt_to_ptdesc(table));			\
	tlb_remove_page_ptdesc((tlb), virt_to_ptdesc(table));		\
} while (0)
#elif defined(FL_HAVE_TLB_REMOVE_PTDESC)
#define __pte_free_tlb(tlb, table, address)	tlb_remove_ptdesc((tlb), page_ptdesc(table))
#define __pmd_free_tlb(tlb, table, address)	tlb_remove_ptdesc((tlb), virt_to_ptdesc(table))
#else
#define __pte_free_tlb(tlb, table, address) do {			\
	pgtable_pte_page_dtor(table);					\
	tlb_remove_page((tlb), (table));				\
} while (0)
#define __pmd_free_tlb(tlb, table, address)	pmd_free((tlb)->mm, table)
#endif

#endif
