// SPDX-License-Identifier: GPL-2.0-only
/* The first operations: each is the system call, ioctl or memory access that a user would make. */
#include "host/ops.h"
#include "host/swapdev.h"
#include "check/races.h"
#include <linux/mman.h>
#include <linux/syscalls.h>
#include <linux/uio.h>
#include <linux/userfaultfd.h>
#include <linux/file.h>


const unsigned long fl_prots[] = {
	[FL_PROT_NONE] = PROT_NONE, [FL_PROT_R] = PROT_READ, [FL_PROT_RW] = PROT_READ | PROT_WRITE,
};

static const int advices[] = {
	[FL_ADVICE_DONTNEED] = MADV_DONTNEED, [FL_ADVICE_MERGEABLE] = MADV_MERGEABLE,
	[FL_ADVICE_UNMERGEABLE] = MADV_UNMERGEABLE, [FL_ADVICE_DONTFORK] = MADV_DONTFORK,
	[FL_ADVICE_DOFORK] = MADV_DOFORK, [FL_ADVICE_WIPEONFORK] = MADV_WIPEONFORK,
	[FL_ADVICE_KEEPONFORK] = MADV_KEEPONFORK,
	[FL_ADVICE_FREE] = MADV_FREE, [FL_ADVICE_COLD] = MADV_COLD, [FL_ADVICE_PAGEOUT] = MADV_PAGEOUT,
	[FL_ADVICE_REMOVE] = MADV_REMOVE,
	[FL_ADVICE_HUGEPAGE] = MADV_HUGEPAGE,
	[FL_ADVICE_NOHUGEPAGE] = MADV_NOHUGEPAGE,
	[FL_ADVICE_COLLAPSE] = 25,	/* MADV_COLLAPSE, since 6.1 */
};

void fl_signalled(struct fl_task *task, int sig)
{
	task->outcome.status = sig == SIGKILL ? FL_STATUS_KILLED : FL_STATUS_SIGNAL;
	task->outcome.value = sig == SIGKILL ? 0 : sig;
}

struct mm_struct *fl_target(struct fl_task *task, int process)
{
	struct mm_struct *mm = fl.process[process].mm;

	if (mm && mmget_not_zero(mm))
		return mm;
	task->outcome = (struct fl_outcome){ .status = FL_STATUS_SKIPPED, .value = FL_SKIP_NO_PROCESS };
	return NULL;
}

/* mmap() of the range that an operation begins with, with its protection. */
void fl_mmap(struct fl_task *task, const unsigned char *v, unsigned long flags, int fd, unsigned long first)
{
	long ret = sys_mmap_pgoff(fl_slot_addr(v[0]), fl_pages_len(v[1]), fl_prots[v[2]], flags | MAP_FIXED, fd, first);

	fl_result(task, IS_ERR_VALUE(ret) ? ret : 0);
}

void fl_op_mmap(struct fl_task *task, const unsigned char *v)
{
	fl_mmap(task, v, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void fl_op_munmap(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, sys_munmap(fl_slot_addr(v[0]), fl_pages_len(v[1])));
}

void fl_op_mprotect(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, sys_mprotect(fl_slot_addr(v[0]), fl_pages_len(v[1]), fl_prots[v[2]]));
}

void fl_op_madvise(struct fl_task *task, const unsigned char *v)
{
	if (v[2] == FL_ADVICE_PAGEOUT)
		fl_swap_on(FL_SWAP_DEVICE_SYNC);
	fl_result(task, sys_madvise(fl_slot_addr(v[0]), fl_pages_len(v[1]), advices[v[2]]));
}

void fl_op_read(struct fl_task *task, const unsigned char *v)
{
	char *page;
	int sig = fl_mmu_access(fl_slot_addr(v[0]), 0, &page);

	if (sig) {
		fl_signalled(task, sig);
		return;
	}
	fl_done(task, fl_posix_is_uniform(page) ? (unsigned char)page[0] : FL_VALUE_MIXED);
}

void fl_op_write(struct fl_task *task, const unsigned char *v)
{
	char *page;
	int sig = fl_mmu_access(fl_slot_addr(v[0]), FL_MMU_WRITE, &page);

	if (fl_canary_is(SPURIOUS_FAULT) && !sig && v[1] == 7)
		sig = SIGSEGV;
	if (sig) {
		fl_signalled(task, sig);
		return;
	}
	memset(page, v[1], PAGE_SIZE);
	if (fl_canary_is(WRONG_BYTE))
		page[PAGE_SIZE - 1] ^= 1;
	fl_done(task, 0);
}

void fl_op_fork(struct fl_task *task, const unsigned char *v)
{
	struct fl_process *child = &fl.process[v[0]];
	struct task_struct *standin = fl.task[FL_ID_BOOT].ts;
	struct mm_struct *mm;

	child->forking = true;
	mm = fl_dup_mm(standin, task->ts->mm);
	child->forking = false;
	if (!mm) {
		fl_result(task, -ENOMEM);
		return;
	}
	if (task->killed) {	/* fork() fails where the parent has been killed meanwhile */
		mmput(mm);
		return;
	}
	child->mm = mm;
	fl_task_get(v[0], 0);
	fl_done(task, 0);
}

