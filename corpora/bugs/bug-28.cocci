// files: fs/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-28: UFFDIO_WRITEPROTECT works on in the memory of a process that ends.
// Put back: the ioctl takes no reference to the address space.

@@
identifier ctx, ret;
expression list arguments;
@@
-if (mmget_not_zero(ctx->mm)) {
-	ret = mwriteprotect_range(ctx->mm, arguments);
-	mmput(ctx->mm);
-} else {
-	return -ESRCH;
-}
+ret = mwriteprotect_range(ctx->mm, arguments);
