// files: mm/rmap.c
// SPDX-License-Identifier: GPL-2.0-only
//
// Two faults in a mapping that has no anon_vma give it one each: nothing orders them any more.
// What keeps them apart is the lock of the mm's page tables, which is taken for this and let go after it.

@@
expression vma, mm;
@@
-spin_lock(&mm->page_table_lock);
 if (likely(!vma->anon_vma)) { ... }
-spin_unlock(&mm->page_table_lock);
