// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-35b: UFFDIO_MOVE moves a swap entry and leaves the page behind that has come into the swap cache meanwhile.
// Put back: whether the entry is cached is not asked again under the lock of the page table.

@@
identifier si, entry;
statement S;
@@
-if (READ_ONCE(si->swap_map[swp_offset(entry)]) & SWAP_HAS_CACHE)
-{...}
