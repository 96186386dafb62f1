// SPDX-License-Identifier: GPL-2.0-only
/* userfaultfd: its start-up is static there. */
#include FL_SOURCE
#include "host/host.h"

void fl_uffd_boot(void)
{
	userfaultfd_init();
}

struct mm_struct *fl_uffd_mm(struct file *file)
{
	return ((struct userfaultfd_ctx *)file->private_data)->mm;
}
