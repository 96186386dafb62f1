// files: mm/ksm.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-39: KSM merges a page that another CPU can still write to, by a TLB entry from before the protection.
// Put back: a TLB flush that is under way does not count as one that is needed.

@@
expression E, mm;
@@
-E || mm_tlb_flush_pending(mm)
+E
