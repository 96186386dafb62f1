// files: mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-26: mprotect() gives write permission back to a page that a userfaultfd protects.
// Put back: whether an entry may become writable does not depend on its uffd-wp bit.

@@
expression vma, pte;
@@
-if (userfaultfd_pte_wp(vma, pte))
-	return false;
