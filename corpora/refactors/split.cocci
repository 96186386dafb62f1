// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
// optional: label
//
// split: do_anonymous_page() handles first reads, which map the zero page, and first stores, which bring a page.  Reads
// get a function of their own.
//
// SmPL cannot move statements that jump, so the new function is written anew.  Since 7.2 the two parts share no end
// (rule label).

@split@
identifier vmf;
expression mm;
statement zero;
typedef vm_fault_t, pte_t;
@@
+static vm_fault_t do_anonymous_zero_page(struct vm_fault *vmf)
+{
+	struct vm_area_struct *vma = vmf->vma;
+	vm_fault_t ret = 0;
+	pte_t entry;
+
+	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);
+	if (!vmf->pte)
+		return 0;
+	if (vmf_pte_changed(vmf)) {
+		update_mmu_tlb(vma, vmf->address, vmf->pte);
+		goto unlock;
+	}
+	ret = check_stable_address_space(vma->vm_mm);
+	if (ret)
+		goto unlock;
+	if (userfaultfd_missing(vma)) {
+		pte_unmap_unlock(vmf->pte, vmf->ptl);
+		return handle_userfault(vmf, VM_UFFD_MISSING);
+	}
+
+	entry = pte_mkspecial(pfn_pte(page_to_pfn(ZERO_PAGE(vmf->address)), vma->vm_page_prot));
+	if (vmf_orig_pte_uffd_wp(vmf))
+		entry = pte_mkuffd_wp(entry);
+	set_pte_at(vma->vm_mm, vmf->address, vmf->pte, entry);
+	update_mmu_cache_range(vmf, vma, vmf->address, vmf->pte, 1);
+unlock:
+	pte_unmap_unlock(vmf->pte, vmf->ptl);
+	return ret;
+}
+
 static vm_fault_t do_anonymous_page(struct vm_fault *vmf)
 {
 	... when any
 	if (!(vmf->flags & FAULT_FLAG_WRITE) && !mm_forbids_zeropage(mm))
-		zero
+		return do_anonymous_zero_page(vmf);
 	... when any
 }

@label@
symbol setpte;
statement marked;
@@
 do_anonymous_page(...)
 {
	<...
-setpte:
	marked
	...>
 }
