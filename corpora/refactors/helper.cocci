// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
// optional: zeropage poison zeropage_of_state poison_of_state
//
// helper: UFFDIO_ZEROPAGE and UFFDIO_POISON both put an entry that is no page of the process where there is none yet.
// A helper does so for both.
//
// SmPL cannot take a part out of a function that jumps, so the two get new bodies.  Since 7.2 they have one argument.

@has_state@
identifier state;
@@
 static int mfill_atomic_pte_poison(struct mfill_state *state)
 {
	...
 }

@helper@
parameter list given;
typedef pmd_t, pte_t, spinlock_t;
@@
+/* Puts an entry where there is none; -EAGAIN: the page table is gone. */
+static int mfill_atomic_install_special(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr, pte_t entry)
+{
+	spinlock_t *ptl;
+	pte_t *pte = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
+	int err = 0;
+
+	if (!pte)
+		return -EAGAIN;
+	if (mfill_file_over_size(vma, addr))
+		err = -EFAULT;
+	else if (!pte_none(ptep_get(pte)))
+		err = -EEXIST;
+	if (!err) {
+		set_pte_at(vma->vm_mm, addr, pte, entry);
+		update_mmu_cache(vma, addr, pte);
+	}
+	pte_unmap_unlock(pte, ptl);
+	return err;
+}
+
 static int mfill_atomic_pte_zeropage(given)
 {
	...
 }

@zeropage depends on !has_state@
identifier pmd, vma, addr;
statement list gone;
typedef pmd_t;
@@
 static int mfill_atomic_pte_zeropage(pmd_t *pmd, struct vm_area_struct *vma, unsigned long addr)
 {
-	gone
+	if (mm_forbids_zeropage(vma->vm_mm))
+		return mfill_atomic_pte_zeroed_folio(pmd, vma, addr);
+
+	return mfill_atomic_install_special(vma, pmd, addr, pte_mkspecial(pfn_pte(my_zero_pfn(addr), vma->vm_page_prot)));
 }

@poison depends on !has_state@
identifier pmd, vma, addr, flags;
statement list gone;
typedef pmd_t, uffd_flags_t;
@@
 static int mfill_atomic_pte_poison(pmd_t *pmd, struct vm_area_struct *vma, unsigned long addr, uffd_flags_t flags)
 {
-	gone
+	return mfill_atomic_install_special(vma, pmd, addr, make_pte_marker(PTE_MARKER_POISONED));
 }

@zeropage_of_state@
identifier state;
statement list gone;
@@
 static int mfill_atomic_pte_zeropage(struct mfill_state *state)
 {
-	gone
+	struct vm_area_struct *vma = state->vma;
+	pte_t zero = pte_mkspecial(pfn_pte(zero_pfn(state->dst_addr), vma->vm_page_prot));
+
+	if (mm_forbids_zeropage(vma->vm_mm) || (vma->vm_flags & VM_SHARED))
+		return mfill_atomic_pte_zeroed_folio(state);
+
+	return mfill_atomic_install_special(vma, state->pmd, state->dst_addr, zero);
 }

@poison_of_state@
identifier state;
statement list gone;
@@
 static int mfill_atomic_pte_poison(struct mfill_state *state)
 {
-	gone
+	return mfill_atomic_install_special(state->vma, state->pmd, state->dst_addr, make_pte_marker(PTE_MARKER_POISONED));
 }
