// SPDX-License-Identifier: GPL-2.0-only
/* Operations on huge pages that are not advice. */
#include "host/ops.h"
#include "host/huge.h"
#include <linux/mmap_lock.h>
#include <linux/huge_mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>

/* By a kernel thread, like ksm-merge. */
void fl_op_khugepaged(struct fl_task *task, const unsigned char *v)
{
	unsigned long start = fl_slot_addr(v[1]);
	struct mm_struct *mm = fl_target(task, v[0]);

	if (!mm)
		return;
	fl_khugepaged(mm, start, start + fl_pages_len(v[2]));
	mmput(mm);
	fl_done(task, 0);
}

/* The page that is mapped at the address, with a reference, if it is part of a bigger one. */
static struct page *large_page_at(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	struct page *page = NULL;

	mmap_read_lock(mm);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr)
		page = fl_mapped_page(vma, addr);
	if (page && !PageCompound(page))
		page = NULL;
	if (page)
		get_page(page);
	mmap_read_unlock(mm);
	return page;
}

/* As a line in the split_huge_pages file of debugfs: the page is split if nothing holds it. */
void fl_op_split(struct fl_task *task, const unsigned char *v)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	struct mm_struct *mm = fl_target(task, v[0]);
	struct page *page;

	if (!mm)
		return;
	page = large_page_at(mm, fl_slot_addr(v[1]));
	mmput(mm);
	if (page) {
		if (trylock_page(page)) {
			split_huge_page(page);
			unlock_page(page);
		}
		put_page(page);
	}
#endif
	fl_done(task, 0);
}

void fl_op_mmap_hugetlb(struct fl_task *task, const unsigned char *v)
{
	fl_mmap(task, v, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
}
