// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page allocator.
 * keeps: order, alignment, zeroing, compound pages, the state that a fresh page must have and a freed one must not.
 * leaves out: zones, per-CPU lists, watermarks, reclaim.  The lowest free page comes first, so that what a program gets
 * depends on the program alone.
 */
#include "host/host.h"
#include "check/races.h"
#include <asm/pgalloc.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/swap.h>
#include "internal.h"

#define POISON	0x6b
#define WORDS	(FL_ARENA_PAGES / 64)

unsigned long fl_arena, fl_max_pfn;
unsigned long fl_memmap_start, fl_memmap_end;
struct page *fl_zero_page;
struct page *mem_map;

static unsigned long free_bits[WORDS];	/* 1: free */
static unsigned long summary[WORDS / 64 + 1];	/* 1: the word has a free page */
static unsigned long live, fresh_from;	/* pages from fresh_from on were never used */
static unsigned char stale[FL_ARENA_PAGES];	/* free, with contents of its last use: poisoned if handed out as it is */

static struct page *page_at(unsigned long index)
{
	return mem_map + index;
}

static char *page_memory(unsigned long index)
{
	return (char *)fl_arena + (index << PAGE_SHIFT);
}

static void take(unsigned long index)
{
	free_bits[index / 64] &= ~(1UL << index % 64);
	if (!free_bits[index / 64])
		summary[index / 4096] &= ~(1UL << index / 64 % 64);
}

static void give(unsigned long index)
{
	free_bits[index / 64] |= 1UL << index % 64;
	summary[index / 4096] |= 1UL << index / 64 % 64;
}

static long find_one(void)
{
	for (unsigned long s = 0; s < WORDS / 64 + !!(WORDS % 64); s++)
		if (summary[s]) {
			unsigned long word = s * 64 + __builtin_ctzl(summary[s]);

			return word * 64 + __builtin_ctzl(free_bits[word]);
		}
	return -1;
}

/* A block of at most 64 pages: it lies within one word. */
static long find_small_block(unsigned int order)
{
	static const unsigned long aligned[] = {
		~0UL, 0x5555555555555555, 0x1111111111111111, 0x0101010101010101, 0x0001000100010001, 0x0000000100000001, 1,
	};

	for (unsigned long s = 0; s < WORDS / 64 + !!(WORDS % 64); s++)
		for (unsigned long left = summary[s]; left; left &= left - 1) {
			unsigned long word = s * 64 + __builtin_ctzl(left), fit = free_bits[word];

			for (unsigned int i = 0; i < order; i++)
				fit &= fit >> (1 << i);
			fit &= aligned[order];
			if (fit)
				return word * 64 + __builtin_ctzl(fit);
		}
	return -1;
}

static long find_big_block(unsigned int order)
{
	unsigned long n = 1UL << order;

	for (unsigned long i = 0; i + n <= FL_ARENA_PAGES; i += n) {
		unsigned long k = 0;

		while (k < n && free_bits[(i + k) / 64] & (1UL << (i + k) % 64))
			k++;
		if (k == n)
			return i;
	}
	return -1;
}

static void first_use(unsigned long end)
{
	for (; fresh_from < end; fresh_from++)
		stale[fresh_from] = 1;
}

/* The first word, whatever the tree's type for it. */
static unsigned long *flags_of(struct page *page)
{
	return (unsigned long *)&page->flags;
}

static void prepare(struct page *page, int count)
{
	memset(page, 0, sizeof(*page));
	INIT_LIST_HEAD(&page->lru);
	atomic_set(&page->_mapcount, -1);
	set_page_count(page, count);
}

struct page *fl_page_alloc(gfp_t gfp, unsigned int order)
{
	long index = !order ? find_one() : order <= 6 ? find_small_block(order) : find_big_block(order);
	unsigned long n = 1UL << order;
	struct page *page;

	if (gfp & __GFP_DIRECT_RECLAIM)
		fl_check_sleep("allocating a page");
	if (index < 0)
		return NULL;
	if (index + n > fresh_from)
		first_use(index + n);
	page = page_at(index);
	fl_unpoison(page_memory(index), n << PAGE_SHIFT);
	for (unsigned long i = 0; i < n; i++) {
		take(index + i);
		fl_race_fresh(page + i, sizeof(*page));
		prepare(page + i, i ? 0 : 1);
		if (gfp & __GFP_ZERO)
			memset(page_memory(index + i), 0, PAGE_SIZE);
		else if (stale[index + i])
			memset(page_memory(index + i), POISON, PAGE_SIZE);
		stale[index + i] = 0;
	}
	if (order && (gfp & __GFP_COMP))
		prep_compound_page(page, order);
	live += n;
	if (live > fl_counts.pages_peak)
		fl_counts.pages_peak = live;
	return page;
}

#if defined(FL_HAVE_COMPOUND_TAIL_AND_HEAD)
static void lead_to(struct page *head, int i, unsigned int order)
{
	prep_compound_tail(head + i, head, order);
}
#elif defined(FL_HAVE_COMPOUND_TAIL_INLINE)
static void lead_to(struct page *head, int i, unsigned int order)
{
	prep_compound_tail(head, i);
}
#else	/* these are the page allocator's own */
static void lead_to(struct page *head, int i, unsigned int order)
{
	head[i].mapping = TAIL_MAPPING;
	set_compound_head(head + i, head);
}

