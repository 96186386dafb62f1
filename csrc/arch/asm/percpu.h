/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PERCPU_H
#define FL_ASM_PERCPU_H

/* Every CPU has a copy of its own; the running one's offset is kept ready. */
extern unsigned long fl_my_cpu_offset;
#define __my_cpu_offset	fl_my_cpu_offset
#include <asm-generic/percpu.h>

#endif
