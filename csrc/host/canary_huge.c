// SPDX-License-Identifier: GPL-2.0-only
/* Planted faults in huge pages: what the checks of huge entries and of large folios are there for. */
#include "host/huge.h"
#include <linux/pgtable.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include "internal.h"

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static void write_huge_unlocked(struct mm_struct *mm)
{
	pmd_t *pmd = fl_huge_at(mm, FL_REGION);

	if (pmd)
		set_pmd_at(mm, FL_REGION, pmd, *pmd);
}

#ifdef FL_HAVE_LARGE_MAPCOUNT
/* A huge entry was taken for so many small ones: each page's mapcount is right, the folio's own counts are not. */
static void count_entries_as_huge(struct folio *folio)
{
	atomic_inc(&folio->_entire_mapcount);
	for (long i = 0; i < folio_nr_pages(folio); i++)
		atomic_dec(&folio_page(folio, i)->_mapcount);
}

/* All references go, the mappings' too. */
static void free_mapped(struct folio *folio)
{
	folio_ref_sub(folio, folio_ref_count(folio) - 1);
	folio_put(folio);
}

static void free_deferred(void)
{
	struct folio *folio = folio_alloc(GFP_TRANSHUGE, PMD_ORDER);
	struct list_head queue = LIST_HEAD_INIT(queue);

	list_add(&folio->_deferred_list, &queue);
	fl_page_free(&folio->page, PMD_ORDER);
}

static void spoil_large(struct page *page)
{
	struct folio *folio = page_folio(page);

	switch (fl_canary_on) {
	case FL_CANARY_ENTIRE_MAPCOUNT:
		count_entries_as_huge(folio);
		break;
	case FL_CANARY_LARGE_MAPCOUNT:
		atomic_inc(&folio->_large_mapcount);
		break;
	case FL_CANARY_PAGES_MAPPED:
		atomic_inc(&folio->_nr_pages_mapped);
		break;
	case FL_CANARY_LARGE_REFERENCES:
		folio_ref_sub(folio, folio_ref_count(folio) - 1);
		break;
	case FL_CANARY_FREE_MAPPED_FOLIO:
		free_mapped(folio);
		break;
	case FL_CANARY_FREE_OTHER_ORDER:
		fl_page_free(&folio->page, 1);
		break;
	case FL_CANARY_FREE_DEFERRED:
		free_deferred();
	}
}
#else
static void spoil_large(struct page *page) { }
#endif

/* The faults in the folio that a process maps at its first slot. */
void fl_canary_huge(struct mm_struct *mm)
{
	pte_t pte = __pte(fl_pte_value(mm, FL_REGION));

	if (fl_canary_is(PMD_UNLOCKED))
		write_huge_unlocked(mm);
	else if (fl_canary_is(LEAK_HUGETLB))
		get_page(pte_page(pte));
	else if (fl_canary_is(PROMISE_HUGETLB))
		fl_hugetlb_promise();
	else if (pte_present(pte) && PageCompound(pte_page(pte)))
		spoil_large(pte_page(pte));
}
#endif
