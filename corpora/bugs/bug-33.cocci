// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-33: UFFDIO_MOVE of a page in swap does not mark it soft-dirty at its new place.
// Put back: the entry keeps the bit that it had.

@@
identifier entry;
@@
-entry = pte_swp_mksoft_dirty(entry);
+entry = entry;
