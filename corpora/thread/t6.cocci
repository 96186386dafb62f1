// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// T6, v5 as it was merged in Linux 5.7: resolve clears the bit and leaves the entry read-only; the next write fault breaks
// COW or makes the entry writable.
//
// Ported: 6.12 makes entries of pages that are exclusive writable at once; that is what goes.

@@
expression wp, area, flags;
@@
-if (!wp && vma_wants_manual_pte_write_upgrade(area))
-	flags |= MM_CP_TRY_CHANGE_WRITABLE;
