// SPDX-License-Identifier: GPL-2.0-only
/* The page cache: the queues of those who wait for a folio.  pagecache_init() would bring up writeback with them. */
#include FL_SOURCE
#include "host/host.h"

#ifndef FL_HAVE_FOLIO
#define folio_wait_table page_wait_table
#endif

void fl_filemap_boot(void)
{
	for (int i = 0; i < ARRAY_SIZE(folio_wait_table); i++)
		init_waitqueue_head(&folio_wait_table[i]);
}
