/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_CMPXCHG_H
#define FL_ASM_CMPXCHG_H

#include <asm/fl_sched.h>

/* Plain read-modify-write: simulated CPUs change over at known points only, never inside one of these. */
#define arch_xchg(ptr, new) ({						\
	volatile typeof(*(ptr)) *fl_p = (ptr);				\
	fl_note(FL_WRITE, fl_p);					\
	typeof(*(ptr)) fl_old = *fl_p;					\
	*fl_p = (typeof(*(ptr)))(new);					\
	fl_old; })
#define arch_cmpxchg(ptr, expect, new) ({				\
	volatile typeof(*(ptr)) *fl_p = (ptr);				\
	fl_note(FL_WRITE, fl_p);					\
	typeof(*(ptr)) fl_old = *fl_p;					\
	if (fl_old == (typeof(*(ptr)))(expect))				\
		*fl_p = (typeof(*(ptr)))(new);				\
	fl_old; })
#define arch_cmpxchg_local	arch_cmpxchg
#define arch_cmpxchg64		arch_cmpxchg
#define arch_cmpxchg64_local	arch_cmpxchg

#endif
