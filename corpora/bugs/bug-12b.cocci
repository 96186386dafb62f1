// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-12b: a page that comes back from swap loses its write protection by userfaultfd.
// Put back: the new entry does not take the bit over.

@@
identifier vmf, pte;
@@
-if (pte_swp_uffd_wp(vmf->orig_pte))
-	pte = pte_mkuffd_wp(pte);
