// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-18: copy-on-write copies a page that another CPU can still write to, by a TLB entry from before the protection.
// Put back: a TLB flush that is under way is not waited for.

@@
identifier vmf;
@@
-if (unlikely(userfaultfd_wp(vmf->vma) && mm_tlb_flush_pending(vmf->vma->vm_mm)))
-	flush_tlb_page(vmf->vma, vmf->address);
