/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_BITLOCK_H
#define FL_ASM_BITLOCK_H

#include <linux/bits.h>
#include <linux/kcsan-checks.h>
#include <asm/fl_sched.h>

/*
 * Bit locks.  The folio lock is one (bit 0 of the first word of struct page); the lock checker hears of it here.
 * Other bit locks pass unseen.
 */
extern unsigned long fl_memmap_start, fl_memmap_end;
extern void fl_folio_locked(volatile unsigned long *flags, _Bool fresh);
extern void fl_folio_unlocked(volatile unsigned long *flags);

#define FL_BITLOCK_IS_FOLIO(nr, addr) \
	((nr) == 0 && (unsigned long)(addr) - fl_memmap_start < fl_memmap_end - fl_memmap_start)

static __always_inline int arch_test_and_set_bit_lock(unsigned int nr, volatile unsigned long *addr)
{
	volatile unsigned long *word = addr + nr / 64;
	unsigned long mask = 1UL << (nr % 64);

	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_point(TRY, addr);
	if (*word & mask)
		return 1;
	*word |= mask;
	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_folio_locked(addr, 0);
	return 0;
}

static __always_inline void arch_clear_bit_unlock(unsigned int nr, volatile unsigned long *addr)
{
	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_folio_unlocked(addr);
	addr[nr / 64] &= ~(1UL << (nr % 64));
	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_point(UNLOCK, addr);
}

#define arch___clear_bit_unlock arch_clear_bit_unlock

/* A fresh folio is locked, and a failed one unlocked, without an atomic operation: by a plain access. */
static __always_inline void fl_set_bit(unsigned long nr, volatile unsigned long *addr)
{
	kcsan_check_read_write(addr + nr / 64, sizeof(*addr));
	addr[nr / 64] |= 1UL << (nr % 64);
	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_folio_locked(addr, 1);
}

static __always_inline void fl_clear_bit(unsigned long nr, volatile unsigned long *addr)
{
	kcsan_check_read_write(addr + nr / 64, sizeof(*addr));
	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_folio_unlocked(addr);
	addr[nr / 64] &= ~(1UL << (nr % 64));
}

#ifdef arch___set_bit
#undef arch___set_bit
#undef arch___clear_bit
#define arch___set_bit fl_set_bit
#define arch___clear_bit fl_clear_bit
#else
#define __set_bit fl_set_bit
#define __clear_bit fl_clear_bit
#endif

/* Clears the bits of `mask` by exclusive or (bit 0 among them) and tells whether bit 7 was set. */
static __always_inline bool arch_xor_unlock_is_negative_byte(unsigned long mask, volatile unsigned long *addr)
{
	unsigned long old = *addr;

	if ((mask & 1) && FL_BITLOCK_IS_FOLIO(0, addr))
		fl_folio_unlocked(addr);
	*addr = old ^ mask;
	return old & 0x80;
}

#if FL_KVER < 607
static __always_inline bool arch_clear_bit_unlock_is_negative_byte(unsigned int nr, volatile unsigned long *addr)
{
	unsigned long old = *addr;

	arch_clear_bit_unlock(nr, addr);
	return old & 0x80;
}
#endif

/* Who was woken takes the lock with the ordinary operation. */
static __always_inline bool fl_test_and_set_bit(unsigned long nr, volatile unsigned long *addr)
{
	bool was_set;

	if (FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_point(TRY, addr);
	was_set = test_and_set_bit(nr, addr);

	if (!was_set && FL_BITLOCK_IS_FOLIO(nr, addr))
		fl_folio_locked(addr, 0);
	return was_set;
}
#define test_and_set_bit fl_test_and_set_bit

#define arch_xor_unlock_is_negative_byte arch_xor_unlock_is_negative_byte
#include <asm-generic/bitops/instrumented-lock.h>

#endif
