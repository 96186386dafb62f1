/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SMP_H
#define FL_ASM_SMP_H

#include <linux/cpumask.h>
extern int fl_cpu;
#define raw_smp_processor_id()	(fl_cpu)
static inline void arch_smp_send_reschedule(int cpu) { }
static inline void arch_send_call_function_ipi_mask(const struct cpumask *mask) { }
static inline void arch_send_call_function_single_ipi(int cpu) { }

#endif
