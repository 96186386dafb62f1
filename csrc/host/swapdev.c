// SPDX-License-Identifier: GPL-2.0-only
/*
 * A swap device, and the block layer as far as swap needs it.
 * keeps: a swap file on a solid-state disk with the header that mkswap writes, large or so small that it is soon full;
 * contents by sector; bios with their end_io; a device that is done before submit_bio() returns, or one that is done when
 * whoever waits has gone to sleep, at the latest when the operation has ended, and while operations overlap at any time;
 * I/O errors.
 * leaves out: plugging, merging, splitting, limits, accounting.  Requests are done in the order in which they came.
 */
#include "host/swapdev.h"
#include "check/held.h"
#include "sched/sched.h"
#include <linux/backing-dev.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/dcache.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/syscalls.h>

#define DEVICE_PAGES	2048UL
#define SMALL_SLOTS	4UL
#define SECTORS		(PAGE_SIZE / 512)
#define NEVER_WRITTEN	0xd7

static FL_KEEP char *medium;
static DECLARE_BITMAP(written, DEVICE_PAGES);

static const struct block_device_operations disk_ops;
static struct gendisk disk;
static struct request_queue queue;
static struct block_device bdev;
static struct super_block super;
static struct inode inode;
static struct dentry dentry;
static struct filename name;
static bool is_on, is_turning;
static unsigned long last_page;		/* of the file, the one with the header is the first */

struct bio *fl_swapdev_queue;
static struct bio **queue_end = &fl_swapdev_queue;

static void transfer_page(char *page, unsigned long at, bool write)
{
	if (write) {
		memcpy(medium + at * PAGE_SIZE, page, PAGE_SIZE);
		medium[at * PAGE_SIZE] ^= fl_canary_is(SWAP_BYTE);
		__set_bit(at, written);
	} else if (test_bit(at, written)) {
		memcpy(page, medium + at * PAGE_SIZE, PAGE_SIZE);
	} else {
		memset(page, NEVER_WRITTEN, PAGE_SIZE);
	}
}

/* How many entries of its table are asked for: not every kernel counts them, but all say how many bytes they are. */
static unsigned int vecs_of(const struct bio *bio)
{
	unsigned int n = 0;

	for (unsigned int bytes = 0; bytes < bio->bi_iter.bi_size; n++)
		bytes += bio->bi_io_vec[n].bv_len;
	return n;
}

static void transfer(struct bio *bio)
{
	unsigned long at = bio->bi_iter.bi_sector / SECTORS;
	bool write = op_is_write(bio_op(bio));

	bio->bi_status = fl_fails(write ? FL_FAULT_SWAP_WRITE : FL_FAULT_SWAP_READ) ? BLK_STS_IOERR : BLK_STS_OK;
	for (unsigned int i = 0; i < vecs_of(bio); i++) {
		const struct bio_vec *vec = &bio->bi_io_vec[i];

		for (unsigned int done = 0; done < vec->bv_len; done += PAGE_SIZE, at++) {
			if (at >= DEVICE_PAGES)
				fl_report(FL_KIND_KERNEL_BUG, NULL, "I/O beyond the end of the swap device");
			if (bio->bi_status == BLK_STS_OK)
				transfer_page(page_to_virt(vec->bv_page) + vec->bv_offset + done, at, write);
		}
	}
}

static bool is_sync(void)
{
	return disk.private_data;
}

/* A read holds each folio's lock, and whoever completes it lets go of them. */
static unsigned int locks_of(const struct bio *bio)
{
	return op_is_write(bio_op(bio)) ? 0 : vecs_of(bio);
}

static const void *lock_of(const struct bio *bio, unsigned int i)
{
	return &bio->bi_io_vec[i].bv_page->flags;
}

