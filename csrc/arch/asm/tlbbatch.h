/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_TLBBATCH_H
#define FL_ASM_TLBBATCH_H

/* Flushes that reclaim has put off: a bit for each address space that has TLB entries. */
struct arch_tlbflush_unmap_batch {
	unsigned long asids;
};

#endif
