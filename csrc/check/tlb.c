// SPDX-License-Identifier: GPL-2.0-only
/*
 * The software TLB, and its checks: no entry outlives its page, and once an operation has ended none allows more than the
 * page table does.
 */
#include "sched/sched.h"
#include <linux/pgtable.h>

#define ASIDS	64
#define WRITABLE	1UL

struct tlb {
	unsigned int valid[ASIDS];			/* bit per slot */
	unsigned int huge[ASIDS];			/* bit per slot: part of the entry of a huge page */
	unsigned long entry[ASIDS][FL_SLOTS];	/* pfn << 1 | WRITABLE */
};

static struct tlb tlbs[FL_CPUS_MAX];

/* What stands for a CPU's TLB at scheduling points. */
const void *fl_tlb_of(int cpu)
{
	return &tlbs[cpu];
}
static struct mm_struct *mm_of[ASIDS];
static unsigned long asids_used = 1;		/* 0 means none */
static unsigned char refs[FL_ARENA_PAGES];	/* entries that name the page */

static unsigned int slot_of(unsigned long addr)
{
	return (addr - FL_REGION) >> PAGE_SHIFT;
}

int fl_init_context(struct mm_struct *mm)
{
	mm->context.asid = 0;
	return 0;
}

static void asid_free(struct mm_struct *mm)
{
	unsigned int asid = mm->context.asid;

	if (!asid)
		return;
	for (int cpu = 0; cpu < fl.cpus; cpu++)
		if (unlikely(tlbs[cpu].valid[asid]))
			fl_report(FL_KIND_STALE_TLB, NULL, "cpu %d still has a TLB entry of a process that is gone", cpu);
	asids_used &= ~(1UL << asid);
	mm_of[asid] = NULL;
	mm->context.asid = 0;
}

void fl_destroy_context(struct mm_struct *mm)
{
	asid_free(mm);
}

/* The address space has been torn down, though whoever holds a reference to the struct keeps that. */
static bool is_torn_down(const struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users);
}

void fl_tlb_process_gone(struct mm_struct *mm)
{
	/* A struct that is freed has no number any more: its address is only compared. */
	for (unsigned int asid = 1; asid < ASIDS; asid++)
		if (mm_of[asid] == mm && is_torn_down(mm))
			asid_free(mm);
}

bool fl_tlb_find(struct mm_struct *mm, unsigned long addr, bool write, unsigned long *pfn)
{
	struct tlb *tlb = &tlbs[fl_cpu];
	unsigned int asid = mm->context.asid, slot = slot_of(addr);
	unsigned long entry;

	if (!asid || !(tlb->valid[asid] & (1U << slot)))
		return false;
	entry = tlb->entry[asid][slot];
	*pfn = entry >> 1;
	return !write || (entry & WRITABLE);
}

static void drop_one(struct tlb *tlb, unsigned int asid, unsigned int slot)
{
	tlb->valid[asid] &= ~(1U << slot);
	refs[(tlb->entry[asid][slot] >> 1) - ARCH_PFN_OFFSET]--;
}

/* The slots of the huge page that the slot lies in. */
static unsigned int huge_slots(unsigned int slot)
{
	unsigned int pages = PTRS_PER_PTE, start = slot & ~(pages - 1);

	return pages >= FL_SLOTS ? ~0U : ((1U << pages) - 1) << start;
}

/* A huge page has one entry: it goes as a whole. */
static void drop(struct tlb *tlb, unsigned int asid, unsigned int slot)
{
	unsigned int mask = 1U << slot;

	if (tlb->huge[asid] & mask)
		mask = huge_slots(slot) & tlb->huge[asid];
	tlb->huge[asid] &= ~mask;
	for (; mask; mask &= mask - 1)
		drop_one(tlb, asid, __builtin_ctz(mask));
}

