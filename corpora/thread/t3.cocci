// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T3, split: do_wp_page() keeps only the userfaultfd check and goes on to do_wp_page_cont(), which holds all the rest.
// No caller changes.
//
// SmPL cannot cut a function in two, so do_wp_page() is renamed, loses the check, and a new do_wp_page() follows it.
// The deferred TLB flush that 6.12 does beside the check belongs to the copy and stays with the rest.
//
// Before 6.7 there was no asynchronous mode, and the check read the entry itself (rule sync).
// optional: split sync

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

@sync depends on !split@
identifier vmf;
statement check;
symbol vma;
typedef vm_fault_t, bool;
@@
+vm_fault_t do_wp_page_cont(struct vm_fault *vmf);
+
-static vm_fault_t do_wp_page(struct vm_fault *vmf)
+vm_fault_t do_wp_page_cont(struct vm_fault *vmf)
 {
 	<+...
-	if (userfaultfd_pte_wp(vma, *vmf->pte)) check
 	...+>
 }

+static vm_fault_t do_wp_page(struct vm_fault *vmf)
+{
+	if (!(vmf->flags & FAULT_FLAG_UNSHARE) && userfaultfd_pte_wp(vmf->vma, *vmf->pte)) {
+		pte_unmap_unlock(vmf->pte, vmf->ptl);
+		return handle_userfault(vmf, VM_UFFD_WP);
+	}
+
+	return do_wp_page_cont(vmf);
+}
