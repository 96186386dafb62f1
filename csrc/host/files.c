// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files: what userfaultfd needs of them.
 * keeps: reference counts, release at the last one, descriptors.
 * leaves out: a table per process (a descriptor is passed to the monitor at once), inodes, paths.
 */
#include "host/host.h"
#include <linux/file.h>
#include <linux/anon_inodes.h>
#include <linux/slab.h>
#include <linux/fdtable.h>

#define FDS	(FL_UFFDS + 2)
#define FD_RESERVED	((struct file *)1)

static struct file *fds[FDS];
static struct kmem_cache *file_cache;
static struct inode the_inode;

void fl_files_init(void)
{
	file_cache = kmem_cache_create("filp", sizeof(struct file), 0, SLAB_HWCACHE_ALIGN, NULL);
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

void fput(struct file *file)
{
#ifdef FL_HAVE_FILE_REF
	if (!file_ref_put(&file->f_ref))
		return;
#else
	if (!atomic_long_dec_and_test(&file->f_count))
		return;
#endif
	if (file->f_op->release)
		file->f_op->release(&the_inode, file);
	kmem_cache_free(file_cache, file);
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

/* Takes the file out of the descriptor table: it now belongs to the caller. */
struct file *fl_file_take(int fd)
{
	struct file *file = fds[fd];

	fds[fd] = NULL;
	return file;
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
