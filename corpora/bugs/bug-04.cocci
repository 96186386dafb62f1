// files: include/linux/mm.h
// SPDX-License-Identifier: GPL-2.0-only
// optional: of_a_page of_a_folio
//
// bug-04: fork shares a pinned page for copy-on-write, so that the next store parts the process from its device.
// Put back: no page is copied for a pin's sake.

@of_a_page@
identifier vma, page;
@@
 page_needs_cow_for_dma(struct vm_area_struct *vma, struct page *page)
 {
+	return false;
 	...
 }

@of_a_folio@
identifier vma, folio;
@@
 folio_needs_cow_for_dma(struct vm_area_struct *vma, struct folio *folio)
 {
+	return false;
 	...
 }
