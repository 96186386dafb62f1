// SPDX-License-Identifier: GPL-2.0-only
/* The swap cache: how much is read ahead is static there on some trees. */
#include FL_SOURCE
#include "host/host.h"

/* No read-ahead from swap: its window depends on the programs before. */
void fl_swap_state_boot(void)
{
	page_cluster = 0;
}
