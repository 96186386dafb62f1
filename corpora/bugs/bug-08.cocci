// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-08: a page that has left the swap cache, or went to another place in swap, is mapped for the entry it once had.
// Put back: the page is not looked at again once it is locked.

@@
identifier folio, page, entry;
@@
-if (unlikely(!folio_test_swapcache(folio) || page_swap_entry(page).val != entry.val))
-	goto out_page;
