/* SPDX-License-Identifier: GPL-2.0-only */
/* The LRU lists, under the tree's names. */
#ifndef FL_LRU_H
#define FL_LRU_H

#include <linux/mm.h>
#include "internal.h"

/* Of a head or single page that the caller holds; true if it was on a list, and now is the caller's. */
static inline bool fl_take_off_lru(struct page *page)
{
#if defined(FL_HAVE_FOLIO_ISOLATE_BOOL)
	return folio_isolate_lru(page_folio(page));
#elif defined(FL_HAVE_FOLIO)
	return !folio_isolate_lru(page_folio(page));
#else
	return !isolate_lru_page(page);
#endif
}

#endif
