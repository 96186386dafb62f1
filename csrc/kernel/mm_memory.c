// SPDX-License-Identifier: GPL-2.0-only
/* Faults: the window of pages that a fault on a file maps around it is static there. */
#include FL_SOURCE
#include "host/host.h"

/* Old trees take it that a window lies within one page table, as it does where these have their usual size. */
void fl_memory_boot(void)
{
#ifdef FL_HAVE_FAULT_AROUND_BYTES
	fault_around_bytes = min_t(unsigned long, fault_around_bytes, PMD_SIZE);
#endif
}

#ifdef FL_RACE
/* For canaries: kernel code that writes a field of a mapping, under a lock that two tasks may have, or under one more. */
void fl_write_mapping(struct mm_struct *mm, bool locked)
{
	struct vm_area_struct *vma;
	unsigned long pgoff;

	mmap_read_lock(mm);
	vma = find_vma(mm, 0);
	if (locked)
		spin_lock(&mm->page_table_lock);
	pgoff = vma->vm_pgoff;
	barrier();
	vma->vm_pgoff = pgoff;
	if (locked)
		spin_unlock(&mm->page_table_lock);
	mmap_read_unlock(mm);
}
#else
void fl_write_mapping(struct mm_struct *mm, bool locked) { }
#endif
