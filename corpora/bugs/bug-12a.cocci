// files: mm/rmap.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-12a: a page that goes to swap loses its write protection by userfaultfd.
// Put back: the swap entry does not take the bit over.

@@
identifier pteval, swp_pte;
@@
try_to_unmap_one(...)
{
<...
-if (pte_uffd_wp(pteval))
-	swp_pte = pte_swp_mkuffd_wp(swp_pte);
...>
}
