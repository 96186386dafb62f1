/* SPDX-License-Identifier: GPL-2.0-only */
/* Entries of the middle level that map a huge page: the bits are those of a page-table entry, and one that says so. */
#ifndef FL_ASM_PMD_H
#define FL_ASM_PMD_H

#ifdef CONFIG_NUMA_BALANCING
static inline int pmd_protnone(pmd_t pmd) { return pte_protnone(__pte(pmd_val(pmd))); }
#endif
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) || defined(CONFIG_HUGETLB_PAGE)
#define HPAGE_SHIFT	PMD_SHIFT
#define HPAGE_SIZE	(1UL << HPAGE_SHIFT)
#define HPAGE_MASK	(~(HPAGE_SIZE - 1))
#endif
#ifdef CONFIG_HUGETLB_PAGE
#define HUGETLB_PAGE_ORDER	(HPAGE_SHIFT - PAGE_SHIFT)
static inline pte_t pte_mkhuge(pte_t pte) { return __pte(pte_val(pte) | _PAGE_HUGE); }
static inline int pte_huge(pte_t pte) { return !!(pte_val(pte) & _PAGE_HUGE); }
#endif

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static inline pte_t fl_pmd_pte(pmd_t pmd) { return __pte(pmd_val(pmd)); }
static inline pmd_t fl_pte_pmd(pte_t pte) { return __pmd(pte_val(pte)); }
static inline int pmd_trans_huge(pmd_t pmd) { return !!(pmd_val(pmd) & _PAGE_HUGE); }
#define pmd_leaf(pmd)	pmd_trans_huge(pmd)
static inline pmd_t pmd_mkhuge(pmd_t pmd) { return __pmd(pmd_val(pmd) | _PAGE_HUGE); }
static inline pmd_t pmd_mkinvalid(pmd_t pmd) { return __pmd(pmd_val(pmd) & ~(_PAGE_PRESENT | _PAGE_PROTNONE)); }
static inline pmd_t pfn_pmd(unsigned long pfn, pgprot_t prot) { return fl_pte_pmd(pfn_pte(pfn, prot)); }
#define mk_pmd(page, prot)	pfn_pmd(page_to_pfn(page), prot)
static inline pmd_t pmd_modify(pmd_t pmd, pgprot_t prot)
{
	return __pmd(pte_val(pte_modify(fl_pmd_pte(pmd), prot)) | (pmd_val(pmd) & _PAGE_HUGE));
}

#define pmd_access_permitted(pmd, write)	fl_pte_access_permitted(fl_pmd_pte(pmd), write)

#define FL_PMD_TEST(name)	static inline int pmd_##name(pmd_t pmd) { return pte_##name(fl_pmd_pte(pmd)); }
#define FL_PMD_CHANGE(name)	static inline pmd_t pmd_##name(pmd_t pmd) { return fl_pte_pmd(pte_##name(fl_pmd_pte(pmd))); }
FL_PMD_TEST(write)
#define pmd_write pmd_write
FL_PMD_TEST(dirty)
#define pmd_dirty pmd_dirty
FL_PMD_TEST(young)
#define pmd_young pmd_young
FL_PMD_CHANGE(mkdirty)
FL_PMD_CHANGE(mkyoung)
FL_PMD_CHANGE(mkclean)
FL_PMD_CHANGE(mkold)
FL_PMD_CHANGE(wrprotect)
#ifdef FL_HAVE_MKWRITE_NOVMA
FL_PMD_CHANGE(mkwrite_novma)
#else
FL_PMD_CHANGE(mkwrite)
#endif
#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
FL_PMD_TEST(uffd_wp)
FL_PMD_CHANGE(mkuffd_wp)
FL_PMD_CHANGE(clear_uffd_wp)
FL_PMD_TEST(swp_uffd_wp)
FL_PMD_CHANGE(swp_mkuffd_wp)
FL_PMD_CHANGE(swp_clear_uffd_wp)
#endif
#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
FL_PMD_TEST(soft_dirty)
FL_PMD_CHANGE(mksoft_dirty)
FL_PMD_CHANGE(clear_soft_dirty)
FL_PMD_TEST(swp_soft_dirty)
FL_PMD_CHANGE(swp_mksoft_dirty)
FL_PMD_CHANGE(swp_clear_soft_dirty)
#endif
#define __pmd_to_swp_entry(pmd)	((swp_entry_t) { pmd_val(pmd) })
#define __swp_entry_to_pmd(entry)	((pmd_t) { (entry).val })

