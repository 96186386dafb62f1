/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine: all that Python sees of a built kernel tree.  Plain C types, no kernel or libc header needed; the
 * cffi backend reads this file, so it holds declarations and simple #defines only.
 *
 * One library is one machine.  A process may load several libraries (base and patched) beside each other.
 */
#ifndef FL_MACHINE_H
#define FL_MACHINE_H

#define FL_SNAPSHOTS	1	/* a snapshot after every operation */
#define FL_INTERNALS	2	/* an internals block after every snapshot */
#define FL_PARANOID	4	/* references and mapcounts checked after every operation, not only at the end */
#define FL_OVERLAPS	8	/* operations that the wire form marks overlap, in blocks */

#define FL_LAST_FIRST	16	/* of the tasks that an operation woke, the last goes on first */
#define FL_FIND_RACES	32	/* in blocks, by the variant that can */
#define FL_COSTS	64	/* what each operation costs is kept for fl_costs() */

#define FL_DECISIONS_MAX	512
#define FL_PLAN_FIRST	0	/* nobody is preempted */
#define FL_PLAN_RANDOM	1	/* parameter: one point in this many, 0: a default */
#define FL_PLAN_PCT	2	/* parameter: the depth; points: how many to expect */
#define FL_PLAN_REPLAY	3	/* decisions */
#define FL_PLAN_COARSE	4	/* whole operations in a random order: nobody is preempted */
#define FL_PLAN_STEPS	5	/* where nothing is locked, 1: but for reading, 2: that spins; at the decisions or at random */
/*
 * Each run of one program takes another schedule until there is none; see fl_taken.left.  SEARCH leaves out those that differ
 * from one that was run only in the order of steps which have nothing in common.  EVERY leaves out none that has no more than
 * `parameter` preemptions.
 */
#define FL_PLAN_SEARCH	6
#define FL_PLAN_EVERY	7
#define FL_ANY_NUMBER	4294967295	/* of preemptions */

#define FL_FRAMES_MAX	24
#define FL_TEXT_MAX	240
#define FL_CHAINS_MAX	4
#define FL_TAKEN_MAX	4
#define FL_NAME_MAX	32
#define FL_LOCK_NAMES	16

/* A lock that a task held, and where it took it. */
struct fl_lock_taken {
	unsigned long at;
	char name[FL_NAME_MAX];
};

/* Another task that was under way: where it stood, and what it held. */
struct fl_chain {
	int task;			/* task byte, as below */
	int op;				/* index of its operation */
	int nframes, nlocks;
	unsigned long frames[FL_FRAMES_MAX];
	struct fl_lock_taken lock[FL_TAKEN_MAX];	/* the last ones that it took, last first */
	char waits[FL_NAME_MAX];	/* the lock that it waits for, empty: none */
};

/* What a checker saw.  Addresses are offsets into the library, ready for a symboliser. */
struct fl_finding {
	int kind;			/* FL_KIND_* of ops.h, which is generated from kinds.py */
	int op;				/* index of the operation, -1: the end of the program */
	int task;			/* task byte of who was running, as in the wire form; -1: none */
	int nframes;
	unsigned long frames[FL_FRAMES_MAX];	/* innermost first: kernel call chain */
	unsigned long other;		/* a second place, e.g. where the leaked lock was taken; 0: none */
	char text[FL_TEXT_MAX];		/* one line: what, on which object */
	int nlocks;			/* what the task held, the last one first */
	struct fl_lock_taken lock[FL_TAKEN_MAX];
	int nchains;			/* of what tasks have to do with each other: the others */
	struct fl_chain chain[FL_CHAINS_MAX];
};

/* At a scheduling point of a block, somebody else goes on than without preemptions.  Tasks by number: see fl_plan. */
struct fl_decision {
	unsigned char block;		/* number of the block in the program */
	unsigned char task, next;	/* who was running, 255: nobody yet; who goes on */
	unsigned int passed;		/* points that `task` had passed in the block, this one included */
};

/*
 * Who goes on where operations overlap.  A task's number is 4 * its process + its own in that; then come the monitor, and
 * the thread of the kernel that stands for all of these, and the disk.
 */