static unsigned int asid_of(struct mm_struct *mm)
{
	unsigned int asid = mm->context.asid;

	if (unlikely(!asid)) {
		if (asids_used == ~0UL)
			fl_report(FL_KIND_TOOL_ERROR, NULL, "too many address spaces for the TLB");
		asid = mm->context.asid = __builtin_ctzl(~asids_used);
		asids_used |= 1UL << asid;
		mm_of[asid] = mm;
	}
	if (!cpumask_test_cpu(fl_cpu, mm_cpumask(mm)))
		cpumask_set_cpu(fl_cpu, mm_cpumask(mm));
	return asid;
}

static void fill(unsigned int asid, unsigned int slot, unsigned long pfn, bool write)
{
	struct tlb *tlb = &tlbs[fl_cpu];

	if (tlb->valid[asid] & (1U << slot))
		drop(tlb, asid, slot);
	tlb->valid[asid] |= 1U << slot;
	tlb->entry[asid][slot] = pfn << 1 | (write ? WRITABLE : 0);
	refs[pfn - ARCH_PFN_OFFSET]++;
}

void fl_tlb_fill(struct mm_struct *mm, unsigned long addr, unsigned long pfn, bool write)
{
	fill(asid_of(mm), slot_of(addr), pfn, write);
}

/* The entry of a huge page whose first page is `pfn`. */
void fl_tlb_fill_huge(struct mm_struct *mm, unsigned long addr, unsigned long pfn, bool write)
{
	unsigned int asid = asid_of(mm), slots = huge_slots(slot_of(addr));

	for (unsigned int mask = slots; mask; mask &= mask - 1)
		fill(asid, __builtin_ctz(mask), pfn++, write);
	tlbs[fl_cpu].huge[asid] |= slots;
}

/* A CPU that has its interrupts off hears of a flush when they are on again, whether it has an entry or not. */
static void wait_for_cpu(int cpu)
{
	while (unlikely(fl_overlap) && fl_sched_irqs_off(cpu))
		fl_sched_yield("flushing a TLB");
}

static void flush(unsigned int asid, unsigned int mask)
{
	for (int n = 0; n < fl.cpus; n++) {
		int cpu = (fl_cpu + n) % fl.cpus;	/* the own one first, then the others, each when it gets the word */
		unsigned int hit;

		FL_POINT(FLUSH, fl_tlb_of(cpu));
		wait_for_cpu(cpu);
		hit = tlbs[cpu].valid[asid] & mask;
		for (; hit; hit = tlbs[cpu].valid[asid] & mask)
			drop(&tlbs[cpu], asid, __builtin_ctz(hit));
	}
}

/* CPUs that the process has run on, as bits; but for this one. */
static unsigned long others_of(struct mm_struct *mm)
{
	return cpumask_bits(mm_cpumask(mm))[0] & ~(1UL << fl_cpu);
}

static void count(unsigned long others, bool full)
{
	fl_counts.tlb_flushes++;
	fl_counts.tlb_full += full;
	fl_counts.tlb_remote += hweight64(others);
}

void fl_tlb_flush(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned int first, last, mask;

	count(mm ? others_of(mm) : ((1UL << fl.cpus) - 1) & ~(1UL << fl_cpu), !start && end == ~0UL);
	if (fl_canary_is(SKIP_FLUSH) && fl.cur->what.code == FL_OP_UFFD_WP)
		return;
	if (!mm) {
		for (unsigned int asid = 1; asid < ASIDS; asid++)
			flush(asid, ~0U);
		return;
	}
	for (int cpu = 0; unlikely(fl_overlap) && cpu < fl.cpus; cpu++)
		wait_for_cpu(cpu);
	if (!mm->context.asid || end <= FL_REGION || start >= FL_REGION_END)
		return;
	first = start <= FL_REGION ? 0 : slot_of(start);
	last = end >= FL_REGION_END ? FL_SLOTS : slot_of(end + PAGE_SIZE - 1);
	mask = last >= 32 ? ~0U : (1U << last) - 1;
	flush(mm->context.asid, mask & ~((1U << first) - 1));
}

