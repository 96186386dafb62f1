// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduling points, who may go on at one, and what was decided.
 * keeps: a CPU runs one task at a time, and keeps it while that holds a spin lock, is not preemptible or has its interrupts
 * off; a task that spins occupies its CPU; RCU readers are preemptible.
 * leaves out: interrupts, migration of tasks between CPUs, and the reordering of stores that a weak memory model allows.
 */
#include "sched/sched.h"
#include "host/swapdev.h"
#include "check/held.h"
#include <linux/rcupdate.h>

_Bool fl_overlap, fl_noting;
unsigned long fl_sched_startable;
int fl_sched_block, fl_sched_block_begins;

static FL_KEEP struct fl_plan plan;
static FL_KEEP struct fl_taken taken;
static const struct fl_policy *const policies[] = {
	[FL_PLAN_FIRST] = &fl_policy_first, [FL_PLAN_RANDOM] = &fl_policy_random, [FL_PLAN_PCT] = &fl_policy_pct,
	[FL_PLAN_REPLAY] = &fl_policy_replay, [FL_PLAN_COARSE] = &fl_policy_coarse,
	[FL_PLAN_STEPS] = &fl_policy_steps,
	[FL_PLAN_SEARCH] = &fl_policy_search, [FL_PLAN_EVERY] = &fl_policy_every,
};
static const struct fl_policy *policy = &fl_policy_first;
static unsigned int passed[FL_NTASKS + 1];	/* in this block, by task; the last one: while nobody ran */
static unsigned long numbers;
static int last, chosen;			/* who ran; who was chosen to go on, -1: nobody yet */
static unsigned long yielding;			/* who waits for others by looking again and again */
static unsigned long retrying;			/* who has done so in its operation: that helps nobody else who waits */
static int yields;				/* in a row in which nobody else went on */
static int streak;				/* points in a row of a task that others could have followed */

#define YIELDS_MAX	1000
/* No CPU keeps others from theirs: who tries again and again until another task has moved on comes to this. */
#define STREAK_MAX	2000
/* Nor do two that try in turn keep a third from its own: looked for once in so many points. */
#define TURN_MAX	4096
static unsigned int ran_at[FL_NTASKS];		/* the program's points when the task last went on */

void fl_schedule(const struct fl_plan *to)
{
	fl_posix_copy(&plan, to, sizeof(plan));
	if (plan.policy < 0 || plan.policy >= ARRAY_SIZE(policies))
		plan.policy = FL_PLAN_FIRST;
	plan.ndecisions = min(plan.ndecisions, FL_DECISIONS_MAX);
}

void fl_taken(struct fl_taken *out)
{
	if (policy->search)
		policy->search->end(&taken);
	fl_posix_copy(out, &taken, sizeof(taken));
}

/* splitmix64 */
unsigned long fl_sched_random(void)
{
	unsigned long z = numbers += 0x9e3779b97f4a7c15UL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return z ^ (z >> 31);
}

/* One of the mask. */
int fl_sched_any(unsigned long mask)
{
	for (unsigned int n = fl_sched_random() % hweight64(mask); n; n--)
		mask &= mask - 1;
	return __builtin_ctzl(mask);
}

/* Only one that overlaps is a policy's: what runs in between is no run of a search. */
void fl_sched_begin_program(bool overlaps)
{
	fl_overlap = fl_noting = false;
	fl_sched_block = -1;
	taken.ndecisions = taken.preemptions = taken.points = taken.left = taken.cut = 0;
	taken.unused = plan.policy == FL_PLAN_REPLAY ? plan.ndecisions : 0;
	numbers = plan.seed;
	policy = overlaps ? policies[plan.policy] : &fl_policy_first;
	policy->begin(&plan);
}

void fl_sched_begin_block(int number, int first)
{
	fl_sched_block = number;
	fl_sched_block_begins = first;
	memset(passed, 0, sizeof(passed));
	last = chosen = -1;
	yielding = retrying = yields = streak = 0;
	for (int id = 0; id < FL_NTASKS; id++)
		ran_at[id] = taken.points;
	fl_overlap = true;
	fl_noting = policy->search;
	if (policy->search)
		policy->search->begin_block();
}

