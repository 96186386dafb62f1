// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// After helper.cocci: the helper looks for an entry only, and lost the test whether a file ends before it.

@@
statement other;
@@
 mfill_atomic_install_special(...)
 {
 	<...
-	if (mfill_file_over_size(...)) err = -EFAULT;
-	else other
+	other
 	...>
 }
