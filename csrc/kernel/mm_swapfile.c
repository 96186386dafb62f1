// SPDX-License-Identifier: GPL-2.0-only
/* Swap devices: their start-up is static there. */
#include FL_SOURCE
#include "host/host.h"

void fl_swapfile_boot(void)
{
	swapfile_init();
}
