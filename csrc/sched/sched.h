/* SPDX-License-Identifier: GPL-2.0-only */
/* Who goes on at a scheduling point: a policy is one file of this folder. */
#ifndef FL_SCHED_H
#define FL_SCHED_H

#include "host/host.h"

/* What a policy is asked.  Tasks are bits by id; `mask` holds who may go on, at least one. */
struct fl_choice {
	unsigned long mask;
	int task;		/* who was running, -1: the block begins */
	bool runs_on;		/* that one may go on, and is in `mask` */
	unsigned int passed;	/* points that it has passed in this block, this one included */
	unsigned long kept;	/* who could go on but for the CPU, which another task keeps */
	enum fl_point kind;
	const volatile void *object;
};

struct fl_search {
	void (*begin_block)(void);
	void (*note)(enum fl_mode mode, const volatile void *object);
	void (*all_before)(void);			/* what comes has seen all that was */
	void (*end)(struct fl_taken *taken);		/* the run is over */
};

struct fl_policy {
	const char *name;
	void (*begin)(const struct fl_plan *plan);	/* of a program */
	int (*choose)(const struct fl_choice *choice);	/* the id of who goes on, one of the mask */
	unsigned int (*unused)(void);			/* of the plan's decisions; NULL: it has none */
	void (*gave_way)(int task);			/* it waits for others; NULL: this does not matter */
	/* Of a search, which is asked at every point, also if one task only may go on. */
	const struct fl_search *search;
};

extern int fl_sched_block;		/* number of the block under way */
extern int fl_sched_block_begins;	/* index of its first operation */
extern const struct fl_policy fl_policy_first, fl_policy_random, fl_policy_pct, fl_policy_replay, fl_policy_coarse,
	fl_policy_steps, fl_policy_search, fl_policy_every;

/* What every policy does that has no opinion: who runs goes on, else the lowest id. */
static inline int fl_default_choice(const struct fl_choice *choice)
{
	return choice->runs_on ? choice->task : __builtin_ctzl(choice->mask);
}

/* A deterministic source of numbers, seeded by the plan. */
unsigned long fl_sched_random(void);
int fl_sched_any(unsigned long mask);

/* core.c, for the run loop */
void fl_sched_begin_program(bool overlaps);
void fl_sched_begin_block(int number, int first);
unsigned long fl_sched_candidates(void);
int fl_sched_next(unsigned long mask);
void fl_sched_end_block(void);
extern unsigned long fl_sched_startable;	/* tasks whose next operation of the block has not begun */

/* deadlock.c: while nobody can go on.  Reports tasks that wait for each other. */
void fl_sched_check_deadlock(void);

/* For the run loop: something happened while nobody could go on. */
void fl_sched_all_before(void);

/* For services: gives way until others have got on; reports a hang if nobody does. */
void fl_sched_yield(const char *what);
bool fl_sched_try_again(void);
bool fl_sched_anybody_yields(void);
void fl_sched_to_cpu(int cpu);
/* Whether the task does not sleep yet, by the plan, when who runs wakes it. */
bool fl_sched_is_late(const struct fl_task *task);
/* Whether another task that was interrupted is inside an RCU read section. */
bool fl_sched_in_rcu(void);
/* Whether the task that keeps the CPU has interrupts off, so that it gets no word to flush its TLB. */
bool fl_sched_irqs_off(int cpu);

#endif
