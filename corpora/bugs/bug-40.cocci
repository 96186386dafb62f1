// files: mm/ksm.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-40: KSM merges a page of zeroes with the zero page in a mapping that is gone by then.
// Put back: whether there still is a mapping is not asked.

@@
identifier vma, err;
expression list arguments;
@@
-if (vma) {
 	err = try_to_merge_one_page(vma, arguments);
	...
-} else {
-	err = 0;
-}
