// SPDX-License-Identifier: GPL-2.0-only
/* Planted faults.  Each stands where the machine, or kernel code under it, could go wrong; tests see it found. */
#include "host/huge.h"
#include "host/pins.h"
#include "host/tree.h"
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <asm/tlbflush.h>
#ifdef FL_HAVE_SOFTLEAF
#include <linux/leafops.h>
#endif
#include "internal.h"

FL_KEEP int fl_canary_on;
FL_KEEP bool fl_uffd_wp_keeps_write;

static const char *const names[FL_NR_CANARIES] = {
	[FL_CANARY_NONE] = "none",
	[FL_CANARY_SKIP_FLUSH] = "skip-flush",
	[FL_CANARY_SKIP_BATCH] = "skip-batch",
	[FL_CANARY_FORGET_BATCH] = "forget-batch",
	[FL_CANARY_LEAK_PAGE] = "leak-page",
	[FL_CANARY_KEEP_SPIN] = "keep-spin",
	[FL_CANARY_KEEP_MMAP_LOCK] = "keep-mmap-lock",
	[FL_CANARY_DOUBLE_UNLOCK] = "double-unlock",
	[FL_CANARY_WRONG_BYTE] = "wrong-byte",
	[FL_CANARY_DROP_EVENT] = "drop-event",
	[FL_CANARY_LOSE_UFFD_BIT] = "lose-uffd-bit",
	[FL_CANARY_LEAK_SLAB] = "leak-slab",
	[FL_CANARY_PTE_UNLOCKED] = "pte-unlocked",
	[FL_CANARY_RSS_DRIFT] = "rss-drift",
	[FL_CANARY_LOST_WAKEUP] = "lost-wakeup",
	[FL_CANARY_SLEEP_IN_ATOMIC] = "sleep-in-atomic",
	[FL_CANARY_WILD_POINTER] = "wild-pointer",
	[FL_CANARY_ENDLESS_LOOP] = "endless-loop",
	[FL_CANARY_WRONG_ERRNO] = "wrong-errno",
	[FL_CANARY_SPURIOUS_FAULT] = "spurious-fault",
	[FL_CANARY_ZERO_PAGE_WRITTEN] = "zero-page-written",
	[FL_CANARY_UFFD_WP_WRITE] = "uffd-wp-write",
	[FL_CANARY_SKIP_NOTIFIER] = "skip-notifier",
	[FL_CANARY_VMA_COUNT] = "vma-count",
	[FL_CANARY_TOTAL_VM] = "total-vm",
	[FL_CANARY_VMA_ORDER] = "vma-order",
	[FL_CANARY_PAGE_INDEX] = "page-index",
	[FL_CANARY_ANON_VMA] = "anon-vma",
	[FL_CANARY_FILE_PAGE] = "file-page",
	[FL_CANARY_FILE_MAPPING] = "file-mapping",
	[FL_CANARY_LEAK_INODE] = "leak-inode",
	[FL_CANARY_LOSE_WRITEBACK] = "lose-writeback",
	[FL_CANARY_LOSE_PIN] = "lose-pin",
	[FL_CANARY_FREE_PINNED] = "free-pinned",
	[FL_CANARY_SPOIL_PINNED] = "spoil-pinned",
	[FL_CANARY_LEFT_MIGRATION_ENTRY] = "left-migration-entry",
	[FL_CANARY_PAGEMAP_HIDES] = "pagemap-hides",
	[FL_CANARY_LEAK_SWAP] = "leak-swap",
	[FL_CANARY_SWAP_DRIFT] = "swap-drift",
	[FL_CANARY_SWAP_BYTE] = "swap-byte",
	[FL_CANARY_USE_AFTER_FREE] = "use-after-free",
	[FL_CANARY_RETRY_KEEPS_LOCK] = "retry-keeps-lock",
	[FL_CANARY_FAULT_DROPS_LOCK] = "fault-drops-lock",
	[FL_CANARY_FAULT_WITHOUT_LOCK] = "fault-without-lock",
	[FL_CANARY_DEADLOCK] = "deadlock",
	[FL_CANARY_VMA_UNLOCKED] = "vma-unlocked",
	[FL_CANARY_RCU_EARLY] = "rcu-early",
	[FL_CANARY_FOLIO_UNLOCKED] = "folio-unlocked",
#ifdef FL_HAVE_ANON_EXCLUSIVE
	[FL_CANARY_REUSE_SHARED] = "reuse-shared",
#endif
#if defined(FL_VMA_LOCKS) && defined(FL_HAVE_MM_LOCK_SEQCOUNT)
	[FL_CANARY_VMA_READ_LOCKED] = "vma-read-locked",
#endif
#if defined(FL_HAVE_PTE_MAP_RCU) && !defined(CONFIG_HUGETLB_PAGE)
	[FL_CANARY_PTE_AFTER_UNMAP] = "pte-after-unmap",
#endif
#ifdef FL_RACE
	[FL_CANARY_RACE] = "race",
	[FL_CANARY_RACE_LOCKED] = "race-locked",
#endif
	[FL_CANARY_LOCK_ORDER] = "lock-order",
	[FL_CANARY_BLIND_SEARCH] = "blind-search",
	[FL_CANARY_LOCK_ORDER_OWN] = "lock-order-own",
#ifdef FL_VMA_LOCKS
	[FL_CANARY_KEEP_VMA_LOCK] = "keep-vma-lock",
	[FL_CANARY_DOUBLE_VMA_UNLOCK] = "double-vma-unlock",
#endif
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	[FL_CANARY_PMD_UNLOCKED] = "pmd-unlocked",
#ifdef FL_HAVE_LARGE_MAPCOUNT
	[FL_CANARY_ENTIRE_MAPCOUNT] = "entire-mapcount",
	[FL_CANARY_LARGE_MAPCOUNT] = "large-mapcount",
	[FL_CANARY_PAGES_MAPPED] = "pages-mapped",
	[FL_CANARY_LARGE_REFERENCES] = "large-references",
	[FL_CANARY_FREE_MAPPED_FOLIO] = "free-mapped-folio",
	[FL_CANARY_FREE_OTHER_ORDER] = "free-other-order",
	[FL_CANARY_FREE_DEFERRED] = "free-deferred",
#endif
#endif
#ifdef CONFIG_HUGETLB_PAGE
	[FL_CANARY_LEAK_HUGETLB] = "leak-hugetlb",
	[FL_CANARY_PROMISE_HUGETLB] = "promise-hugetlb",
#endif
};

