// SPDX-License-Identifier: GPL-2.0-only
/* Operations on shared memory and files. */
#include "host/ops.h"
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/syscalls.h>
#include <linux/userfaultfd.h>

static loff_t file_offset(unsigned int page)
{
	return (loff_t)page << PAGE_SHIFT;
}

void fl_op_mmap_shared(struct fl_task *task, const unsigned char *v)
{
	fl_mmap(task, v, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void fl_op_mmap_file(struct fl_task *task, const unsigned char *v)
{
	int fd = fl_file_lend(fl.file[v[3]]);

	fl_mmap(task, v, v[5] == FL_MAP_TYPE_SHARED ? MAP_SHARED : MAP_PRIVATE, fd, v[4]);
	fl_file_take(fd);
}

/* A system call on the file: its descriptor is there for as long as the call takes. */
#define FILE_CALL(file, call, ...) ({			\
	int fl_fd = fl_file_lend(file);			\
	long fl_ret = call(fl_fd, ##__VA_ARGS__);	\
	fl_file_take(fl_fd);				\
	fl_ret; })

static struct file *open_memfd(void)
{
	long fd;

	strcpy(fl.args, "f");
	fd = sys_memfd_create((const char __user *)FL_WINDOW_ARGS, 0);
	return fd < 0 ? ERR_PTR(fd) : fl_file_take(fd);
}

void fl_op_file_open(struct fl_task *task, const unsigned char *v)
{
	struct file *file = v[1] == FL_FILE_TYPE_MEMFD ? open_memfd() : fl_store_open();
	long ret;

	if (IS_ERR(file)) {
		fl_result(task, PTR_ERR(file));
		return;
	}
	ret = FILE_CALL(file, sys_ftruncate, file_offset(v[2]));
	if (ret)
		fput(file);
	else
		fl.file[v[0]] = file;
	fl_result(task, ret);
}

void fl_op_file_close(struct fl_task *task, const unsigned char *v)
{
	struct file *file = fl.file[v[0]];

	fl.file[v[0]] = NULL;
	fput(file);
	fl_done(task, 0);
}

void fl_op_file_read(struct fl_task *task, const unsigned char *v)
{
	long ret = FILE_CALL(fl.file[v[0]], sys_pread64, (char __user *)FL_WINDOW_ARGS, PAGE_SIZE, file_offset(v[1]));

	if (ret < 0) {
		fl_result(task, ret);
		return;
	}
	task->outcome.aux = ret == PAGE_SIZE;
	fl_done(task, !ret ? 0 : fl_posix_is_uniform(fl.args) ? (unsigned char)fl.args[0] : FL_VALUE_MIXED);
}

void fl_op_file_write(struct fl_task *task, const unsigned char *v)
{
	memset(fl.source, v[2], PAGE_SIZE);
	fl_result(task, FILE_CALL(fl.file[v[0]], sys_pwrite64, (const char __user *)FL_WINDOW_SOURCE, PAGE_SIZE,
				  file_offset(v[1])));
}

void fl_op_file_truncate(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, FILE_CALL(fl.file[v[0]], sys_ftruncate, file_offset(v[1])));
}

void fl_op_file_allocate(struct fl_task *task, const unsigned char *v)
{
	static const int modes[] = {
		[FL_ALLOCATE_EXTEND] = 0, [FL_ALLOCATE_KEEP_SIZE] = FALLOC_FL_KEEP_SIZE,
		[FL_ALLOCATE_PUNCH_HOLE] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};
	loff_t start = file_offset(v[1]);

	fl_result(task, FILE_CALL(fl.file[v[0]], sys_fallocate, modes[v[3]], start, file_offset(v[2]) - start));
}

void fl_op_file_sync(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, FILE_CALL(fl.file[v[0]], sys_fsync));
}

void fl_op_file_drop(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, FILE_CALL(fl.file[v[0]], sys_fadvise64_64, 0, 0, POSIX_FADV_DONTNEED));
}

#ifdef UFFDIO_CONTINUE
#ifndef UFFDIO_CONTINUE_MODE_WP	/* a tree that does not know it says so */
#define UFFDIO_CONTINUE_MODE_WP	((__u64)1 << 1)
#endif

void fl_op_uffd_continue(struct fl_task *task, const unsigned char *v)
{
	struct uffdio_continue *arg = (void *)fl.args;
	long ret;

	memset(arg, 0, sizeof(*arg));
	arg->range.start = fl_slot_addr(v[1]);
	arg->range.len = fl_pages_len(v[2]);
	arg->mode = v[3] & FL_COPY_MODE_DONTWAKE ? UFFDIO_CONTINUE_MODE_DONTWAKE : 0;
	arg->mode |= v[3] & FL_COPY_MODE_WP ? UFFDIO_CONTINUE_MODE_WP : 0;
	ret = fl_ioctl(fl.uffd[v[0]], UFFDIO_CONTINUE);
	task->outcome.aux = fl_pages_or_errno(arg->mapped);
	fl_result(task, ret);
}
#else
void fl_op_uffd_continue(struct fl_task *task, const unsigned char *v)
{
	fl_result(task, -ENOTTY);	/* skipped before: the need is not met */
}
#endif
