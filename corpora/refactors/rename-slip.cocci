// files: mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
//
// After rename.cocci: the flush of the TLB got lost beside a line that was renamed.

@@
expression before, after, where;
@@
 change_entries(...)
 {
 	<...
-	if (pte_needs_flush(before, after))
-		tlb_flush_pte_range(where, ...);
 	...>
 }
