/* SPDX-License-Identifier: GPL-2.0-only */
/* Scheduling points: places where another simulated task may go on while operations overlap. */
#ifndef FL_ASM_SCHED_H
#define FL_ASM_SCHED_H

enum fl_point {
	FL_POINT_LOCK,		/* before a lock is tried */
	FL_POINT_UNLOCK,	/* after one was released */
	FL_POINT_PTE_READ,
	FL_POINT_PTE_WRITE,
	FL_POINT_COUNT,		/* before a count of a page is looked at */
	FL_POINT_FLUSH,		/* before a CPU's TLB is flushed */
	FL_POINT_ACCESS,	/* before user space, or who copies for it, looks into the TLB */
	FL_POINT_RESCHED,
	FL_POINT_NEXT,		/* between two operations, or when a task sleeps */
};

extern _Bool fl_overlap;	/* operations overlap */
extern void fl_sched_point(enum fl_point kind, const volatile void *object);

#define FL_POINT(kind, object) do {					\
	if (__builtin_expect(fl_overlap, 0))				\
		fl_sched_point(FL_POINT_##kind, object);		\
} while (0)

/* In headers that the machine's own code includes too: that is not interrupted. */
#ifdef FL_QUIET
#define fl_point(kind, object)	do { (void)(object); } while (0)
#else
#define fl_point(kind, object)	FL_POINT(kind, object)
#endif

#endif