#ifdef CONFIG_ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH
void fl_tlb_defer(struct arch_tlbflush_unmap_batch *batch, struct mm_struct *mm)
{
	if (mm->context.asid)
		batch->asids |= 1UL << mm->context.asid;
}

void arch_tlbbatch_flush(struct arch_tlbflush_unmap_batch *batch)
{
	unsigned long others = 0;

	for (unsigned long left = batch->asids; left; left &= left - 1)
		if (mm_of[__builtin_ctzl(left)])
			others |= others_of(mm_of[__builtin_ctzl(left)]);
	count(others, true);
	for (unsigned long left = batch->asids; left && !fl_canary_is(SKIP_BATCH); left &= left - 1)
		flush(__builtin_ctzl(left), ~0U);
	batch->asids = 0;
}

/* Address spaces with a flush that a task which sleeps has put off. */
static unsigned long deferred(void)
{
	unsigned long asids = 0;

	for (unsigned long left = fl.asleep; left; left &= left - 1) {
		const struct fl_task *task = &fl.task[__builtin_ctzl(left)];

		if (task->state == FL_TASK_BLOCKED && task->ts->tlb_ubc.flush_required)
			asids |= task->ts->tlb_ubc.arch.asids;
	}
	return asids;
}

/* After a task's operation: it has put off none. */
void fl_check_deferred_flush(struct fl_task *task)
{
	if (unlikely(task->ts->tlb_ubc.flush_required))
		fl_report(FL_KIND_STALE_TLB, NULL, "a TLB flush that was put off has not been done when the operation ends");
}
#else
static unsigned long deferred(void) { return 0; }
void fl_check_deferred_flush(struct fl_task *task) { }
#endif

void fl_tlb_page_freed(unsigned long pfn)
{
	if (unlikely(refs[pfn - ARCH_PFN_OFFSET]))
		fl_report(FL_KIND_STALE_TLB, NULL, "a page is freed while a TLB entry still leads to it");
}

static void check_entry(int cpu, unsigned int asid, unsigned int slot)
{
	unsigned long entry = tlbs[cpu].entry[asid][slot];
	unsigned long pte = fl_pte_value(mm_of[asid], FL_REGION + slot * PAGE_SIZE);

	if (unlikely(!(pte & _PAGE_PRESENT)))
		fl_report(FL_KIND_STALE_TLB, NULL, "cpu %d: a%u still accessible through the TLB, the page table forbids it",
			  cpu, slot);
	if (unlikely(pte_pfn(__pte(pte)) != entry >> 1))
		fl_report(FL_KIND_STALE_TLB, NULL, "cpu %d: the TLB entry of a%u leads to another page than the page table",
			  cpu, slot);
	if (unlikely((entry & WRITABLE) && !(pte & _PAGE_WRITE)))
		fl_report(FL_KIND_STALE_TLB, NULL, "cpu %d: a%u still writable through the TLB, the page table forbids it",
			  cpu, slot);
}

/* After an operation.  An mm with a flush still pending belongs to a task that sleeps in the middle of its work. */
void fl_check_tlb(void)
{
	for (unsigned long left = asids_used & ~1UL & ~deferred(); left; left &= left - 1) {
		unsigned int asid = __builtin_ctzl(left);

		if (unlikely(is_torn_down(mm_of[asid]))) {	/* by who was at work in it when its process went */
			asid_free(mm_of[asid]);
			continue;
		}
		if (atomic_read(&mm_of[asid]->tlb_flush_pending))
			continue;
		for (int cpu = 0; cpu < fl.cpus; cpu++)
			for (unsigned int slots = tlbs[cpu].valid[asid]; slots; slots &= slots - 1)
				check_entry(cpu, asid, __builtin_ctz(slots));
	}
}
