/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_TLB_H
#define FL_ASM_TLB_H

struct mmu_gather;
#include <asm-generic/tlb.h>

#endif
