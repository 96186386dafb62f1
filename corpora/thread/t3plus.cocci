// files: mm/memory.c mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T3+, v4: as T3, and on resolve change_pte_range() goes through the common code: where a PTE has the bit, the bit is
// cleared and do_wp_page_cont() is called with the PTE mapped and locked.  It returns with both gone, so the PTE is
// mapped and locked again before the loop goes on.  An error ends the loop as if all was done.
//
// Ported: the entry is without the bit before the call, as the asynchronous mode of 6.12 does it.  Only anonymous memory
// could be write-protected then, so other memory keeps 6.12's way.

@split@
identifier vmf;
statement check;
symbol vma, pte;
typedef vm_fault_t, pte_t;
@@
+vm_fault_t do_wp_page_cont(struct vm_fault *vmf);
+
-static vm_fault_t do_wp_page(struct vm_fault *vmf)
+vm_fault_t do_wp_page_cont(struct vm_fault *vmf)
 {
 	...
-	pte_t pte;
 	<+...
-	if (userfaultfd_pte_wp(vma, ptep_get(vmf->pte))) check
 	...+>
 }

+static vm_fault_t do_wp_page(struct vm_fault *vmf)
+{
+	pte_t pte = ptep_get(vmf->pte);
+
+	if (!(vmf->flags & FAULT_FLAG_UNSHARE) && userfaultfd_pte_wp(vmf->vma, pte)) {
+		if (!userfaultfd_wp_async(vmf->vma)) {
+			pte_unmap_unlock(vmf->pte, vmf->ptl);
+			return handle_userfault(vmf, VM_UFFD_WP);
+		}
+		vmf->orig_pte = pte_clear_uffd_wp(pte);
+		set_pte_at(vmf->vma->vm_mm, vmf->address, vmf->pte, vmf->orig_pte);
+	}
+
+	return do_wp_page_cont(vmf);
+}

@prototype@
@@
 #include "internal.h"
+vm_fault_t do_wp_page_cont(struct vm_fault *vmf);

@split_huge@
identifier area, flags;
@@
 pgtable_split_needed(struct vm_area_struct *area, unsigned long flags)
 {
+	if ((flags & MM_CP_UFFD_WP_RESOLVE) && vma_is_anonymous(area))
+		return true;
 	...
 }

@resolve@
symbol oldpte, pte, ptl, vma, addr, pmd, pages, uffd_wp_resolve;
@@
+if (uffd_wp_resolve && vma_is_anonymous(vma)) {
+	struct vm_fault vmf = {
+		.vma = vma,
+		.address = addr,
+		.flags = FAULT_FLAG_WRITE,
+		.pmd = pmd,
+		.pte = pte,
+		.ptl = ptl,
+	};
+
+	if (!pte_uffd_wp(oldpte))
+		continue;
+	vmf.orig_pte = pte_clear_uffd_wp(oldpte);
+	set_pte_at(vma->vm_mm, addr, pte, vmf.orig_pte);
+	arch_leave_lazy_mmu_mode();
+	if (do_wp_page_cont(&vmf))
+		return pages;
+	pte = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
+	if (!pte)
+		return -EAGAIN;
+	arch_enter_lazy_mmu_mode();
+	pages++;
+	continue;
+}
 oldpte = ptep_modify_prot_start(vma, addr, pte);
