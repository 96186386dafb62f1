// SPDX-License-Identifier: GPL-2.0-only
/* Shared memory: huge pages are for anonymous memory only. */
#include "host/huge.h"
#include FL_SOURCE

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* keeps: `deny`, one of the settings of shmem_enabled.  leaves out: the others, so huge pages of files. */
void fl_huge_deny_files(void)
{
	shmem_huge = SHMEM_HUGE_DENY;
}
#endif
