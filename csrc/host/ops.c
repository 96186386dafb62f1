// SPDX-License-Identifier: GPL-2.0-only
/* The operations: each is the system call, ioctl or memory access that a user would make. */
#include "host/host.h"
#include <linux/mman.h>
#include <linux/syscalls.h>
#include <linux/uio.h>
#include <linux/userfaultfd.h>
#include <linux/file.h>


static const unsigned long prots[] = {
	[FL_PROT_NONE] = PROT_NONE, [FL_PROT_R] = PROT_READ, [FL_PROT_RW] = PROT_READ | PROT_WRITE,
};

static const int advices[] = {
	[FL_ADVICE_DONTNEED] = MADV_DONTNEED, [FL_ADVICE_MERGEABLE] = MADV_MERGEABLE,
	[FL_ADVICE_UNMERGEABLE] = MADV_UNMERGEABLE,
};

static unsigned long slot_addr(unsigned int slot)
{
	return FL_REGION + slot * PAGE_SIZE;
}

static unsigned long pages_len(unsigned int pages)
{
	return pages * PAGE_SIZE;
}

static void done(struct fl_task *task, int value)
{
	task->outcome.status = FL_STATUS_DONE;
	task->outcome.value = value;
}

static void result(struct fl_task *task, long ret)
{
	if (ret >= 0) {
		done(task, 0);
		return;
	}
	task->outcome.status = FL_STATUS_ERROR;
	task->outcome.value = -ret;
}

static void sent_signal(struct fl_task *task, int sig)
{
	task->outcome.status = sig == SIGKILL ? FL_STATUS_KILLED : FL_STATUS_SIGNAL;
	task->outcome.value = sig == SIGKILL ? 0 : sig;
}

