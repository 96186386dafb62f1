// SPDX-License-Identifier: GPL-2.0-only
/* khugepaged: what its kernel thread does, on demand. */
#include FL_SOURCE
#include "host/huge.h"

/* One huge page's worth of addresses, as the thread looks at each when its scan comes there. */
#if defined(FL_HAVE_HPAGE_COLLAPSE_SCAN_PMD)
static void scan(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	bool locked = true;

	mmap_read_lock(mm);
	if (hugepage_vma_revalidate(mm, addr, true, &vma, &khugepaged_collapse_control) == SCAN_SUCCEED &&
	    vma_is_anonymous(vma))
		hpage_collapse_scan_pmd(mm, vma, addr, &locked, &khugepaged_collapse_control);
	if (locked)
		mmap_read_unlock(mm);
}
#elif defined(FL_HAVE_KHUGEPAGED_SCAN_PMD)
static void scan(struct mm_struct *mm, unsigned long addr)
{
	struct page *hpage = NULL;	/* allocated ahead, or when it is needed; given back if nothing came of it */
	struct vm_area_struct *vma;
	bool locked = true, wait = false;

	if (!khugepaged_prealloc_page(&hpage, &wait))
		return;
	mmap_read_lock(mm);
	if (!hugepage_vma_revalidate(mm, addr, &vma) && vma_is_anonymous(vma))
		locked = !khugepaged_scan_pmd(mm, vma, addr, &hpage);
	if (locked)
		mmap_read_unlock(mm);
	if (!IS_ERR_OR_NULL(hpage))
		put_page(hpage);
}
#elif defined(FL_HAVE_COLLAPSE_SINGLE_PMD)
static void scan(struct mm_struct *mm, unsigned long addr)
{
	struct collapse_control *control = &khugepaged_collapse_control;
	struct vm_area_struct *vma;
	bool dropped = false;

	mmap_read_lock(mm);
	if (hugepage_vma_revalidate(mm, addr, true, &vma, control, HPAGE_PMD_ORDER) == SCAN_SUCCEED &&
	    vma_is_anonymous(vma))
		collapse_single_pmd(addr, vma, &dropped, control);
	if (!dropped)
		mmap_read_unlock(mm);
}
#else
#error "khugepaged of this tree is not known: see scan()"
#endif

/* A scan of the huge pages that lie in the range as a whole. */
void fl_khugepaged(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	lru_add_drain_all();
	for (unsigned long addr = ALIGN(start, HPAGE_PMD_SIZE); addr + HPAGE_PMD_SIZE <= end; addr += HPAGE_PMD_SIZE)
		scan(mm, addr);
}
