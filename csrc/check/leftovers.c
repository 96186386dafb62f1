// SPDX-License-Identifier: GPL-2.0-only
/* After teardown: what the program brought must be gone. */
#include "host/host.h"
#include "host/huge.h"
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/vmstat.h>
#include <linux/percpu_counter.h>

static unsigned long pages_at_start;
static long node_items_at_start[NR_VM_NODE_STAT_ITEMS];
static s64 committed_at_start;

/* A node counter with what the CPUs have not yet folded in. */
static long node_item(int item)
{
	struct pglist_data *node = NODE_DATA(0);
	long val = atomic_long_read(&vm_node_stat[item]);

	for (int cpu = 0; cpu < fl.cpus; cpu++)
		val += per_cpu_ptr(node->per_cpu_nodestats, cpu)->vm_node_stat_diff[item];
	return val;
}

/* Documentation/filesystems/proc.rst, meminfo: what a counter counts is gone when its owner is. */
static const struct {
	int item;
	const char *name;
} watched[] = {
	{ NR_ANON_MAPPED, "NR_ANON_MAPPED" }, { NR_FILE_MAPPED, "NR_FILE_MAPPED" }, { NR_FILE_PAGES, "NR_FILE_PAGES" },
	{ NR_SHMEM, "NR_SHMEM" }, { NR_PAGETABLE, "NR_PAGETABLE" }, { NR_ISOLATED_ANON, "NR_ISOLATED_ANON" },
	{ NR_INACTIVE_ANON, "NR_INACTIVE_ANON" }, { NR_ACTIVE_ANON, "NR_ACTIVE_ANON" },
	{ NR_INACTIVE_FILE, "NR_INACTIVE_FILE" }, { NR_ACTIVE_FILE, "NR_ACTIVE_FILE" },
	{ NR_FILE_DIRTY, "NR_FILE_DIRTY" }, { NR_WRITEBACK, "NR_WRITEBACK" },
};

/* Notes the state that every program must come back to. */
/* What CPUs have of it says when they take its lock: that must not depend on earlier programs. */
static void settle_committed(void)
{
	percpu_counter_set(&vm_committed_as, committed_at_start);
}

void fl_baseline(void)
{
	fl_rcu_run();
	fl_slab_mark();
	pages_at_start = fl_pages_live();
	for (int i = 0; i < ARRAY_SIZE(watched); i++)
		node_items_at_start[watched[i].item] = node_item(watched[i].item);
	committed_at_start = percpu_counter_sum(&vm_committed_as);
	settle_committed();
}

/* Every process maps it: once it is written to, no later program could be trusted. */
static void check_zero_page(void)
{
	const char *page = page_to_virt(fl_zero_page);

	if (unlikely(page[0] || !fl_posix_is_uniform(page)))
		fl_report(FL_KIND_WRONG_DATA, NULL, "the zero page was written to");
}

/* The text is the finding's name: what is known of one cause is not known of all else. */
static const char *what_drifts(s64 committed)
{
	if (committed < 0 && fl_left_middles)
		return "a move left the middle of a mapping";
	if (fl_failed)
		return "a request for memory failed";
	return committed > 0 && committed <= fl_shrunk_moving ? "a mapping shrank as it moved" : "teardown";
}

void fl_check_leftovers(void)
{
	s64 committed = percpu_counter_sum(&vm_committed_as) - committed_at_start;

	check_zero_page();
	fl_hugetlb_check();
	fl_slab_check();
	if (unlikely(fl_pages_live() != pages_at_start))
		fl_report(FL_KIND_REFERENCE_LEAK, NULL, "%ld pages left over after teardown",
			  (long)(fl_pages_live() - pages_at_start));
	for (int i = 0; i < ARRAY_SIZE(watched); i++) {
		long drift = node_item(watched[i].item) - node_items_at_start[watched[i].item];

		if (unlikely(drift))
			fl_report(FL_KIND_COUNTER_DRIFT, NULL, "%s is off by %ld after teardown", watched[i].name, drift);
	}
	if (unlikely(committed))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "Committed_AS is off by %ld pages after %s", (long)committed,
			  what_drifts(committed));
	settle_committed();
	fl_shrunk_moving = fl_left_middles = 0;
}
