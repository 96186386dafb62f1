// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel that was built has, of the needs that operations name. */
#include "host/host.h"
#include <linux/mman.h>
#include <linux/userfaultfd.h>

unsigned int fl_version(void)
{
	return FL_KVER * 1000 + FL_SUBLEVEL;
}

unsigned int fl_has(void)
{
	unsigned int has = 0;

	if (IS_ENABLED(CONFIG_USERFAULTFD))
		has |= 1 << FL_NEED_UFFD;
	if (IS_ENABLED(CONFIG_USERFAULTFD) && IS_ENABLED(CONFIG_HAVE_ARCH_USERFAULTFD_WP))
		has |= 1 << FL_NEED_UFFD_WP;
	if (IS_ENABLED(CONFIG_KSM))
		has |= 1 << FL_NEED_KSM;
	if (IS_ENABLED(CONFIG_MMU_NOTIFIER))
		has |= 1 << FL_NEED_GUEST;
#ifdef FL_HAVE_GUARD_REGIONS
	has |= 1 << FL_NEED_GUARD;
#endif
#ifdef FL_HAVE_ANON_EXCLUSIVE
	has |= 1 << FL_NEED_DRIVER;
#endif
#ifdef MADV_POPULATE_READ
	has |= 1 << FL_NEED_POPULATE;
#endif
	if (IS_ENABLED(CONFIG_CROSS_MEMORY_ATTACH))
		has |= 1 << FL_NEED_PROCESS_VM;
	if (IS_ENABLED(CONFIG_MIGRATION))
		has |= 1 << FL_NEED_MIGRATION;
	has |= 1 << FL_NEED_FAIL;
	if (IS_ENABLED(CONFIG_SWAP))
		has |= 1 << FL_NEED_SWAP;
	if (IS_ENABLED(CONFIG_SHMEM) && IS_ENABLED(CONFIG_TMPFS))
		has |= 1 << FL_NEED_SHMEM;
#ifdef UFFDIO_CONTINUE
	if (IS_ENABLED(CONFIG_USERFAULTFD) && IS_ENABLED(CONFIG_HAVE_ARCH_USERFAULTFD_MINOR))
		has |= 1 << FL_NEED_UFFD_MINOR;
#endif
	if (IS_ENABLED(CONFIG_NUMA_BALANCING))
		has |= 1 << FL_NEED_NUMA_HINTS;
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		has |= 1 << FL_NEED_THP;
#ifdef UFFDIO_MOVE
	has |= 1 << FL_NEED_UFFD_MOVE;
#endif
#ifdef UFFDIO_POISON
	has |= 1 << FL_NEED_UFFD_POISON;
#endif
	if (IS_ENABLED(CONFIG_MEM_SOFT_DIRTY))
		has |= 1 << FL_NEED_SOFT_DIRTY;
#if defined(PAGEMAP_SCAN) && defined(CONFIG_PROC_PAGE_MONITOR)
	has |= 1 << FL_NEED_PAGEMAP_SCAN;
#endif
	if (IS_ENABLED(CONFIG_HUGETLB_PAGE)) {
		has |= 1 << FL_NEED_HUGETLB;
		/* what the oracle does not know yet beside it */
		has &= ~(1 << FL_NEED_FAIL | 1 << FL_NEED_SOFT_DIRTY | 1 << FL_NEED_PAGEMAP_SCAN);
	}
	return has;
}