void fl_sched_end_block(void)
{
	fl_overlap = fl_noting = false;
	fl_sched_startable = 0;
}

/* Whether the task keeps its CPU although it does not run; that of the running task is in fl_irqs_off. */
static bool occupies(const struct fl_task *task, unsigned long irqs_off)
{
	return task->spins || irqs_off || task->ts->thread_info.preempt_count;
}

/* CPUs that are kept by a task which was interrupted, or spins. */
static unsigned int occupied(void)
{
	unsigned int cpus = 0;

	for (unsigned long left = fl.ready | fl.spinning; left; left &= left - 1) {
		const struct fl_task *task = &fl.task[__builtin_ctzl(left)];

		if (occupies(task, task->irqs_off))
			cpus |= 1U << task->cpu;
	}
	return cpus;
}

static unsigned long on_cpus(unsigned int cpus)
{
	unsigned long mask = 0;

	for (int id = 0; id < FL_ID_BOOT; id++) {
		const struct fl_task *task = &fl.task[id];

		if (cpus >> (task->state == FL_TASK_NONE ? fl_task_cpu(id) : task->cpu) & 1)
			mask |= 1UL << id;
	}
	return mask;
}

/* The disk, if it was asked for something and does nothing. */
static unsigned long disk(void)
{
	return fl_swapdev_queue && fl.task[FL_ID_DISK].state == FL_TASK_IDLE ? 1UL << FL_ID_DISK : 0;
}

/* Interrupted, woken, or with something to begin. */
static unsigned long could_go_on(void)
{
	return (fl.ready & ~yielding) | fl.runnable | fl_sched_startable | disk();
}

/* Who may go on but for the one that runs. */
unsigned long fl_sched_candidates(void)
{
	unsigned long mask = could_go_on();
	unsigned long kept = fl.ready | fl.spinning;
	unsigned int cpus = kept ? occupied() : 0;

	if (cpus) {
		unsigned long others = on_cpus(cpus);

		for (unsigned long left = kept; left; left &= left - 1) {
			const struct fl_task *task = &fl.task[__builtin_ctzl(left)];

			if (occupies(task, task->irqs_off))
				others &= ~(1UL << task->id);
		}
		mask &= ~others;
	}
	return mask;
}

static void note(const struct fl_choice *choice, int next)
{
	if (taken.ndecisions < FL_DECISIONS_MAX)
		taken.decision[taken.ndecisions] = (struct fl_decision){
			.block = fl_sched_block, .task = choice->task, .next = next, .passed = choice->passed,
		};
	taken.ndecisions++;
	taken.preemptions += choice->runs_on;
}

static int choose(const struct fl_choice *choice)
{
	int next;

	if (!policy->search && !(choice->mask & (choice->mask - 1)))
		return __builtin_ctzl(choice->mask);
	next = policy->choose(choice);
	if (policy->unused)
		taken.unused = policy->unused();
	if (next != fl_default_choice(choice))
		note(choice, next);
	return next;
}

/* For the run loop, when nobody runs: the task of the mask that goes on. */
int fl_sched_next(unsigned long mask)
{
	struct fl_choice choice = { .mask = mask, .task = last, .kind = FL_POINT_NEXT, .kept = policy->search ? could_go_on() & ~mask : 0 };
	int next = chosen;

	chosen = -1;
	if (next < 0) {
		choice.passed = ++passed[last < 0 ? FL_NTASKS : last];
		next = choose(&choice);
	}
	if (fl.task[next].state != FL_TASK_READY)
		retrying &= ~(1UL << next);
	if (next != last && !(retrying & 1UL << next))
		yielding = yields = 0;
	if (next != last)
		streak = 0;
	ran_at[next] = taken.points;
	return last = next;
}

/* The next task of the mask, the first one after the last: each has its turn. */
static int after(int id, unsigned long mask)
{
	unsigned long behind = mask & (~0UL << id);

	return __builtin_ctzl(behind ?: mask);
}

