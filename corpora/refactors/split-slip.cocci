// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// After split.cocci: the new function forgets that a write protection may have been left where no page was.

@@
identifier entry;
@@
 do_anonymous_zero_page(...)
 {
 	<...
-	if (vmf_orig_pte_uffd_wp(vmf))
-		entry = pte_mkuffd_wp(entry);
 	...>
 }