/* The checker sees every store of a huge entry, and every one over a huge entry, before it happens. */
extern void fl_pmd_store(pmd_t *pmdp, unsigned long val);
static inline void fl_set_pmd(pmd_t *pmdp, pmd_t pmd)
{
	fl_point(PTE_WRITE, pmdp);
	fl_pmd_store(pmdp, pmd_val(pmd));
	*(volatile unsigned long *)&pmdp->pmd = pmd_val(pmd);
}
#define set_pmd_at(mm, addr, pmdp, pmd)	fl_set_pmd(pmdp, pmd)
#define update_mmu_cache_pmd(vma, addr, pmdp)	do { (void)(vma); (void)(addr); (void)(pmdp); } while (0)

#define __HAVE_ARCH_PMDP_HUGE_GET_AND_CLEAR
static inline pmd_t pmdp_huge_get_and_clear(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp)
{
	pmd_t pmd;

	fl_point(PTE_WRITE, pmdp);
	fl_pmd_store(pmdp, 0);
	pmd = __pmd(*(volatile unsigned long *)&pmdp->pmd);
	*(volatile unsigned long *)&pmdp->pmd = 0;
	return pmd;
}

/* The hardware sets bits of a huge entry at any time: these are one step each. */
static inline void fl_clear_of_pmd(pmd_t *pmdp, unsigned long bits)
{
	unsigned long val = *(volatile unsigned long *)&pmdp->pmd & ~bits;

	fl_pmd_store(pmdp, val);
	*(volatile unsigned long *)&pmdp->pmd = val;
}

#define __HAVE_ARCH_PMDP_TEST_AND_CLEAR_YOUNG
static inline int pmdp_test_and_clear_young(struct vm_area_struct *vma, unsigned long addr, pmd_t *pmdp)
{
	fl_point(PTE_WRITE, pmdp);
	if (!(*(volatile unsigned long *)&pmdp->pmd & _PAGE_ACCESSED))
		return 0;
	fl_clear_of_pmd(pmdp, _PAGE_ACCESSED);
	return 1;
}

#define __HAVE_ARCH_PMDP_SET_WRPROTECT
static inline void pmdp_set_wrprotect(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp)
{
	fl_point(PTE_WRITE, pmdp);
	fl_clear_of_pmd(pmdp, _PAGE_WRITE);
}

#define pmdp_establish pmdp_establish
static inline pmd_t pmdp_establish(struct vm_area_struct *vma, unsigned long addr, pmd_t *pmdp, pmd_t pmd)
{
	pmd_t old;

	fl_point(PTE_WRITE, pmdp);
	fl_pmd_store(pmdp, pmd_val(pmd));
	old = __pmd(*(volatile unsigned long *)&pmdp->pmd);
	*(volatile unsigned long *)&pmdp->pmd = pmd_val(pmd);
	return old;
}
#elif defined(CONFIG_HAVE_ARCH_USERFAULTFD_WP)
/* No huge entries: these answer for pmds that hold a table. */
static inline int pmd_uffd_wp(pmd_t pmd) { return 0; }
static inline pmd_t pmd_mkuffd_wp(pmd_t pmd) { return pmd; }
static inline pmd_t pmd_clear_uffd_wp(pmd_t pmd) { return pmd; }
static inline int pmd_swp_uffd_wp(pmd_t pmd) { return 0; }
static inline pmd_t pmd_swp_mkuffd_wp(pmd_t pmd) { return pmd; }
static inline pmd_t pmd_swp_clear_uffd_wp(pmd_t pmd) { return pmd; }
#endif
#if !defined(CONFIG_TRANSPARENT_HUGEPAGE) && defined(CONFIG_HAVE_ARCH_SOFT_DIRTY)
static inline int pmd_soft_dirty(pmd_t pmd) { return 0; }
static inline pmd_t pmd_mksoft_dirty(pmd_t pmd) { return pmd; }
static inline pmd_t pmd_clear_soft_dirty(pmd_t pmd) { return pmd; }
#endif

#endif
