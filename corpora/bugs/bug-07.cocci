// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-07: two tasks bring a page back from swap past the swap cache, and what one of them wrote is lost.
// Put back: nobody takes the entry for himself while he reads.

@@
identifier entry, need_clear_cache;
expression list count;
@@
-if (swapcache_prepare(entry, count))
-{...}
-need_clear_cache = true;
