/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_MMU_H
#define FL_ASM_MMU_H

typedef struct {
	unsigned int asid;	/* tag of this mm's TLB entries, 0: none yet */
} mm_context_t;

#endif
