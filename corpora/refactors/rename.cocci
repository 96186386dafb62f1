// files: mm/mprotect.c
// SPDX-License-Identifier: GPL-2.0-only
// optional: entry entry_used resolve resolve_used
//
// rename: change_pte_range() works on entries before and after the change, and its parameter for write protection is
// called like the mark that an entry has.  Its name and those of its variables say which is which.
//
// SmPL renames a variable where it is declared and where it is used, one after the other.  Since 6.17 two of the
// variables belong to functions of their own.

@definition@
parameter list given;
@@
-static long change_pte_range(given)
+static long change_entries(given)
 {
 	... when any
 }

@call@
@@
-change_pte_range
+change_entries
 (...)

@protect@
@@
 change_entries(...)
 {
 	... when any
-	bool uffd_wp
+	bool protect
 	= cp_flags & MM_CP_UFFD_WP;
 	... when any
 }

@protect_used@
@@
 change_entries(...)
 {
 	<...
-	uffd_wp
+	protect
 	...>
 }

@resolve@
@@
 change_entries(...)
 {
 	... when any
-	bool uffd_wp_resolve
+	bool resolve
 	= cp_flags & MM_CP_UFFD_WP_RESOLVE;
 	... when any
 }

@resolve_used@
@@
 change_entries(...)
 {
 	<...
-	uffd_wp_resolve
+	resolve
 	...>
 }

@entry@
typedef pte_t;
@@
 change_entries(...)
 {
 	<...
-	pte_t ptent;
+	pte_t changed;
 	...>
 }

@entry_used@
@@
 change_entries(...)
 {
 	<...
-	ptent
+	changed
 	...>
 }
