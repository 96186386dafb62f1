// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program's pins and accesses from outside need around them.
 * keeps: pages held until they are given back, beyond their mapping and their process; pids; a buffer of each task.
 * leaves out: accounting of locked memory, a device's own address translation, permission to attach (root may).
 */
#include "host/pins.h"
#include <linux/migrate.h>
#include <linux/mm_inline.h>
#include <linux/ptrace.h>
#include <linux/swap.h>
#include <linux/xxhash.h>
#include "host/lru.h"

struct fl_pin fl_pins[FL_PINS];
int fl_pins_held;	/* handles whose pages are held, for a quick look */

static char local[FL_ID_MONITOR + 1][PAGE_SIZE] __aligned(PAGE_SIZE);
static u64 before[FL_PINS][FL_SLOTS];	/* what the held pages contain as the processes end */

char *fl_local(const struct fl_task *task)
{
	return local[task->id];
}

char *fl_local_at(unsigned long addr)
{
	return local[(addr - FL_WINDOW_LOCAL) >> PAGE_SHIFT];
}

void fl_pin_release(struct fl_pin *pin, bool dirty)
{
	struct fl_pin held = *pin;

	pin->used = false;	/* another task may take the handle while this one is at it */
	if (!held.ref)
		unpin_user_pages_dirty_lock(held.page, held.n, dirty && held.write);
	else
		for (int i = 0; i < held.n; i++)
			put_page(held.page[i]);
}

static u64 content(const struct page *page)
{
	return xxh64(page_to_virt(page), PAGE_SIZE, 0);
}

void fl_pins_before_exit(void)
{
	for (int k = 0; fl_pins_held && k < FL_PINS; k++)
		for (int i = 0; fl_pins[k].used && i < fl_pins[k].n; i++)
			before[k][i] = content(fl_pins[k].page[i]);
	if (fl_canary_is(SPOIL_PINNED))
		*(char *)page_to_virt(fl_pins[0].page[0]) ^= 1;
}

void fl_pins_after_exit(void)
{
	for (int k = 0; fl_pins_held && k < FL_PINS; k++) {
		struct fl_pin *pin = &fl_pins[k];

		for (int i = 0; pin->used && i < pin->n; i++)
			if (unlikely(before[k][i] != content(pin->page[i])))
				fl_report(FL_KIND_WRONG_DATA, NULL, "k%d: the page of a%d changed as its process ended", k,
					  pin->start + i);
		if (pin->used)
			fl_pin_release(pin, true);
	}
	fl_pins_held = 0;
}

int fl_pid_of(int process)
{
	for (int i = 0; i < FL_TASKS; i++)
		if (fl.task[process * FL_TASKS + i].state != FL_TASK_NONE)
			return fl.task[process * FL_TASKS + i].ts->pid;
	return fl_task_get(process, 0)->ts->pid;
}

struct task_struct *find_get_task_by_vpid(pid_t pid)
{
	for (int i = 0; i < FL_ID_MONITOR; i++)
		if (fl.task[i].state != FL_TASK_NONE && fl.task[i].ts->pid == pid)
			return get_task_struct(fl.task[i].ts);
	return NULL;
}

bool ptrace_may_access(struct task_struct *task, unsigned int mode)
{
	return true;
}

/* A frame of the target's, as compaction takes one from its free list. */
#ifdef FL_HAVE_NEW_FOLIO_T
static int is_of_file(struct page *page)
{
	return folio_is_file_lru(page_folio(page));
}

static struct folio *new_frame(struct folio *folio, unsigned long private)
{
	return folio_alloc(GFP_HIGHUSER_MOVABLE, folio_order(folio));
}
#else
static int is_of_file(struct page *page)
{
	return page_is_file_lru(page);
}

static struct page *new_frame(struct page *page, unsigned long private)
{
	struct page *frame = fl_page_alloc(GFP_HIGHUSER_MOVABLE | __GFP_COMP, compound_order(page));

	if (frame && PageTransHuge(frame))
		prep_transhuge_page(frame);
	return frame;
}
#endif

/* Takes the page that is mapped there off the LRU, as who migrates does; not if it is none of the LRU's. */
static void isolate(struct mm_struct *mm, unsigned long addr, struct list_head *list)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	struct page *page = vma && vma->vm_start <= addr ? fl_mapped_page(vma, addr) : NULL;

	if (!page)
		return;
	page = compound_head(page);
	get_page(page);
	if (fl_take_off_lru(page)) {
		list_add_tail(&page->lru, list);
		mod_node_page_state(page_pgdat(page), NR_ISOLATED_ANON + is_of_file(page), compound_nr(page));
	}
	put_page(page);
}

int fl_migrate(struct mm_struct *mm, unsigned long addr, unsigned int pages)
{
	unsigned int moved = 0;
	LIST_HEAD(list);

	lru_add_drain_all();
	mmap_read_lock(mm);
	for (unsigned int n = 0; n < pages; n++)
		isolate(mm, addr + n * PAGE_SIZE, &list);
	mmap_read_unlock(mm);
	if (list_empty(&list))
		return 0;
#ifdef FL_HAVE_MIGRATE_SUCCEEDED
	if (migrate_pages(&list, new_frame, NULL, 0, MIGRATE_SYNC, MR_COMPACTION, &moved))
#else
	if (migrate_pages(&list, new_frame, NULL, 0, MIGRATE_SYNC, MR_COMPACTION))
#endif
		putback_movable_pages(&list);
	return moved;
}
