// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-02: a page that is written in place stays locked until the lock of its page table is gone, and may be gone itself.
// Put back: the folio is unlocked after the entry was made writable and unlocked, not before.

@@
expression folio;
identifier vmf, vma, unshare;
@@
 page_move_anon_rmap(vmf->page, vma);
+if (!unshare) {
+	wp_page_reuse(vmf);
+	folio_unlock(folio);
+	return VM_FAULT_WRITE;
+}
 folio_unlock(folio);
 reuse:
 if (unlikely(unshare)) {...}
