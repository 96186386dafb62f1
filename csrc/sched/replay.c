// SPDX-License-Identifier: GPL-2.0-only
/* The decisions of a plan, each at its place; elsewhere nobody is preempted.  What does not fit is left out and counted. */
#include "sched/sched.h"

static const struct fl_plan *the_plan;
static unsigned int at;

static void begin(const struct fl_plan *plan)
{
	the_plan = plan;
	at = 0;
}

static int choose(const struct fl_choice *choice)
{
	const struct fl_decision *next = &the_plan->decision[at];

	if (at == the_plan->ndecisions || next->block != fl_sched_block || next->task != (unsigned char)choice->task ||
	    next->passed != choice->passed)
		return fl_default_choice(choice);
	at++;
	return choice->mask & 1UL << next->next ? next->next : fl_default_choice(choice);
}

static unsigned int unused(void)
{
	return the_plan->ndecisions - at;
}

const struct fl_policy fl_policy_replay = { "replay", begin, choose, unused };
