// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings: in order, counted, and in the reverse map.  An operation that splits, merges or moves them has to keep all of
 * it right, or reclaim and migration will miss a page later.
 */
#include "host/host.h"
#include "host/tree.h"
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>

struct tally {
	unsigned long vmas, pages, locked;
};

static int slot_of(unsigned long addr)
{
	return ((long)addr - (long)FL_REGION) >> PAGE_SHIFT;
}

static void check_vma(int process, const struct vm_area_struct *vma, unsigned long after, struct tally *tally)
{
	if (unlikely(vma->vm_start >= vma->vm_end))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d: a mapping at a%d is empty", process, slot_of(vma->vm_start));
	if (unlikely(vma->vm_start < after))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d: mappings overlap at a%d", process, slot_of(vma->vm_start));
	tally->vmas++;
	tally->pages += vma_pages(vma);
	if (vma->vm_flags & VM_LOCKED)
		tally->locked += vma_pages(vma);
}

static void check_tally(int process, const char *what, unsigned long have, unsigned long want)
{
	if (unlikely(have != want))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d: %s is %lu, its mappings say %lu", process, what, have, want);
}

/* The offset at which the reverse map looks for a page. */
static unsigned long index_of(struct page *page)
{
#ifdef FL_HAVE_FOLIO
	struct folio *folio = page_folio(page);

	return folio->index + (page - &folio->page);
#else
	struct page *head = compound_head(page);

	return head->index + (page - head);
#endif
}

static struct anon_vma *anon_vma_of(struct page *page)
{
	return (void *)((unsigned long)compound_head(page)->mapping & ~3UL);
}

/* As the reverse map walks: by the page's anon_vma and offset to each mapping, and from there to the address. */
static bool rmap_finds(struct page *page, struct vm_area_struct *vma)
{
	struct anon_vma *anon_vma = anon_vma_of(page);
	unsigned long index = index_of(page);
	struct anon_vma_chain *avc;

	fl_for_each_avc(avc, anon_vma, index)
		if (avc->vma == vma)
			return true;
	return false;
}

/* As truncation walks: by the file's pages to each mapping of them. */
static bool file_finds(struct address_space *mapping, unsigned long index, struct vm_area_struct *vma)
{
	struct vm_area_struct *other;

	fl_for_each_vma_of(other, mapping, index)
		if (other == vma)
			return true;
	return false;
}

static void check_file_page(int process, struct vm_area_struct *vma, unsigned long addr, struct page *page)
{
	struct address_space *mapping = vma->vm_file ? vma->vm_file->f_mapping : NULL;
	unsigned long index = linear_page_index(vma, addr);

	if (unlikely(!mapping || compound_head(page)->mapping != mapping || index_of(page) != index))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%d: the page is not, or no longer, page %lu of the file",
			  process, slot_of(addr), index);
	if (unlikely(xa_load(&mapping->i_pages, index) != compound_head(page)))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%d: the page cache does not hold the page", process,
			  slot_of(addr));
	if (unlikely(!file_finds(mapping, index, vma)))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%d: the file does not know of the mapping", process,
			  slot_of(addr));
	if (unlikely(page_ref_count(compound_head(page)) <= atomic_read(&page->_mapcount) + 1))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%d: the page cache has no reference to the page", process,
			  slot_of(addr));
}

/* A page that a kernel maps although it could not be read is told apart: the kernel may not have looked further. */
static const char *state_of(struct page *page)
{
	return PageUptodate(compound_head(page)) ? "" : ", which could not be read,";
}

static void check_page(int process, struct vm_area_struct *vma, unsigned long addr, struct page *page)
{
	if (!PageAnon(page))
		check_file_page(process, vma, addr, page);
	if (!PageAnon(page) || fl_page_is_ksm(page))
		return;
	if (unlikely(index_of(page) != fl_anon_index(vma, addr)))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%d: the reverse map looks for the page%s %ld pages away",
			  process, slot_of(addr), state_of(page), (long)(index_of(page) - fl_anon_index(vma, addr)));
	if (unlikely(!rmap_finds(page, vma)))
		fl_report(FL_KIND_COUNTER_DRIFT, NULL, "p%d a%d: the reverse map of the page%s does not find its mapping",
			  process, slot_of(addr), state_of(page));
}

static void check_pages(int process, struct vm_area_struct *vma)
{
	unsigned long end = min(vma->vm_end, FL_REGION_END);

	for (unsigned long addr = max(vma->vm_start, FL_REGION); addr < end; addr += PAGE_SIZE) {
		pte_t pte = __pte(fl_pte_value(vma->vm_mm, addr));

		if (pte_present(pte) && !pte_special(pte) && pte_page(pte) != fl_zero_page)
			check_page(process, vma, addr, pte_page(pte));
	}
}

static void check_process(int process, struct mm_struct *mm)
{
	struct tally tally = { };
	struct vm_area_struct *vma;
	unsigned long after = 0;

	fl_for_each_vma(vma, mm, 0, TASK_SIZE) {
		check_vma(process, vma, after, &tally);
		check_pages(process, vma);
		after = vma->vm_end;
	}
	check_tally(process, "map_count", mm->map_count, tally.vmas);
	check_tally(process, "total_vm", mm->total_vm, tally.pages);
	check_tally(process, "locked_vm", mm->locked_vm, tally.locked);
}

/* A child whose fork is under way is not known here; its parent is whole by then. */
void fl_check_vmas(void)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		if (fl.process[p].mm)
			check_process(p, fl.process[p].mm);
}
