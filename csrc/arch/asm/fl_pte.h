/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PTE_H
#define FL_ASM_PTE_H

#include <asm/page.h>

/* Bits of a present entry. */
#define _PAGE_PRESENT	(1UL << 0)
#define _PAGE_WRITE	(1UL << 1)
#define _PAGE_USER	(1UL << 2)
#define _PAGE_EXEC	(1UL << 3)
#define _PAGE_ACCESSED	(1UL << 4)
#define _PAGE_DIRTY	(1UL << 5)
#define _PAGE_PROTNONE	(1UL << 6)
#define _PAGE_SPECIAL	(1UL << 7)
#define _PAGE_READ	(1UL << 8)
#define _PAGE_UFFD_WP	(1UL << 9)
#define _PAGE_SOFT_DIRTY	(1UL << 10)
/* Bits of an entry that is not present: a swap entry, a marker.  Type in bits 12-16, offset above. */
#define _PAGE_SWP_UFFD_WP	(1UL << 4)
#define _PAGE_SWP_SOFT_DIRTY	(1UL << 5)
#define _PAGE_SWP_EXCLUSIVE	(1UL << 11)

#define FL_PFN_MASK	0x000ffffffffff000UL
#define _PAGE_CHG_MASK	(FL_PFN_MASK | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SPECIAL | _PAGE_UFFD_WP | _PAGE_SOFT_DIRTY)
#define _PAGE_TABLE	(_PAGE_PRESENT | _PAGE_READ | _PAGE_WRITE | _PAGE_USER)
#define FL_PROT_BASE	(_PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | _PAGE_READ)

#ifndef __ASSEMBLY__
static inline int pte_none(pte_t pte) { return pte.pte == 0; }
static inline int pte_present(pte_t pte) { return (pte.pte & (_PAGE_PRESENT | _PAGE_PROTNONE)) != 0; }
/* A TLB may hold what the entry was: it is no longer for access, and the flush of who changed that is still to come. */
#define pte_accessible(mm, pte) \
	(pte_val(pte) & _PAGE_PRESENT || \
	 (pte_val(pte) & _PAGE_PROTNONE && atomic_read(&(mm)->tlb_flush_pending)))
static inline unsigned long pte_pfn(pte_t pte) { return (pte.pte & FL_PFN_MASK) >> PAGE_SHIFT; }
#define pte_page(pte)	pfn_to_page(pte_pfn(pte))
static inline pte_t pfn_pte(unsigned long pfn, pgprot_t prot)
{
	return __pte((pfn << PAGE_SHIFT) | pgprot_val(prot));
}
#ifndef FL_HAVE_GENERIC_MK_PTE
#define mk_pte(page, prot)	pfn_pte(page_to_pfn(page), prot)
#endif

