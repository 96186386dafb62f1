// SPDX-License-Identifier: GPL-2.0-only
/* Swap devices: their start-up is static there. */
#include FL_SOURCE
#include "host/host.h"

void fl_swapfile_boot(void)
{
	swapfile_init();
#ifdef FL_HAVE_SWAP_OPS
	sio_pool_init();	/* else the first program that turns swap on would leave the pool behind */
#endif
#ifdef FL_HAVE_ONE_SWAP_SPACE
	/* as swap_init() does when it has made its sysfs files */
	mapping_set_no_writeback_tags(&swap_space);
#endif
}
