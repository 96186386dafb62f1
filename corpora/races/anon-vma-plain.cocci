// files: mm/rmap.c
// SPDX-License-Identifier: GPL-2.0-only
//
// A mapping's anon_vma is set by a plain store, so that a fault in the neighbour may see it before what it points to.

@@
expression vma, new;
@@
-smp_store_release(&vma->anon_vma, new);
+vma->anon_vma = new;
