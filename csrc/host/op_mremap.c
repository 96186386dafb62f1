// SPDX-License-Identifier: GPL-2.0-only
/* Operations that move and resize mappings, and that put guard pages into them. */
#include "host/ops.h"
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/syscalls.h>

unsigned long fl_shrunk_moving, fl_left_middles;

/* Whether the range is in one mapping and touches neither end of it. */
static bool is_middle(unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	bool is;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, start);
	is = vma && vma->vm_start < start && end < vma->vm_end;
	mmap_read_unlock(current->mm);
	return is;
}

void fl_op_mremap(struct fl_task *task, const unsigned char *v)
{
	unsigned long flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	unsigned long to = fl_slot_addr(v[2]);
	bool middle = false;
	long ret;

	if (v[4] & FL_REMAP_FLAGS_DONTUNMAP) {
		flags |= MREMAP_DONTUNMAP;
		middle = is_middle(fl_slot_addr(v[0]), fl_slot_addr(v[0] + v[1]));
	}
	ret = sys_mremap(fl_slot_addr(v[0]), fl_pages_len(v[1]), fl_pages_len(v[3]), flags, to);
	if (ret > 0 && ret != to)
		fl_report(FL_KIND_WRONG_DATA, NULL, "mremap(MREMAP_FIXED) returned another address than it was given");
	if (ret > 0 && v[3] < v[1])
		fl_shrunk_moving += v[1] - v[3];
	fl_left_middles += ret > 0 && middle;
	fl_result(task, IS_ERR_VALUE(ret) ? ret : 0);
}

void fl_op_mremap_resize(struct fl_task *task, const unsigned char *v)
{
	unsigned int pages = min_t(unsigned int, v[2], FL_SLOTS - v[0]);
	long ret = sys_mremap(fl_slot_addr(v[0]), fl_pages_len(v[1]), fl_pages_len(pages), 0, 0);

	fl_result(task, IS_ERR_VALUE(ret) ? ret : 0);
}

/* As often as no system call begins anew whom nobody else disturbs. */
#define BEGINS_MAX	100

/* A system call that found somebody in its way begins anew, on the way to user space, unless a signal waits there. */
static void advise(struct fl_task *task, const unsigned char *v, int advice)
{
	long ret;

	for (int n = 0; n < BEGINS_MAX; n++) {
		ret = sys_madvise(fl_slot_addr(v[0]), fl_pages_len(v[1]), advice);
		if (ret != -ERESTARTNOINTR || task->killed) {
			fl_result(task, ret);
			return;
		}
		clear_tsk_thread_flag(task->ts, TIF_SIGPENDING);
	}
	fl_report_from(FL_KIND_HANG, NULL, sys_madvise, __builtin_frame_address(0),
		       "no end in sight: madvise() began anew %d times", BEGINS_MAX);
}

#ifdef FL_HAVE_GUARD_REGIONS
#define ADVICE_INSTALL	MADV_GUARD_INSTALL
#define ADVICE_REMOVE	MADV_GUARD_REMOVE
#else
/* Not reached: the operations need what the kernel lacks. */
#define ADVICE_INSTALL	MADV_NORMAL
#define ADVICE_REMOVE	MADV_NORMAL
#endif

void fl_op_guard_install(struct fl_task *task, const unsigned char *v)
{
	advise(task, v, ADVICE_INSTALL);
}

void fl_op_guard_remove(struct fl_task *task, const unsigned char *v)
{
	advise(task, v, ADVICE_REMOVE);
}
