// files: mm/ksm.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-37: MADV_UNMERGEABLE clears the upper half of vm_flags, and with it the registration for minor faults.
// Put back: the complement is taken of a 32-bit constant.

@@
expression flags;
@@
-flags &= ~VM_MERGEABLE;
+flags &= ~(unsigned int)VM_MERGEABLE;
