// SPDX-License-Identifier: GPL-2.0-only
/* Kernel variables of files that are not built.  An undefined variable cannot be trapped, so each is here. */
#include "host/host.h"
#include <linux/backing-dev.h>
#include <linux/bio.h>
#include <linux/cred.h>
#include <linux/highuid.h>
#include <linux/kobject.h>
#include <linux/pid.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/swap.h>
#include <linux/topology.h>
#include <linux/workqueue.h>
#if __has_include(<linux/mnt_idmapping.h>)
#include <linux/mnt_idmapping.h>
#endif

/* Read by code that runs here: no memory is held back. */
unsigned long totalreserve_pages;
int hashdist;				/* big tables lie in one piece */
int defrag_mode;			/* by default pages are not kept together */

/* One node: none is too far away, none is a device in sysfs. */
int node_reclaim_distance = RECLAIM_DISTANCE;
struct node *node_devices[MAX_NUMNODES];

/* No block device, no namespace of users: nothing is equal to these. */
struct super_block *blockdev_superblock;
int overflowuid = DEFAULT_OVERFLOWUID, overflowgid = DEFAULT_OVERFLOWGID;

/* Named by code that needs a service that is not built, so that a trap comes first. */
struct workqueue_struct *bdi_wq, *system_wq, *system_percpu_wq;
struct bio_set fs_bio_set;
struct task_struct init_task;
struct pid init_struct_pid;
struct user_struct root_user;
struct fs_struct *userspace_init_fs;
struct kobject *fs_kobj;
const struct sysfs_ops kobj_sysfs_ops;
const struct pipe_buf_operations page_cache_pipe_buf_ops, default_pipe_buf_ops;
const struct file_operations simple_offset_dir_operations, simple_dir_operations;
const struct inode_operations page_symlink_inode_operations;
const struct file_operations def_blk_fops, def_chr_fops, pipefifo_fops;
/* Opaque types: the address alone is used. */
struct mnt_idmap { int unused; } nop_mnt_idmap;
struct mnt_namespace { int unused; } init_mnt_ns;
