// SPDX-License-Identifier: GPL-2.0-only
/* Page tables: written under their lock only; mapcounts and reference counts against what the tables say. */
#include "check/held.h"
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/pagemap.h>

/*
 * Whether a process's tables lead to this page table: one that is being filled for a huge page that is split is its
 * maker's alone.
 */
static bool is_linked(struct page *table)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		for (unsigned long addr = FL_REGION; fl.process[p].mm && addr < FL_REGION_END; addr += PMD_SIZE) {
			pte_t *pte = fl_pte_at(fl.process[p].mm, addr);

			if (pte && virt_to_page(pte) == table)
				return true;
		}
	return false;
}

static spinlock_t *lock_of_table(struct page *table)
{
#if FL_KVER >= 606
	return ptlock_ptr(page_ptdesc(table));
#else
	return ptlock_ptr(table);
#endif
}

static bool is_mine(const spinlock_t *lock)
{
	return lock->rlock.raw_lock.owner == fl.cur->id + 1;
}

#ifdef FL_HAVE_ANON_EXCLUSIVE
/*
 * Who may write to an anonymous page without a fault has it alone: PG_anon_exclusive, include/linux/page-flags.h.  Not in
 * plain runs: what a program reads there tells more of such a page than where it was mapped.
 */
static void check_writable(unsigned long val)
{
	struct page *page = pfn_to_page((val & FL_PFN_MASK) >> PAGE_SHIFT);

	if (likely(val & _PAGE_SPECIAL || !PageAnon(page) || PageAnonExclusive(page)))
		return;
	fl_report(FL_KIND_KERNEL_BUG, NULL, "an anonymous page that is not exclusive is mapped writable");
}
#else
static void check_writable(unsigned long val) { }
#endif

/* Documentation/mm/split_page_table_lock.rst and process_addrs.rst: an entry changes under its table's lock. */
void fl_pte_store(pte_t *ptep, unsigned long val)
{
	struct page *page;

	if (unlikely((unsigned long)ptep - fl_arena >= FL_ARENA_PAGES << PAGE_SHIFT))
		return;		/* an entry on a stack */
	page = virt_to_page(ptep);
	if (unlikely(!PageTable(page)))
		fl_report(FL_KIND_PTE_UNLOCKED_ACCESS, NULL, "an entry is written to a page that is no page table");
	if (unlikely(fl_vmas_watched) && (val & (_PAGE_PRESENT | _PAGE_WRITE)) == (_PAGE_PRESENT | _PAGE_WRITE))
		check_writable(val);
	if (likely(is_mine(lock_of_table(page))))
		return;
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || is_linked(page))
		fl_report(FL_KIND_PTE_UNLOCKED_ACCESS, NULL, "a page-table entry is written without its page table lock");
}

#if defined(FL_HAVE_PTE_MAP_RCU) && !defined(CONFIG_HUGETLB_PAGE)
/*
 * pte_offset_map() begins a read section of RCU that pte_unmap() ends, as it keeps the table; a walk with interrupts off is
 * as good: who unlinked the table waits for it with the flush, then gives the page back.  leaves out: trees without that, and entries of hugetlbfs, which are of another level.
 */
void fl_pte_load(const pte_t *ptep)
{
	struct page *page;

	if (unlikely((unsigned long)ptep - fl_arena >= FL_ARENA_PAGES << PAGE_SHIFT))
		return;
	page = virt_to_page(ptep);
	if (unlikely(!PageTable(page))) {
		if (fl_irqs_off && page->_refcount.counter)
			return;
		fl_report(FL_KIND_PTE_UNLOCKED_ACCESS, NULL, "an entry is read from a page that is no page table");
	}
	if (likely(rcu_preempt_depth()) || fl_irqs_off || is_mine(lock_of_table(page)) || !is_linked(page))
		return;
	fl_report(FL_KIND_PTE_UNLOCKED_ACCESS, NULL, "a page-table entry is read from a table that is not mapped");
}
#elif defined(FL_HAVE_PTE_MAP_RCU)
void fl_pte_load(const pte_t *ptep) { }
#endif

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* The same for entries of the middle level that map a huge page. */
void fl_pmd_store(pmd_t *pmdp, unsigned long val)
{
	struct page *page = virt_to_page(pmdp);
	spinlock_t *lock;

	if (unlikely(!PageTable(page)))
		fl_report(FL_KIND_PTE_UNLOCKED_ACCESS, NULL, "a huge entry is written to a page that is no page table");
	lock = pmd_lockptr(NULL, pmdp);
	if (unlikely(!is_mine(lock)))
		fl_report(FL_KIND_PTE_UNLOCKED_ACCESS, NULL, "a huge entry is written without its page table lock");
}
#endif

/* Every page that a process maps: its mapcount must be the number of entries that map it. */
static unsigned char mapped[FL_ARENA_PAGES];

static void for_each_mapping(void (*visit)(struct page *page, int process, unsigned int slot))
{
	for (int p = 0; p < FL_PROCESSES; p++) {
		struct mm_struct *mm = fl.process[p].mm;

		for (unsigned int slot = 0; mm && slot < FL_SLOTS; slot++) {
			pte_t pte = __pte(fl_pte_value(mm, FL_REGION + slot * PAGE_SIZE));

			if (pte_present(pte) && !pte_special(pte) && pte_page(pte) != fl_zero_page)
				visit(pte_page(pte), p, slot);
		}
	}
}

static void count(struct page *page, int process, unsigned int slot)
{
	mapped[page - mem_map]++;
}

static void compare(struct page *page, int process, unsigned int slot)
{
	int have = fl_mapcount(page), want = mapped[page - mem_map];

	if (unlikely(have != want))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%u: mapcount %d, but %d entries map the page", process, slot,
			  have, want);
	if (unlikely(!PageCompound(page) && page_ref_count(page) < want))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%u: %d references, but %d entries map the page", process,
			  slot, page_ref_count(page), want);
}

static void uncount(struct page *page, int process, unsigned int slot)
{
	mapped[page - mem_map] = 0;
}

/* Not while a fork is under way: its child's tables are not known here. */
void fl_check_mappings(void)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		if (fl.process[p].forking)
			return;
	for_each_mapping(count);
	for_each_mapping(compare);
	for_each_mapping(uncount);
	fl_check_large_folios();
	fl_check_swap_entries();
}
