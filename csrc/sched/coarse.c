// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whole operations in any order: who goes on after one that sleeps or is done is random, and nobody is preempted.  But for an
 * operation that waited for an event from before the block on: that one goes on in steps, as it was interrupted anyhow.
 */
#include "sched/sched.h"

static unsigned int one_in;	/* of the places at which such a one may be interrupted */

static void begin(const struct fl_plan *plan)
{
	one_in = plan->seed % 3 == 0 ? 4 : plan->seed % 3 == 1 ? 16 : UINT_MAX;
}

static int choose(const struct fl_choice *choice)
{
	if (choice->runs_on && (fl.task[choice->task].op >= fl_sched_block_begins || fl_sched_random() % one_in))
		return choice->task;
	return fl_sched_any(choice->mask);
}

const struct fl_policy fl_policy_coarse = { "coarse", begin, choose };
