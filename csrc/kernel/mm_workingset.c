// SPDX-License-Identifier: GPL-2.0-only
/* Shadow entries of evicted pages: their start-up is static there. */
#include FL_SOURCE
#include "host/host.h"

void fl_workingset_boot(void)
{
	workingset_init();
}
