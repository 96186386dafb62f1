// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files and descriptors.
 * keeps: reference counts; release at the last one, for files with an inode when the operation has ended, as the kernel
 * does on its way to user space; a dentry of its own for each such file.
 * leaves out: a table per process (every process has what a program opened), paths and names, write access counts.
 */
#include "host/host.h"
#include <linux/file.h>
#include <linux/anon_inodes.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/fdtable.h>

#define FDS	(FL_UFFDS + FL_FILES + 2)
#define FD_RESERVED	((struct file *)1)
#define LATER_MAX	64

static struct file *fds[FDS];
static struct file *later[LATER_MAX];	/* without a reference left, to be released */
static int nlater;
static struct kmem_cache *file_cache, *dentry_slab;
static struct inode the_inode;

void fl_files_init(void)
{
	file_cache = kmem_cache_create("filp", sizeof(struct file), 0, SLAB_HWCACHE_ALIGN, NULL);
	dentry_slab = kmem_cache_create("dentry", sizeof(struct dentry), 0, 0, NULL);
}

struct file *fl_file_alloc(const struct file_operations *fops, void *private_data)
{
	struct file *file = kmem_cache_alloc(file_cache, GFP_KERNEL | __GFP_ZERO);

	if (!file)
		return ERR_PTR(-ENOMEM);
#ifdef FL_HAVE_FILE_REF
	file_ref_init(&file->f_ref, 1);
#else
	atomic_long_set(&file->f_count, 1);
#endif
	file->f_op = fops;
	file->private_data = private_data;
	file->f_inode = &the_inode;
	return file;
}

#ifdef FL_HAVE_FILE_REF
/* The count went below zero: it was the last reference, or one too many. */
bool __file_ref_put(file_ref_t *ref, unsigned long count)
{
	if (unlikely(count != FILE_REF_NOREF))
		fl_report(FL_KIND_USE_AFTER_FREE, NULL, "fput() of a file without references");
	atomic_long_set(&ref->refcnt, FILE_REF_DEAD);
	return true;
}
#endif

struct dentry *fl_dentry_alloc(struct inode *inode)
{
	struct dentry *dentry = kmem_cache_alloc(dentry_slab, GFP_KERNEL | __GFP_ZERO);

	if (!dentry)
		return NULL;
	dentry->d_inode = inode;
	dentry->d_sb = inode->i_sb;
	spin_lock_init(&dentry->d_lock);
	return dentry;
}

/* The file takes over the reference to the inode. */
struct file *alloc_file_pseudo(struct inode *inode, struct vfsmount *mnt, const char *name, int flags,
			       const struct file_operations *fops)
{
	struct dentry *dentry = fl_dentry_alloc(inode);
	struct file *file;

	if (!dentry)
		return ERR_PTR(-ENOMEM);
	file = fl_file_alloc(fops, NULL);
	if (IS_ERR(file)) {
		kmem_cache_free(dentry_slab, dentry);
		return file;
	}
	file->f_inode = inode;
	*(struct path *)&file->f_path = (struct path){ .mnt = mnt, .dentry = dentry };
	file->f_mapping = inode->i_mapping;
	file->f_flags = flags;
	file->f_mode = OPEN_FMODE(flags) | FMODE_OPENED | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE |
		       (fops->read_iter ? FMODE_CAN_READ : 0) | (fops->write_iter ? FMODE_CAN_WRITE : 0);
	spin_lock_init(&file->f_lock);
	file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
	file_ra_state_init(&file->f_ra, file->f_mapping);
#if FL_KVER >= 600
	file->f_iocb_flags = iocb_flags(file);
#endif
	return file;
}

static void release(struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;

	if (file->f_op->release)
		file->f_op->release(file->f_inode, file);
	if (file->f_path.mnt) {
		if (!fl_canary_is(LEAK_INODE))
			iput(dentry->d_inode);
		kmem_cache_free(dentry_slab, dentry);
	}
	kmem_cache_free(file_cache, file);
}

void fput(struct file *file)
{
#ifdef FL_HAVE_FILE_REF
	if (!file_ref_put(&file->f_ref))
		return;
#else
	if (!atomic_long_dec_and_test(&file->f_count))
		return;
#endif
	if (file->f_path.mnt && nlater < LATER_MAX)
		later[nlater++] = file;
	else
		release(file);
}

/* As filp_close() calls it since 6.15. */
void fput_close(struct file *file) { fput(file); }

/* On the way to user space. */
void fl_files_release(void)
{
	while (unlikely(nlater))
		release(later[--nlater]);
}

#ifndef get_file_rcu
/* An mm may name the file that it executes; here none does. */
struct file *get_file_rcu(struct file __rcu **f)
{
	if (rcu_dereference_raw(*f))
		fl_report(FL_KIND_TOOL_ERROR, NULL, "get_file_rcu() of a file");
	return NULL;
}
#endif

int get_unused_fd_flags(unsigned int flags)
{
	for (int fd = 0; fd < FDS; fd++)
		if (!fds[fd]) {
			fds[fd] = FD_RESERVED;
			return fd;
		}
	return -EMFILE;
}

void put_unused_fd(unsigned int fd)
{
	fds[fd] = NULL;
}

void fd_install(unsigned int fd, struct file *file)
{
	fds[fd] = file;
}

struct file *fget(unsigned int fd)
{
	return fd < FDS && fds[fd] ? get_file(fds[fd]) : NULL;
}

/* keeps: the caller has the file for as long as its call takes.  leaves out: tables that others change meanwhile. */
#ifdef FL_HAVE_FDGET_FUNCTION
struct fd fdget(unsigned int fd)
{
	return fd < FDS ? BORROWED_FD(fds[fd]) : EMPTY_FD;
}
#else
unsigned long __fdget(unsigned int fd)
{
	return fd < FDS ? (unsigned long)fds[fd] : 0;
}
#endif

/* Takes the file out of the descriptor table: it now belongs to the caller. */
struct file *fl_file_take(int fd)
{
	struct file *file = fds[fd];

	fds[fd] = NULL;
	return file;
}

/* A descriptor for the caller's file, until it takes it back. */
int fl_file_lend(struct file *file)
{
	int fd = get_unused_fd_flags(0);

	if (fd >= 0)
		fd_install(fd, file);
	return fd;
}

#if FL_KVER >= 607
struct file *anon_inode_create_getfile(const char *name, const struct file_operations *fops, void *priv, int flags,
				       const struct inode *context)
#else
struct file *anon_inode_getfile_secure(const char *name, const struct file_operations *fops, void *priv, int flags,
				       const struct inode *context)
#endif
{
	struct file *file = fl_file_alloc(fops, priv);

	if (!IS_ERR(file))
		file->f_flags = flags;
	return file;
}

static int getfd(const struct file_operations *fops, void *priv, int flags)
{
	int fd = get_unused_fd_flags(flags);
	struct file *file;

	if (fd < 0)
		return fd;
	file = fl_file_alloc(fops, priv);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_flags = flags;
	fd_install(fd, file);
	return fd;
}

int anon_inode_create_getfd(const char *name, const struct file_operations *fops, void *priv, int flags,
			    const struct inode *context)
{
	return getfd(fops, priv, flags);
}

int anon_inode_getfd_secure(const char *name, const struct file_operations *fops, void *priv, int flags,
			    const struct inode *context)
{
	return getfd(fops, priv, flags);
}

int anon_inode_getfd(const char *name, const struct file_operations *fops, void *priv, int flags)
{
	return getfd(fops, priv, flags);
}