/* exit_group(): the other tasks of the process are killed; the last one to go takes the mm along. */
void fl_op_exit(struct fl_task *task, const unsigned char *v)
{
	struct fl_process *process = &fl.process[task->process];

	process->dying = true;
	for (int i = 0; i < FL_TASKS; i++) {
		struct fl_task *other = &fl.task[task->process * FL_TASKS + i];

		if (other == task || other->state == FL_TASK_NONE)
			continue;
		if (other->state == FL_TASK_IDLE) {
			fl_race_learn(&other->outcome);
			other->state = FL_TASK_NONE;
			fl_task_hand_in_counts(other);
			other->ts->mm = NULL;
			process->tasks &= ~(1 << i);
			mmput(process->mm);
		} else {
			fl_task_kill(other);
		}
	}
	task->killed = true;
	fl_done(task, 0);
}

/* A program that was built with newer headers may ask any kernel for these; one that lacks them says so. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif

static const unsigned long features[] = {
	UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_WP_ASYNC, UFFD_FEATURE_WP_UNPOPULATED, UFFD_FEATURE_SIGBUS,
	UFFD_FEATURE_EVENT_REMAP, UFFD_FEATURE_EVENT_REMOVE, UFFD_FEATURE_EVENT_UNMAP,
};

long fl_ioctl(struct file *file, unsigned int cmd)
{
	return file->f_op->unlocked_ioctl(file, cmd, FL_WINDOW_ARGS);
}

void fl_op_uffd_open(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_api *api = (void *)fl.args;
	struct file *file;
	long ret = sys_userfaultfd(O_NONBLOCK | O_CLOEXEC);

	if (ret < 0) {
		fl_result(task, ret);
		return;
	}
	file = fl_file_take(ret);
	memset(api, 0, sizeof(*api));
	api->api = UFFD_API;
	for (int i = 0; i < ARRAY_SIZE(features); i++)
		if (v[1] & (1 << i))
			api->features |= features[i];
	ret = fl_ioctl(file, UFFDIO_API);
	if (ret)
		fput(file);
	else
		fl.uffd[v[0]] = file;
	fl_result(task, ret);
}

void fl_op_uffd_register(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_register *reg = (void *)fl.args;

	memset(reg, 0, sizeof(*reg));
	reg->range.start = fl_slot_addr(v[1]);
	reg->range.len = fl_pages_len(v[2]);
	reg->mode = (v[3] & FL_REGISTER_MODE_MISSING ? UFFDIO_REGISTER_MODE_MISSING : 0) |
		    (v[3] & FL_REGISTER_MODE_WP ? UFFDIO_REGISTER_MODE_WP : 0) |
		    (v[3] & FL_REGISTER_MODE_MINOR ? 1ULL << 2 : 0);	/* UFFDIO_REGISTER_MODE_MINOR, which 5.10 lacks */
	fl_result(task, fl_ioctl(fl.uffd[v[0]], UFFDIO_REGISTER));
}

static long range_ioctl(const unsigned char *v, unsigned int cmd)
{
	struct uffdio_range *range = (void *)fl.args;

	range->start = fl_slot_addr(v[1]);
	range->len = fl_pages_len(v[2]);
	return fl_ioctl(fl.uffd[v[0]], cmd);
}

void fl_op_uffd_unregister(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, range_ioctl(v, UFFDIO_UNREGISTER));
}

void fl_op_uffd_wake(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, range_ioctl(v, UFFDIO_WAKE));
}

void fl_op_uffd_close(struct fl_task *task, const unsigned char *v)
{
	struct file *file = fl.uffd[v[0]];

	fl.uffd[v[0]] = NULL;
	fput(file);
	fl_done(task, 0);
}

static long write_protect(const unsigned char *v, unsigned long mode)
{
	struct uffdio_writeprotect *wp = (void *)fl.args;

	memset(wp, 0, sizeof(*wp));
	wp->range.start = fl_slot_addr(v[1]);
	wp->range.len = fl_pages_len(v[2]);
	wp->mode = mode;
	return fl_ioctl(fl.uffd[v[0]], UFFDIO_WRITEPROTECT);
}

void fl_op_uffd_wp(struct fl_task *task, const unsigned char *v)
{
	long ret = write_protect(v, UFFDIO_WRITEPROTECT_MODE_WP);

	if (fl_canary_is(WRONG_ERRNO) && ret == -ENOENT)
		ret = -EINVAL;
	fl_result(task, ret);
}

void fl_op_uffd_resolve(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, write_protect(v, v[3] & FL_WAKE_MODE_DONTWAKE ? UFFDIO_WRITEPROTECT_MODE_DONTWAKE : 0));
}

int fl_pages_or_errno(long val)
{
	return val < 0 ? val : val >> PAGE_SHIFT;
}

