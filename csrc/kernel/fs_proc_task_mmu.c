// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/pagemap and clear_refs: their file operations, on a file that was opened on a process.
 * keeps: the files' own open, read, write, ioctl and release.
 * leaves out: /proc itself; a file is opened by the process that it is about, or made for a look from outside.
 */
#include FL_SOURCE
#include "host/host.h"
#include "host/procfs.h"

#ifdef CONFIG_PROC_PAGE_MONITOR
static struct proc_inode self;

/* The process asks about itself. */
struct task_struct *get_pid_task(struct pid *pid, enum pid_type type)
{
	get_task_struct(current);
	return current;
}

struct mm_struct *proc_mem_open(struct inode *inode, unsigned int mode)
{
	mmgrab(current->mm);
	return current->mm;
}

long fl_clear_refs(const char *value)
{
	struct file file = { .f_op = &proc_clear_refs_operations, .f_inode = &self.vfs_inode };
	unsigned long len = strlen(value);
	loff_t pos = 0;

	memcpy(fl.args, value, len);
	return file.f_op->write(&file, (const char __user *)FL_WINDOW_ARGS, len, &pos);
}

/* PAGEMAP_SCAN with its argument in fl.args. */
long fl_pagemap_scan(void)
{
	struct file file = { .f_op = &proc_pagemap_operations, .f_inode = &self.vfs_inode };
	long ret = file.f_op->open(file.f_inode, &file);

	if (ret)
		return ret;
#ifdef PAGEMAP_SCAN
	ret = file.f_op->unlocked_ioctl(&file, PAGEMAP_SCAN, FL_WINDOW_ARGS);
#else
	ret = -ENOTTY;
#endif
	file.f_op->release(file.f_inode, &file);
	return ret;
}

/* Entries of pagemap into fl.args, as root reads them: bytes read, or a negated errno. */
long fl_pagemap_read(struct mm_struct *mm, unsigned long addr, unsigned int pages)
{
	struct file file = { .f_op = &proc_pagemap_operations, .private_data = mm };
	loff_t pos = (addr >> PAGE_SHIFT) * sizeof(u64);

	return file.f_op->read(&file, (char __user *)FL_WINDOW_ARGS, pages * sizeof(u64), &pos);
}
#else
long fl_clear_refs(const char *value) { return -ENOENT; }
long fl_pagemap_scan(void) { return -ENOENT; }
long fl_pagemap_read(struct mm_struct *mm, unsigned long addr, unsigned int pages) { return -ENOENT; }
#endif
