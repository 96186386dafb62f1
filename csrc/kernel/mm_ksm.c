// SPDX-License-Identifier: GPL-2.0-only
/* KSM: what its kernel thread does, on demand.  The lock checker looks at what it does to a page's entry. */
#include <linux/mm.h>
#include <linux/pgtable.h>
pte_t fl_ksm_clear_flush(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep);
#define ptep_clear_flush fl_ksm_clear_flush
#include FL_SOURCE
#undef ptep_clear_flush
#include "host/host.h"

#define VISITS	2	/* the first look at a page only notes its checksum */

void fl_ksm_boot(void)
{
	zero_checksum = calc_checksum(ZERO_PAGE(0));
	ksm_slab_init();
	ksm_run = KSM_RUN_MERGE;
	ksm_use_zero_pages = IS_ENABLED(CONFIG_FL_KSM_ZERO_PAGES);
}

/* A process that KSM knows, and a page of it, by the names that the tree gives them. */
#ifdef FL_HAVE_KSM_MM_SLOT
typedef struct ksm_mm_slot fl_ksm_process;
typedef struct ksm_rmap_item fl_ksm_item;

static fl_ksm_process *find_process(struct mm_struct *mm)
{
	struct mm_slot *slot = mm_slot_lookup(mm_slots_hash, mm);

	return slot ? mm_slot_entry(slot, struct ksm_mm_slot, slot) : NULL;
}
#else
typedef struct mm_slot fl_ksm_process;
typedef struct rmap_item fl_ksm_item;

static fl_ksm_process *find_process(struct mm_struct *mm)
{
	return get_mm_slot(mm);
}
#endif

/* The item for `addr` in the mm's list, which is sorted by address. */
static fl_ksm_item *item_at(fl_ksm_process *process, unsigned long addr)
{
	fl_ksm_item **link = &process->rmap_list;

	while (*link && ((*link)->address & PAGE_MASK) < addr)
		link = &(*link)->rmap_list;
	return get_next_rmap_item(process, link, addr);
}

/* The page that the scanner would find there, with a reference; NULL if it would pass on. */
static struct page *candidate(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	struct page *page;

	if (!vma || vma->vm_start > addr || !(vma->vm_flags & VM_MERGEABLE) || !vma->anon_vma)
		return NULL;
	page = fl_mapped_page(vma, addr);
	if (!page || !PageAnon(page))
		return NULL;
	get_page(page);
	return page;
}

static void visit(struct mm_struct *mm, unsigned long addr)
{
	fl_ksm_process *process = find_process(mm);
	fl_ksm_item *item = NULL;
	struct page *page;

	if (!process)
		return;
	mmap_read_lock(mm);
	page = candidate(mm, addr);
	if (page)
		item = item_at(process, addr);
	mmap_read_unlock(mm);
	if (item)
		cmp_and_merge_page(page, item);
	if (page)
		put_page(page);
}

/*
 * The unstable tree lives for one scan: it starts empty, and an item in it is taken out before the next one begins (the
 * scanner sees to that by coming to every item, here only the pages at hand are come to).
 */
static void leave_unstable_tree(struct mm_struct *mm, unsigned long addr)
{
	fl_ksm_process *process = find_process(mm);
	fl_ksm_item *item;

	if (!process)
		return;
	for (item = process->rmap_list; item; item = item->rmap_list)
		if ((item->address & PAGE_MASK) == addr && (item->address & UNSTABLE_FLAG))
			remove_rmap_item_from_tree(item);
}

/* A scan that looks at the given pages only, twice. */
void fl_ksm_merge(struct mm_struct *mm, unsigned long addr, unsigned int pages)
{
	mutex_lock(&ksm_thread_mutex);
	lru_add_drain_all();
	for (int nid = 0; nid < ksm_nr_node_ids; nid++)
		root_unstable_tree[nid] = RB_ROOT;
	for (int i = 0; i < VISITS; i++)
		for (unsigned int n = 0; n < pages; n++)
			visit(mm, addr + n * PAGE_SIZE);
	for (unsigned int n = 0; n < pages; n++)
		leave_unstable_tree(mm, addr + n * PAGE_SIZE);
	mutex_unlock(&ksm_thread_mutex);
}

/* One full scan: it ends by itself when it has come round. */
void fl_ksm_scan(void)
{
	mutex_lock(&ksm_thread_mutex);
	ksm_do_scan(UINT_MAX);
	mutex_unlock(&ksm_thread_mutex);
}

/* As writing 2 to /sys/kernel/mm/ksm/run, when all processes are gone. */
void fl_ksm_cleanup(void)
{
	mutex_lock(&ksm_thread_mutex);
	unmerge_and_remove_all_rmap_items();
	mutex_unlock(&ksm_thread_mutex);
}
