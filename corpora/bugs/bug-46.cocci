// files: mm/mremap.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-46: mremap moves a whole page table, and who looks for a page by the reverse map finds it at its new place before the
// TLB forgets the old one.
// Put back: the locks of the reverse map are taken only where entries are moved one by one.

@@
identifier vma, old_addr, new_addr, old_pmd, new_pmd;
@@
-move_pgt_entry(NORMAL_PMD, vma, old_addr, new_addr, old_pmd, new_pmd, true)
+move_pgt_entry(NORMAL_PMD, vma, old_addr, new_addr, old_pmd, new_pmd, need_rmap_locks)
