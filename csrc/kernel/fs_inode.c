// SPDX-License-Identifier: GPL-2.0-only
/* Inodes: the big table that start-up code makes comes from here, as the one that makes it draws all of start-up in. */
#define alloc_large_system_hash fl_alloc_large_hash
#include FL_SOURCE
#undef alloc_large_system_hash
#include "host/host.h"

/* keeps: a table of the smallest size. */
#define HASH_SHIFT	4

void *fl_alloc_large_hash(const char *name, unsigned long bucket, unsigned long entries, int scale, int flags,
			  unsigned int *shift, unsigned int *mask, unsigned long low, unsigned long high)
{
	*shift = HASH_SHIFT;
	*mask = (1 << HASH_SHIFT) - 1;
	return kzalloc(bucket << HASH_SHIFT, GFP_KERNEL);
}

void fl_inode_boot(void)
{
	inode_init_early();
	inode_init();
}
