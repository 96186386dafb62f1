// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins and references as drivers take them, access from outside of a process, populating, migration.
 * A device that uses a pin reaches the page itself: no page table, no TLB, no protection.
 */
#include "host/ops.h"
#include "host/pins.h"
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/syscalls.h>
#include <linux/uio.h>

/* The caller's choice: under mmap_lock a driver cannot wait for a userfaultfd, otherwise it can. */
static long pin_pages(unsigned long addr, unsigned long n, unsigned int flags, struct page **pages)
{
	unsigned int gup = (flags & FL_PIN_FLAGS_WRITE ? FOLL_WRITE : 0) |
			   (flags & FL_PIN_FLAGS_LONGTERM ? FOLL_LONGTERM : 0) |
			   (flags & FL_PIN_FLAGS_FORCE ? FOLL_FORCE : 0);
	long ret;

	if (flags & FL_PIN_FLAGS_LOCKED) {
		mmap_read_lock(current->mm);
#ifdef FL_HAVE_GUP_VMAS
		ret = pin_user_pages(addr, n, gup, pages, NULL);
#else
		ret = pin_user_pages(addr, n, gup, pages);
#endif
		mmap_read_unlock(current->mm);
		return ret;
	}
#ifndef FL_HAVE_GUP_UNLOCKABLE
	if (flags & FL_PIN_FLAGS_LONGTERM)	/* the other call must not be given FOLL_LONGTERM */
		flags |= FL_PIN_FLAGS_FAST;
#endif
	if (flags & FL_PIN_FLAGS_FAST)
		return pin_user_pages_fast(addr, n, gup, pages);
	return pin_user_pages_unlocked(addr, n, pages, gup);
}

/* A driver whose process is being killed gives back what it got. */
static void taken(struct fl_task *task, struct fl_pin *pin, long n)
{
	pin->n = max(n, 0L);
	pin->taking = false;
	if (n <= 0 || task->killed) {
		fl_pin_release(pin, false);
		fl_result(task, n);
		return;
	}
	fl_pins_held++;
	fl_done(task, 0);
	task->outcome.aux = n;
}

void fl_op_pin(struct fl_task *task, const unsigned char *v)
{
	struct fl_pin *pin = &fl_pins[v[0]];

	*pin = (struct fl_pin){ .used = true, .taking = true, .start = v[1],
				.write = v[3] & FL_PIN_FLAGS_WRITE };
	taken(task, pin, pin_pages(fl_slot_addr(v[1]), v[2], v[3], pin->page));
}

void fl_op_ref(struct fl_task *task, const unsigned char *v)
{
	struct fl_pin *pin = &fl_pins[v[0]];

	*pin = (struct fl_pin){ .used = true, .taking = true, .start = v[1], .ref = true };
	taken(task, pin, get_user_pages_fast(fl_slot_addr(v[1]), v[2], 0, pin->page));
}

static char *pinned_page(const unsigned char *v)
{
	const struct fl_pin *pin = &fl_pins[v[0]];

	return page_to_virt(pin->page[v[1] - pin->start]);
}

void fl_op_pin_read(struct fl_task *task, const unsigned char *v)
{
	const char *page = pinned_page(v);

	fl_done(task, fl_posix_is_uniform(page) ? (unsigned char)page[0] : FL_VALUE_MIXED);
}

void fl_op_pin_write(struct fl_task *task, const unsigned char *v)
{
	memset(pinned_page(v), v[2], PAGE_SIZE);
	fl_done(task, 0);
}

void fl_op_unpin(struct fl_task *task, const unsigned char *v)
{
	struct fl_pin *pin = &fl_pins[v[0]];

	fl_pins_held--;
	fl_pin_release(pin, v[1] & FL_UNPIN_MODE_DIRTY);
	fl_done(task, 0);
}

/* As reading and writing /proc/PID/mem does: a page of the kernel's own in between, and FOLL_FORCE. */
static void access_mem(struct fl_task *task, int process, unsigned int slot, void *buf, unsigned int write)
{
	struct mm_struct *mm = fl_target(task, process);
	int n;

	if (!mm)
		return;
	n = access_remote_vm(mm, fl_slot_addr(slot), buf, PAGE_SIZE, FOLL_FORCE | (write ? FOLL_WRITE : 0));
	mmput(mm);
	fl_result(task, n == PAGE_SIZE ? 0 : -EIO);
}

