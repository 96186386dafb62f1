// SPDX-License-Identifier: GPL-2.0-only
/* What user space can see of its memory, as pagemap and smaps tell it. */
#include "host/host.h"
#include <linux/ksm.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>
#include "check/taken.h"
#include "host/trace.h"
#include "host/tree.h"

/* The byte that fills the page, or its first one with FL_BIT_MIXED. */
static unsigned int content(const unsigned char *page)
{
	return page[0] | (fl_posix_is_uniform(page) ? 0 : FL_BIT_MIXED);
}

static unsigned int vma_bits(struct vm_area_struct *vma)
{
	unsigned int bits = FL_BIT_MAPPED;

	if (vma->vm_flags & VM_READ)
		bits |= FL_BIT_READ;
	if (vma->vm_flags & VM_WRITE)
		bits |= FL_BIT_WRITE;
	if (vma->vm_flags & VM_UFFD_MISSING)
		bits |= FL_BIT_REG_MISSING;
	if (vma->vm_flags & VM_UFFD_WP)
		bits |= FL_BIT_REG_WP;
#ifdef VM_UFFD_MINOR
	if (vma->vm_flags & VM_UFFD_MINOR)
		bits |= FL_BIT_REG_MINOR;
#endif
	if (vma->vm_flags & VM_MERGEABLE)
		bits |= FL_BIT_MERGEABLE;
	if (vma->vm_flags & VM_DONTCOPY)
		bits |= FL_BIT_DONTFORK;
	if (vma->vm_flags & VM_WIPEONFORK)
		bits |= FL_BIT_WIPEONFORK;
	return bits;
}

/* A guard page's entry, of those that are not present. */
static bool is_guard(pte_t pte)
{
#if defined FL_HAVE_SOFTLEAF
	return softleaf_is_guard_marker(softleaf_from_pte(pte));
#elif defined FL_HAVE_GUARD_REGIONS
	return is_guard_swp_entry(pte_to_swp_entry(pte));
#else
	return false;
#endif
}

static bool soft_dirty(struct vm_area_struct *vma, pte_t pte)
{
	if (vma->vm_flags & VM_SOFTDIRTY)
		return true;
	return pte_present(pte) ? pte_soft_dirty(pte) : !pte_none(pte) && pte_swp_soft_dirty(pte);
}

static unsigned int entry_bits(struct vm_area_struct *vma, unsigned long addr, pte_t pte)
{
	unsigned int bits = 0;
	struct page *page;

	if (pte_none(pte))
		return 0;
	if (!pte_present(pte)) {
		bits = FL_BIT_SWAP;
		if (pte_swp_uffd_wp(pte) || fl_pte_is_uffd_wp_marker(pte))
			bits |= FL_BIT_UFFD_WP;
		if (is_guard(pte))
			bits |= FL_BIT_GUARD;
		return bits;
	}
	bits = FL_BIT_PRESENT;
	if (pte_uffd_wp(pte))
		bits |= FL_BIT_UFFD_WP;
	if (fl_huge_at(vma->vm_mm, addr))
		bits |= FL_BIT_HUGE;
	page = fl_mapped_page(vma, addr);
	if (page && !PageAnon(page))
		bits |= FL_BIT_FILE;
	if (page && fl_mapcount(page) == 1)
		bits |= FL_BIT_EXCLUSIVE;
	return bits;
}

/* What pagemap says of a page (Documentation/admin-guide/mm/pagemap.rst), read from its entry. */
unsigned int fl_page_bits(struct vm_area_struct *vma, unsigned long addr)
{
	pte_t pte = __pte(fl_pte_value(vma->vm_mm, addr));

	return entry_bits(vma, addr, pte) | (soft_dirty(vma, pte) ? FL_BIT_SOFT_DIRTY : 0);
}

