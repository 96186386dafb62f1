// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-06: a swap entry that fork() shares stays marked exclusive, so that who comes back from swap may write in place.
// Put back: the parent's entry, and with it the child's, keep their mark.

@@
expression entry;
identifier pte, mm, addr, ptep;
@@
-if (pte_swp_exclusive(entry)) {
-	pte = pte_swp_clear_exclusive(entry);
-	set_pte_at(mm, addr, ptep, pte);
-}
