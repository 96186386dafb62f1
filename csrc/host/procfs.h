/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of /proc that programs use: csrc/kernel/fs_proc_task_mmu.c. */
#ifndef FL_HOST_PROCFS_H
#define FL_HOST_PROCFS_H

struct mm_struct;

long fl_clear_refs(const char *value);
long fl_pagemap_scan(void);
long fl_pagemap_read(struct mm_struct *mm, unsigned long addr, unsigned int pages);

#endif