struct fl_plan {
	int policy;			/* FL_PLAN_* */
	unsigned int parameter, points;
	unsigned int goes_on;		/* a search, with the next schedule of the program that ran last */
	unsigned int ndecisions;
	unsigned long seed;
	/* Tasks, as bits, whose operations of the block no operation with one of these codes, as bits, wakes. */
	unsigned long late, late_ops;
	struct fl_decision decision[FL_DECISIONS_MAX];
};

/* What the last run did. */
struct fl_taken {
	unsigned int ndecisions;	/* more than FL_DECISIONS_MAX: only the first are here */
	unsigned int preemptions;	/* of them, while the task could have gone on */
	unsigned int points;
	unsigned int unused;		/* decisions of a plan that found no place */
	unsigned int left;		/* of a search: there are schedules to run */
	unsigned int cut;		/* of a search: some program or task was too large for it, so that schedules were left out */
	struct fl_decision decision[FL_DECISIONS_MAX];
};

struct fl_stats {
	unsigned long programs, ops, faults, lock_ops, tlb_flushes, restores;
	unsigned long pages_live, pages_peak;
	unsigned long tlb_full;		/* flushes of a whole address space, or of all */
	unsigned long tlb_remote;	/* other CPUs that had to be told of a flush: those that the process ran on */
	unsigned long pages, tables;	/* that kernel code asked for: for users; page tables and the kernel's own */
	unsigned long objects;		/* the same of slabs, and big ones */
};

/*
 * What an operation cost, with all that it woke.  All but the first two are counts.  Nothing in it depends on what ran before
 * the program.
 */
struct fl_cost {
	unsigned short ran;		/* 0: it was skipped, or the program ended before */
	unsigned short met;		/* what its first page fault met: FL_MET_* of ops.h */
	unsigned int faults, tlb_flushes, tlb_full, tlb_remote, pages, tables, objects;
	unsigned int regions;		/* of source text that ran, see fl_costs_weigh() */
	unsigned int locks[FL_LOCK_NAMES];	/* taken, by fl_lock_name_of() */
	unsigned int shared[FL_LOCK_NAMES];	/* the same for reading */
};

/* 0, or a negative errno with a line in fl_error(). */
int fl_create(unsigned int cpus);
const char *fl_error(void);
/* The tree's version, patch level and stable release, as 100000 * 6 + 1000 * 12 + 117. */
unsigned int fl_version(void);
/* What the kernel has: mask of 1 << FL_NEED_* of ops.h. */
unsigned int fl_has(void);
/*
 * Runs one program in wire form and writes its trace.  Returns the trace's length, or a negative errno (-28: no room).
 * The machine is back at its start afterwards, whatever happened.
 */
long fl_run(const unsigned char *program, unsigned long length, unsigned int flags,
	    unsigned char *trace, unsigned long room);
/* How programs with FL_OVERLAPS run from now on. */
void fl_schedule(const struct fl_plan *plan);
void fl_taken(struct fl_taken *out);
/* What the last run found: 0 or 1; the first finding ends a program. */
int fl_finding(struct fl_finding *out);
void fl_stats(struct fl_stats *out);
/*
 * From now on the compiler's counters, if the library has any, are copied after each operation, one set behind the other, as
 * far as there is room.  NULL: no more.
 */
void fl_counts_to(unsigned char *out, unsigned long room);
/*
 * With FL_COSTS: what each operation of the last program cost, in their order, and behind them what ending the program did.
 * Of operations that overlap nothing is known.
 */
const struct fl_cost *fl_costs(void);
/* Each of the compiler's counters adds so much to fl_cost.regions; they are kept by the caller.  NULL: that is not counted. */
void fl_costs_weigh(const int *weights, unsigned long counters);
/* What programs left in caches of the kernel's is gone, as after a finding: the machine is as it was when it started. */
void fl_reset(void);
/* The name of a lock in an internals block, or of fl_cost, NULL past the last. */
const char *fl_lock_name_of(unsigned int number);
/* The data race that the last run found is none, where the same locks are held, in this run and all that follow. */
void fl_races_ignore(void);
/* Plants a fault in the machine or its checks, for canary tests; 0 removes it.  -22: no such canary. */
int fl_canary(int number);
/* The name of canary `number`, NULL past the last. */
const char *fl_canary_name(int number);
void fl_destroy(void);

#endif
