// SPDX-License-Identifier: GPL-2.0-only
/* fork(): the duplication of an mm is static there. */
#include FL_SOURCE
#include "host/host.h"

struct mm_struct *fl_dup_mm(struct task_struct *child, struct mm_struct *mm)
{
	return dup_mm(child, mm);
}
