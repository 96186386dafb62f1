// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-19: uffd-wp bits survive that their range is unregistered.
// Put back: unregistering does not resolve the protection.

@@
expression vma;
expression list arguments;
@@
-if (userfaultfd_wp(vma))
-	uffd_wp_range(arguments, false);
