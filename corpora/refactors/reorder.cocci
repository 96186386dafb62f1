// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// reorder: mfill_atomic_install_pte() makes the entry before it knows whether it is needed.  It now does so where nothing
// can fail any more, after the page has its mapping and is counted.

@early@
identifier entry, writable, flags;
expression page, prot, no_write;
statement never;
symbol dst_vma;
@@
 mfill_atomic_install_pte(...)
 {
 	... when any
-	entry = mk_pte(page, prot);
-	entry = pte_mkdirty(entry);
 	if (no_write) never
-	if (writable)
-		entry = pte_mkwrite(entry, dst_vma);
-	if (flags & MFILL_ATOMIC_WP)
-		entry = pte_mkuffd_wp(entry);
 	... when any
 }

@late@
identifier early.entry, early.writable;
symbol dst_vma;
expression mm, addr, pte;
@@
 mfill_atomic_install_pte(...)
 {
 	<...
+	entry = mk_pte(page, dst_vma->vm_page_prot);
+	entry = pte_mkdirty(entry);
+	if (writable)
+		entry = pte_mkwrite(entry, dst_vma);
+	if (flags & MFILL_ATOMIC_WP)
+		entry = pte_mkuffd_wp(entry);
 	set_pte_at(mm, addr, pte, entry);
 	...>
 }
