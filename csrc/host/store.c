// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system for regular files: the page cache is the kernel's, behind it is a store of blocks in memory.
 * keeps: reading, writing, dirty pages and their write-back, holes, truncation; all by the kernel's generic code.
 * leaves out: names and directories, asynchronous completion, errors of the store.
 */
#include "host/host.h"
#include <linux/backing-dev.h>
#include <linux/buffer_head.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/ioprio.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/writeback.h>

/* Files grow no larger: the last page that a program can name, and one more for mistakes to show. */
#define BLOCKS	(FL_FILE_PAGES + 1)

struct store {
	char *block[BLOCKS];	/* NULL: a hole */
};

static struct vfsmount *store_mnt;
static struct address_space_operations store_aops;

#ifdef FL_HAVE_TASK_IOPRIO_EXTERN
int __get_task_ioprio(struct task_struct *task)
{
	return IOPRIO_DEFAULT;
}
#endif

#ifdef FL_HAVE_BUFFERS_WITH_BLOCK
int inode_has_buffers(struct inode *inode)
{
	return !list_empty(&inode->i_data.private_list);
}
#endif

static struct store *store_of(struct inode *inode)
{
	return inode->i_private;
}

static void forget(struct inode *inode, unsigned long from, unsigned long to)
{
	for (unsigned long i = from; i < min_t(unsigned long, to, BLOCKS); i++) {
		kfree(store_of(inode)->block[i]);
		store_of(inode)->block[i] = NULL;
	}
}

static void load(struct inode *inode, struct page *page, unsigned long index)
{
	const char *block = index < BLOCKS ? store_of(inode)->block[index] : NULL;

	if (block)
		memcpy(page_to_virt(page), block, PAGE_SIZE);
	else
		memset(page_to_virt(page), 0, PAGE_SIZE);
}

static int make_room(struct inode *inode, unsigned long index)
{
	char **block = &store_of(inode)->block[index];

	if (index >= BLOCKS)
		return -EFBIG;
	if (!*block)
		*block = kmalloc(PAGE_SIZE, GFP_NOFS);
	return *block ? 0 : -ENOMEM;
}

static void save(struct inode *inode, struct page *page, unsigned long index)
{
	char **block = &store_of(inode)->block[index];

	memcpy(*block, page_to_virt(page), PAGE_SIZE);
	if (fl_canary_is(LOSE_WRITEBACK))
		memset(*block, 0, PAGE_SIZE);
}

#if FL_KVER >= 519
static void redirty(struct writeback_control *wbc, struct page *page)
{
	folio_redirty_for_writepage(wbc, page_folio(page));
}

static int store_read(struct file *file, struct folio *folio)
{
	load(folio->mapping->host, &folio->page, folio->index);
	folio_mark_uptodate(folio);
	folio_unlock(folio);
	return 0;
}
#else
static void redirty(struct writeback_control *wbc, struct page *page)
{
	redirty_page_for_writepage(wbc, page);
}

static int store_read(struct file *file, struct page *page)
{
	load(page->mapping->host, page, page->index);
	SetPageUptodate(page);
	unlock_page(page);
	return 0;
}
#endif

/* The write is over at once.  A page for which there is no block yet and no memory stays dirty. */
#ifdef FL_HAVE_WRITEBACK_PAGE
static int store_write(struct page *page, struct writeback_control *wbc, void *data)
{
	pgoff_t index = page->index;
#else
static int store_write(struct folio *folio, struct writeback_control *wbc, void *data)
{
	struct page *page = &folio->page;
	pgoff_t index = folio->index;
#endif
	int err = make_room(page->mapping->host, index);

	if (err) {
		redirty(wbc, page);
		unlock_page(page);
		return err;
	}
	set_page_writeback(page);
	save(page->mapping->host, page, index);
	unlock_page(page);
	end_page_writeback(page);
	return 0;
}

static int store_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
#ifdef FL_HAVE_WRITE_CACHE_PAGES
	return write_cache_pages(mapping, wbc, store_write, NULL);
#else
	struct folio *folio = NULL;
	int err = 0;

	while ((folio = writeback_iter(mapping, wbc, folio, &err)))
		err = store_write(folio, wbc, NULL);
	return err;
#endif
}

static int store_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return file_write_and_wait_range(file, start, end);
}

/* Who reads pages from the store must not find blocks that are about to go.  Older trees have no such lock. */
static void begin_to_forget(struct inode *inode)
{
#ifdef FL_HAVE_INVALIDATE_LOCK
	filemap_invalidate_lock(inode->i_mapping);
#endif
}

static void have_forgotten(struct inode *inode)
{
#ifdef FL_HAVE_INVALIDATE_LOCK
	filemap_invalidate_unlock(inode->i_mapping);
#endif
}

