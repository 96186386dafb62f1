// SPDX-License-Identifier: GPL-2.0-only
/* What user space does through /proc/self. */
#include "host/ops.h"
#include "host/procfs.h"

void fl_op_clear_refs(struct fl_task *task, const unsigned char *v)
{
	bool soft_dirty = v[0] == FL_REFS_SOFT_DIRTY;

	fl_result(task, fl_clear_refs(soft_dirty ? "4" : "1"));
	if (soft_dirty)
		fl.soft_dirty_used = true;
}

#ifdef PAGEMAP_SCAN
static const unsigned long categories[] = {
	[FL_CATEGORY_WRITTEN] = PAGE_IS_WRITTEN, [FL_CATEGORY_PRESENT] = PAGE_IS_PRESENT,
	[FL_CATEGORY_PFNZERO] = PAGE_IS_PFNZERO, [FL_CATEGORY_SWAPPED] = PAGE_IS_SWAPPED,
	[FL_CATEGORY_SOFT_DIRTY] = PAGE_IS_SOFT_DIRTY, [FL_CATEGORY_WPALLOWED] = PAGE_IS_WPALLOWED,
	[FL_CATEGORY_FILE] = PAGE_IS_FILE, [FL_CATEGORY_HUGE] = PAGE_IS_HUGE,
};

/* The slots of the regions that were found, as a mask. */
static unsigned int slots_of(const struct page_region *region, long count)
{
	unsigned int mask = 0;

	for (; count > 0; count--, region++)
		for (unsigned long addr = region->start; addr < region->end; addr += PAGE_SIZE)
			mask |= 1U << ((addr - FL_REGION) >> PAGE_SHIFT);
	return mask;
}

void fl_op_pagemap_scan(struct fl_task *task, const unsigned char *v)
{
	struct pm_scan_arg *arg = (void *)fl.args;
	struct page_region *vec = (void *)(fl.args + sizeof(*arg));
	unsigned long wanted = categories[v[2]];
	unsigned int mask;
	long ret;

	memset(arg, 0, sizeof(*arg));
	memset(vec, 0, FL_SLOTS * sizeof(*vec));
	arg->size = sizeof(*arg);
	arg->flags = (v[3] & FL_SCAN_MODE_WP ? PM_SCAN_WP_MATCHING : 0) |
		     (v[3] & FL_SCAN_MODE_CHECK ? PM_SCAN_CHECK_WPASYNC : 0);
	arg->start = fl_slot_addr(v[0]);
	arg->end = arg->start + fl_pages_len(v[1]);
	arg->vec = FL_WINDOW_ARGS + sizeof(*arg);
	arg->vec_len = FL_SLOTS;
	arg->category_mask = wanted | (v[3] & FL_SCAN_MODE_PRESENT ? PAGE_IS_PRESENT : 0);
	arg->category_inverted = v[3] & FL_SCAN_MODE_INVERTED ? wanted : 0;
	arg->return_mask = arg->category_mask;
	ret = fl_pagemap_scan();
	mask = slots_of(vec, ret < 0 ? 0 : ret);
	fl_result(task, ret < 0 ? ret : 0);
	if (ret >= 0)
		task->outcome.value = hweight32(mask);
	task->outcome.aux = mask;
}
#else
void fl_op_pagemap_scan(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, -ENOTTY);
}
#endif
