// files: mm/gup.c
// SPDX-License-Identifier: GPL-2.0-only
//
// bug-05: a pin for reading takes a page that is shared for copy-on-write, and goes stale when its process stores.
// Put back: no page is made exclusive before it is pinned.

@pins_shared@
expression list arguments;
@@
-gup_must_unshare(arguments)
+(0 && gup_must_unshare(arguments))
