/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PAGE_H
#define FL_ASM_PAGE_H

#define PAGE_SHIFT	12
#ifdef __ASSEMBLY__
#define PAGE_SIZE	(1 << PAGE_SHIFT)
#else
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#endif
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#include <linux/const.h>
#include <asm/fl_sched.h>

#ifndef __ASSEMBLY__
/*
 * Physical memory is one arena of the host process.  Where it lies is known at run time only, so that the libraries of a
 * base and a patched tree can live beside each other.
 */
extern unsigned long fl_arena;
extern unsigned long fl_max_pfn;
#define PAGE_OFFSET	fl_arena
#define ARCH_PFN_OFFSET	0x100UL		/* pfn 0 stays invalid */
#define FL_PHYS_BASE	(ARCH_PFN_OFFSET << PAGE_SHIFT)

typedef struct { unsigned long pte; } pte_t;
typedef struct { unsigned long pmd; } pmd_t;
typedef struct { unsigned long pgd; } pgd_t;
typedef struct { unsigned long pgprot; } pgprot_t;
typedef struct page *pgtable_t;
#define pte_val(x)	((x).pte)
#define pmd_val(x)	((x).pmd)
#define pgd_val(x)	((x).pgd)
#define pgprot_val(x)	((x).pgprot)
#define __pte(x)	((pte_t) { (x) })
#define __pmd(x)	((pmd_t) { (x) })
#define __pgd(x)	((pgd_t) { (x) })
#define __pgprot(x)	((pgprot_t) { (x) })

static inline void copy_page(void *to, const void *from)
{
	fl_note(FL_READ, from);	/* the copy is nobody else's yet */
	__builtin_memcpy(to, from, PAGE_SIZE);
}
#define clear_page(p)	__builtin_memset((p), 0, PAGE_SIZE)
#define copy_page	copy_page
struct page;
#define clear_user_page(p, vaddr, page)	clear_page(p)
#define copy_user_page(to, from, vaddr, page)	copy_page(to, from)

#define __pa(x)		((unsigned long)(x) - PAGE_OFFSET + FL_PHYS_BASE)
#define __va(x)		((void *)((unsigned long)(x) - FL_PHYS_BASE + PAGE_OFFSET))
#define __pa_symbol(x)	__pa(x)
static inline int pfn_valid(unsigned long pfn) { return pfn >= ARCH_PFN_OFFSET && pfn < fl_max_pfn; }
#define pfn_valid	pfn_valid
#define virt_to_pfn(x)	(__pa(x) >> PAGE_SHIFT)
#define pfn_to_virt(pfn)	__va((unsigned long)(pfn) << PAGE_SHIFT)
#define virt_to_page(x)	pfn_to_page(virt_to_pfn(x))
#define page_to_virt(p)	pfn_to_virt(page_to_pfn(p))
#ifndef page_to_phys
#define page_to_phys(p)	((unsigned long)page_to_pfn(p) << PAGE_SHIFT)
#endif
#ifndef phys_to_page
#define phys_to_page(p)	pfn_to_page((p) >> PAGE_SHIFT)
#endif
#define virt_addr_valid(x)	pfn_valid(virt_to_pfn(x))
#define VM_DATA_DEFAULT_FLAGS	VM_DATA_FLAGS_NON_EXEC
#include <asm-generic/memory_model.h>
#include <asm-generic/getorder.h>
#endif

#endif
