// files: mm/userfaultfd.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-22: UFFDIO_COPY takes a write-protected missing page for one that exists.
// Put back: only an empty entry can be filled.

@@
expression entry;
@@
-pte_none_mostly(entry)
+pte_none(entry)
