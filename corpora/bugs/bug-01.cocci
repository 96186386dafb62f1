// files: mm/memory.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-01: copy-on-write takes a page with one mapping for its own, though somebody else holds a reference to it.
// Put back: the tests of the reference count are tests of the mapcount.

@few@
expression folio;
@@
-folio_ref_count(folio) > 3
+folio_mapcount(folio) > 1

@cached@
expression folio;
@@
-folio_ref_count(folio) > 1 + folio_test_swapcache(folio)
+folio_mapcount(folio) > 1

@alone@
expression folio;
@@
 folio_test_ksm(folio) ||
-folio_ref_count(folio) != 1
+folio_mapcount(folio) != 1