static unsigned int shown_bits(struct vm_area_struct *vma, unsigned long addr)
{
	pte_t pte = __pte(fl_pte_value(vma->vm_mm, addr));
	unsigned int bits = entry_bits(vma, addr, pte);

	if (bits & FL_BIT_PRESENT)
		bits |= content(pfn_to_virt(pte_pfn(pte)));
	if (fl.soft_dirty_used && soft_dirty(vma, pte))
		bits |= FL_BIT_SOFT_DIRTY;
	return bits;
}

/* A count of a process's pages in full, with what its CPUs or its tasks have not folded in yet.  Nobody else runs, so
 * that the counter's lock need not be taken: every snapshot asks for several counts of every process.
 */
long fl_page_count_of(int process, int member)
{
	struct mm_struct *mm = fl.process[process].mm;
#ifdef FL_HAVE_RSS_PERCPU
	long count = mm->rss_stat[member].count;

	for (int cpu = 0; cpu < fl.cpus; cpu++)
		count += *per_cpu_ptr(mm->rss_stat[member].counters, cpu);
	return count;
#else
	long count = atomic_long_read(&mm->rss_stat.count[member]);

#ifdef SPLIT_RSS_COUNTING
	for (int i = process * FL_TASKS; i < (process + 1) * FL_TASKS; i++)
		if (fl.task[i].state != FL_TASK_NONE)
			count += fl.task[i].ts->rss_stat.count[member];
#endif
	return count;
#endif
}

static void put_counters(struct fl_trace *trace, int process)
{
	fl_put32(trace, fl_page_count_of(process, MM_ANONPAGES));
	fl_put32(trace, fl_page_count_of(process, MM_FILEPAGES) + fl_page_count_of(process, MM_SHMEMPAGES));
	fl_put32(trace, fl_page_count_of(process, MM_SWAPENTS));
}

static void put_process(struct fl_trace *trace, int process)
{
	struct mm_struct *mm = fl.process[process].mm;
	unsigned int words[FL_SLOTS] = { };
	struct vm_area_struct *vma;

	fl_for_each_vma(vma, mm, FL_REGION, FL_REGION_END) {
		unsigned long start = max(vma->vm_start, FL_REGION), end = min(vma->vm_end, FL_REGION_END);
		unsigned int bits = vma_bits(vma);

		for (unsigned long addr = start; addr < end; addr += PAGE_SIZE)
			words[(addr - FL_REGION) >> PAGE_SHIFT] = bits | shown_bits(vma, addr);
	}
	fl_put(trace, words, sizeof(words));
	put_counters(trace, process);
}

void fl_put_snapshot(struct fl_trace *trace)
{
	unsigned int mask = 0;

	for (int p = 0; p < FL_PROCESSES; p++)
		mask |= fl_lives(p) << p;
	fl_put32(trace, mask);
	for (int p = 0; p < FL_PROCESSES; p++)
		if (fl_lives(p))
			put_process(trace, p);
}

/* Per slot the lowest number of a slot that maps the same page, as PFNs in pagemap tell root. */
void fl_put_sharing(struct fl_trace *trace)
{
	static unsigned short first[FL_ARENA_PAGES];	/* of the page: number + 1 */
	unsigned long seen[FL_PROCESSES * FL_SLOTS];
	int nseen = 0;

	for (int p = 0; p < FL_PROCESSES; p++) {
		if (!fl_lives(p))
			continue;
		for (unsigned int slot = 0; slot < FL_SLOTS; slot++) {
			pte_t pte = __pte(fl_pte_value(fl.process[p].mm, FL_REGION + slot * PAGE_SIZE));
			unsigned int number = p * FL_SLOTS + slot;
			unsigned long index = pte_pfn(pte) - ARCH_PFN_OFFSET;

			if (pte_present(pte) && !pte_special(pte)) {
				if (!first[index]) {
					first[index] = number + 1;
					seen[nseen++] = index;
				}
				number = first[index] - 1;
			}
			fl_put8(trace, number);
		}
	}
	while (nseen)
		first[seen[--nseen]] = 0;
}

