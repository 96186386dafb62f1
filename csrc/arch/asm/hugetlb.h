/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_HUGETLB_H
#define FL_ASM_HUGETLB_H

#include <asm/page.h>
#include <asm-generic/hugetlb.h>

#define hugepages_supported()	(1)
#endif
