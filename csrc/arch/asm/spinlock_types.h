/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SPINLOCK_TYPES_H
#define FL_ASM_SPINLOCK_TYPES_H

/* 0: free, else the number of the task that holds it, plus one. */
typedef struct { int owner; } arch_spinlock_t;
/* 0: free, -1: written, else the count of readers. */
typedef struct { int holders; } arch_rwlock_t;
#define __ARCH_SPIN_LOCK_UNLOCKED	{ 0 }
#define __ARCH_RW_LOCK_UNLOCKED	{ 0 }

#endif
