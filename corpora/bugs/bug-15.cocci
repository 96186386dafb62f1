// files: include/linux/mm_inline.h
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-15: fork() copies the marker of a write-protected missing page into a child whose range is not registered.
// Put back: markers are copied without asking what the child's range is registered for.

@@
identifier dst_vma;
expression E;
@@
-(E & PTE_MARKER_UFFD_WP) && userfaultfd_wp(dst_vma)
+(E & PTE_MARKER_UFFD_WP)