static bool is_anon_exclusive(struct page *page)
{
#ifdef FL_HAVE_ANON_EXCLUSIVE
	return PageAnon(page) && !fl_page_is_ksm(page) && PageAnonExclusive(page);
#else
	return false;
#endif
}

static unsigned int internals_of_entry(pte_t pte)
{
	unsigned int word = 0;

	if (!pte_present(pte)) {
		if (pte_none(pte))
			return 0;
		word |= pte_swp_uffd_wp(pte) ? FL_INTERNAL_UFFD_WP : 0;
		word |= pte_swp_soft_dirty(pte) ? FL_INTERNAL_SOFT_DIRTY : 0;
#ifdef FL_HAVE_ANON_EXCLUSIVE
		word |= pte_swp_exclusive(pte) ? FL_INTERNAL_ANON_EXCLUSIVE : 0;
#endif
		return word;
	}
	word |= FL_INTERNAL_PRESENT;
	word |= pte_write(pte) ? FL_INTERNAL_WRITE : 0;
	word |= pte_young(pte) ? FL_INTERNAL_YOUNG : 0;
	word |= pte_dirty(pte) ? FL_INTERNAL_DIRTY : 0;
	word |= pte_protnone(pte) ? FL_INTERNAL_PROT_NONE : 0;
	word |= pte_special(pte) ? FL_INTERNAL_SPECIAL : 0;
	word |= pte_uffd_wp(pte) ? FL_INTERNAL_UFFD_WP : 0;
	return word | (pte_soft_dirty(pte) ? FL_INTERNAL_SOFT_DIRTY : 0);
}

/* A flag of the folio that a page belongs to, by its old and its new name. */
#ifdef FL_HAVE_FOLIO
#define FOLIO_IS(page, Old, new)	folio_test_##new(page_folio(page))
#else
#define FOLIO_IS(page, Old, new)	Page##Old(compound_head(page))
#endif

static unsigned int internals_of_page(struct page *page)
{
	unsigned int word = 0;

	word |= is_anon_exclusive(page) ? FL_INTERNAL_ANON_EXCLUSIVE : 0;
	word |= fl_page_is_ksm(page) ? FL_INTERNAL_KSM : 0;
	word |= FOLIO_IS(page, Dirty, dirty) ? FL_INTERNAL_PAGE_DIRTY : 0;
	word |= FOLIO_IS(page, Referenced, referenced) ? FL_INTERNAL_PAGE_REFERENCED : 0;
	word |= FOLIO_IS(page, SwapBacked, swapbacked) ? FL_INTERNAL_SWAP_BACKED : 0;
	word |= FOLIO_IS(page, SwapCache, swapcache) ? FL_INTERNAL_SWAP_CACHE : 0;
	word |= fl_mapcount(page) * (FL_INTERNAL_MAPCOUNT & -FL_INTERNAL_MAPCOUNT) & FL_INTERNAL_MAPCOUNT;
	return word | (page_ref_count(compound_head(page)) * (FL_INTERNAL_REFERENCES & -FL_INTERNAL_REFERENCES) & FL_INTERNAL_REFERENCES);
}

/* For a comparison with another build: entries and pages, then what the operation did with locks, TLBs and faults. */
void fl_put_internals(struct fl_trace *trace)
{
	for (int p = 0; p < FL_PROCESSES; p++) {
		for (unsigned int slot = 0; fl_lives(p) && slot < FL_SLOTS; slot++) {
			pte_t pte = __pte(fl_pte_value(fl.process[p].mm, FL_REGION + slot * PAGE_SIZE));
			unsigned int word = internals_of_entry(pte);

			if (pte_present(pte) && !pte_special(pte))
				word |= internals_of_page(pte_page(pte));
			fl_put32(trace, word);
		}
	}
	fl_taken_put(trace);
}
