/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that hold operations share; each is fl_op_NAME(), called on the stack of the task that runs it. */
#ifndef FL_HOST_OPS_H
#define FL_HOST_OPS_H

#include "host/host.h"

#define X(NAME, name) void fl_op_##name(struct fl_task *task, const unsigned char *v);
FL_OP_LIST(X)
#undef X

static inline unsigned long fl_slot_addr(unsigned int slot)
{
	return FL_REGION + slot * PAGE_SIZE;
}

static inline unsigned long fl_pages_len(unsigned int pages)
{
	return pages * PAGE_SIZE;
}

static inline void fl_done(struct fl_task *task, int value)
{
	task->outcome.status = FL_STATUS_DONE;
	task->outcome.value = value;
}

/* What a system call returned: 0 or more is success. */
static inline void fl_result(struct fl_task *task, long ret)
{
	task->outcome.status = ret >= 0 ? FL_STATUS_DONE : FL_STATUS_ERROR;
	task->outcome.value = ret >= 0 ? 0 : -ret;
}

/* The mm of a process that the task works on, held as by get_task_mm(); NULL: it has gone, and the operation is skipped. */
struct mm_struct *fl_target(struct fl_task *task, int process);
void fl_mmap(struct fl_task *task, const unsigned char *v, unsigned long flags, int fd, unsigned long first);
extern const unsigned long fl_prots[];	/* PROT_* by FL_PROT_* */
void fl_signalled(struct fl_task *task, int sig);
/* op_pins.c: why an operation on a handle of pins is skipped, or 0. */
int fl_pins_missing(int code, const unsigned char *v);
/* An ioctl whose argument lies in fl.args. */
long fl_ioctl(struct file *file, unsigned int cmd);
/* What `copy`, `zeropage`, ... of an argument says: pages, or a negated errno. */
int fl_pages_or_errno(long val);

#endif
