// SPDX-License-Identifier: GPL-2.0-only
/* Shared memory: where huge pages are for it. */
#include "host/huge.h"
#include FL_SOURCE

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/*
 * keeps: `advise`, one of the settings of shmem_enabled: huge pages for what a program advised so.
 * leaves out: the others; on trees whose large folios the checks do not know, huge pages of files (`deny`).
 */
void fl_huge_files_boot(void)
{
#ifdef FL_HAVE_LARGE_MAPCOUNT
	shmem_huge = SHMEM_HUGE_ADVISE;
	SHMEM_SB(shm_mnt->mnt_sb)->huge = shmem_huge;
#else
	shmem_huge = SHMEM_HUGE_DENY;
#endif
}
#endif
