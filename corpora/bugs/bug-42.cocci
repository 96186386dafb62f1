// files: mm/rmap.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-42: reclaim discards a page of MADV_FREE that somebody else holds, and with it what a device has put there.
// Put back: the count of references no longer matters.

@discards@
expression ref_count, map_count;
@@
-ref_count == 1 + map_count
+ref_count >= 1 + map_count
