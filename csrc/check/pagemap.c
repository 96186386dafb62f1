// SPDX-License-Identifier: GPL-2.0-only
/* The tree's own pagemap against the page tables: what user space is told is what is there. */
#include "host/host.h"
#include "host/procfs.h"

static const struct {
	int pagemap, bit;
	const char *name;
} told[] = {
	{ 63, FL_BIT_PRESENT, "present" }, { 62, FL_BIT_SWAP, "swapped" }, { 61, FL_BIT_FILE, "file" },
#ifdef FL_HAVE_PAGEMAP_UFFD_WP
	{ 57, FL_BIT_UFFD_WP, "uffd-wp" },
#endif
	{ 56, FL_BIT_EXCLUSIVE, "exclusive" },
	{ 55, FL_BIT_SOFT_DIRTY, "soft-dirty" },
};

#define PFN_BITS	55

/* leaves out: that the huge zero page is shown as one of a file, which it is not. */
static bool is_huge_zero(unsigned long pte, unsigned int bits)
{
	return bits & FL_BIT_HUGE && pte & _PAGE_SPECIAL;
}

/* leaves out: that some kernels show all pages of a huge entry as exclusive if the first one is, and none if it is not. */
static bool is_of_first(unsigned int bits)
{
#ifdef FL_HAVE_PAGEMAP_OF_FIRST
	return bits & FL_BIT_HUGE;
#else
	return false;
#endif
}

/*
 * leaves out: that old trees tell of all pages of a huge entry whether its first one is mapped once.
 */
static bool is_exclusive(unsigned long pte, unsigned int bits)
{
#ifndef FL_HAVE_PAGEMAP_HUGE_BY_PAGE
	if (bits & FL_BIT_HUGE && !(pte & _PAGE_SPECIAL))
		return fl_mapcount(compound_head(pte_page(__pte(pte)))) == 1;
#endif
	return bits & FL_BIT_EXCLUSIVE;
}

static void check_entry(int p, int slot, u64 entry, unsigned int bits, unsigned long pte)
{
	for (int i = 0; i < ARRAY_SIZE(told); i++) {
		bool says = entry >> told[i].pagemap & 1, is = bits & told[i].bit;

		if (told[i].bit == FL_BIT_FILE && is_huge_zero(pte, bits))
			continue;
		if (told[i].bit == FL_BIT_EXCLUSIVE && is_of_first(bits))
			continue;
		if (told[i].bit == FL_BIT_EXCLUSIVE)
			is = is_exclusive(pte, bits);
		if (fl_canary_is(PAGEMAP_HIDES) && told[i].bit == FL_BIT_UFFD_WP)
			says = false;
		if (unlikely(says != is))
			fl_report(says ? FL_KIND_STRAY_BIT : FL_KIND_LOST_BIT, NULL,
				  "pagemap says that p%d a%d is %s%s, the page table says otherwise",
				  p, slot, says ? "" : "not ", told[i].name);
	}
	if (unlikely(bits & FL_BIT_PRESENT && (entry & ((1ULL << PFN_BITS) - 1)) != pte_pfn(__pte(pte))))
		fl_report(FL_KIND_WRONG_DATA, NULL, "pagemap gives p%d a%d another page frame than the page table",
			  p, slot);
}

static void check_process(int p)
{
	struct mm_struct *mm = fl.process[p].mm;
	const u64 *entries = (void *)fl.args;
	unsigned int bits[FL_SLOTS] = { };
	struct vm_area_struct *vma;

	if (fl_pagemap_read(mm, FL_REGION, FL_SLOTS) != FL_SLOTS * sizeof(u64))
		fl_report(FL_KIND_LOST_BIT, NULL, "pagemap of p%d ends early", p);
	fl_for_each_vma(vma, mm, FL_REGION, FL_REGION_END)
		for (unsigned long addr = max(vma->vm_start, FL_REGION); addr < min(vma->vm_end, FL_REGION_END);
		     addr += PAGE_SIZE)
			bits[(addr - FL_REGION) >> PAGE_SHIFT] = fl_page_bits(vma, addr);
	for (int slot = 0; slot < FL_SLOTS; slot++)
		check_entry(p, slot, entries[slot], bits[slot],
			    fl_pte_value(mm, FL_REGION + slot * PAGE_SIZE));
}

void fl_check_pagemap(void)
{
	if (!IS_ENABLED(CONFIG_PROC_PAGE_MONITOR))
		return;
	for (int p = 0; p < FL_PROCESSES; p++)
		if (fl_lives(p) && !rwsem_is_locked(&fl.process[p].mm->mmap_lock))
			check_process(p);
}