static void op_mmap(struct fl_task *task, const unsigned char *v)
{
	long ret = sys_mmap_pgoff(slot_addr(v[0]), pages_len(v[1]), prots[v[2]],
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	result(task, IS_ERR_VALUE(ret) ? ret : 0);
}

static void op_munmap(struct fl_task *task, const unsigned char *v)
{
	result(task, sys_munmap(slot_addr(v[0]), pages_len(v[1])));
}

static void op_mprotect(struct fl_task *task, const unsigned char *v)
{
	result(task, sys_mprotect(slot_addr(v[0]), pages_len(v[1]), prots[v[2]]));
}

static void op_madvise(struct fl_task *task, const unsigned char *v)
{
	result(task, sys_madvise(slot_addr(v[0]), pages_len(v[1]), advices[v[2]]));
}

static void op_read(struct fl_task *task, const unsigned char *v)
{
	char *page;
	int sig = fl_mmu_access(slot_addr(v[0]), 0, &page);

	if (sig) {
		sent_signal(task, sig);
		return;
	}
	done(task, fl_posix_is_uniform(page) ? (unsigned char)page[0] : FL_VALUE_MIXED);
}

static void op_write(struct fl_task *task, const unsigned char *v)
{
	char *page;
	int sig = fl_mmu_access(slot_addr(v[0]), FL_MMU_WRITE, &page);

	if (fl_canary_is(SPURIOUS_FAULT) && !sig && v[1] == 7)
		sig = SIGSEGV;
	if (sig) {
		sent_signal(task, sig);
		return;
	}
	memset(page, v[1], PAGE_SIZE);
	if (fl_canary_is(WRONG_BYTE))
		page[PAGE_SIZE - 1] ^= 1;
	done(task, 0);
}

static void op_fork(struct fl_task *task, const unsigned char *v)
{
	struct fl_process *child = &fl.process[v[0]];
	struct task_struct *standin = fl.task[FL_ID_BOOT].ts;
	struct mm_struct *mm;

	child->forking = true;
	mm = fl_dup_mm(standin, task->ts->mm);
	child->forking = false;
	if (!mm) {
		result(task, -ENOMEM);
		return;
	}
	if (task->killed) {	/* fork() fails where the parent has been killed meanwhile */
		mmput(mm);
		return;
	}
	child->mm = mm;
	fl_task_get(v[0], 0);
	done(task, 0);
}

/* exit_group(): the other tasks of the process are killed; the last one to go takes the mm along. */
static void op_exit(struct fl_task *task, const unsigned char *v)
{
	struct fl_process *process = &fl.process[task->process];

	process->dying = true;
	for (int i = 0; i < FL_TASKS; i++) {
		struct fl_task *other = &fl.task[task->process * FL_TASKS + i];

		if (other == task || other->state == FL_TASK_NONE)
			continue;
		if (other->state == FL_TASK_IDLE) {
			other->state = FL_TASK_NONE;
			other->ts->mm = NULL;
			process->tasks &= ~(1 << i);
			mmput(process->mm);
		} else {
			fl_task_kill(other);
		}
	}
	task->killed = true;
	done(task, 0);
}

static const unsigned long features[] = {
	UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_WP_ASYNC, UFFD_FEATURE_WP_UNPOPULATED, UFFD_FEATURE_SIGBUS,
};

static long ioctl(struct file *file, unsigned int cmd)
{
	return file->f_op->unlocked_ioctl(file, cmd, FL_WINDOW_ARGS);
}

static void op_uffd_open(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_api *api = (void *)fl.args;
	struct file *file;
	long ret = sys_userfaultfd(O_NONBLOCK | O_CLOEXEC);

	if (ret < 0) {
		result(task, ret);
		return;
	}
	file = fl_file_take(ret);
	memset(api, 0, sizeof(*api));
	api->api = UFFD_API;
	for (int i = 0; i < ARRAY_SIZE(features); i++)
		if (v[1] & (1 << i))
			api->features |= features[i];
	ret = ioctl(file, UFFDIO_API);
	if (ret)
		fput(file);
	else
		fl.uffd[v[0]] = file;
	result(task, ret);
}

static void op_uffd_register(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_register *reg = (void *)fl.args;

	memset(reg, 0, sizeof(*reg));
	reg->range.start = slot_addr(v[1]);
	reg->range.len = pages_len(v[2]);
	reg->mode = (v[3] & FL_REGISTER_MODE_MISSING ? UFFDIO_REGISTER_MODE_MISSING : 0) |
		    (v[3] & FL_REGISTER_MODE_WP ? UFFDIO_REGISTER_MODE_WP : 0);
	result(task, ioctl(fl.uffd[v[0]], UFFDIO_REGISTER));
}

static long range_ioctl(const unsigned char *v, unsigned int cmd)
{
	struct uffdio_range *range = (void *)fl.args;

	range->start = slot_addr(v[1]);
	range->len = pages_len(v[2]);
	return ioctl(fl.uffd[v[0]], cmd);
}

static void op_uffd_unregister(struct fl_task *task, const unsigned char *v)
{
	result(task, range_ioctl(v, UFFDIO_UNREGISTER));
}

static void op_uffd_wake(struct fl_task *task, const unsigned char *v)
{
	result(task, range_ioctl(v, UFFDIO_WAKE));
}

static void op_uffd_close(struct fl_task *task, const unsigned char *v)
{
	struct file *file = fl.uffd[v[0]];

	fl.uffd[v[0]] = NULL;
	fput(file);
	done(task, 0);
}

static long write_protect(const unsigned char *v, unsigned long mode)
{
	struct uffdio_writeprotect *wp = (void *)fl.args;

	memset(wp, 0, sizeof(*wp));
	wp->range.start = slot_addr(v[1]);
	wp->range.len = pages_len(v[2]);
	wp->mode = mode;
	return ioctl(fl.uffd[v[0]], UFFDIO_WRITEPROTECT);
}

static void op_uffd_wp(struct fl_task *task, const unsigned char *v)
{
	long ret = write_protect(v, UFFDIO_WRITEPROTECT_MODE_WP);

	if (fl_canary_is(WRONG_ERRNO) && ret == -ENOENT)
		ret = -EINVAL;
	result(task, ret);
}

static void op_uffd_resolve(struct fl_task *task, const unsigned char *v)
{
	result(task, write_protect(v, v[3] & FL_WAKE_MODE_DONTWAKE ? UFFDIO_WRITEPROTECT_MODE_DONTWAKE : 0));
}

/* What `copy` or `zeropage` of the argument says: pages, or a negated errno. */
static int pages_or_errno(long val)
{
	return val < 0 ? val : val >> PAGE_SHIFT;
}

static void op_uffd_copy(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_copy *copy = (void *)fl.args;

	memset(fl.source, v[3], PAGE_SIZE);
	copy->dst = slot_addr(v[1]);
	copy->src = FL_WINDOW_SOURCE;
	copy->len = pages_len(v[2]);
	copy->mode = (v[4] & FL_COPY_MODE_WP ? UFFDIO_COPY_MODE_WP : 0) |
		     (v[4] & FL_COPY_MODE_DONTWAKE ? UFFDIO_COPY_MODE_DONTWAKE : 0);
	copy->copy = 0;
	result(task, ioctl(fl.uffd[v[0]], UFFDIO_COPY));
	task->outcome.aux = pages_or_errno(copy->copy);
}

static void op_uffd_zeropage(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_zeropage *zero = (void *)fl.args;

	zero->range.start = slot_addr(v[1]);
	zero->range.len = pages_len(v[2]);
	zero->mode = v[3] & FL_WAKE_MODE_DONTWAKE ? UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0;
	zero->zeropage = 0;
	result(task, ioctl(fl.uffd[v[0]], UFFDIO_ZEROPAGE));
	task->outcome.aux = pages_or_errno(zero->zeropage);
}

static long read_message(struct file *file, struct uffd_msg *msg)
{
	struct kiocb kiocb = { .ki_filp = file, .ki_flags = IOCB_NOWAIT };
	struct iov_iter iter;
	long ret;

#if FL_KVER >= 600
	iov_iter_ubuf(&iter, ITER_DEST, (void __user *)FL_WINDOW_ARGS, sizeof(*msg));
#endif
	ret = file->f_op->read_iter(&kiocb, &iter);
	if (ret > 0)
		memcpy(msg, fl.args, sizeof(*msg));
	return ret;
}

static void op_uffd_read(struct fl_task *task, const unsigned char *v)
{
	struct uffd_msg msg;
	long ret = read_message(fl.uffd[v[0]], &msg);

	if (fl_canary_is(DROP_EVENT) && ret > 0)
		ret = read_message(fl.uffd[v[0]], &msg);
	if (ret < 0) {
		result(task, ret);
		return;
	}
	if (msg.event == UFFD_EVENT_FORK) {
		fl.uffd[v[1]] = fl_file_take(msg.arg.fork.ufd);
		task->outcome.aux = v[1] + 1;
		done(task, msg.event);
		return;
	}
	done(task, msg.event | (unsigned int)msg.arg.pagefault.flags << 8 |
		   (unsigned int)((msg.arg.pagefault.address - FL_REGION) >> PAGE_SHIFT) << 16);
}

static void op_ksm_merge(struct fl_task *task, const unsigned char *v)
{
	fl.ksm_used = true;
	fl_ksm_merge(fl.process[v[0]].mm, slot_addr(v[1]), v[2]);
	done(task, 0);
}

static void op_ksm_scan(struct fl_task *task, const unsigned char *v)
{
	fl.ksm_used = true;
	fl_ksm_scan();
	done(task, 0);
}

static void (*const ops[FL_NR_OPS])(struct fl_task *task, const unsigned char *v) = {
	[FL_OP_MMAP] = op_mmap,
	[FL_OP_MUNMAP] = op_munmap,
	[FL_OP_MPROTECT] = op_mprotect,
	[FL_OP_MADVISE] = op_madvise,
	[FL_OP_READ] = op_read,
	[FL_OP_WRITE] = op_write,
	[FL_OP_FORK] = op_fork,
	[FL_OP_EXIT] = op_exit,
	[FL_OP_UFFD_OPEN] = op_uffd_open,
	[FL_OP_UFFD_REGISTER] = op_uffd_register,
	[FL_OP_UFFD_UNREGISTER] = op_uffd_unregister,
	[FL_OP_UFFD_CLOSE] = op_uffd_close,
	[FL_OP_UFFD_WP] = op_uffd_wp,
	[FL_OP_UFFD_RESOLVE] = op_uffd_resolve,
	[FL_OP_UFFD_COPY] = op_uffd_copy,
	[FL_OP_UFFD_ZEROPAGE] = op_uffd_zeropage,
	[FL_OP_UFFD_WAKE] = op_uffd_wake,
	[FL_OP_UFFD_READ] = op_uffd_read,
	[FL_OP_KSM_MERGE] = op_ksm_merge,
	[FL_OP_KSM_SCAN] = op_ksm_scan,
};

void fl_op_run(struct fl_task *task)
{
	task->outcome = (struct fl_outcome){ .status = FL_STATUS_DONE };
	task->events = 0;
	task->nreleased = 0;
	fl_canary_before(task);
	ops[task->what.code](task, task->what.v);
	if (task->killed && task->what.code != FL_OP_EXIT)
		task->outcome = (struct fl_outcome){ .status = FL_STATUS_KILLED };
}
