// files: mm/memory.c mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T1, v3 as posted: on resolve, change_pte_range() breaks COW itself.  A PTE without the bit is skipped.  Where there is
// no normal page, or one that is mapped more than once, the page is copied by wp_page_copy() with the PTE lock dropped.
// Then the PTE becomes writable and loses the bit.
//
// Kept defects: after "nothing was copied" the loop goes on with the PTE unmapped and unlocked; one mapping counts as
// exclusive (KSM page, swap cache, extra reference); the PTE becomes writable whether or not the VMA is; an error ends
// the loop as if all was done.
//
// Ported: VM_FAULT_WRITE told "copied" from "nothing done"; here wp_page_copy() has a second parameter for it.  v3 made
// wp_page_copy() keep the bit on the copy; in 6.12 FAULT_FLAG_UNSHARE asks for just that.  Only anonymous memory could
// be write-protected then, so other memory keeps 6.12's way.

@export@
identifier vmf;
symbol page_copied;
typedef vm_fault_t, bool;
@@
-static vm_fault_t wp_page_copy(struct vm_fault *vmf)
+vm_fault_t wp_page_copy(struct vm_fault *vmf, bool *copied)
 {
 	<+...
 	page_copied = 1;
+	if (copied)
+		*copied = true;
 	...+>
 }

@caller depends on export@
expression vmf;
@@
-return wp_page_copy(vmf);
+return wp_page_copy(vmf, NULL);

@prototype@
@@
 #include "internal.h"
+vm_fault_t wp_page_copy(struct vm_fault *vmf, bool *copied);

@split_huge@
identifier area, flags;
@@
 pgtable_split_needed(struct vm_area_struct *area, unsigned long flags)
 {
+	if ((flags & MM_CP_UFFD_WP_RESOLVE) && vma_is_anonymous(area))
+		return true;
 	...
 }

@entry@
symbol oldpte, pte;
@@
+static int page_mappings(struct page *page)
+{
+	struct folio *folio = page_folio(page);
+	int mappings = atomic_read(&page->_mapcount) + 1;
+
+	return folio_test_large(folio) ? mappings + folio_entire_mapcount(folio) : mappings;
+}
+
 static long change_pte_range(...)
 {
 	<+...
+retry_pte:
 	oldpte = ptep_get(pte);
 	...+>
 }

@resolve depends on entry@
symbol oldpte, pte, ptl, vma, addr, pmd, pages, uffd_wp_resolve;
@@
+if (uffd_wp_resolve && vma_is_anonymous(vma)) {
+	struct page *page;
+
+	if (!pte_uffd_wp(oldpte))
+		continue;
+	page = vm_normal_page(vma, addr, oldpte);
+	if (!page || page_mappings(page) > 1) {
+		struct vm_fault vmf = {
+			.vma = vma,
+			.address = addr,
+			.flags = FAULT_FLAG_UNSHARE,
+			.page = page,
+			.orig_pte = oldpte,
+			.pmd = pmd,
+		};
+		bool copied = false;
+		vm_fault_t ret;
+
+		if (page)
+			get_page(page);
+		arch_leave_lazy_mmu_mode();
+		pte_unmap_unlock(pte, ptl);
+		ret = wp_page_copy(&vmf, &copied);
+		if (!ret && !copied)
+			continue;
+		if (WARN_ON(ret))
+			return pages;
+		pte = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
+		if (!pte)
+			return -EAGAIN;
+		arch_enter_lazy_mmu_mode();
+		if (!pte_present(ptep_get(pte)))
+			goto retry_pte;
+	}
+}
 oldpte = ptep_modify_prot_start(vma, addr, pte);

@writable depends on resolve@
symbol ptent, vma;
@@
-ptent = pte_clear_uffd_wp(ptent);
+ptent = pte_clear_uffd_wp(ptent);
+if (vma_is_anonymous(vma))
+	ptent = pte_mkwrite(ptent, vma);
