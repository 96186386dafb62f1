// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MMU of the simulated CPUs: TLB, then page walk, then page fault.
 * keeps: accessed and dirty bits as hardware sets them, protection, stale entries until they are flushed.
 * leaves out: the size limit of a real TLB, speculative fills.
 */
#include "host/host.h"
#include "check/races.h"
#include "check/taken.h"
#include <linux/pgtable.h>
#include <linux/mmap_lock.h>
#include <linux/uaccess.h>

static pmd_t *pmd_at(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	pud_t *pud = pud_offset(p4d_offset(pgd, addr), addr);

	return pud_none(*pud) ? NULL : pmd_offset(pud, addr);
}

static unsigned long index_of(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) & (PTRS_PER_PTE - 1);
}

static pte_t *pte_in(pmd_t pmd, unsigned long addr)
{
	return (pte_t *)pmd_page_vaddr(pmd) + index_of(addr);
}

/* The entry's place, NULL if there is no table. */
pte_t *fl_pte_at(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = pmd_at(mm, addr);

	return pmd && !pmd_none(*pmd) && !fl_pmd_huge(*pmd) ? pte_in(*pmd, addr) : NULL;
}

/* The entry that maps a huge page at `addr`, NULL if none does. */
pmd_t *fl_huge_at(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ? pmd_at(mm, addr) : NULL;

	return pmd && fl_pmd_huge(*pmd) ? pmd : NULL;
}

/* The page's part of a huge entry, as if it had one of its own; the huge zero page is special as the zero page is. */
static unsigned long pte_of_huge(pmd_t pmd, unsigned long addr)
{
	unsigned long special = is_huge_zero_pmd(pmd) ? _PAGE_SPECIAL : 0;

	return ((pmd_val(pmd) & ~_PAGE_HUGE) + (index_of(addr) << PAGE_SHIFT)) | special;
}

/* The entry as it stands, 0 if there is none; for checks and snapshots. */
unsigned long fl_pte_value(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = pmd_at(mm, addr);

	if (!pmd || pmd_none(*pmd))
		return 0;
	return fl_pmd_huge(*pmd) ? pte_of_huge(*pmd, addr) : pte_val(*pte_in(*pmd, addr));
}

#ifdef FL_RACE
static void found_by_entry(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = fl_pte_at(mm, addr);

	if (pte)
		fl_races_found(pte_lockptr(mm, pmd_at(mm, addr)));
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	if (fl_huge_at(mm, addr))
		fl_races_found(pmd_lockptr(mm, fl_huge_at(mm, addr)));
#endif
}
#endif

/* The page that the entry maps, as the kernel's own walkers tell it; NULL for none and for the zero page. */
struct page *fl_mapped_page(struct vm_area_struct *vma, unsigned long addr)
{
	pte_t pte = __pte(fl_pte_value(vma->vm_mm, addr));

	FL_RACES_DO(found_by_entry(vma->vm_mm, addr));
	if (!pte_present(pte) || (pte_special(pte) && fl_huge_at(vma->vm_mm, addr)))
		return NULL;
	return vm_normal_page(vma, addr, pte);
}

/* A walk as hardware does it.  False: a page fault. */
static bool translate(struct mm_struct *mm, unsigned long addr, bool write, unsigned long *pfn)
{
	unsigned long need = _PAGE_PRESENT | _PAGE_USER | (write ? _PAGE_WRITE : _PAGE_READ);
	unsigned long set = _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0), *entry;
	pmd_t *pmd;

	if (fl_tlb_find(mm, addr, write, pfn))
		return true;
	pmd = pmd_at(mm, addr);
	if (pmd)
		FL_NOTE(FL_READ, pmd);
	if (!pmd || pmd_none(*pmd))
		return false;
	entry = fl_pmd_huge(*pmd) ? &pmd->pmd : &pte_in(*pmd, addr)->pte;
	FL_NOTE(FL_READ, entry);
	if ((*entry & need) != need)
		return false;
	if ((*entry & set) != set)
		FL_NOTE(FL_WRITE, entry);
	*entry |= set;
	write |= (*entry & (_PAGE_WRITE | _PAGE_DIRTY)) == (_PAGE_WRITE | _PAGE_DIRTY);
	*pfn = (*entry & FL_PFN_MASK) >> PAGE_SHIFT;
	if (fl_pmd_huge(*pmd)) {
		fl_tlb_fill_huge(mm, addr, *pfn, write);
		*pfn += index_of(addr);
	} else {
		fl_tlb_fill(mm, addr, *pfn, write);
	}
	return true;
}

/* An access needs two or three faults, and one more for each wake-up that did not resolve it. */
#define FAULTS_MAX	2000

static bool vma_allows(struct vm_area_struct *vma, bool write)
{
	return vma->vm_flags & (write ? VM_WRITE : VM_READ | VM_WRITE | VM_EXEC);
}

/* The fault was handled, and the lock it came with is given back. */
#ifdef FL_HAVE_FAULT_COMPLETED
#define FL_FAULT_UNLOCKED	(VM_FAULT_RETRY | VM_FAULT_COMPLETED)
#else
#define FL_FAULT_UNLOCKED	VM_FAULT_RETRY
#endif