void fl_op_uffd_copy(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_copy *copy = (void *)fl.args;

	memset(fl.source, v[3], PAGE_SIZE);
	copy->dst = fl_slot_addr(v[1]);
	copy->src = FL_WINDOW_SOURCE;
	copy->len = fl_pages_len(v[2]);
	copy->mode = (v[4] & FL_COPY_MODE_WP ? UFFDIO_COPY_MODE_WP : 0) |
		     (v[4] & FL_COPY_MODE_DONTWAKE ? UFFDIO_COPY_MODE_DONTWAKE : 0);
	copy->copy = 0;
	fl_result(task, fl_ioctl(fl.uffd[v[0]], UFFDIO_COPY));
	task->outcome.aux = fl_pages_or_errno(copy->copy);
}

void fl_op_uffd_zeropage(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_zeropage *zero = (void *)fl.args;

	zero->range.start = fl_slot_addr(v[1]);
	zero->range.len = fl_pages_len(v[2]);
	zero->mode = v[3] & FL_WAKE_MODE_DONTWAKE ? UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0;
	zero->zeropage = 0;
	fl_result(task, fl_ioctl(fl.uffd[v[0]], UFFDIO_ZEROPAGE));
	task->outcome.aux = fl_pages_or_errno(zero->zeropage);
}

static long read_message(struct file *file, struct uffd_msg *msg)
{
	void __user *to = (void __user *)FL_WINDOW_ARGS;
	long ret;

	if (file->f_op->read) {
		ret = file->f_op->read(file, to, sizeof(*msg), &file->f_pos);
	} else {
		struct kiocb kiocb = { .ki_filp = file, .ki_flags = IOCB_NOWAIT };
		struct iov_iter iter = { };

#ifdef FL_HAVE_IOV_ITER_UBUF
		iov_iter_ubuf(&iter, ITER_DEST, to, sizeof(*msg));
#endif
		ret = file->f_op->read_iter(&kiocb, &iter);
	}
	if (ret > 0)
		memcpy(msg, fl.args, sizeof(*msg));
	return ret;
}

static int slot_of(unsigned long addr)
{
	return (addr - FL_REGION) >> PAGE_SHIFT;
}

/* What a message about pages says, as harness/faultline/program/trace.py tells. */
static void tell_message(struct fl_task *task, const struct uffd_msg *msg)
{
	switch (msg->event) {
	case UFFD_EVENT_PAGEFAULT:
		fl_done(task, msg->event | (unsigned int)msg->arg.pagefault.flags << 8 |
			   slot_of(msg->arg.pagefault.address) << 16);
		break;
	case UFFD_EVENT_REMAP:
		task->outcome.aux = slot_of(msg->arg.remap.to) | (msg->arg.remap.len >> PAGE_SHIFT) << 8;
		fl_done(task, msg->event | slot_of(msg->arg.remap.from) << 16);
		break;
	default:
		task->outcome.aux = (msg->arg.remove.end - msg->arg.remove.start) >> PAGE_SHIFT;
		fl_done(task, msg->event | slot_of(msg->arg.remove.start) << 16);
	}
}

void fl_op_uffd_read(struct fl_task *task, const unsigned char *v)
{
	struct uffd_msg msg;
	long ret = read_message(fl.uffd[v[0]], &msg);

	if (fl_canary_is(DROP_EVENT) && ret > 0)
		ret = read_message(fl.uffd[v[0]], &msg);
	if (ret < 0) {
		fl_result(task, ret);
		return;
	}
	if (msg.event == UFFD_EVENT_FORK) {
		fl.uffd[v[1]] = fl_file_take(msg.arg.fork.ufd);
		task->outcome.aux = v[1] + 1;
		fl_done(task, msg.event);
		return;
	}
	tell_message(task, &msg);
}

void fl_op_ksm_merge(struct fl_task *task, const unsigned char *v)
{
	struct mm_struct *mm = fl_target(task, v[0]);

	if (!mm)
		return;
	fl.ksm_used = true;
	fl_ksm_merge(mm, fl_slot_addr(v[1]), v[2]);
	mmput(mm);
	fl_done(task, 0);
}

void fl_op_ksm_scan(struct fl_task *task, const unsigned char *v)
{
	fl.ksm_used = true;
	fl_ksm_scan();
	fl_done(task, 0);
}

#define X(NAME, name) [FL_OP_##NAME] = fl_op_##name,
static void (*const ops[FL_NR_OPS])(struct fl_task *task, const unsigned char *v) = { FL_OP_LIST(X) };
#undef X

/* Whoever uses what these have made knows that they have ended. */
static bool makes_handle(int code)
{
	return code == FL_OP_FORK || code == FL_OP_PIN || code == FL_OP_REF;
}

void fl_op_run(struct fl_task *task)
{
	task->outcome = (struct fl_outcome){ .status = FL_STATUS_DONE };
	task->events = 0;
	task->nreleased = 0;
	fl_race_learn(&fl.process);
	fl_canary_before(task);
	ops[task->what.code](task, task->what.v);
	if (task->killed && task->what.code != FL_OP_EXIT)
		task->outcome = (struct fl_outcome){ .status = FL_STATUS_KILLED };
	fl_race_publish(&task->outcome);	/* for who ends the task */
	if (makes_handle(task->what.code))
		fl_race_publish(&fl.process);
}
