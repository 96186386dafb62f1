// SPDX-License-Identifier: GPL-2.0-only
/* Whole operations in any order: nobody is preempted, and who goes on after one that sleeps or is done is random. */
#include "sched/sched.h"

static void begin(const struct fl_plan *plan) { }

static int choose(const struct fl_choice *choice)
{
	return choice->runs_on ? choice->task : fl_sched_any(choice->mask);
}

const struct fl_policy fl_policy_coarse = { "coarse", begin, choose };