int fl_canary(int number)
{
	if (number < 0 || number >= FL_NR_CANARIES)
		return -EINVAL;
	fl_canary_on = number;
	fl_uffd_wp_keeps_write = number == FL_CANARY_UFFD_WP_WRITE;
	return 0;
}

/* NULL beyond the last one, "" for one that this build has not. */
const char *fl_canary_name(int number)
{
	if (number < 0 || number >= FL_NR_CANARIES)
		return NULL;
	return names[number] ?: "";
}

static void lose_uffd_bit(struct mm_struct *mm)
{
	pte_t *table;
	spinlock_t *ptl;

	for (unsigned long addr = FL_REGION; addr < FL_REGION_END; addr += PAGE_SIZE) {
		if (!(fl_pte_value(mm, addr) & _PAGE_UFFD_WP))
			continue;
		table = get_locked_pte(mm, addr, &ptl);
		if (pte_present(*table))
			set_pte_at(mm, addr, table, pte_clear_uffd_wp(*table));
		pte_unmap_unlock(table, ptl);
	}
}

static void write_unlocked(struct mm_struct *mm)
{
	pte_t *pte = fl_pte_at(mm, FL_REGION);

	if (pte)
		set_pte(pte, *pte);
}

#ifdef FL_HAVE_PTE_MAP_RCU
/* As ptep_get() of the kernel's code does. */
static void read_after_unmap(struct mm_struct *mm)
{
	spinlock_t *ptl;
	pte_t *pte = get_locked_pte(mm, FL_REGION, &ptl);

	fl_pte_load(pte);
	pte_unmap_unlock(pte, ptl);
	fl_pte_load(pte);
}
#else
static void read_after_unmap(struct mm_struct *mm) { }
#endif

/* What a move that goes wrong leaves behind: the mapping's end, its offset, or its page's place in the reverse map. */
static void spoil_vma(struct mm_struct *mm)
{
	struct anon_vma_chain *avc;
	struct vm_area_struct *vma;

	fl_for_each_vma(vma, mm, FL_REGION, FL_REGION_END) {
		if (fl_canary_is(VMA_ORDER))
			vma->vm_end += PAGE_SIZE;
		else if (fl_canary_is(PAGE_INDEX))
			fl_spoil_anon_index(vma);
		else
			list_for_each_entry(avc, &vma->anon_vma_chain, same_vma)
				fl_forget_avc(avc);
		break;
	}
}

/* What a truncation or a split that goes wrong leaves behind: a page that is mapped but not cached, a lost mapping. */
static void spoil_file(struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	fl_for_each_vma(vma, mm, FL_REGION, FL_REGION_END) {
		struct address_space *mapping = vma->vm_file ? vma->vm_file->f_mapping : NULL;

		if (mapping && fl_canary_is(FILE_PAGE))
			xa_erase_irq(&mapping->i_pages, vma->vm_pgoff);
		else if (mapping)
			fl_forget_vma(vma, mapping);
		break;
	}
}

