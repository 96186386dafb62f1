// files: mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-12c: write protection by userfaultfd, and its end, pass over pages that are in swap.
// Put back: the bit of a swap entry is left alone.

@@
identifier uffd_wp, uffd_wp_resolve, newpte;
@@
-if (uffd_wp)
-	newpte = pte_swp_mkuffd_wp(newpte);
-else if (uffd_wp_resolve)
-	newpte = pte_swp_clear_uffd_wp(newpte);