static void submit(struct bio *bio)
{
	if (is_sync()) {
		transfer(bio);
		bio_endio(bio);
		return;
	}
	for (unsigned int i = 0; i < locks_of(bio); i++)
		fl_held_hand_over(lock_of(bio, i), FL_LOCK_FOLIO);
	if (!fl_swapdev_queue)
		fl.task[FL_ID_DISK].op = fl.cur->op;
	fl_race_publish(&fl_swapdev_queue);
	bio->bi_next = NULL;
	*queue_end = bio;
	queue_end = &bio->bi_next;
}

/* As the disk's interrupt does, on whatever CPU: nothing in it may sleep. */
bool fl_swapdev_interrupt(void)
{
	struct bio *bio = fl_swapdev_queue;

	if (!bio)
		return false;
	fl.cur->events = fl.cur->nreleased = 0;
	fl_race_learn(&fl_swapdev_queue);
	fl_swapdev_queue = NULL;
	queue_end = &fl_swapdev_queue;
	preempt_disable();
	while (bio) {
		struct bio *next = bio->bi_next;

		for (unsigned int i = 0; i < locks_of(bio); i++)
			fl_held_add(lock_of(bio, i), FL_LOCK_FOLIO, __builtin_return_address(0));
		transfer(bio);
		bio_endio(bio);
		bio = next;
	}
	preempt_enable();
	return true;
}

#if FL_KVER >= 516
void submit_bio(struct bio *bio) { submit(bio); }
#else
blk_qc_t submit_bio(struct bio *bio)
{
	submit(bio);
	return BLK_QC_T_NONE;
}
#endif

/*
 * Where a driver could take a page without a bio, swap calls a device synchronous if its driver can.  This disk's always
 * asks for the bio.
 */
#ifdef FL_HAVE_RW_PAGE
static const struct block_device_operations sync_ops = { .rw_page = (void *)bdev_read_page };
#else
#define sync_ops disk_ops
#endif

int bdev_read_page(struct block_device *dev, sector_t sector, struct page *page)
{
	return -EOPNOTSUPP;
}

int bdev_write_page(struct block_device *dev, sector_t sector, struct page *page, struct writeback_control *wbc)
{
	return -EOPNOTSUPP;
}

int submit_bio_wait(struct bio *bio)
{
	fl_check_sleep("submit_bio_wait()");
	transfer(bio);
	return blk_status_to_errno(bio->bi_status);
}

#ifdef FL_HAVE_BLK_POLL
/* keeps: a disk that nobody can ask whether it is done, so that who waits sleeps. */
int blk_poll(struct request_queue *q, blk_qc_t cookie, bool spin)
{
	return 0;
}
#endif

/* leaves out: that whoever waits too long for the disk looks up once in a while. */
void blk_io_schedule(void)
{
	io_schedule();
}

void bio_endio(struct bio *bio)
{
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

int blk_status_to_errno(blk_status_t status)
{
	return status == BLK_STS_OK ? 0 : -EIO;
}

static void init_bio(struct bio *bio, struct block_device *dev, struct bio_vec *table, unsigned int max)
{
	memset(bio, 0, sizeof(*bio));
#if FL_KVER >= 512
	bio->bi_bdev = dev;
#endif
	bio->bi_io_vec = table;
	bio->bi_max_vecs = max;
	atomic_set(&bio->__bi_remaining, 1);
	atomic_set(&bio->__bi_cnt, 1);
}

static struct bio *alloc_bio(struct block_device *dev, unsigned int vecs, gfp_t gfp)
{
	struct bio *bio = kzalloc(sizeof(*bio) + vecs * sizeof(struct bio_vec), gfp);

	if (bio)
		init_bio(bio, dev, (struct bio_vec *)(bio + 1), vecs);
	return bio;
}

#if FL_KVER >= 518
void bio_init(struct bio *bio, struct block_device *dev, struct bio_vec *table, unsigned short max, blk_opf_t opf)
{
	init_bio(bio, dev, table, max);
	bio->bi_opf = opf;
}

/* keeps: an allocation that cannot fail where it may sleep. */
struct bio *bio_alloc_bioset(struct block_device *dev, unsigned short vecs, blk_opf_t opf, gfp_t gfp,
			     struct bio_set *set)
{
	struct bio *bio = alloc_bio(dev, vecs, gfp | __GFP_NOFAIL);

	bio->bi_opf = opf;
	return bio;
}
#else
void bio_init(struct bio *bio, struct bio_vec *table, unsigned short max)
{
	init_bio(bio, NULL, table, max);
}

struct bio *bio_alloc_bioset(gfp_t gfp, unsigned int vecs, struct bio_set *set)
{
	return alloc_bio(NULL, vecs, gfp | __GFP_NOFAIL);
}

#ifdef CONFIG_BLK_CGROUP
/* leaves out: block cgroups. */
void bio_associate_blkg(struct bio *bio) { }
#endif
#endif

/* leaves out: what cgroups and the like tie to a bio. */
void bio_uninit(struct bio *bio) { }

void bio_put(struct bio *bio)
{
	if (atomic_dec_and_test(&bio->__bi_cnt))
		kfree(bio);
}

static void add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset)
{
	BUG_ON(bio->bi_vcnt == bio->bi_max_vecs);
	bio->bi_io_vec[bio->bi_vcnt++] = (struct bio_vec){ .bv_page = page, .bv_len = len, .bv_offset = offset };
	bio->bi_iter.bi_size += len;
}

int bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset)
{
	add_page(bio, page, len, offset);
	return len;
}

void __bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset)
{
	add_page(bio, page, len, offset);
}

#ifdef FL_HAVE_FOLIO
void bio_add_folio_nofail(struct bio *bio, struct folio *folio, size_t len, size_t offset)
{
	add_page(bio, &folio->page, len, offset);
}
#endif

/*
 * The pool of which bios are taken with all that they read or write.
 * keeps: a request that may sleep cannot fail.  leaves out: the reserve that this takes.
 */
#ifdef FL_HAVE_SWAP_OPS
#include <linux/mempool.h>

mempool_t *mempool_create_node_noprof(int min_nr, mempool_alloc_t *alloc, mempool_free_t *free, void *data, gfp_t gfp,
				      int node)
{
	mempool_t *pool = kzalloc(sizeof(*pool), gfp);

	if (pool) {
		pool->alloc = alloc;
		pool->free = free;
		pool->pool_data = data;
	}
	return pool;
}

void *mempool_alloc_noprof(mempool_t *pool, gfp_t gfp)
{
	return pool->alloc(gfp & __GFP_DIRECT_RECLAIM ? gfp | __GFP_NOFAIL : gfp, pool->pool_data);
}

void mempool_free(void *element, mempool_t *pool)
{
	if (element)
		pool->free(element, pool->pool_data);
}

void *mempool_kmalloc(gfp_t gfp, void *size) { return kmalloc((size_t)size, gfp); }
void mempool_kfree(void *element, void *size) { kfree(element); }
#endif

/*
 * The file on it.
 * keeps: what swapon() and swapoff() ask of a regular file: inode, dentry, page cache with the header, blocks in one piece.
 * leaves out: paths, open flags.
 */
static void fill_header(char *page)
{
	union swap_header *header = (void *)page;

	memset(page, 0, PAGE_SIZE);
	header->info.version = 1;
	header->info.last_page = last_page;
	memcpy(header->magic.magic, "SWAPSPACE2", 10);
}

#ifdef FL_HAVE_FOLIO
static int read_header(struct file *file, struct folio *folio)
{
	fill_header(page_to_virt(&folio->page));
	folio_mark_uptodate(folio);
	folio_unlock(folio);
	return 0;
}
#else
static int read_header(struct file *file, struct page *page)
{
	fill_header(page_to_virt(page));
	SetPageUptodate(page);
	unlock_page(page);
	return 0;
}
#endif

static int activate(struct swap_info_struct *si, struct file *file, sector_t *span)
{
	*span = si->pages;
	return add_swap_extent(si, 0, si->max, 0);
}

static void deactivate(struct file *file) { }

