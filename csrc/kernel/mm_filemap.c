// SPDX-License-Identifier: GPL-2.0-only
/* The page cache: the queues of those who wait for a folio.  pagecache_init() would bring up writeback with them. */
#include FL_SOURCE
#include "check/held.h"

#ifndef FL_HAVE_FOLIO
#define folio_wait_table page_wait_table
#endif

void fl_filemap_boot(void)
{
	for (int i = 0; i < ARRAY_SIZE(folio_wait_table); i++)
		init_waitqueue_head(&folio_wait_table[i]);
}

bool fl_filemap_has_queue(const void *lock)
{
	return lock >= (void *)folio_wait_table && lock < (void *)(folio_wait_table + ARRAY_SIZE(folio_wait_table));
}

/* The folio, by its first word, whose lock the task sleeps for; NULL: none. */
const void *fl_folio_waited_for(const struct task_struct *ts)
{
	wait_queue_entry_t *entry;

	for (int i = 0; i < ARRAY_SIZE(folio_wait_table); i++)
		list_for_each_entry(entry, &folio_wait_table[i].head, entry) {
			struct wait_page_queue *waiter = container_of(entry, struct wait_page_queue, wait);

			if (entry->private != ts || waiter->bit_nr != PG_locked)
				continue;
#ifdef FL_HAVE_FOLIO
			return waiter->folio;
#else
			return waiter->page;
#endif
		}
	return NULL;
}