void fl_op_mem_read(struct fl_task *task, const unsigned char *v)
{
	char *buf = fl_local(task);

	access_mem(task, v[0], v[1], buf, 0);
	if (task->outcome.status == FL_STATUS_DONE)
		task->outcome.value = fl_posix_is_uniform(buf) ? (unsigned char)buf[0] : FL_VALUE_MIXED;
}

void fl_op_mem_write(struct fl_task *task, const unsigned char *v)
{
	char *buf = fl_local(task);

	memset(buf, v[2], PAGE_SIZE);
	access_mem(task, v[0], v[1], buf, 1);
}

/* Both vectors have one element: a page of the task's own, a page of the other process. */
static const struct iovec *vectors(struct fl_task *task, unsigned int slot)
{
	struct iovec *iov = (void *)fl.args;

	iov[0] = (struct iovec){ (void __user *)fl_window_local(task), PAGE_SIZE };
	iov[1] = (struct iovec){ (void __user *)fl_slot_addr(slot), PAGE_SIZE };
	return (const struct iovec *)FL_WINDOW_ARGS;
}

/* The memory that is used stays while the call is under way: whoever exits meanwhile is kept waiting. */
static int begin_remote(struct fl_task *task, int process)
{
	task->remote = process + 1;
	return fl_pid_of(process);
}

static void end_remote(struct fl_task *task, long ret)
{
	task->remote = 0;
	fl_result(task, ret < 0 ? ret : ret == PAGE_SIZE ? 0 : -EFAULT);
}

void fl_op_process_read(struct fl_task *task, const unsigned char *v)
{
	const struct iovec *iov = vectors(task, v[1]);
	char *buf = fl_local(task);

	end_remote(task, sys_process_vm_readv(begin_remote(task, v[0]), iov, 1, iov + 1, 1, 0));
	if (task->outcome.status == FL_STATUS_DONE)
		task->outcome.value = fl_posix_is_uniform(buf) ? (unsigned char)buf[0] : FL_VALUE_MIXED;
}

void fl_op_process_write(struct fl_task *task, const unsigned char *v)
{
	const struct iovec *iov = vectors(task, v[1]);

	memset(fl_local(task), v[2], PAGE_SIZE);
	end_remote(task, sys_process_vm_writev(begin_remote(task, v[0]), iov, 1, iov + 1, 1, 0));
}

void fl_op_populate(struct fl_task *task, const unsigned char *v)
{
#ifdef MADV_POPULATE_READ
	fl_result(task, sys_madvise(fl_slot_addr(v[0]), fl_pages_len(v[1]),
				    v[2] == FL_POPULATE_READ ? MADV_POPULATE_READ : MADV_POPULATE_WRITE));
#endif
}

void fl_op_migrate(struct fl_task *task, const unsigned char *v)
{
	struct mm_struct *mm = fl_target(task, v[0]);

	if (!mm)
		return;
	task->outcome.aux = fl_migrate(mm, fl_slot_addr(v[1]), v[2]);
	mmput(mm);
	if (!fl_overlap)
		fl_check_migrated();
}

/* Why an operation on a handle is skipped, or 0. */
int fl_pins_missing(int code, const unsigned char *v)
{
	const struct fl_pin *pin = &fl_pins[v[0]];
	bool ready = pin->used && !pin->taking;

	switch (code) {
	case FL_OP_PIN:
	case FL_OP_REF:
		return pin->used ? FL_SKIP_HANDLE_USED : 0;
	case FL_OP_UNPIN:
		return ready ? 0 : FL_SKIP_NO_HANDLE;
	default:
		if (!ready || v[1] < pin->start || v[1] >= pin->start + pin->n)
			return FL_SKIP_NO_HANDLE;
		return code == FL_OP_PIN_WRITE && !pin->write ? FL_SKIP_NO_HANDLE : 0;
	}
}
