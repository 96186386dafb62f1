// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-35a: UFFDIO_MOVE takes a page for the one of a swap entry although it has left the swap cache, or moved in swap.
// Put back: the page is not looked at again once it is locked.

@@
identifier src_folio, entry;
@@
-if (src_folio && unlikely(!folio_test_swapcache(src_folio) || entry.val != src_folio->swap.val))
-	return -EAGAIN;
