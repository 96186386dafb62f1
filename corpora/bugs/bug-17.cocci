// files: mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
// optional: write_with_vma write_without_vma
//
// bug-17: resolving a write protection makes the page writable, shared and KSM pages too.
// Put back: the write bit is set where the uffd-wp bit is cleared.

@has_vma@
expression entry, vma;
@@
pte_mkwrite(entry, vma)

@write_with_vma depends on has_vma@
identifier ptent;
@@
-ptent = pte_clear_uffd_wp(ptent);
+ptent = pte_mkwrite(pte_clear_uffd_wp(ptent), vma);

@write_without_vma depends on !has_vma@
identifier ptent;
@@
-ptent = pte_clear_uffd_wp(ptent);
+ptent = pte_mkwrite(pte_clear_uffd_wp(ptent));