/* Whose turn it is at this point whatever the policy has in mind, -1: nobody's. */
static int turn(int id, unsigned long others)
{
	if (++streak > STREAK_MAX)
		return after(id, others);
	if (taken.points % TURN_MAX)
		return -1;
	for (; others; others &= others - 1)
		if (taken.points - ran_at[__builtin_ctzl(others)] > TURN_MAX)
			return __builtin_ctzl(others);
	return -1;
}

static bool counts_pages(const volatile void *object)
{
	return (unsigned long)object - fl_memmap_start < fl_memmap_end - fl_memmap_start;
}

void fl_sched_point(enum fl_point kind, const volatile void *object)
{
	struct fl_task *task = fl.cur;
	struct fl_choice choice;
	unsigned long others;
	int next;

	if (task->id == FL_ID_BOOT)
		return;
	if (kind == FL_POINT_COUNT && !counts_pages(object))
		return;
	passed[task->id]++;
	taken.points++;
	others = fl_sched_candidates() & ~(1UL << task->id);
	if (others && occupies(task, fl_irqs_off))
		others &= ~on_cpus(1U << task->cpu);
	if (!others && !policy->search)
		return;
	choice = (struct fl_choice){
		.mask = others | 1UL << task->id, .task = task->id, .runs_on = true, .passed = passed[task->id],
		.kept = policy->search ? could_go_on() & ~others : 0, .kind = kind, .object = object,
	};
	next = others ? turn(task->id, others) : -1;
	if (next >= 0) {
		choice.mask = 1UL << next;
		choice.runs_on = false;
	}
	next = choose(&choice);
	if (next != task->id) {
		chosen = next;
		fl_task_pause();
	}
}

/* Not until somebody else has run, or the disk has got something done; see fl_sched_try_again(). */
void fl_sched_yield(const char *what)
{
	struct fl_task *task = fl.cur;

	if (!fl_overlap || task->id == FL_ID_BOOT || ++yields > YIELDS_MAX)
		fl_report(FL_KIND_HANG, NULL, "%s: nobody else can go on", what);
	passed[task->id]++;
	yielding |= 1UL << task->id;
	retrying |= 1UL << task->id;
	if (policy->gave_way)
		policy->gave_way(task->id);
	fl_task_pause();
}

/* Whether somebody waits by looking again and again, who may hold what others wait for. */
bool fl_sched_anybody_yields(void)
{
	return yielding;
}

/* Nobody but those that gave way can go on: they look again.  False: there are none. */
bool fl_sched_try_again(void)
{
	bool any = yielding;

	yielding = 0;
	return any;
}

void fl_sched_note(enum fl_mode mode, const volatile void *object)
{
	if (mode != FL_ADD || counts_pages(object))
		policy->search->note(mode, object);
}

void fl_sched_all_before(void)
{
	if (policy->search)
		policy->search->all_before();
}

/* In a loop that waits for another CPU. */
void fl_sched_relax(void)
{
	fl_sched_yield("waiting for another CPU");
}

bool fl_sched_in_rcu(void)
{
	for (unsigned long left = fl.ready | fl.spinning; left; left &= left - 1) {
		const struct fl_task *task = &fl.task[__builtin_ctzl(left)];

		if (task != fl.cur && task->ts->rcu_read_lock_nesting)
			return true;
	}
	return false;
}

bool fl_sched_irqs_off(int cpu)
{
	for (unsigned long left = fl.ready | fl.spinning; left; left &= left - 1) {
		const struct fl_task *task = &fl.task[__builtin_ctzl(left)];

		if (task != fl.cur && task->cpu == cpu && task->irqs_off)
			return true;
	}
	return false;
}


/* What runs on another CPU for the task, which waits for it: as if the task went there. */
void fl_sched_to_cpu(int cpu)
{
	while (fl_overlap && cpu != fl.cur->cpu && occupied() >> cpu & 1)
		fl_sched_yield("work for another CPU");
	fl_race_publish(&__per_cpu_offset[fl.cur->cpu]);
	fl.cur->cpu = cpu;
	fl_switch_cpu(cpu);
	fl_race_learn(&__per_cpu_offset[cpu]);
}

bool fl_sched_is_late(const struct fl_task *task)
{
	return plan.late >> task->id & 1 && plan.late_ops >> fl.cur->what.code & 1 && task->op >= fl_sched_block_begins;
}