#define prep_compound_head fl_give_order
static void prep_compound_head(struct page *head, unsigned int order)
{
	set_compound_order(head, order);
	set_compound_page_dtor(head, COMPOUND_PAGE_DTOR);
	atomic_set(compound_mapcount_ptr(head), -1);
#ifdef FL_HAVE_PINCOUNT_AVAILABLE
	if (!hpage_pincount_available(head))
		return;
#endif
	atomic_set(compound_pincount_ptr(head), 0);
}
#endif

/* A block that is one page to the kernel: the first has its order, the others lead to the first. */
void prep_compound_page(struct page *page, unsigned int order)
{
	__SetPageHead(page);
	for (int i = 1; i < 1 << order; i++)
		lead_to(page, i, order);
	prep_compound_head(page, order);
}

/* What the kernel itself calls a bad page, told by its most telling part. */
static const char *bad_state(struct page *page)
{
	if (page_ref_count(page))
		return "references left";
	if (atomic_read(&page->_mapcount) != -1 && !page_has_type(page))
		return "still mapped (mapcount)";
	if (PageTail(page))
		return NULL;	/* its flags tell other things */
	if (*flags_of(page) & (1UL << PG_locked))
		return "locked";
	if (*flags_of(page) & (1UL << PG_lru))
		return "on an LRU list";
	if (*flags_of(page) & (1UL << PG_writeback))
		return "under writeback";
	return NULL;
}

/* The same for what a folio of several pages counts about itself, and for its place among those to be split. */
static const char *bad_large_state(struct page *page, unsigned int order)
{
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) && defined(FL_HAVE_LARGE_MAPCOUNT)
	struct folio *folio = (struct folio *)page;

	if (!PageHead(page))
		return NULL;
	if (folio_order(folio) != order)
		return "of another order";
	if (folio_entire_mapcount(folio) || folio_large_mapcount(folio) || atomic_read(&folio->_nr_pages_mapped))
		return "still mapped (large folio)";
	if (order > 1 && !list_empty(&folio->_deferred_list))
		return "on the list of folios to be split";
#endif
	return NULL;
}

void fl_page_free(struct page *page, unsigned int order)
{
	const char *bad_large = order ? bad_large_state(page, order) : NULL;
	unsigned long index = page - mem_map, n = 1UL << order;

	if (unlikely(bad_large))
		fl_report(FL_KIND_KERNEL_BUG, NULL, "page freed in a bad state: %s", bad_large);
	for (unsigned long i = 0; i < n; i++) {
		const char *bad = bad_state(page + i);

		if (unlikely(free_bits[(index + i) / 64] & (1UL << (index + i) % 64)))
			fl_report(FL_KIND_USE_AFTER_FREE, NULL, "page freed twice");
		if (unlikely(bad))
			fl_report(FL_KIND_KERNEL_BUG, NULL, "page freed in a bad state: %s", bad);
		if (unlikely(fl_pins_held))
			fl_check_held_freed(page + i);
		fl_tlb_page_freed(page_to_pfn(page + i));
		if (unlikely(fl_guest_entries))
			fl_guest_page_freed(page_to_pfn(page + i));
		fl_race_fresh(page + i, sizeof(*page));
		page[i].mapping = NULL;
		*flags_of(page + i) = 0;
		INIT_LIST_HEAD(&page[i].lru);	/* no longer the tail of a compound page */
		atomic_set(&page[i]._mapcount, -1);
		give(index + i);
		stale[index + i] = 1;
	}
	fl_poison(page_memory(index), n << PAGE_SHIFT);
	live -= n;
}

unsigned long fl_pages_live(void)
{
	return live;
}

/* Bytes of the arena that have been used so far. */
unsigned long fl_pages_used(void)
{
	return fresh_from << PAGE_SHIFT;
}

/*
 * A restore brought back the arena's first pages as they were at the snapshot.  The rest counts as never used: it is
 * poisoned anew when it is, and ASan forgets what it knew.
 */
void fl_pages_after_restore(void)
{
	fl_unpoison((void *)fl_arena, FL_ARENA_PAGES << PAGE_SHIFT);
}

/* The memory map takes the arena's first pages. */
void fl_pages_init(void *arena)
{
	unsigned long map_pages = DIV_ROUND_UP(FL_ARENA_PAGES * sizeof(struct page), PAGE_SIZE);

	fl_arena = (unsigned long)arena;
	fl_max_pfn = ARCH_PFN_OFFSET + FL_ARENA_PAGES;
	mem_map = arena;
	fl_memmap_start = (unsigned long)mem_map;
	fl_memmap_end = fl_memmap_start + FL_ARENA_PAGES * sizeof(struct page);
	for (unsigned long i = 0; i < FL_ARENA_PAGES; i++) {
		prepare(page_at(i), 0);
		if (i >= map_pages)
			give(i);
	}
	fresh_from = map_pages;
	fl_zero_page = fl_page_alloc(__GFP_ZERO, 0);
	__SetPageReserved(fl_zero_page);
}

