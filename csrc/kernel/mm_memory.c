// SPDX-License-Identifier: GPL-2.0-only
/* Faults: the window of pages that a fault on a file maps around it is static there. */
#include FL_SOURCE
#include "host/host.h"

/* Old trees take it that a window lies within one page table, as it does where these have their usual size. */
void fl_memory_boot(void)
{
#ifdef FL_HAVE_FAULT_AROUND_BYTES
	fault_around_bytes = min_t(unsigned long, fault_around_bytes, PMD_SIZE);
#endif
}
