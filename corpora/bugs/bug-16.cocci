// files: kernel/fork.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-16: a fork that fails for want of memory still tells the userfaultfds of the parent that it happened.
// Put back: the events are completed whatever dup_mmap() came to.

@@
identifier retval, uf;
@@
-if (!retval)
-	dup_userfaultfd_complete(&uf);
-else
-	dup_userfaultfd_fail(&uf);
+dup_userfaultfd_complete(&uf);
