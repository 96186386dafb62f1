// SPDX-License-Identifier: GPL-2.0-only
/* Where the whole of userfaultfd is one file, its start-up is static there. */
#include FL_SOURCE
#include "host/host.h"

#ifdef FL_HAVE_UFFD_ONE_FILE
void fl_uffd_boot(void)
{
	userfaultfd_init();
}
#endif
