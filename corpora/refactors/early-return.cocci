// files: mm/ksm.c
// SPDX-License-Identifier: GPL-2.0-only
//
// early-return: try_to_merge_one_page() does its work inside the test whether write_protect_page() succeeded, and jumps to
// its end to return.  It now returns where it knows the result, and the work loses a level.

@end@
expression unlock;
symbol out_unlock;
@@
 try_to_merge_one_page(...)
 {
 	<...
 out_unlock:
 	unlock;
 	...>
 }

@nested@
expression list given;
expression same;
expression end.unlock;
statement stable, merged;
symbol kpage;
@@
 try_to_merge_one_page(...)
 {
 	... when any
-	if (write_protect_page(given) == 0) {
+	if (write_protect_page(given)) {
+		unlock;
+		return -EFAULT;
+	}
 		if (!kpage) stable
 		else if (same) merged
-	}
 	... when any
 }

@direct@
symbol out;
@@
 try_to_merge_one_page(...)
 {
 	<...
-	goto out;
+	return -EFAULT;
 	...>
 }

@label@
symbol out;
statement last;
@@
 try_to_merge_one_page(...)
 {
 	<...
-out:
 	last
 	...>
 }
