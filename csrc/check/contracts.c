// SPDX-License-Identifier: GPL-2.0-only
/*
 * What functions of the kernel demand of their callers' locks, and leave of them.  The linker has calls from other files go
 * to __wrap_NAME(), which is here.
 */
#include "check/held.h"
#include <linux/mmap_lock.h>
#include <linux/ksm.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>

/* The fault was handled, and the lock it came with is given back. */
#ifdef FL_HAVE_FAULT_COMPLETED
#define UNLOCKED	(VM_FAULT_RETRY | VM_FAULT_COMPLETED)
#else
#define UNLOCKED	VM_FAULT_RETRY
#endif

/* The lock of the mapping that a fault may come with instead of mmap_lock. */
static const void *vma_lock_of(struct vm_area_struct *vma)
{
#if defined(FL_VMA_LOCKS) && defined(FL_HAVE_VMA_REFCNT)
	return &vma->vm_refcnt;
#elif defined(FL_VMA_LOCKS)
	return &vma->vm_lock->lock;
#else
	return NULL;
#endif
}

static const void *lock_of_fault(struct vm_area_struct *vma, unsigned int flags)
{
#ifdef FL_VMA_LOCKS
	if (flags & FAULT_FLAG_VMA_LOCK)
		return vma_lock_of(vma);
#endif
	return &vma->vm_mm->mmap_lock;
}

static const char *name_of(const void *lock, struct mm_struct *mm)
{
	return lock == &mm->mmap_lock ? "mmap_lock" : "vma lock";
}

static const char *said(vm_fault_t fault)
{
	return fault & VM_FAULT_RETRY ? "VM_FAULT_RETRY" : "VM_FAULT_COMPLETED";
}

/* Who may not sleep for the fault, and says so, keeps its lock although it is to come again. */
static bool gives_back(vm_fault_t fault, unsigned int flags)
{
	return fault & UNLOCKED && !(fault & VM_FAULT_RETRY && flags & FAULT_FLAG_RETRY_NOWAIT);
}

vm_fault_t __real_handle_mm_fault(struct vm_area_struct *vma, unsigned long addr, unsigned int flags,
				  struct pt_regs *regs);

/*
 * Documentation/mm/process_addrs.rst, and mm/memory.c on handle_mm_fault(): a fault is handled under mmap_lock or the
 * lock of its mapping, and gives that back if it says VM_FAULT_RETRY or VM_FAULT_COMPLETED, and only then.
 */
vm_fault_t __wrap_handle_mm_fault(struct vm_area_struct *vma, unsigned long addr, unsigned int flags,
				  struct pt_regs *regs)
{
	struct mm_struct *mm = vma->vm_mm;
	const void *lock = lock_of_fault(vma, flags);
	struct fl_held *held;
	vm_fault_t fault;

	if (unlikely(!fl_held_find(fl.cur, lock)))
		fl_report(FL_KIND_LOCK_NOT_HELD, fl_held_released(lock), "a fault is handled without the %s",
			  name_of(lock, mm));
	fault = fl_canary_fault(__real_handle_mm_fault(vma, addr, flags, regs), lock);
	held = fl_held_find(fl.cur, lock);
	if (likely(!held == gives_back(fault, flags)))
		return fault;
	if (held)
		fl_report(FL_KIND_LOCK_LEAK, held->ip, "the fault says %s, but the %s is still held", said(fault),
			  name_of(lock, mm));
	if (!fl_vmas_watched)	/* in a plain run the caller shows it, who releases the lock again */
		return fault;
	fl_report(FL_KIND_LOCK_NOT_HELD, fl_held_released(lock),
		  "the fault gave the %s back, but says neither VM_FAULT_RETRY nor VM_FAULT_COMPLETED", name_of(lock, mm));
}

/* The first word of a folio, or of the page where the tree has no such thing yet, stands for its lock. */
static void demand_folio_lock(const void *folio, const char *what)
{
	if (unlikely(!fl_held_find(fl.cur, folio)))
		fl_report(FL_KIND_LOCK_NOT_HELD, fl_held_released(folio), "%s without the folio lock", what);
}

/* mm/rmap.c and mm/ksm.c: what demands the folio lock of its caller. */
#ifdef FL_HAVE_FOLIO_MOVE_ANON_RMAP
void __real_folio_move_anon_rmap(struct folio *folio, struct vm_area_struct *vma);
void __wrap_folio_move_anon_rmap(struct folio *folio, struct vm_area_struct *vma)
{
	demand_folio_lock(folio, "a folio that is reused becomes one process's own");
	__real_folio_move_anon_rmap(folio, vma);
}
#else
void __real_page_move_anon_rmap(struct page *page, struct vm_area_struct *vma);
void __wrap_page_move_anon_rmap(struct page *page, struct vm_area_struct *vma)
{
	demand_folio_lock(compound_head(page), "a folio that is reused becomes one process's own");
	__real_page_move_anon_rmap(page, vma);
}
#endif

#ifdef FL_HAVE_FOLIO
void __real_try_to_unmap(struct folio *folio, enum ttu_flags flags);
void __wrap_try_to_unmap(struct folio *folio, enum ttu_flags flags)
{
	demand_folio_lock(folio, "a folio is unmapped");
	__real_try_to_unmap(folio, flags);
}
#else
bool __real_try_to_unmap(struct page *page, enum ttu_flags flags);
bool __wrap_try_to_unmap(struct page *page, enum ttu_flags flags)
{
	demand_folio_lock(compound_head(page), "a folio is unmapped");
	return __real_try_to_unmap(page, flags);
}
#endif

#ifdef CONFIG_KSM
/* In mm/ksm.c, where an entry is cleared for its page to be write-protected, or replaced by a shared one. */
pte_t fl_ksm_clear_flush(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep)
{
	if (pte_present(*ptep))
		demand_folio_lock(compound_head(pte_page(*ptep)), "KSM changes a folio's entry");
	return ptep_clear_flush(vma, addr, ptep);
}
#endif
