// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations in steps: a task is preempted only where it holds no lock and reads nothing under RCU; with plan.parameter 1
 * also where it locks for reading only (mmap_lock, a mapping), with 2 where it holds no lock that spins.  With decisions
 * these are taken at the first such place from theirs on; else who goes on is random.
 */
#include "sched/sched.h"
#include <linux/preempt.h>

static const struct fl_plan *the_plan;
static unsigned int at[FL_NTASKS + 1];	/* of the plan's decisions, by task; the last one: while nobody ran */
static unsigned int taken;
static int due[FL_NTASKS];	/* the task that goes on, + 1, where this one's step ends */

static void begin(const struct fl_plan *plan)
{
	the_plan = plan;
	taken = 0;
	memset(at, 0, sizeof(at));
	memset(due, 0, sizeof(due));
}

/* Whether the task may be preempted while it holds a lock of this kind. */
static bool may_hold(int kind)
{
	switch (kind) {
	case FL_LOCK_RWSEM_READ:
	case FL_LOCK_VMA:
		return the_plan->parameter >= 1;
	case FL_LOCK_RWSEM_WRITE:
	case FL_LOCK_MUTEX:
	case FL_LOCK_FOLIO:
		return the_plan->parameter >= 2;
	default:
		return false;
	}
}

static bool step_ends(const struct fl_task *task)
{
	if (fl_irqs_off || task->spins || task->ts->thread_info.preempt_count)
		return false;
	if (task->ts->rcu_read_lock_nesting && !the_plan->parameter)
		return false;
	for (int i = 0; i < task->nheld; i++)
		if (!may_hold(task->held[i].kind))
			return false;
	return true;
}

/* The next decision of the plan for the task, if its place has come. */
static int decided(const struct fl_choice *choice)
{
	unsigned int *next = &at[choice->task < 0 ? FL_NTASKS : choice->task];

	for (; *next < the_plan->ndecisions; ++*next) {
		const struct fl_decision *decision = &the_plan->decision[*next];

		if (decision->block < fl_sched_block || decision->task != (unsigned char)choice->task)
			continue;
		if (decision->block > fl_sched_block || decision->passed > choice->passed)
			break;
		++*next;
		taken++;
		return decision->next;
	}
	return -1;
}

static int anybody(const struct fl_choice *choice)
{
	unsigned long others = choice->mask;

	if (choice->runs_on) {
		if (!step_ends(&fl.task[choice->task]) || fl_sched_random() % 4)
			return choice->task;
		others &= ~(1UL << choice->task);
	}
	return fl_sched_any(others);
}

static int choose(const struct fl_choice *choice)
{
	int next;

	if (!the_plan->ndecisions)
		return anybody(choice);
	next = decided(choice);
	if (choice->runs_on) {
		if (next >= 0)
			due[choice->task] = next + 1;
		if (!due[choice->task] || !step_ends(&fl.task[choice->task]))
			return choice->task;
		next = due[choice->task] - 1;
	}
	if (choice->task >= 0)
		due[choice->task] = 0;
	return next >= 0 && choice->mask >> next & 1 ? next : fl_default_choice(choice);
}

static unsigned int unused(void)
{
	return the_plan->ndecisions - taken;
}

const struct fl_policy fl_policy_steps = { "steps", begin, choose, unused };
