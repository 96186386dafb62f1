// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCT (Burckhardt et al., ASPLOS 2010): every task has a random priority, the highest goes on; at plan.parameter - 1 random
 * points of the program the one that runs falls below all others.  plan.points says how many points to expect.
 */
#include "sched/sched.h"

#define DEPTH_MAX	16

static int priority[FL_NTASKS];
static unsigned long change[DEPTH_MAX], npoints;
static int nchanges, lowest;

static void begin(const struct fl_plan *plan)
{
	npoints = 0;
	lowest = 0;
	nchanges = min_t(int, plan->parameter ? plan->parameter - 1 : 2, DEPTH_MAX);
	for (int i = 0; i < FL_NTASKS; i++)
		priority[i] = 1 + fl_sched_random() % 1000000;
	for (int i = 0; i < nchanges; i++)
		change[i] = 1 + fl_sched_random() % (plan->points ?: 100);
}

static int highest(unsigned long mask)
{
	int best = __builtin_ctzl(mask);

	for (mask &= mask - 1; mask; mask &= mask - 1)
		if (priority[__builtin_ctzl(mask)] > priority[best])
			best = __builtin_ctzl(mask);
	return best;
}

static int choose(const struct fl_choice *choice)
{
	npoints++;
	for (int i = 0; i < nchanges && choice->task >= 0; i++)
		if (change[i] == npoints)
			priority[choice->task] = --lowest;
	return highest(choice->mask);
}

/* Else the others would never get on. */
static void gave_way(int task)
{
	priority[task] = --lowest;
}

const struct fl_policy fl_policy_pct = { .name = "pct", .begin = begin, .choose = choose, .gave_way = gave_way };
