// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T5, small bool helper, as proposed: do_userfaultfd_wp(vmf, ret) is called first at both call sites of do_wp_page(),
// and do_wp_page(), which no longer checks, only if it returns false.
//
// The defect: the result goes into a parameter passed by value.  handle_userfault() has dropped mmap_lock (or the VMA
// lock) and says so with VM_FAULT_RETRY, the caller returns a value that does not, and whoever took the lock drops it
// again.  The proposal's callers pass a `ret` and a `tmp` that they have not set; 6.12's handle_pte_fault() has no
// `ret` at all.  Both variables are added here and start as 0, so that the run is deterministic.
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

+static bool do_userfaultfd_wp(struct vm_fault *vmf, int ret)
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
+	ret = handle_userfault(vmf, VM_UFFD_WP);
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

+static bool do_userfaultfd_wp(struct vm_fault *vmf, int ret)
+{
+	if ((vmf->flags & FAULT_FLAG_UNSHARE) || !userfaultfd_pte_wp(vmf->vma, *vmf->pte))
+		return false;
+
+	pte_unmap_unlock(vmf->pte, vmf->ptl);
+	ret = handle_userfault(vmf, VM_UFFD_WP);
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
+	if (do_userfaultfd_wp(vmf, tmp))
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
+		if (do_userfaultfd_wp(vmf, ret))
+			return ret;
+		return do_wp_page(vmf);
+	}
 	...+>
 }
