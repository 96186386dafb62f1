// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts and super blocks of file systems that the kernel mounts for itself.
 * keeps: what a file system's own code fills in; freeze protection.
 * leaves out: a tree of mounts, unmounting, shrinkers, more than one instance of a file system.
 */
#include "host/host.h"
#include <linux/backing-dev.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/percpu-rwsem.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

int register_filesystem(struct file_system_type *type) { return 0; }

static struct super_block *super_alloc(struct fs_context *fc)
{
	struct super_block *sb = kzalloc(sizeof(*sb), GFP_KERNEL);

	if (!sb)
		return NULL;
	sb->s_type = fc->fs_type;
	sb->s_flags = fc->sb_flags | SB_NOATIME;
	sb->s_user_ns = &init_user_ns;
	sb->s_bdi = &noop_backing_dev_info;
#ifdef FL_HAVE_SUPER_COUNT
	sb->s_count = 1;
#else
	refcount_set(&sb->s_passive, 1);
#endif
	sb->s_maxbytes = MAX_NON_LFS;
	sb->s_time_gran = 1000000000;
	sb->s_time_min = TIME64_MIN;
	sb->s_time_max = TIME64_MAX;
	atomic_set(&sb->s_active, 1);
	init_rwsem(&sb->s_umount);
	mutex_init(&sb->s_sync_lock);
	INIT_LIST_HEAD(&sb->s_inodes);
	spin_lock_init(&sb->s_inode_list_lock);
	INIT_LIST_HEAD(&sb->s_inodes_wb);
	spin_lock_init(&sb->s_inode_wblist_lock);
	for (int level = 0; level < SB_FREEZE_LEVELS; level++)
		percpu_init_rwsem(&sb->s_writers.rw_sem[level]);
	return sb;
}

int get_tree_nodev(struct fs_context *fc, int (*fill_super)(struct super_block *sb, struct fs_context *fc))
{
	struct super_block *sb = super_alloc(fc);
	int err;

	if (!sb)
		return -ENOMEM;
	err = fill_super(sb, fc);
	if (err)
		return err;
	sb->s_flags |= SB_ACTIVE;
	fc->root = sb->s_root;
	return 0;
}

struct dentry *d_make_root(struct inode *inode)
{
	return inode ? fl_dentry_alloc(inode) : NULL;
}

struct fs_context *fs_context_for_mount(struct file_system_type *type, unsigned int flags)
{
	struct fs_context *fc = kzalloc(sizeof(*fc), GFP_KERNEL);
	int err;

	if (!fc)
		return ERR_PTR(-ENOMEM);
	fc->fs_type = type;
	fc->sb_flags = flags;
	fc->user_ns = &init_user_ns;
	err = type->init_fs_context(fc);
	if (!err)
		return fc;
	kfree(fc);
	return ERR_PTR(err);
}

void put_fs_context(struct fs_context *fc)
{
	if (fc->ops->free)
		fc->ops->free(fc);
	kfree(fc);
}

struct vfsmount *fc_mount(struct fs_context *fc)
{
	struct vfsmount *mnt = kzalloc(sizeof(*mnt), GFP_KERNEL);
	int err = mnt ? fc->ops->get_tree(fc) : -ENOMEM;

	if (err)
		return ERR_PTR(err);
	mnt->mnt_root = fc->root;
	mnt->mnt_sb = fc->root->d_sb;
#ifdef FL_HAVE_MNT_IDMAP
	mnt->mnt_idmap = &nop_mnt_idmap;
#elif FL_KVER >= 512
	mnt->mnt_userns = &init_user_ns;
#endif
	return mnt;
}

struct vfsmount *kern_mount(struct file_system_type *type)
{
	struct fs_context *fc = fs_context_for_mount(type, SB_KERNMOUNT);
	struct vfsmount *mnt;

	if (IS_ERR(fc))
		return ERR_CAST(fc);
	mnt = fc_mount(fc);
	put_fs_context(fc);
	return mnt;
}

/* leaves out: mounts that forbid execution. */
bool path_noexec(const struct path *path) { return false; }

/* leaves out: mounts that are, or become, read-only. */
int mnt_get_write_access(struct vfsmount *mnt) { return 0; }
int mnt_get_write_access_file(struct file *file) { return 0; }
void mnt_put_write_access(struct vfsmount *mnt) { }
void mnt_put_write_access_file(struct file *file) { }
int __mnt_want_write(struct vfsmount *mnt) { return 0; }
int __mnt_want_write_file(struct file *file) { return 0; }
void __mnt_drop_write(struct vfsmount *mnt) { }
void __mnt_drop_write_file(struct file *file) { }
