// files: mm/memory.c mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T2, v3 with the squashed fix: as T1, but unless wp_page_copy() failed the PTE is always mapped and locked again before
// the loop goes on, and looked at again if nothing was copied or if it is no longer present.
//
// Kept defects: one mapping counts as exclusive (KSM page, swap cache, extra reference); after the copy only "present"
// is checked again; the PTE becomes writable whether or not the VMA is; an error ends the loop as if all was done.
//
// Ported as T1 is.

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
+		if (ret)
+			return pages;
+		pte = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
+		if (!pte)
+			return -EAGAIN;
+		arch_enter_lazy_mmu_mode();
+		if (!copied || !pte_present(ptep_get(pte)))
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
