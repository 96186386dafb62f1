// SPDX-License-Identifier: GPL-2.0-only
/* Transparent huge pages: what their start-up code sets, and what memory pressure would make of the huge zero page. */
#include "host/huge.h"
#include <linux/page-flags.h>

/* When a folio is split, each part is locked as the whole was, without an operation that the lock checker sees. */
static void fl_part_split_off(struct page *page)
{
	clear_compound_head(page);
	if (*(unsigned long *)page & (1UL << PG_locked))
		fl_folio_locked((unsigned long *)page, true);
}

#define clear_compound_head fl_part_split_off
#include FL_SOURCE
#undef clear_compound_head

/*
 * keeps: huge pages wherever the mapping has room for one, as the profile says; of the smaller sizes the smallest that
 * anonymous memory can have.  leaves out: the knobs in sysfs, the shrinkers' registration.
 */
void fl_huge_boot(void)
{
	khugepaged_init();
#ifdef FL_HAVE_DEFERRED_SPLIT_LRU
	list_lru_init(&deferred_split_lru);
#endif
	fl_huge_files_boot();
#ifdef FL_HAVE_HUGE_ANON_ORDERS
	huge_anon_orders_inherit = BIT(PMD_ORDER) | BIT(2);
#endif
}

/* The huge zero page is kept for the next user until memory is short. */
void fl_huge_cleanup(void)
{
#ifdef FL_HAVE_HUGE_ZERO_FOLIO_SCAN
	shrink_huge_zero_folio_scan(NULL, NULL);
#else
	shrink_huge_zero_page_scan(NULL, NULL);
#endif
}