static const struct address_space_operations mapping_ops = {
#ifdef FL_HAVE_FOLIO
	.read_folio = read_header,
#else
	.readpage = read_header,
#endif
	.swap_activate = activate,
	.swap_deactivate = deactivate,
};

static int release(struct inode *of, struct file *file)
{
	truncate_inode_pages(&inode.i_data, 0);
	return 0;
}

static const struct file_operations file_ops = { .release = release };

static void set_kind(int kind)
{
	bool sync = kind == FL_SWAP_DEVICE_SYNC || kind == FL_SWAP_DEVICE_SMALL_SYNC;
	bool small = kind == FL_SWAP_DEVICE_SMALL_SYNC || kind == FL_SWAP_DEVICE_SMALL_ASYNC;

	last_page = small ? SMALL_SLOTS : DEVICE_PAGES - 1;
	disk.private_data = sync ? &disk : NULL;
	disk.fops = sync ? &sync_ops : &disk_ops;
#ifdef BLK_FEAT_SYNCHRONOUS
	queue.limits.features = sync ? BLK_FEAT_SYNCHRONOUS : 0;
#else
	__set_bit(QUEUE_FLAG_NONROT, &queue.queue_flags);
#endif
}

static void init_objects(void)
{
	struct address_space *mapping = &inode.i_data;

	if (!medium)
		medium = fl_posix_map_arena(DEVICE_PAGES * PAGE_SIZE);
	disk.queue = &queue;
	bdev.bd_disk = &disk;
#if FL_KVER >= 517
	bdev.bd_queue = &queue;
#endif
	super.s_bdev = &bdev;
	super.s_bdi = &noop_backing_dev_info;
	init_rwsem(&inode.i_rwsem);
	spin_lock_init(&inode.i_lock);
	inode.i_mode = S_IFREG;
	inode.i_sb = &super;
	inode.i_size = DEVICE_PAGES * PAGE_SIZE;
	inode.i_mapping = mapping;
	xa_init_flags(&mapping->i_pages, XA_FLAGS_LOCK_IRQ | XA_FLAGS_ACCOUNT);
	init_rwsem(&mapping->i_mmap_rwsem);
	mapping->i_mmap = RB_ROOT_CACHED;
	mapping->host = &inode;
	mapping->a_ops = &mapping_ops;
	mapping_set_gfp_mask(mapping, GFP_KERNEL);
	dentry.d_inode = &inode;
	dentry.d_parent = &dentry;
	name.name = "/dev/swap";
}

struct open_flags;

struct file *do_filp_open(int dfd, struct filename *path, const struct open_flags *flags)
{
	struct file *file = fl_file_alloc(&file_ops, NULL);

	if (IS_ERR(file))
		return file;
	file->f_inode = &inode;
	file->f_mapping = &inode.i_data;
	*(struct dentry **)&file->f_path.dentry = &dentry;
	return file;
}

/* Its name since 7.0. */
struct file *do_file_open(int dfd, struct filename *path, const struct open_flags *flags)
{
	return do_filp_open(dfd, path, flags);
}

#if FL_KVER < 619
struct filename *getname(const char __user *path) { return &name; }
#else
struct filename *getname_flags(const char __user *path, int flags) { return &name; }
#endif
void putname(struct filename *path) { }

bool fl_swap_is_on(void)
{
	return is_on;
}

int fl_swap_on(int kind)
{
	int err;

	if (!IS_ENABLED(CONFIG_SWAP))
		return -ENOSYS;		/* programs go on without, as on a machine that has none */
	while (is_turning)	/* another task is at it */
		fl_sched_yield("swapon");
	if (is_on)
		return 0;
	is_turning = true;
	if (!inode.i_sb)
		init_objects();
	set_kind(kind);
	bitmap_zero(written, DEVICE_PAGES);
	err = sys_swapon((const char __user *)FL_WINDOW_ARGS, 0);
	is_on = !err;
	is_turning = false;
	return err;
}

int fl_swap_off(void)
{
	int err = sys_swapoff((const char __user *)FL_WINDOW_ARGS);

	if (!err)
		is_on = false;
	return err;
}