#ifdef FL_VMA_LOCKS
/* The fault under the vma's own lock.  False: to be done again under mmap_lock. */
static bool fault_under_vma_lock(unsigned long addr, unsigned int *flags, vm_fault_t *fault)
{
	struct vm_area_struct *vma = lock_vma_under_rcu(current->mm, addr);

	if (!vma)
		return false;
	if (!vma_allows(vma, *flags & FAULT_FLAG_WRITE)) {
		vma_end_read(vma);
		return false;
	}
	*fault = handle_mm_fault(vma, addr, *flags | FAULT_FLAG_VMA_LOCK, NULL);
	if (!(*fault & FL_FAULT_UNLOCKED) && !fl_canary_is(KEEP_VMA_LOCK))
		vma_end_read(vma);
	if (fl_canary_is(DOUBLE_VMA_UNLOCK))
		vma_end_read(vma);
	if (*fault & VM_FAULT_RETRY) {
		if (*fault & VM_FAULT_MAJOR)
			*flags |= FAULT_FLAG_TRIED;
		return fault_signal_pending(*fault, NULL);
	}
	return true;
}
#endif

static int fault_under_mmap_lock(unsigned long addr, unsigned int flags, vm_fault_t *fault)
{
	struct mm_struct *mm = current->mm;

	for (;;) {
		struct vm_area_struct *vma;

		mmap_read_lock(mm);
		vma = find_vma(mm, addr);
		if (!vma || vma->vm_start > addr || !vma_allows(vma, flags & FAULT_FLAG_WRITE)) {
			mmap_read_unlock(mm);
			return SIGSEGV;
		}
		*fault = handle_mm_fault(vma, addr, flags, NULL);
		if (fault_signal_pending(*fault, NULL))
			return SIGKILL;
		if (!(*fault & FL_FAULT_UNLOCKED))
			mmap_read_unlock(mm);
		if (!(*fault & VM_FAULT_RETRY))
			return 0;
		flags |= FAULT_FLAG_TRIED;
	}
}

/* The page fault handler of this architecture: 0, or the signal that the task gets. */
static int page_fault(unsigned long addr, bool write)
{
	unsigned int flags = FAULT_FLAG_DEFAULT | FAULT_FLAG_USER | (write ? FAULT_FLAG_WRITE : 0);
	vm_fault_t fault = 0;
	int sig = 0;

	fl_counts.faults++;
	if (unlikely(fl_taken_on))
		fl_costs_fault(addr, write);
#ifdef FL_VMA_LOCKS
	if (!fault_under_vma_lock(addr, &flags, &fault))
#endif
		sig = fault_under_mmap_lock(addr, flags, &fault);
	if (sig)
		return sig;
	if (fatal_signal_pending(current))
		return SIGKILL;
	if (unlikely(fault & VM_FAULT_ERROR)) {
		if (fault & VM_FAULT_OOM)
			return 0;	/* the access is repeated, as after pagefault_out_of_memory() */
		return fault & (VM_FAULT_SIGBUS | VM_FAULT_HWPOISON) ? SIGBUS : SIGSEGV;
	}
	return 0;
}

/* Where the page at `addr` lies, after as many faults as it takes; or the signal that the access ends with. */
int fl_mmu_access(unsigned long addr, unsigned int flags, char **page)
{
	bool write = flags & FL_MMU_WRITE;
	unsigned long pfn;
	int faults = 0;

	FL_POINT(ACCESS, fl_tlb_of(fl.cur->cpu));
	while (!translate(current->mm, addr, write, &pfn)) {
		int sig;

		FL_POINT(ACCESS, fl_tlb_of(fl.cur->cpu));
		sig = page_fault(addr, write);
		if (sig)
			return sig;
		FL_POINT(ACCESS, fl_tlb_of(fl.cur->cpu));
		if (++faults > FAULTS_MAX)
			fl_report(FL_KIND_HANG, NULL, "the access faults again and again");
	}
	*page = pfn_to_virt(pfn);
	if (write)
		FL_NOTE(FL_WRITE, *page);
	else
		FL_NOTE(FL_READ, *page);
	return 0;
}

/*
 * User copies.  The window is memory of the process that is always there; all else goes through the MMU, page by page,
 * and faults unless page faults are disabled.
 */
static char *user_page(unsigned long addr, bool write)
{
	unsigned long pfn;
	char *page;

	if (addr >= FL_WINDOW && addr < FL_WINDOW_END)
		return addr < FL_WINDOW_SOURCE ? fl.args : addr < FL_WINDOW_LOCAL ? fl.source : fl_local_at(addr);
	if (addr < FL_REGION || addr >= FL_REGION_END || !current->mm)
		return NULL;
	if (pagefault_disabled())
		return translate(current->mm, addr, write, &pfn) ? pfn_to_virt(pfn) : NULL;
	return fl_mmu_access(addr, write ? FL_MMU_WRITE : 0, &page) ? NULL : page;
}

static unsigned long copy_user(unsigned long addr, void *kernel, unsigned long len, bool write)
{
	while (len) {
		unsigned long offset = addr & ~PAGE_MASK, part = min(len, PAGE_SIZE - offset);
		char *page = user_page(addr & PAGE_MASK, write);

		if (!page)
			break;
		if (!write)
			memcpy(kernel, page + offset, part);
		else if (kernel)
			memcpy(page + offset, kernel, part);
		else
			memset(page + offset, 0, part);
		addr += part;
		if (kernel)
			kernel += part;
		len -= part;
	}
	return len;
}

unsigned long fl_copy_from_user(void *to, unsigned long from, unsigned long len)
{
	return copy_user(from, to, len, false);
}

unsigned long fl_copy_to_user(unsigned long to, const void *from, unsigned long len)
{
	return copy_user(to, (void *)from, len, true);
}

unsigned long fl_clear_user(unsigned long to, unsigned long len)
{
	return copy_user(to, NULL, len, true);
}
