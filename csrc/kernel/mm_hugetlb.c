// SPDX-License-Identifier: GPL-2.0-only
/*
 * Huge pages of hugetlbfs: the size that there is, and the pool.  Gigantic pages of the boot allocator are left out; what
 * they alone need would draw all of start-up in.
 */
#include "host/huge.h"
#define __init_single_page fl_no_boot_pages
#include FL_SOURCE

void fl_no_boot_pages(struct page *page, unsigned long pfn, unsigned long zone, int nid)
{
	fl_report(FL_KIND_TOOL_ERROR, NULL, "a huge page of the boot allocator");
}

/* More than all processes of a program can map, so that no reservation and no copy is refused. */
#define POOL	(2 * FL_PROCESSES * (FL_SLOTS >> HUGETLB_PAGE_ORDER))

/*
 * keeps: one size, that of an entry of the middle level; a pool of persistent pages, filled by the kernel's own code.
 * leaves out: the command line, sysfs and sysctls; surplus pages; cgroups; bigger pages.
 */
void fl_hugetlb_boot(void)
{
	hugetlb_add_hstate(HUGETLB_PAGE_ORDER);
	default_hstate_idx = hstate_index(size_to_hstate(HPAGE_SIZE));
	num_fault_mutexes = 8;
	hugetlb_fault_mutex_table = kmalloc_array(num_fault_mutexes, sizeof(struct mutex), GFP_KERNEL);
	for (int i = 0; i < num_fault_mutexes; i++)
		mutex_init(&hugetlb_fault_mutex_table[i]);
	set_max_huge_pages(&default_hstate, POOL, NUMA_NO_NODE, &node_states[N_MEMORY]);
}

/* A planted fault: a page that nobody is to have stays promised. */
void fl_hugetlb_promise(void)
{
	spin_lock_irq(&hugetlb_lock);
	default_hstate.resv_huge_pages++;
	spin_unlock_irq(&hugetlb_lock);
}

/* The pool is whole again: all its pages free, none promised. */
void fl_hugetlb_check(void)
{
	struct hstate *h = &default_hstate;

	if (unlikely(h->free_huge_pages != POOL || h->nr_huge_pages != POOL))
		fl_report(FL_KIND_REFERENCE_LEAK, NULL, "%ld of %d huge pages are back in the pool, which has %ld",
			  h->free_huge_pages, POOL, h->nr_huge_pages);
	if (unlikely(h->resv_huge_pages || h->surplus_huge_pages))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "%ld huge pages reserved and %ld surplus after teardown",
			  h->resv_huge_pages, h->surplus_huge_pages);
}
