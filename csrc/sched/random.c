// SPDX-License-Identifier: GPL-2.0-only
/* At each point with a choice a preemption with the same probability, 1 of plan.parameter; to anybody. */
#include "sched/sched.h"

static unsigned int one_in;

static void begin(const struct fl_plan *plan)
{
	one_in = plan->parameter ?: 8;
}

static int choose(const struct fl_choice *choice)
{
	unsigned long others = choice->mask;

	if (choice->runs_on) {
		if (fl_sched_random() % one_in)
			return choice->task;
		others &= ~(1UL << choice->task);
	}
	return fl_sched_any(others);
}

const struct fl_policy fl_policy_random = { "random", begin, choose };
