/* SPDX-License-Identifier: GPL-2.0-only */
/* What trees have under different names. */
#ifndef FL_TREE_H
#define FL_TREE_H

#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pgtable.h>
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
