// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T5+, T5 repaired: do_userfaultfd_wp() gives handle_userfault()'s result through a pointer, as a vm_fault_t.  It
// returns true exactly when it has dropped the PTE lock; on false the PTE is still mapped and locked, as do_wp_page()
// wants it.
//
// Before 6.7 there was no asynchronous mode, and the check read the entry itself (rule sync).
// optional: split sync

@split@
identifier vmf;
statement check;
symbol vma, pte;
typedef vm_fault_t, pte_t, bool;
@@
 static vm_fault_t do_wp_page(struct vm_fault *vmf)
 {
 	...
-	pte_t pte;
 	<+...
-	if (userfaultfd_pte_wp(vma, ptep_get(vmf->pte))) check
 	...+>
 }

+static bool do_userfaultfd_wp(struct vm_fault *vmf, vm_fault_t *ret)
+{
+	pte_t pte = ptep_get(vmf->pte);
+
+	if ((vmf->flags & FAULT_FLAG_UNSHARE) || !userfaultfd_pte_wp(vmf->vma, pte))
+		return false;
+	if (userfaultfd_wp_async(vmf->vma)) {
+		vmf->orig_pte = pte_clear_uffd_wp(pte);
+		set_pte_at(vmf->vma->vm_mm, vmf->address, vmf->pte, vmf->orig_pte);
+		return false;
+	}
+
+	pte_unmap_unlock(vmf->pte, vmf->ptl);
+	*ret = handle_userfault(vmf, VM_UFFD_WP);
+	return true;
+}

@sync depends on !split@
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

+static bool do_userfaultfd_wp(struct vm_fault *vmf, vm_fault_t *ret)
+{
+	if ((vmf->flags & FAULT_FLAG_UNSHARE) || !userfaultfd_pte_wp(vmf->vma, *vmf->pte))
+		return false;
+
+	pte_unmap_unlock(vmf->pte, vmf->ptl);
+	*ret = handle_userfault(vmf, VM_UFFD_WP);
+	return true;
+}

@swap depends on split || sync@
identifier vmf;
symbol ret;
@@
 vm_fault_t do_swap_page(struct vm_fault *vmf)
 {
 	...
 	vm_fault_t ret = 0;
+	vm_fault_t tmp = 0;
 	<+...
-	ret |= do_wp_page(vmf);
+	if (do_userfaultfd_wp(vmf, &tmp))
+		ret |= tmp;
+	else
+		ret |= do_wp_page(vmf);
 	...+>
 }

@fault depends on split || sync@
identifier vmf;
symbol entry;
@@
 static vm_fault_t handle_pte_fault(struct vm_fault *vmf)
 {
 	pte_t entry;
+	vm_fault_t ret = 0;
 	<+...
-	return do_wp_page(vmf);
+	{
+		if (do_userfaultfd_wp(vmf, &ret))
+			return ret;
+		return do_wp_page(vmf);
+	}
 	...+>
 }
