// SPDX-License-Identifier: GPL-2.0-only
/* Swap: reclaim aimed at pages or at the swap cache, swapoff. */
#include "host/lru.h"
#include "host/ops.h"
#include "host/swapdev.h"
#include "check/races.h"
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>

/* Takes the page, to which there is a reference, off the LRU, as reclaim does, and puts it on the list. */
static void isolate(struct page *page, struct list_head *list)
{
#ifdef FL_HAVE_FOLIO
	struct folio *folio = page_folio(page);

	if (fl_take_off_lru(&folio->page)) {
		if (folio_test_unevictable(folio))
			folio_putback_lru(folio);
		else
			list_add(&folio->lru, list);
	}
#else
	page = compound_head(page);
	if (fl_take_off_lru(page)) {
		if (PageUnevictable(page))
			putback_lru_page(page);
		else
			list_add(&page->lru, list);
	}
#endif
}

/* The anonymous page that is mapped there, with a reference, or NULL. */
static struct page *get_anon_page(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	struct page *page;

	if (!vma || vma->vm_start > addr)
		return NULL;
	page = fl_mapped_page(vma, addr);
	if (!page || !PageAnon(page))
		return NULL;
	return get_page_unless_zero(compound_head(page)) ? page : NULL;
}

/*
 * What was used since reclaim last saw it stays for one more round.  Some trees spare MADV_PAGEOUT's pages for that too,
 * so the marks of use go first, as they do when the active list ages.
 */
static void age(struct page *page)
{
	vm_flags_t flags;

#ifdef FL_HAVE_FOLIO
	folio_referenced(page_folio(page), 0, NULL, &flags);
#else
	page_referenced(page, 0, NULL, &flags);
#endif
}

void fl_op_swap_out(struct fl_task *task, const unsigned char *v)
{
	struct mm_struct *mm = fl_target(task, v[0]);
	LIST_HEAD(list);

	if (!mm)
		return;
	fl_swap_on(FL_SWAP_DEVICE_SYNC);
	lru_add_drain_all();
	mmap_read_lock(mm);
	for (unsigned int i = 0; i < v[2]; i++) {
		struct page *page = get_anon_page(mm, fl_slot_addr(v[1] + i));

		if (page) {
			age(page);
			isolate(page, &list);
			put_page(page);
		}
	}
	mmap_read_unlock(mm);
	mmput(mm);
	reclaim_pages(&list);
	fl_done(task, 0);
}

/* On the LRU, in the swap cache, mapped by nobody. */
static bool only_cached(struct page *page)
{
	if (!PageLRU(page) || PageTail(page) || atomic_read(&page->_mapcount) != -1)
		return false;
#ifdef FL_HAVE_FOLIO
	return folio_test_swapcache(page_folio(page)) && !folio_mapped(page_folio(page));
#else
	return PageSwapCache(page) && !page_mapped(page);
#endif
}

/* What only the swap cache holds, as reclaim finds it at its next pass over the LRU lists. */
void fl_op_drop_swap_cache(struct fl_task *task, const unsigned char *v)
{
	LIST_HEAD(list);

	lru_add_drain_all();
	for (unsigned long i = 0; i < FL_ARENA_PAGES; i++)
		/* who frees it, and has no reference left, has yet to take it off the list */
		if (only_cached(mem_map + i) && get_page_unless_zero(mem_map + i)) {
			fl_race_learn_all();	/* who put it on the list held its lock, as who takes it from there */
			isolate(mem_map + i, &list);
			put_page(mem_map + i);
		}
	reclaim_pages(&list);
	fl_done(task, 0);
}

/* At the end of the program swap stays off. */
void fl_op_swapoff(struct fl_task *task, const unsigned char *v)
{
	int err = fl_swap_is_on() ? fl_swap_off() : 0;

	if (!err && fl.op >= 0)
		err = fl_swap_on(v[0]);
	fl_result(task, err);
}
