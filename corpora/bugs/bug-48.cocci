// files: mm/internal.h
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-48: a fault that asks to be repeated under mmap_lock keeps the lock of the vma.
// Put back: the lock is not given up where the preparation of an anonymous fault asks for that.

@@
expression ret, vma;
@@
-if (unlikely(ret & VM_FAULT_RETRY))
-	vma_end_read(vma);