static long store_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);

	inode_lock(inode);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		begin_to_forget(inode);
		truncate_pagecache_range(inode, offset, offset + len - 1);
		forget(inode, offset >> PAGE_SHIFT, (offset + len) >> PAGE_SHIFT);
		have_forgotten(inode);
	} else if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + len > i_size_read(inode)) {
		i_size_write(inode, offset + len);
	}
	inode_unlock(inode);
	return 0;
}

static void set_size(struct inode *inode, const struct iattr *attr)
{
	begin_to_forget(inode);
	truncate_setsize(inode, attr->ia_size);
	forget(inode, DIV_ROUND_UP(attr->ia_size, PAGE_SIZE), BLOCKS);
	have_forgotten(inode);
}

#if FL_KVER >= 603
static int store_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
#elif FL_KVER >= 512
static int store_setattr(struct user_namespace *ns, struct dentry *dentry, struct iattr *attr)
#else
static int store_setattr(struct dentry *dentry, struct iattr *attr)
#endif
{
	if (attr->ia_valid & ATTR_SIZE)
		set_size(d_inode(dentry), attr);
	return 0;
}

static void store_evict(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	forget(inode, 0, BLOCKS);
	kfree(inode->i_private);
}

static int store_drop(struct inode *inode)
{
	return 1;	/* the inode goes with its last reference: it has no name */
}

static const struct super_operations store_super_ops = {
	.evict_inode = store_evict,
	.drop_inode = store_drop,
};

static const struct inode_operations store_inode_ops = {
	.setattr = store_setattr,
};

static const struct file_operations store_file_ops = {
	.read_iter = generic_file_read_iter,
	.write_iter = generic_file_write_iter,
	.mmap = generic_file_mmap,
	.fsync = store_fsync,
	.fallocate = store_fallocate,
	.llseek = generic_file_llseek,
};

static struct inode *store_inode(struct super_block *sb, umode_t mode)
{
	struct store *store = kzalloc(sizeof(*store), GFP_KERNEL);
	struct inode *inode = store ? new_inode(sb) : NULL;

	if (!inode) {
		kfree(store);
		return NULL;
	}
	inode->i_private = store;
	inode->i_mode = mode;
	inode->i_op = &store_inode_ops;
	inode->i_fop = &store_file_ops;
	inode->i_mapping->a_ops = &store_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER_MOVABLE);
	inode->i_ino = get_next_ino();
	insert_inode_hash(inode);
	return inode;
}

static int store_fill_super(struct super_block *sb, struct fs_context *fc)
{
	sb->s_op = &store_super_ops;
	/* As for any disk: no limit that what is mapped beyond the end of a file could meet. */
	sb->s_maxbytes = MAX_NON_LFS;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_bdi = bdi_alloc(NUMA_NO_NODE);
	if (!sb->s_bdi)
		return -ENOMEM;
	set_bit(WB_registered, &sb->s_bdi->wb.state);	/* as bdi_register(), which makes a device too */
	sb->s_root = d_make_root(store_inode(sb, S_IFDIR | 0777));
	return sb->s_root ? 0 : -ENOMEM;
}

static int store_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, store_fill_super);
}

static const struct fs_context_operations store_context_ops = {
	.get_tree = store_get_tree,
};

static int store_init_context(struct fs_context *fc)
{
	fc->ops = &store_context_ops;
	return 0;
}

static struct file_system_type store_type = {
	.name = "store",
	.init_fs_context = store_init_context,
};

/* As open() with O_TMPFILE. */
struct file *fl_store_open(void)
{
	struct inode *inode = store_inode(store_mnt->mnt_sb, S_IFREG | 0600);
	struct file *file;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	clear_nlink(inode);
	file = alloc_file_pseudo(inode, store_mnt, "tmpfile", O_RDWR | O_LARGEFILE, &store_file_ops);
	if (IS_ERR(file))
		iput(inode);
	return file;
}

void fl_store_boot(void)
{
#ifdef FL_HAVE_RAM_AOPS
	store_aops = ram_aops;
#else
	store_aops.write_begin = simple_write_begin;
	store_aops.write_end = simple_write_end;
	store_aops.set_page_dirty = __set_page_dirty_no_writeback;
#endif
#if FL_KVER >= 519
	store_aops.read_folio = store_read;
#else
	store_aops.readpage = store_read;
#endif
#if FL_KVER >= 518
	store_aops.dirty_folio = filemap_dirty_folio;
#else
	store_aops.set_page_dirty = __set_page_dirty_nobuffers;
#endif
	store_aops.writepages = store_writepages;
#if FL_KVER >= 600 && defined(CONFIG_MIGRATION)
	store_aops.migrate_folio = filemap_migrate_folio;
#endif
	store_mnt = kern_mount(&store_type);
}
