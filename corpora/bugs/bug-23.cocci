// files: mm/vma.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-23: protected pages of shared memory get the write bit back when the mapping's protection changes.
// Put back: a mapping registered for write protection does not ask to be told of first writes.

@@
identifier vma;
@@
 vma_wants_writenotify(...)
 {
 	<...
-	if (userfaultfd_wp(vma))
-		return ...;
 	...>
 }