/* A request of kernel code, which may be one that is to fail. */
static struct page *request(gfp_t gfp, unsigned int order)
{
	int fault = gfp & (__GFP_MOVABLE | __GFP_HIGHMEM) ? FL_FAULT_PAGE : FL_FAULT_TABLE;

	if (!(gfp & __GFP_NOFAIL) && fl_fails(fault))
		return NULL;
	*(fault == FL_FAULT_PAGE ? &fl_counts.pages : &fl_counts.tables) += 1UL << order;
	return fl_page_alloc(gfp, order);
}

/* The allocator's interface to the kernel, by version. */
#ifdef FL_HAVE_ALLOC_NOPROF
#define ALLOC_PAGES __alloc_pages_noprof
#define FOLIO_ALLOC __folio_alloc_noprof
#define GET_FREE_PAGES get_free_pages_noprof
#elif !defined(FL_HAVE_ALLOC_PAGES_NODEMASK)
#define ALLOC_PAGES __alloc_pages
#define FOLIO_ALLOC __folio_alloc
#define GET_FREE_PAGES __get_free_pages
#else
#define ALLOC_PAGES __alloc_pages_nodemask
#define GET_FREE_PAGES __get_free_pages
#endif

/* The flags say how hard to try: nobody runs short here. */
#ifdef FL_HAVE_ALLOC_FROZEN_FLAGS
#include "page_alloc.h"
#define ALLOC_FLAGS	, unsigned int flags
#else
#define ALLOC_FLAGS
#endif

struct page *ALLOC_PAGES(gfp_t gfp, unsigned int order, int node, nodemask_t *mask ALLOC_FLAGS)
{
	return request(gfp, order);
}

/* Called where trees have it: a page that nobody holds a reference to yet. */
struct page *__alloc_frozen_pages_noprof(gfp_t gfp, unsigned int order, int node, nodemask_t *mask ALLOC_FLAGS)
{
	struct page *page = request(gfp, order);

	if (page)
		set_page_count(page, 0);
	return page;
}

#ifdef FOLIO_ALLOC
struct folio *FOLIO_ALLOC(gfp_t gfp, unsigned int order, int node, nodemask_t *mask)
{
	struct page *page = request(gfp | __GFP_COMP, order);

#ifdef FL_HAVE_PAGE_RMAPPABLE_FOLIO
	return page_rmappable_folio(page);
#else
	if (page && order > 1)
		prep_transhuge_page(page);
	return (struct folio *)page;
#endif
}
#endif

unsigned long GET_FREE_PAGES(gfp_t gfp, unsigned int order)
{
	struct page *page = request(gfp, order);

	return page ? (unsigned long)page_to_virt(page) : 0;
}

void __free_pages(struct page *page, unsigned int order)
{
	if (put_page_testzero(page))
		fl_page_free(page, order);
}

void free_pages(unsigned long addr, unsigned int order)
{
	if (addr)
		__free_pages(virt_to_page((void *)addr), order);
}

#ifdef FL_HAVE_FREE_UNREF_PAGE_ORDER
void free_unref_page(struct page *page, unsigned int order)
{
	fl_page_free(page, order);
}
#else
void free_unref_page(struct page *page)
{
	fl_page_free(page, 0);
}
#endif

#ifdef FL_HAVE_FREE_UNREF_FOLIOS
void free_unref_folios(struct folio_batch *batch)
{
	for (unsigned int i = 0; i < batch->nr; i++)
		fl_page_free(&batch->folios[i]->page, folio_order(batch->folios[i]));
	folio_batch_reinit(batch);
}
#else
void free_unref_page_list(struct list_head *list)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		list_del(&page->lru);
		fl_page_free(page, 0);
	}
}
#endif

/* Called where trees have it; those that do not have other code in its place. */
void free_frozen_pages(struct page *page, unsigned int order)
{
	fl_page_free(page, order);
}

#ifdef FL_HAVE_COMPOUND_DTORS
/* The last reference to a compound page is given back through this table. */
void free_compound_page(struct page *page)
{
	fl_page_free(page, compound_order(page));
}

compound_page_dtor * const compound_page_dtors[NR_COMPOUND_DTORS] = {
	[COMPOUND_PAGE_DTOR] = free_compound_page,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	[TRANSHUGE_PAGE_DTOR] = free_transhuge_page,
#endif
};

#ifdef FL_HAVE_FOLIO
void destroy_large_folio(struct folio *folio)
{
	compound_page_dtors[folio_page(folio, 1)->compound_dtor](&folio->page);
}
#endif
#endif

pgd_t *pgd_alloc(struct mm_struct *mm)
{
#ifdef FL_HAVE_GENERIC_PGD_ALLOC
	return __pgd_alloc(mm, 0);
#else
	struct page *page = request(GFP_KERNEL | __GFP_ZERO, 0);

	return page ? page_to_virt(page) : NULL;
#endif
}
