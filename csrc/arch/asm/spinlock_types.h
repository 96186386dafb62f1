/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SPINLOCK_TYPES_H
#define FL_ASM_SPINLOCK_TYPES_H

/*
 * owner: 0 free, else the number of the task that holds it, plus one.  holders: 0 free, -1 written, else the count of
 * readers.  order: the lock's class (check/order.c), 0 as long as nobody asked.
 */
typedef struct { short owner; unsigned short order; } arch_spinlock_t;
typedef struct { short holders; unsigned short order; } arch_rwlock_t;
#define __ARCH_SPIN_LOCK_UNLOCKED	{ 0 }
#define __ARCH_RW_LOCK_UNLOCKED	{ 0 }

#endif
