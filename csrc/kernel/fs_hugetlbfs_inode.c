// SPDX-License-Identifier: GPL-2.0-only
/* hugetlbfs: its own start-up code. */
#include "host/huge.h"
#include FL_SOURCE

void fl_hugetlbfs_boot(void)
{
	init_hugetlbfs_fs();
}
