// files: mm/ksm.c
// SPDX-License-Identifier: GPL-2.0-only
//
// After early-return.cocci: the new return forgets the lock that the jump to the end released.

@@
expression unlock;
@@
 try_to_merge_one_page(...)
 {
 	<...
 	if (write_protect_page(...)) {
-		unlock;
 		return -EFAULT;
 	}
 	...>
 }