static void use_after_free(void)
{
	long *object = kmalloc(64, GFP_KERNEL);

	kfree(object);
	READ_ONCE(*object);
}

static void leave_migration_entry(struct mm_struct *mm, unsigned long addr)
{
	spinlock_t *ptl;
	pte_t *pte = get_locked_pte(mm, addr, &ptl);

#ifdef FL_HAVE_ANON_EXCLUSIVE
	set_pte_at(mm, addr, pte, swp_entry_to_pte(make_readable_migration_entry(pte_pfn(*pte))));
#else
	set_pte_at(mm, addr, pte, swp_entry_to_pte(make_migration_entry(pte_page(*pte), 0)));
#endif
	pte_unmap_unlock(pte, ptl);
	fl_tlb_flush(mm, addr, addr + PAGE_SIZE);
}

/* Asked for without the lock that find_vma() insists on. */
static struct vm_area_struct *first_vma(struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	fl_for_each_vma(vma, mm, FL_REGION, FL_REGION_END)
		return vma;
	return NULL;
}

/* What a fault returns, and what it leaves of the lock that it came with. */
vm_fault_t fl_canary_faulted(vm_fault_t fault, const void *lock)
{
	if (fault & VM_FAULT_RETRY)
		return fault;
	if (fl_canary_is(RETRY_KEEPS_LOCK))
		return fault | VM_FAULT_RETRY;
	if (!fl_canary_is(FAULT_DROPS_LOCK))
		return fault;
	if (lock == &current->mm->mmap_lock)
		mmap_read_unlock(current->mm);
#ifdef FL_VMA_LOCKS
	else
		vma_end_read(first_vma(current->mm));
#endif
	return fault;
}

/* Two tasks, or two processes if there are two, each take what the other has: folio locks, or mmap_locks. */
static void wait_for_each_other(struct fl_task *task)
{
	struct mm_struct *mm = task->ts->mm, *other = fl.process[!task->process].mm;
	int first = task->id % 2;
	struct page *page[2];

	if (other) {
		mmap_write_lock(mm);
		mmap_read_lock(other);
		mmap_read_unlock(other);
		mmap_write_unlock(mm);
		return;
	}
	for (int i = 0; i < 2; i++)
		page[i] = pfn_to_page((fl_pte_value(mm, FL_REGION + i * PAGE_SIZE) & FL_PFN_MASK) >> PAGE_SHIFT);
	lock_page(page[first]);
	FL_POINT(LOCK, page[!first]);
	lock_page(page[!first]);
	unlock_page(page[!first]);
	unlock_page(page[first]);
}

/* Against what is documented; and against what the program's other task does. */
static void take_in_wrong_order(struct fl_task *task)
{
	static DEFINE_MUTEX(one);
	static DEFINE_MUTEX(two);
	struct mutex *first = task->id % 2 ? &two : &one;
	struct page *page;

	if (fl_canary_is(LOCK_ORDER_OWN)) {
		mutex_lock(first);
		mutex_lock(first == &one ? &two : &one);
		mutex_unlock(first == &one ? &two : &one);
		mutex_unlock(first);
		return;
	}
	page = pfn_to_page((fl_pte_value(task->ts->mm, FL_REGION) & FL_PFN_MASK) >> PAGE_SHIFT);
	lock_page(page);
	mmap_read_lock(task->ts->mm);
	mmap_read_unlock(task->ts->mm);
	unlock_page(page);
}

/* Flags of a mapping change under mmap_lock held for reading, or without a word to its own lock. */
static void change_flags(struct mm_struct *mm)
{
	vm_flags_t *flags = (vm_flags_t *)&first_vma(mm)->vm_flags;

	if (fl_canary_is(VMA_UNLOCKED)) {
		mmap_read_lock(mm);
		*flags |= VM_RAND_READ;
		mmap_read_unlock(mm);
	} else {
		mmap_write_lock(mm);
		*flags |= VM_RAND_READ;
		mmap_write_unlock(mm);
	}
}

static void unmap_unlocked(struct mm_struct *mm)
{
	struct page *page = pfn_to_page((fl_pte_value(mm, FL_REGION) & FL_PFN_MASK) >> PAGE_SHIFT);

#ifdef FL_HAVE_FOLIO
	try_to_unmap(page_folio(page), 0);
#else
	try_to_unmap(page, 0);
#endif
}

