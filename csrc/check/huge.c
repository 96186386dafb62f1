// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large folios: what they count about themselves against what the page tables say.  A folio of several pages has, beside
 * each page's mapcount, the number of huge entries that map it whole, the number of all entries, and the number of its
 * pages that some entry maps.
 */
#include "host/host.h"
#include <linux/hugetlb.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include "internal.h"

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#ifdef FL_HAVE_FOLIO
#define FL_ENTIRE_MAPCOUNT(page)	folio_entire_mapcount(page_folio(page))
#else
#define FL_ENTIRE_MAPCOUNT(page)	compound_mapcount(page)
#endif

int fl_compound_mapcount(struct page *page)
{
	if (PageHuge(page))	/* always mapped whole; the first page's own count is its type */
		return FL_ENTIRE_MAPCOUNT(page);
#ifdef FL_HAVE_PAGE_MAPCOUNT
	return page_mapcount(page);
#else
	return atomic_read(&page->_mapcount) + 1 + folio_entire_mapcount(page_folio(page));
#endif
}
#endif

#if defined(CONFIG_TRANSPARENT_HUGEPAGE) && defined(FL_HAVE_LARGE_MAPCOUNT)
struct seen {
	unsigned short ptes, pmds;	/* entries that map the folio's pages one by one, and whole */
};

static struct seen seen[FL_ARENA_PAGES];	/* by the folio's first page */

static void for_each_large(void (*visit)(struct folio *folio, int process, unsigned int slot, bool huge))
{
	for (int p = 0; p < FL_PROCESSES; p++) {
		struct mm_struct *mm = fl.process[p].mm;

		for (unsigned int slot = 0; mm && slot < FL_SLOTS; slot++) {
			unsigned long addr = FL_REGION + slot * PAGE_SIZE;
			pte_t pte = __pte(fl_pte_value(mm, addr));
			bool huge = fl_huge_at(mm, addr);

			if (!pte_present(pte) || pte_special(pte) || !PageCompound(pte_page(pte)))
				continue;
			if (!huge || !(addr & ~PMD_MASK))
				visit(page_folio(pte_page(pte)), p, slot, huge);
		}
	}
}

static struct seen *seen_of(struct folio *folio)
{
	return &seen[&folio->page - mem_map];
}

static void count(struct folio *folio, int process, unsigned int slot, bool huge)
{
	if (huge)
		seen_of(folio)->pmds++;
	else
		seen_of(folio)->ptes++;
}

static int pages_with_entries(struct folio *folio)
{
	int n = 0;

	for (long i = 0; i < folio_nr_pages(folio); i++)
		n += atomic_read(&folio_page(folio, i)->_mapcount) >= 0;
	return n;
}

static void compare(struct folio *folio, int process, unsigned int slot, bool huge)
{
	struct seen *is = seen_of(folio);
	int entire = folio_entire_mapcount(folio), large = folio_large_mapcount(folio);
	int mapped = atomic_read(&folio->_nr_pages_mapped) & FOLIO_PAGES_MAPPED;

	if (unlikely(entire != is->pmds))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%u: entire mapcount %d, but %d huge entries map the folio",
			  process, slot, entire, is->pmds);
	if (unlikely(large != is->pmds + is->ptes))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%u: large mapcount %d, but %d entries map the folio",
			  process, slot, large, is->pmds + is->ptes);
	if (unlikely(mapped != pages_with_entries(folio)))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%u: %d pages counted as mapped one by one, but %d are",
			  process, slot, mapped, pages_with_entries(folio));
	if (unlikely(folio_ref_count(folio) < is->pmds + is->ptes))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%u: %d references, but %d entries map the folio", process,
			  slot, folio_ref_count(folio), is->pmds + is->ptes);
}

static void uncount(struct folio *folio, int process, unsigned int slot, bool huge)
{
	*seen_of(folio) = (struct seen){ };
}

void fl_check_large_folios(void)
{
	for_each_large(count);
	for_each_large(compare);
	for_each_large(uncount);
}
#else
void fl_check_large_folios(void) { }
#endif
