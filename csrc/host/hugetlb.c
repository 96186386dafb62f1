// SPDX-License-Identifier: GPL-2.0-only
/* Which operations are skipped in memory of hugetlbfs, as what they do there is not known yet. */
#define FL_OPSPECS
#include "host/huge.h"
#include "host/ops.h"
#include <linux/hugetlb.h>

#ifdef CONFIG_HUGETLB_PAGE
static bool is_known(const struct fl_operation *op)
{
	switch (op->code) {
	case FL_OP_READ:
	case FL_OP_WRITE:
	case FL_OP_MMAP:
	case FL_OP_MMAP_SHARED:
	case FL_OP_MMAP_FILE:
	case FL_OP_MMAP_HUGETLB:
	case FL_OP_MUNMAP:
	case FL_OP_MPROTECT:
		return true;
	case FL_OP_MADVISE:
		return op->v[2] == FL_ADVICE_DONTNEED;
	default:
		return false;
	}
}

/* The address space that the operation's slots are of, NULL if it names pages otherwise. */
static struct mm_struct *acted_upon(const struct fl_operation *op)
{
	const struct fl_opspec *spec = &fl_opspecs[op->code];

	switch (spec->operand[0].form) {
	case FL_FORM_PROCESS:
		return fl.process[op->v[0]].mm;
	case FL_FORM_UFFD:
		return fl.uffd[op->v[0]] ? fl_uffd_mm(fl.uffd[op->v[0]]) : NULL;
	default:
		return op->task == FL_TASK_MONITOR ? NULL : fl.process[op->task % FL_PROCESSES].mm;
	}
}

static bool has_hugetlb(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;

	fl_for_each_vma(vma, mm, start, end)
		if (is_vm_hugetlb_page(vma))
			return true;
	return false;
}

bool fl_hugetlb_unknown(const struct fl_operation *op)
{
	const struct fl_opspec *spec = &fl_opspecs[op->code];
	struct mm_struct *mm = is_known(op) ? NULL : acted_upon(op);
	unsigned int pages = 1;

	for (int i = 0; mm && i < spec->noperands; i++) {
		unsigned long start = fl_slot_addr(op->v[i]);

		if (spec->operand[i].form != FL_FORM_SLOT)
			continue;
		if (i + 1 < spec->noperands && spec->operand[i + 1].form == FL_FORM_PAGES)
			pages = op->v[i + 1];
		if (has_hugetlb(mm, start, min(start + fl_pages_len(pages), FL_REGION_END)))
			return true;
	}
	return false;
}
#endif
