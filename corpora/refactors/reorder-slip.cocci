// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// After reorder.cocci: the line that counts the page got lost when the entry came below it.

@@
@@
 mfill_atomic_install_pte(...)
 {
 	<...
-	inc_mm_counter(...);
 	...>
 }
