// files: mm/swapfile.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-11: swapoff() never finds a swap entry that is write-protected by userfaultfd, and looks for it for ever.
// Put back: the comparison does not take the uffd-wp bit away.

@@
identifier pte, swp_pte;
@@
-return pte_same(pte_swp_clear_flags(pte), swp_pte);
+return pte_same(pte_swp_clear_exclusive(pte_swp_clear_soft_dirty(pte)), swp_pte);
