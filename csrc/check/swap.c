// SPDX-License-Identifier: GPL-2.0-only
/* Swap: each process's count against its entries, and after the program every slot of the device is free again. */
#include "host/host.h"
#include "host/swapdev.h"
#include <linux/swap.h>
#include <linux/swapops.h>
#ifdef FL_HAVE_SOFTLEAF
#include <linux/leafops.h>
#endif
#if __has_include(<linux/swap_slots.h>)
#include <linux/swap_slots.h>
#endif

/* What is neither mapped nor a marker, an entry of a migration or the like. */
static bool is_in_swap(unsigned long val)
{
	pte_t pte = __pte(val);

#ifdef FL_HAVE_SOFTLEAF
	return softleaf_is_swap(softleaf_from_pte(pte));
#else
	return !pte_none(pte) && !pte_present(pte) && !non_swap_entry(pte_to_swp_entry(pte));
#endif
}

/* Documentation/filesystems/proc.rst, VmSwap: swapped-out anonymous memory. */
void fl_check_swap_entries(void)
{
	for (int p = 0; fl_swap_is_on() && p < FL_PROCESSES; p++) {
		struct mm_struct *mm = fl.process[p].mm;
		int have = 0;

		if (!mm)
			continue;
		for (unsigned int slot = 0; slot < FL_SLOTS; slot++)
			have += is_in_swap(fl_pte_value(mm, FL_REGION + slot * PAGE_SIZE));
		if (unlikely(fl_page_count_of(p, MM_SWAPENTS) != have))
			fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d has %d pages in swap, but MM_SWAPENTS says %ld", p, have,
				  fl_page_count_of(p, MM_SWAPENTS));
	}
}

/* What the CPUs have laid by is given back first. */
void fl_check_swap(void)
{
	struct sysinfo info = { };
	unsigned long used;

#if __has_include(<linux/swap_slots.h>)
	disable_swap_slots_cache_lock();
	reenable_swap_slots_cache_unlock();
#endif
	si_swapinfo(&info);
	used = info.totalswap - info.freeswap;
	if (unlikely(used))
		fl_report(FL_KIND_REFERENCE_LEAK, NULL, "%lu swap slots left over after teardown", used);
}
