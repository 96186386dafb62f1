// files: mm/mremap.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-27: mremap() without the remap event moves the uffd-wp bits along, although the moved range is not registered.
// Put back: the move never clears the bits.

@@
identifier area;
@@
-bool need_clear_uffd_wp = vma_has_uffd_without_event_remap(area);
+bool need_clear_uffd_wp = false;
