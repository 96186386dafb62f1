/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_BARRIER_H
#define FL_ASM_BARRIER_H

/* One host thread runs all simulated CPUs: a barrier only has to stop the compiler. */
#define mb()	__asm__ __volatile__("" : : : "memory")
#define rmb()	mb()
#define wmb()	mb()
#define __smp_mb()	mb()
#define __smp_rmb()	mb()
#define __smp_wmb()	mb()
#include <asm-generic/barrier.h>

#endif
