/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PGTABLE_H
#define FL_ASM_PGTABLE_H

#include <asm-generic/pgtable-nopud.h>
#include <asm/page.h>
#include <asm/fl_pte.h>
#include <asm/fl_sched.h>

/*
 * Three levels, of 512 entries each but the lowest: how many a page table has is the profile's choice, as a huge page has
 * as many pages.
 */
#define PTRS_PER_PTE	(1 << CONFIG_FL_PTE_BITS)
#define PTRS_PER_PMD	512
#define PTRS_PER_PGD	512
#define PMD_SHIFT	(PAGE_SHIFT + CONFIG_FL_PTE_BITS)
#define PMD_SIZE	(1UL << PMD_SHIFT)
#define PMD_MASK	(~(PMD_SIZE - 1))
#define PGDIR_SHIFT	(PMD_SHIFT + 9)
#define PGDIR_SIZE	(1UL << PGDIR_SHIFT)
#define PGDIR_MASK	(~(PGDIR_SIZE - 1))
#define USER_PTRS_PER_PGD	256
#define FIRST_USER_ADDRESS	0UL
#define MAX_POSSIBLE_PHYSMEM_BITS	40

#define PAGE_NONE	__pgprot(_PAGE_PROTNONE | _PAGE_USER | _PAGE_ACCESSED)
#define PAGE_READONLY	__pgprot(FL_PROT_BASE)
#define PAGE_READONLY_EXEC	__pgprot(FL_PROT_BASE | _PAGE_EXEC)
#define PAGE_COPY	PAGE_READONLY
#define PAGE_COPY_EXEC	PAGE_READONLY_EXEC
#define PAGE_SHARED	__pgprot(FL_PROT_BASE | _PAGE_WRITE)
#define PAGE_SHARED_EXEC	__pgprot(FL_PROT_BASE | _PAGE_WRITE | _PAGE_EXEC)
#define PAGE_KERNEL	__pgprot(_PAGE_PRESENT | _PAGE_READ | _PAGE_WRITE | _PAGE_ACCESSED | _PAGE_DIRTY)
#define PAGE_KERNEL_RO	__pgprot(_PAGE_PRESENT | _PAGE_READ | _PAGE_ACCESSED)
#define __P000	PAGE_NONE
#define __P001	PAGE_READONLY
#define __P010	PAGE_COPY
#define __P011	PAGE_COPY
#define __P100	PAGE_READONLY_EXEC
#define __P101	PAGE_READONLY_EXEC
#define __P110	PAGE_COPY_EXEC
#define __P111	PAGE_COPY_EXEC
#define __S000	PAGE_NONE
#define __S001	PAGE_READONLY
#define __S010	PAGE_SHARED
#define __S011	PAGE_SHARED
#define __S100	PAGE_READONLY_EXEC
#define __S101	PAGE_READONLY_EXEC
#define __S110	PAGE_SHARED_EXEC
#define __S111	PAGE_SHARED_EXEC

#ifndef __ASSEMBLY__
struct vm_area_struct;
struct mm_struct;
struct vm_fault;
extern pgd_t swapper_pg_dir[];
extern struct page *fl_zero_page;
#ifndef FL_HAVE_GENERIC_ZERO_PAGE
#define ZERO_PAGE(vaddr)	(fl_zero_page)
#endif

/* The checker sees every store to a page-table entry before it happens. */
extern void fl_pte_store(pte_t *ptep, unsigned long val);
static inline void fl_set_pte(pte_t *ptep, pte_t pte)
{
	fl_point(PTE_WRITE, ptep);
	fl_pte_store(ptep, pte.pte);
	*(volatile unsigned long *)&ptep->pte = pte.pte;
}
/* And every load, where all of the kernel's go through ptep_get(). */
extern void fl_pte_load(const pte_t *ptep);
#define __HAVE_ARCH_PTEP_GET
#define ptep_get ptep_get
static inline pte_t ptep_get(pte_t *ptep)
{
	fl_point(PTE_READ, ptep);
#if defined(FL_HAVE_PTE_MAP_RCU) && !defined(FL_QUIET)
	fl_pte_load(ptep);
#endif
	return __pte(*(volatile unsigned long *)&ptep->pte);
}

