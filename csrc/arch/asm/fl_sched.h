/* SPDX-License-Identifier: GPL-2.0-only */
/* Scheduling points: places where another simulated task may go on while operations overlap. */
#ifndef FL_ASM_SCHED_H
#define FL_ASM_SCHED_H

enum fl_point {
	FL_POINT_LOCK,		/* before a lock is taken, if need be waited for */
	FL_POINT_LOCK_SHARED,	/* so, by a reader */
	FL_POINT_TRY,		/* before one is tried */
	FL_POINT_TRY_SHARED,
	FL_POINT_UNLOCK,	/* after one was released */
	FL_POINT_UNLOCK_SHARED,
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

#ifdef FL_NO_POINTS	/* to measure what they cost */
#define FL_POINT(kind, object)	do { (void)(object); } while (0)
#else
#define FL_POINT(kind, object) do {					\
	if (__builtin_expect(fl_overlap, 0))				\
		fl_sched_point(FL_POINT_##kind, object);		\
} while (0)
#endif

/*
 * What tasks have in common, for the search that leaves out schedules which differ in nothing that tasks see of each other
 * (csrc/sched/search.c): what the code between two scheduling points reads and writes.  Nobody is interrupted here.
 */
enum fl_mode {
	FL_READ = 1,
	FL_ADD = 2,		/* to or from a count: in any order it comes to the same */
	FL_WRITE = 4,
	FL_TAKE = 8,		/* a lock that was free */
	FL_TAKE_SHARED = 16,
	FL_RELEASE = 32,
	FL_RELEASE_SHARED = 64,
};

extern _Bool fl_noting;
extern void fl_sched_note(enum fl_mode mode, const volatile void *object);

#ifdef FL_NO_POINTS
#define FL_NOTE(mode, object)	do { (void)(object); } while (0)
#else
#define FL_NOTE(mode, object) do {					\
	if (__builtin_expect(fl_noting, 0))				\
		fl_sched_note(mode, object);			\
} while (0)
#endif

/* In headers that the machine's own code includes too: that is not interrupted, and seen by nobody. */
#ifdef FL_QUIET
#define fl_point(kind, object)	do { (void)(object); } while (0)
#define fl_note(mode, object)	do { (void)(object); } while (0)
#else
#define fl_point(kind, object)	FL_POINT(kind, object)
#define fl_note(mode, object)	FL_NOTE(mode, object)
#endif

#endif
