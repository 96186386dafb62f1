// SPDX-License-Identifier: GPL-2.0-only
/* What each operation of a program costs, for a comparison with another build. */
#include "check/taken.h"

static FL_KEEP struct fl_cost costs[FL_OPS_MAX + 1];
static FL_KEEP struct fl_cost now;	/* locks and faults of the operation under way */
static FL_KEEP struct fl_stats before;
static FL_KEEP unsigned long regions_before;

static void start_over(void)
{
	now = (struct fl_cost){ };
	before = fl_counts;
	regions_before = fl_posix_weighed_counts();
}

void fl_costs_begin(bool on)
{
	if (likely(!on))
		return;
	memset(costs, 0, sizeof(costs));
	start_over();
}

void fl_costs_lock(unsigned int number, bool shared)
{
	if (number >= FL_LOCK_NAMES)
		fl_report(FL_KIND_TOOL_ERROR, NULL, "more names of locks than FL_LOCK_NAMES");
	if (shared)
		now.shared[number]++;
	else
		now.locks[number]++;
}

static unsigned int met(unsigned long entry, bool write)
{
	pte_t pte = __pte(entry);

	if (pte_none(pte))
		return FL_MET_MISSING;
	if (!pte_present(pte))
		return FL_MET_SWAP_ENTRY;
	if (pte_protnone(pte))
		return FL_MET_NUMA_HINT;
	if (write && pte_uffd_wp(pte))
		return FL_MET_UFFD_WP;
	return write && !pte_write(pte) ? FL_MET_WRITE_PROTECTED : FL_MET_PRESENT;
}

/* A page fault begins. */
void fl_costs_fault(unsigned long addr, bool write)
{
	if (!now.met)
		now.met = met(fl_pte_value(current->mm, addr), write);
}

/* An operation has ended; the last place is that of the program's end. */
void fl_costs_put(int place)
{
	struct fl_cost *cost = &costs[place];

	*cost = now;
	cost->ran = 1;
	cost->faults = fl_counts.faults - before.faults;
	cost->tlb_flushes = fl_counts.tlb_flushes - before.tlb_flushes;
	cost->tlb_full = fl_counts.tlb_full - before.tlb_full;
	cost->tlb_remote = fl_counts.tlb_remote - before.tlb_remote;
	cost->pages = fl_counts.pages - before.pages;
	cost->tables = fl_counts.tables - before.tables;
	cost->objects = fl_counts.objects - before.objects;
	cost->regions = fl_posix_weighed_counts() - regions_before;
	start_over();
}

const struct fl_cost *fl_costs(void)
{
	return costs;
}
