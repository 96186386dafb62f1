/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_IRQFLAGS_H
#define FL_ASM_IRQFLAGS_H

/* The interrupt flag of the running CPU: no interrupt ever comes, but the lock checker reads the flag. */
extern unsigned long fl_irqs_off;
#define ARCH_IRQ_DISABLED	1
#define ARCH_IRQ_ENABLED	0
static inline unsigned long arch_local_save_flags(void) { return fl_irqs_off; }
static inline void arch_local_irq_restore(unsigned long flags) { fl_irqs_off = flags; }
#include <asm-generic/irqflags.h>

#endif
