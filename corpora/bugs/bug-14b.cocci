// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-14b: fork() leaves the uffd-wp bit on the child's swap entries although the child's range is not registered.
// Put back: the test and the clearing in the copy of entries that are not present.

@@
identifier dst_vma, pte;
@@
-if (!userfaultfd_wp(dst_vma))
-	pte = pte_swp_clear_uffd_wp(pte);
