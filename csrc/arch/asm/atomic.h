/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_ATOMIC_H
#define FL_ASM_ATOMIC_H

#include <linux/types.h>
#include <asm/cmpxchg.h>
#include <asm/barrier.h>
#include <asm/fl_sched.h>

/* Trees with both kinds of fallbacks: the arch_ functions are ours. */
#define ARCH_ATOMIC

/*
 * Plain arithmetic, for the reason given in cmpxchg.h.  Who looks for data races sees that it stands for one operation of the
 * CPU; else the compiler may make one of it.
 */
#ifdef FL_RACE
#define FL_COUNTER(I, v)	(*(volatile I *)&(v)->counter)
#ifdef FL_QUIET
/* The machine's own code is not instrumented: what it counts down for the kernel orders tasks all the same. */
extern void fl_races_counted(const void *counter);
#define FL_COUNTED(v)	fl_races_counted(v)
#endif
#else
#define FL_COUNTER(I, v)	((v)->counter)
#endif
#ifndef FL_COUNTED
#define FL_COUNTED(v)	do { } while (0)
#endif
#define FL_ATOMIC_OP(pfx, T, I, op, sign)				\
static __always_inline void arch_##pfx##_##op(I i, T *v)		\
{ fl_note(FL_ADD, v); *(volatile I *)&v->counter = FL_COUNTER(I, v) sign i; } \
static __always_inline I arch_##pfx##_fetch_##op(I i, T *v)		\
{ fl_note(FL_ADD, v); I old = *(volatile I *)&v->counter; *(volatile I *)&v->counter = old sign i; return old; }
#define FL_ATOMIC_RETURN(pfx, T, I, op, sign)				\
static __always_inline I arch_##pfx##_##op##_return(I i, T *v)		\
{ fl_note(FL_ADD, v); FL_COUNTED(v); I now = *(volatile I *)&v->counter sign i;	\
  *(volatile I *)&v->counter = now; return now; }
#define FL_ATOMIC_ALL(pfx, T, I)					\
static __always_inline void arch_##pfx##_set(T *v, I i)			\
{ fl_note(FL_ADD, v); *(volatile I *)&v->counter = i; }					\
FL_ATOMIC_OP(pfx, T, I, add, +) FL_ATOMIC_OP(pfx, T, I, sub, -)		\
FL_ATOMIC_OP(pfx, T, I, and, &) FL_ATOMIC_OP(pfx, T, I, or, |)		\
FL_ATOMIC_OP(pfx, T, I, xor, ^)						\
FL_ATOMIC_RETURN(pfx, T, I, add, +) FL_ATOMIC_RETURN(pfx, T, I, sub, -)

FL_ATOMIC_ALL(atomic, atomic_t, int)
FL_ATOMIC_ALL(atomic64, atomic64_t, s64)

/* Those that count a page's references and mappings are looked at where somebody else may change them. */
static __always_inline int arch_atomic_read(const atomic_t *v)
{
	fl_point(COUNT, v);
	return *(const volatile int *)&v->counter;
}
static __always_inline s64 arch_atomic64_read(const atomic64_t *v) { return *(const volatile s64 *)&v->counter; }

#ifndef ATOMIC64_INIT
#define ATOMIC64_INIT(i) { (i) }
#endif
#define arch_atomic_add_return arch_atomic_add_return
#define arch_atomic_sub_return arch_atomic_sub_return
#define arch_atomic_fetch_add arch_atomic_fetch_add
#define arch_atomic_fetch_sub arch_atomic_fetch_sub
#define arch_atomic_fetch_and arch_atomic_fetch_and
#define arch_atomic_fetch_or arch_atomic_fetch_or
#define arch_atomic_fetch_xor arch_atomic_fetch_xor
#define arch_atomic64_add_return arch_atomic64_add_return
#define arch_atomic64_sub_return arch_atomic64_sub_return
#define arch_atomic64_fetch_add arch_atomic64_fetch_add
#define arch_atomic64_fetch_sub arch_atomic64_fetch_sub
#define arch_atomic64_fetch_and arch_atomic64_fetch_and
#define arch_atomic64_fetch_or arch_atomic64_fetch_or
#define arch_atomic64_fetch_xor arch_atomic64_fetch_xor

#if defined(FL_HAVE_VMA_REFCNT) && defined(CONFIG_PER_VMA_LOCK)
/*
 * The read lock of a vma is a reference on a counter in it.  The lock checker hears of every reference count here and
 * knows those of vmas by their place.
 */
extern void fl_refcount_taken(atomic_t *count);
extern void fl_refcount_dropped(atomic_t *count, int was);

static __always_inline bool arch_atomic_try_cmpxchg_acquire(atomic_t *v, int *old, int new)
{
	int was = *(volatile int *)&v->counter;

	if (was != *old) {
		*old = was;
		return false;
	}
	*(volatile int *)&v->counter = new;
	if (new == was + 1)
		fl_refcount_taken(v);
	return true;
}

static __always_inline int arch_atomic_fetch_sub_release(int i, atomic_t *v)
{
	int was = *(volatile int *)&v->counter;

	if (i == 1)
		fl_refcount_dropped(v, was);
	*(volatile int *)&v->counter = was - i;
	return was;
}
#define arch_atomic_try_cmpxchg_acquire arch_atomic_try_cmpxchg_acquire
#define arch_atomic_fetch_sub_release arch_atomic_fetch_sub_release
#endif

#if FL_KVER < 603
#define arch_atomic_xchg(v, new)		arch_xchg(&(v)->counter, new)
#define arch_atomic_cmpxchg(v, old, new)	arch_cmpxchg(&(v)->counter, old, new)
#define arch_atomic64_xchg(v, new)		arch_xchg(&(v)->counter, new)
#define arch_atomic64_cmpxchg(v, old, new)	arch_cmpxchg(&(v)->counter, old, new)
#endif

#endif
