/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SPINLOCK_H
#define FL_ASM_SPINLOCK_H

#include <linux/atomic.h>
/* spin_lock() and its kin are out of line (host/locks.c); what is here serves the few direct users. */
#define arch_spin_is_locked(lock)	((lock)->owner != 0)
#define arch_spin_value_unlocked(lock)	((lock).owner == 0)
#define arch_spin_is_contended(lock)	(0)
static inline void arch_spin_lock(arch_spinlock_t *lock) { lock->owner = -1; }
static inline int arch_spin_trylock(arch_spinlock_t *lock) { return lock->owner ? 0 : (lock->owner = -1, 1); }
static inline void arch_spin_unlock(arch_spinlock_t *lock) { lock->owner = 0; }
#define arch_read_lock(lock)	((void)(lock)->holders++)
#define arch_write_lock(lock)	((void)((lock)->holders = -1))
#define arch_read_trylock(lock)	((lock)->holders >= 0 ? ((lock)->holders++, 1) : 0)
#define arch_write_trylock(lock)	((lock)->holders ? 0 : ((lock)->holders = -1, 1))
#define arch_read_unlock(lock)	((void)(lock)->holders--)
#define arch_write_unlock(lock)	((void)((lock)->holders = 0))

#endif
