// files: mm/swapfile.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-10: swapoff maps a page whose read from swap failed, with whatever it holds.
// Put back: whether the page is up to date is not asked.

@@
expression poisoned, folio, page;
@@
(
-if (unlikely(poisoned || !folio_test_uptodate(folio)))
+if (unlikely(poisoned))
 {...}
|
-if (unlikely(!PageUptodate(page)))
-{...}
)