/* The hardware sets bits of an entry at any time: these are one step each. */
#define __HAVE_ARCH_PTEP_GET_AND_CLEAR
static inline pte_t ptep_get_and_clear(struct mm_struct *mm, unsigned long addr, pte_t *ptep)
{
	pte_t old;

	fl_point(PTE_WRITE, ptep);
	fl_pte_store(ptep, 0);
	old = __pte(*(volatile unsigned long *)&ptep->pte);
	*(volatile unsigned long *)&ptep->pte = 0;
	return old;
}
#define __HAVE_ARCH_PTEP_SET_WRPROTECT
static inline void ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr, pte_t *ptep)
{
	unsigned long val;

	fl_point(PTE_WRITE, ptep);
	val = *(volatile unsigned long *)&ptep->pte & ~_PAGE_WRITE;
	fl_pte_store(ptep, val);
	*(volatile unsigned long *)&ptep->pte = val;
}
#define __HAVE_ARCH_PTEP_TEST_AND_CLEAR_YOUNG
static inline int ptep_test_and_clear_young(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep)
{
	unsigned long val;

	fl_point(PTE_WRITE, ptep);
	val = *(volatile unsigned long *)&ptep->pte;
	if (!(val & _PAGE_ACCESSED))
		return 0;
	fl_pte_store(ptep, val & ~_PAGE_ACCESSED);
	*(volatile unsigned long *)&ptep->pte = val & ~_PAGE_ACCESSED;
	return 1;
}
static inline void set_pte(pte_t *ptep, pte_t pte) { fl_set_pte(ptep, pte); }
#if FL_KVER < 606
#define set_pte_at(mm, addr, ptep, pte)	fl_set_pte(ptep, pte)
#endif
#define pte_clear(mm, addr, ptep)	fl_set_pte(ptep, __pte(0))
#define update_mmu_cache(vma, addr, ptep)	do { (void)(vma); (void)(addr); (void)(ptep); } while (0)
#define update_mmu_cache_range(vmf, vma, addr, ptep, nr)		\
	do { (void)(vmf); (void)(vma); (void)(addr); (void)(ptep); (void)(nr); } while (0)
#define PFN_PTE_SHIFT	PAGE_SHIFT

#define _PAGE_HUGE	(1UL << 11)	/* of a pmd: maps a huge page; it stays while that is being split */
static inline void set_pmd(pmd_t *pmdp, pmd_t pmd)
{
	fl_note(FL_WRITE, pmdp);
	*(volatile unsigned long *)&pmdp->pmd = pmd.pmd;
}
static inline void pmd_clear(pmd_t *pmdp) { set_pmd(pmdp, __pmd(0)); }
static inline int pmd_none(pmd_t pmd) { return pmd.pmd == 0; }
static inline int pmd_present(pmd_t pmd) { return !!(pmd.pmd & (_PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_HUGE)); }
static inline int pmd_bad(pmd_t pmd) { return (pmd.pmd & ~PAGE_MASK) != _PAGE_TABLE; }
#define pmd_pfn(pmd)	((pmd_val(pmd) & FL_PFN_MASK) >> PAGE_SHIFT)
#define pmd_page(pmd)	pfn_to_page(pmd_pfn(pmd))
static inline unsigned long pmd_page_vaddr(pmd_t pmd) { return (unsigned long)__va(pmd.pmd & FL_PFN_MASK); }

#include <asm/fl_pmd.h>

/* The pud level is folded: pud_t wraps p4d_t, which wraps pgd_t. */
static inline pud_t fl_make_pud(unsigned long val)
{
	pud_t pud = { };

	*(unsigned long *)&pud = val;
	return pud;
}
static inline int pud_none(pud_t pud) { return pud_val(pud) == 0; }
static inline int pud_present(pud_t pud) { return !!(pud_val(pud) & _PAGE_PRESENT); }
static inline int pud_bad(pud_t pud) { return (pud_val(pud) & ~PAGE_MASK) != _PAGE_TABLE; }
static inline void set_pud(pud_t *pudp, pud_t pud)
{
	fl_note(FL_WRITE, pudp);
	*(volatile unsigned long *)pudp = pud_val(pud);
}
static inline void pud_clear(pud_t *pudp) { set_pud(pudp, fl_make_pud(0)); }
#define pud_pfn(pud)	((pud_val(pud) & FL_PFN_MASK) >> PAGE_SHIFT)
#define pud_page(pud)	pfn_to_page(pud_pfn(pud))
static inline pmd_t *pud_pgtable(pud_t pud) { return (pmd_t *)__va(pud_val(pud) & FL_PFN_MASK); }
static inline unsigned long pud_page_vaddr(pud_t pud) { return (unsigned long)pud_pgtable(pud); }

/* Upper entries are read where their place is looked up, and once more where a table is mapped. */
static inline pmd_t *pmd_offset(pud_t *pud, unsigned long address)
{
	pmd_t *pmdp = pud_pgtable(*pud) + ((address >> PMD_SHIFT) & (PTRS_PER_PMD - 1));

	fl_note(FL_READ, pud);
	fl_note(FL_READ, pmdp);
	return pmdp;
}
#define pmd_offset pmd_offset
static inline pmd_t pmdp_get_lockless(pmd_t *pmdp)
{
	fl_note(FL_READ, pmdp);
	return __pmd(*(volatile unsigned long *)&pmdp->pmd);
}
#define pmdp_get_lockless pmdp_get_lockless
static inline void pmdp_get_lockless_sync(void) { }

extern void fl_bug(const char *file, int line, const char *function) __attribute__((noreturn));
#define pte_ERROR(e)	fl_bug(__FILE__, __LINE__, __func__)
#define pmd_ERROR(e)	fl_bug(__FILE__, __LINE__, __func__)
#define pgd_ERROR(e)	fl_bug(__FILE__, __LINE__, __func__)
#define kern_addr_valid(addr)	(1)
#define pgprot_noncached(prot)	(prot)
static inline void paging_init(void) { }
#define VMALLOC_START	0x300000000000UL
#define VMALLOC_END	0x310000000000UL
#define MODULES_VADDR	VMALLOC_START
#define MODULES_END	VMALLOC_END
#endif

#endif
