// SPDX-License-Identifier: GPL-2.0-only
/*
 * A secondary MMU for each process that asks for one, as a virtual machine monitor has it: it keeps translations without
 * a reference to the page, and relies on mmu notifiers to be told before a translation is no longer good.
 * keeps: the real registration, retry when an invalidation runs beside a fault, translations by page and permission.
 * leaves out: ageing, large translations.
 */
#include "host/ops.h"
#include "sched/sched.h"
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/pagemap.h>

#ifdef FL_HAVE_HONOR_NUMA_FAULT
#define FAULT_HINTS	FOLL_HONOR_NUMA_FAULT	/* as the page table: a hinted page is not there */
#else
#define FAULT_HINTS	0
#endif
#define WRITABLE	1UL
#define TRIES_MAX	1000

struct guest {
	struct mmu_notifier notifier;
	struct mm_struct *mm;		/* NULL: there is none */
	bool starting;			/* a task is at it */
	bool gone;			/* the address space is being torn down */
	unsigned int invalidating;
	unsigned long sequence;		/* of invalidations */
	unsigned int valid;		/* bit per slot */
	unsigned long entry[FL_SLOTS];	/* pfn << 1 | WRITABLE */
};

static struct guest guests[FL_PROCESSES];
unsigned int fl_guest_entries;

static struct guest *guest_of(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct guest, notifier);
}

static void drop(struct guest *guest, unsigned long start, unsigned long end)
{
	for (unsigned int slots = guest->valid; slots; slots &= slots - 1) {
		unsigned int slot = __builtin_ctz(slots);
		unsigned long addr = fl_slot_addr(slot);

		if (addr < start || addr >= end)
			continue;
		guest->valid &= ~(1U << slot);
		fl_guest_entries--;
	}
}

static int invalidate_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct guest *guest = guest_of(notifier);

	if (mmu_notifier_range_blockable(range))
		fl_check_sleep("mmu_notifier_invalidate_range_start()");
	guest->invalidating++;
	if (!fl_canary_is(SKIP_NOTIFIER))
		drop(guest, range->start, range->end);
	return 0;
}

static void invalidate_end(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct guest *guest = guest_of(notifier);

	if (unlikely(!guest->invalidating--))
		fl_report(FL_KIND_NOTIFIER_MISSED, NULL, "the end of an invalidation that never began");
	guest->sequence++;
}

static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct guest *guest = guest_of(notifier);

	guest->gone = true;
	drop(guest, 0, ~0UL);
}

static const struct mmu_notifier_ops ops = {
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
	.release = release,
};

static int start(struct guest *guest, struct mm_struct *mm)
{
	int err;

	while (guest->starting)
		fl_sched_yield("the start of a guest");
	if (guest->mm)
		return 0;
	memset(guest, 0, sizeof(*guest));
	guest->starting = true;
	guest->notifier.ops = &ops;
	err = mmu_notifier_register(&guest->notifier, mm);
	guest->starting = false;
	if (!err)
		guest->mm = mm;
	return err;
}

/* The process is gone: so is its guest, which let go of all pages when the address space was torn down. */
void fl_guest_ended(int process)
{
	struct guest *guest = &guests[process];

	if (!guest->mm)
		return;
	mmu_notifier_unregister(&guest->notifier, guest->mm);
	guest->mm = NULL;
}

/* Notes where the page lies, unless an invalidation came in between. */
static bool note(struct guest *guest, unsigned int slot, struct page *page, bool write, unsigned long sequence)
{
	if (guest->invalidating || guest->sequence != sequence)
		return false;
	if (!(guest->valid & (1U << slot)))
		fl_guest_entries++;
	guest->valid |= 1U << slot;
	guest->entry[slot] = page_to_pfn(page) << 1 | (write ? WRITABLE : 0);
	return true;
}

/* Where the guest finds the page of a slot, NULL with an errno that ends the access. */
static char *translate(struct guest *guest, unsigned int slot, bool write, long *err)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		unsigned long sequence = guest->sequence, entry = guest->entry[slot];
		struct page *page;

		if (guest->valid & (1U << slot) && (!write || entry & WRITABLE))
			return pfn_to_virt(entry >> 1);
		*err = get_user_pages_unlocked(fl_slot_addr(slot), 1, &page,
					       FAULT_HINTS | (write ? FOLL_WRITE : 0));
		if (*err != 1)
			return NULL;
		note(guest, slot, page, write, sequence);
		put_page(page);
		if (guest->invalidating && fl_overlap)
			fl_sched_yield("a guest's access");
	}
	fl_report(FL_KIND_HANG, NULL, "the guest's access faults again and again");
}

static char *guest_page(struct fl_task *task, unsigned int slot, bool write)
{
	struct guest *guest = &guests[task->process];
	long err = start(guest, task->ts->mm);
	char *page = err ? NULL : translate(guest, slot, write, &err);

	if (!page)
		fl_result(task, err);
	return page;
}

void fl_op_guest_read(struct fl_task *task, const unsigned char *v)
{
	char *page = guest_page(task, v[0], false);

	if (page)
		fl_done(task, fl_posix_is_uniform(page) ? (unsigned char)page[0] : FL_VALUE_MIXED);
}

void fl_op_guest_write(struct fl_task *task, const unsigned char *v)
{
	char *page = guest_page(task, v[0], true);

	if (!page)
		return;
	memset(page, v[1], PAGE_SIZE);
	fl_done(task, 0);
}

/* Documentation/mm/mmu_notifier.rst: who listens is told before the page goes away. */
void fl_guest_page_freed(unsigned long pfn)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		for (unsigned int slots = guests[p].valid; slots; slots &= slots - 1)
			if (unlikely(guests[p].entry[__builtin_ctz(slots)] >> 1 == pfn))
				fl_report(FL_KIND_NOTIFIER_MISSED, NULL,
					  "a page is freed while a secondary MMU of p%d still maps it at a%d", p,
					  __builtin_ctz(slots));
}

static void check_entry(int process, const struct guest *guest, unsigned int slot)
{
	unsigned long entry = guest->entry[slot], pte = fl_pte_value(guest->mm, fl_slot_addr(slot));
	const char *wrong = NULL;

	if (!(pte & _PAGE_PRESENT))
		wrong = "the page table maps no page there";
	else if (pte_pfn(__pte(pte)) != entry >> 1)
		wrong = "the page table leads to another page";
	else if ((entry & WRITABLE) && !(pte & _PAGE_WRITE))
		wrong = "writing, which the page table forbids";
	if (unlikely(wrong))
		fl_report(FL_KIND_NOTIFIER_MISSED, NULL, "a secondary MMU of p%d was not told: it still maps a%u, %s",
			  process, slot, wrong);
}

/* After an operation.  An invalidation under way belongs to a task that sleeps in the middle of its work. */
void fl_guest_check(void)
{
	for (int p = 0; p < FL_PROCESSES; p++) {
		const struct guest *guest = &guests[p];

		if (guest->invalidating)
			continue;
		for (unsigned int slots = guest->valid; slots; slots &= slots - 1)
			check_entry(p, guest, __builtin_ctz(slots));
	}
}
