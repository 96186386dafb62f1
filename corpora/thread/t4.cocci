// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T4, rename: do_userfaultfd_wp_page() holds the userfaultfd check and calls do_wp_page(), which holds all the rest.
// Every caller of do_wp_page() (handle_pte_fault() and do_swap_page()) calls do_userfaultfd_wp_page() instead.
//
// The deferred TLB flush that 6.12 does beside the check belongs to the copy and stays in do_wp_page().
//
// Before 6.7 there was no asynchronous mode, and the check read the entry itself (rule sync).
// optional: split sync

@callers@
expression vmf;
@@
-do_wp_page(vmf)
+do_userfaultfd_wp_page(vmf)

@split depends on callers@
identifier vmf;
statement check;
symbol vma, pte;
typedef vm_fault_t, pte_t;
@@
 static vm_fault_t do_wp_page(struct vm_fault *vmf)
 {
 	...
-	pte_t pte;
 	<+...
-	if (userfaultfd_pte_wp(vma, ptep_get(vmf->pte))) check
 	...+>
 }

+static vm_fault_t do_userfaultfd_wp_page(struct vm_fault *vmf)
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
+	return do_wp_page(vmf);
+}

@sync depends on !split && callers@
identifier vmf;
statement check;
symbol vma;
typedef vm_fault_t, bool;
@@
 static vm_fault_t do_wp_page(struct vm_fault *vmf)
 {
 	<+...
-	if (userfaultfd_pte_wp(vma, *vmf->pte)) check
 	...+>
 }

+static vm_fault_t do_userfaultfd_wp_page(struct vm_fault *vmf)
+{
+	if (!(vmf->flags & FAULT_FLAG_UNSHARE) && userfaultfd_pte_wp(vmf->vma, *vmf->pte)) {
+		pte_unmap_unlock(vmf->pte, vmf->ptl);
+		return handle_userfault(vmf, VM_UFFD_WP);
+	}
+
+	return do_wp_page(vmf);
+}