#ifdef FL_HAVE_ANON_EXCLUSIVE
static void reuse_shared(struct mm_struct *mm)
{
	spinlock_t *ptl;
	pte_t *pte = get_locked_pte(mm, FL_REGION, &ptl);

	ClearPageAnonExclusive(pte_page(*pte));
	set_pte(pte, *pte);
	pte_unmap_unlock(pte, ptl);
}
#else
static void reuse_shared(struct mm_struct *mm) { }
#endif

static void fault_without_lock(struct mm_struct *mm)
{
	handle_mm_fault(first_vma(mm), FL_REGION, FAULT_FLAG_DEFAULT | FAULT_FLAG_USER, NULL);
}

/* The faults that kernel code itself would have to make; the others stand at their place. */
void fl_canary_before(struct fl_task *task)
{
	struct mm_struct *mm = task->ts->mm;

	if (likely(!fl_canary_on) || task->what.code != FL_OP_READ)
		return;
	switch (fl_canary_on) {
	case FL_CANARY_FILE_PAGE:
	case FL_CANARY_FILE_MAPPING:
		spoil_file(mm);
		break;
	case FL_CANARY_LEAK_PAGE:
		fl_page_alloc(GFP_KERNEL, 0);
		break;
	case FL_CANARY_FORGET_BATCH:
#ifdef CONFIG_ARCH_WANT_BATCHED_UNMAP_TLB_FLUSH
		current->tlb_ubc.flush_required = true;
#endif
		break;
	case FL_CANARY_LOSE_UFFD_BIT:
		lose_uffd_bit(mm);
		break;
	case FL_CANARY_PTE_UNLOCKED:
		write_unlocked(mm);
		break;
	case FL_CANARY_PTE_AFTER_UNMAP:
		read_after_unmap(mm);
		break;
	case FL_CANARY_RSS_DRIFT:
		inc_mm_counter(mm, MM_ANONPAGES);
		break;
	case FL_CANARY_VMA_COUNT:
		mm->map_count++;
		break;
	case FL_CANARY_TOTAL_VM:
		mm->total_vm++;
		break;
	case FL_CANARY_VMA_ORDER:
	case FL_CANARY_PAGE_INDEX:
	case FL_CANARY_ANON_VMA:
		spoil_vma(mm);
		break;
	case FL_CANARY_SLEEP_IN_ATOMIC:
		spin_lock(&mm->page_table_lock);
		mmap_read_lock(mm);
		mmap_read_unlock(mm);
		spin_unlock(&mm->page_table_lock);
		break;
	case FL_CANARY_ZERO_PAGE_WRITTEN:
		*(char *)page_to_virt(fl_zero_page) = 1;
		break;
	case FL_CANARY_LOSE_PIN:
	case FL_CANARY_FREE_PINNED:
		unpin_user_page(fl_pins[0].page[0]);
		break;
	case FL_CANARY_LEFT_MIGRATION_ENTRY:
		leave_migration_entry(mm, FL_REGION + PAGE_SIZE);
		break;
	case FL_CANARY_WILD_POINTER:
		READ_ONCE(*(int *)0x18);
		break;
	case FL_CANARY_LEAK_SWAP:
#ifdef FL_HAVE_SOFTLEAF
		swap_dup_entry_direct(softleaf_from_pte(__pte(fl_pte_value(mm, FL_REGION))));
#else
		swap_duplicate(pte_to_swp_entry(__pte(fl_pte_value(mm, FL_REGION))));
#endif
		break;
	case FL_CANARY_SWAP_DRIFT:
		inc_mm_counter(mm, MM_SWAPENTS);
		break;
	case FL_CANARY_RACE:
	case FL_CANARY_RACE_LOCKED:
		fl_write_mapping(mm, fl_canary_on == FL_CANARY_RACE_LOCKED);
		break;
	case FL_CANARY_FAULT_WITHOUT_LOCK:
		fault_without_lock(mm);
		break;
	case FL_CANARY_VMA_UNLOCKED:
	case FL_CANARY_VMA_READ_LOCKED:
		change_flags(mm);
		break;
	case FL_CANARY_FOLIO_UNLOCKED:
		unmap_unlocked(mm);
		break;
	case FL_CANARY_REUSE_SHARED:
		reuse_shared(mm);
		break;
	case FL_CANARY_LOCK_ORDER:
	case FL_CANARY_LOCK_ORDER_OWN:
		take_in_wrong_order(task);
		break;
	case FL_CANARY_DEADLOCK:
		wait_for_each_other(task);
		break;
	case FL_CANARY_USE_AFTER_FREE:
		use_after_free();
		break;
	case FL_CANARY_ENDLESS_LOOP:
		for (;;)
			barrier();
	default:
		fl_canary_huge(mm);
	}
}