#define FL_PTE_TEST(name, bit)	static inline int name(pte_t pte) { return !!(pte.pte & (bit)); }
#define FL_PTE_SET(name, bit)	static inline pte_t name(pte_t pte) { pte.pte |= (bit); return pte; }
#define FL_PTE_CLEAR(name, bit)	static inline pte_t name(pte_t pte) { pte.pte &= ~(bit); return pte; }
FL_PTE_TEST(pte_write, _PAGE_WRITE)
FL_PTE_TEST(pte_dirty, _PAGE_DIRTY)
FL_PTE_TEST(pte_young, _PAGE_ACCESSED)
FL_PTE_TEST(pte_special, _PAGE_SPECIAL)
FL_PTE_TEST(pte_exec, _PAGE_EXEC)
#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY	/* what makes an entry dirty makes it soft-dirty; hardware sets the dirty bit alone */
FL_PTE_SET(pte_mkdirty, _PAGE_DIRTY | _PAGE_SOFT_DIRTY)
FL_PTE_TEST(pte_soft_dirty, _PAGE_SOFT_DIRTY)
FL_PTE_SET(pte_mksoft_dirty, _PAGE_SOFT_DIRTY)
FL_PTE_CLEAR(pte_clear_soft_dirty, _PAGE_SOFT_DIRTY)
FL_PTE_TEST(pte_swp_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
FL_PTE_SET(pte_swp_mksoft_dirty, _PAGE_SWP_SOFT_DIRTY)
FL_PTE_CLEAR(pte_swp_clear_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
#else
FL_PTE_SET(pte_mkdirty, _PAGE_DIRTY)
#endif
FL_PTE_SET(pte_mkyoung, _PAGE_ACCESSED)
FL_PTE_SET(pte_mkspecial, _PAGE_SPECIAL)
FL_PTE_CLEAR(pte_wrprotect, _PAGE_WRITE)
FL_PTE_CLEAR(pte_mkclean, _PAGE_DIRTY)
FL_PTE_CLEAR(pte_mkold, _PAGE_ACCESSED)
#if FL_KVER >= 606
FL_PTE_SET(pte_mkwrite_novma, _PAGE_WRITE)
#else
FL_PTE_SET(pte_mkwrite, _PAGE_WRITE)
#endif
/* What user space may do by this entry; for the fast walks of mm/gup.c. */
static inline bool fl_pte_access_permitted(pte_t pte, bool write)
{
	unsigned long need = _PAGE_PRESENT | _PAGE_USER | (write ? _PAGE_WRITE : _PAGE_READ);

	return (pte.pte & need) == need;
}
#define pte_access_permitted(pte, write)	fl_pte_access_permitted(pte, write)
static inline pte_t pte_modify(pte_t pte, pgprot_t prot)
{
	return __pte((pte.pte & _PAGE_CHG_MASK) | (pgprot_val(prot) & ~_PAGE_CHG_MASK));
}

#ifdef CONFIG_NUMA_BALANCING
static inline int pte_protnone(pte_t pte) { return (pte.pte & (_PAGE_PRESENT | _PAGE_PROTNONE)) == _PAGE_PROTNONE; }
#endif

/* Since the bit serves a second mode of userfaultfd, the names that the kernel calls it by do not tell the mode. */
#ifdef FL_HAVE_PTE_UFFD
#define pte_uffd_wp	pte_uffd
#define pte_mkuffd_wp	pte_mkuffd
#define pte_clear_uffd_wp	pte_clear_uffd
#define pte_swp_uffd_wp	pte_swp_uffd
#define pte_swp_mkuffd_wp	pte_swp_mkuffd
#define pte_swp_clear_uffd_wp	pte_swp_clear_uffd
#define pmd_uffd_wp	pmd_uffd
#define pmd_mkuffd_wp	pmd_mkuffd
#define pmd_clear_uffd_wp	pmd_clear_uffd
#define pmd_swp_uffd_wp	pmd_swp_uffd
#define pmd_swp_mkuffd_wp	pmd_swp_mkuffd
#define pmd_swp_clear_uffd_wp	pmd_swp_clear_uffd
#endif
#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
FL_PTE_TEST(pte_uffd_wp, _PAGE_UFFD_WP)
FL_PTE_CLEAR(pte_clear_uffd_wp, _PAGE_UFFD_WP)
FL_PTE_TEST(pte_swp_uffd_wp, _PAGE_SWP_UFFD_WP)
FL_PTE_SET(pte_swp_mkuffd_wp, _PAGE_SWP_UFFD_WP)
FL_PTE_CLEAR(pte_swp_clear_uffd_wp, _PAGE_SWP_UFFD_WP)
/* A protected entry is never writable, whatever it was before; except for a canary. */
extern _Bool fl_uffd_wp_keeps_write;
static inline pte_t pte_mkuffd_wp(pte_t pte)
{
	pte.pte |= _PAGE_UFFD_WP;
	return __builtin_expect(fl_uffd_wp_keeps_write, 0) ? pte : pte_wrprotect(pte);
}
#endif

#if FL_KVER >= 519
#define __HAVE_ARCH_PTE_SWP_EXCLUSIVE
#if FL_KVER >= 613
static inline bool pte_swp_exclusive(pte_t pte) { return pte.pte & _PAGE_SWP_EXCLUSIVE; }
#else
FL_PTE_TEST(pte_swp_exclusive, _PAGE_SWP_EXCLUSIVE)
#endif
FL_PTE_SET(pte_swp_mkexclusive, _PAGE_SWP_EXCLUSIVE)
FL_PTE_CLEAR(pte_swp_clear_exclusive, _PAGE_SWP_EXCLUSIVE)
#endif

#define FL_SWP_TYPE_SHIFT	12
#define FL_SWP_TYPE_BITS	5
#define FL_SWP_OFFSET_SHIFT	(FL_SWP_TYPE_SHIFT + FL_SWP_TYPE_BITS)
#define __swp_type(entry)	(((entry).val >> FL_SWP_TYPE_SHIFT) & ((1UL << FL_SWP_TYPE_BITS) - 1))
#define __swp_offset(entry)	((entry).val >> FL_SWP_OFFSET_SHIFT)
#define __swp_entry(type, offset) \
	((swp_entry_t) { ((unsigned long)(type) << FL_SWP_TYPE_SHIFT) | ((unsigned long)(offset) << FL_SWP_OFFSET_SHIFT) })
#define __pte_to_swp_entry(pte)	((swp_entry_t) { pte_val(pte) })
#define __swp_entry_to_pte(entry)	((pte_t) { (entry).val })
#endif

#endif
