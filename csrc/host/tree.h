/* SPDX-License-Identifier: GPL-2.0-only */
/* What trees have under different names. */
#ifndef FL_TREE_H
#define FL_TREE_H

#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#ifdef FL_HAVE_SOFTLEAF
#include <linux/leafops.h>
#else
#include <linux/swap.h>
#include <linux/swapops.h>
#endif

static inline bool fl_page_is_ksm(struct page *page)
{
#ifdef FL_HAVE_FOLIO_TEST_KSM
	return folio_test_ksm(page_folio(page));
#else
	return PageKsm(page);
#endif
}

/* The reverse map's trees: of what is anonymous, by the place in it, and of a file's pages, by the file's offset. */
#ifdef FL_HAVE_RMAP_TREE
#define fl_for_each_avc(avc, anon_vma, index)	anon_rmap_tree_foreach(avc, anon_vma, index, index)
#define fl_for_each_vma_of(vma, mapping, index)	mapping_rmap_tree_foreach(vma, mapping, index, index)
#define fl_forget_avc(avc)	anon_rmap_tree_remove(avc, (avc)->anon_vma)
#define fl_forget_vma(vma, mapping)	mapping_rmap_tree_remove(vma, mapping)
#else
#define fl_for_each_avc(avc, anon_vma, index)	\
	anon_vma_interval_tree_foreach(avc, &(anon_vma)->rb_root, index, index)
#define fl_for_each_vma_of(vma, mapping, index)	vma_interval_tree_foreach(vma, &(mapping)->i_mmap, index, index)
#define fl_forget_avc(avc)	anon_vma_interval_tree_remove(avc, &(avc)->anon_vma->rb_root)
#define fl_forget_vma(vma, mapping)	vma_interval_tree_remove(vma, &(mapping)->i_mmap)
#endif

/*
 * Where the reverse map has an anonymous page of a mapping.  For a private page of a file that was its offset in the file;
 * since it has numbers of its own, the two are told apart.
 */
static inline unsigned long fl_anon_index(const struct vm_area_struct *vma, unsigned long addr)
{
#ifdef FL_HAVE_ANON_PGOFF
	return linear_anon_page_index(vma, addr);
#else
	return linear_page_index((struct vm_area_struct *)vma, addr);
#endif
}

/* For a canary. */
static inline void fl_spoil_anon_index(struct vm_area_struct *vma)
{
#ifdef FL_HAVE_ANON_PGOFF
	vma->__vm_anon_pgoff_lo++;
#else
	vma->vm_pgoff++;
#endif
}

/* Of an entry that is neither empty nor present. */
static inline bool fl_pte_is_migration(pte_t pte)
{
#ifdef FL_HAVE_SOFTLEAF
	return softleaf_is_migration(softleaf_from_pte(pte));
#else
	return is_migration_entry(pte_to_swp_entry(pte));
#endif
}

static inline bool fl_pte_is_uffd_wp_marker(pte_t pte)
{
#if defined(FL_HAVE_SOFTLEAF)
	return pte_is_uffd_wp_marker(pte);
#elif defined(FL_HAVE_PTE_MARKER)
	return is_pte_marker_entry(pte_to_swp_entry(pte)) && pte_marker_uffd_wp(pte);
#else
	return false;
#endif
}

#endif
