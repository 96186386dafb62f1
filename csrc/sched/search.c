// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every schedule of a program, one in each run: depth first, by repeating a run up to a point and going on otherwise there.
 *
 * A run is a row of steps: what a task does from one point to the next.  Two steps are in conflict if they touch the same
 * object and at least one changes it.  `search` leaves out schedules which only swap steps that are not: source sets with
 * sleep sets (Abdulla, Aronis, Jonsson, Sagonas: Optimal dynamic partial order reduction, POPL 2014).  After each run, for
 * each conflict of two steps whose order nothing else decides, a task is chosen that goes on before the first of them.
 * `every` leaves none out within its number of preemptions.
 * keeps: locks, entries of page tables, counts of pages, TLBs, contents of pages, handles.
 * leaves out: what the code looks at without any of these, as a flag of a folio: steps on these are taken for independent.
 */
#include "sched/sched.h"
#include "check/held.h"

#define STEPS_MAX	4096
#define ACCESSES_MAX	40
#define TASKS_MAX	8
#define OBJECTS_MAX	4096	/* a power of two */
#define MODES		7

struct access {
	unsigned long object : 56;
	unsigned long modes : 8;	/* bits of enum fl_mode */
};

/* What a step touches.  `all`: more than fits, or what nobody knows. */
struct touched {
	struct access access[ACCESSES_MAX];
	unsigned char n;
	bool all;
};

/* Sets of tasks are bits by id, arrays are by slot. */
struct step {
	unsigned long mask, kept;	/* who could take it; who could but for the CPU */
	unsigned long first;		/* who is to take it, each in some run */
	unsigned long done, asleep;	/* who has; who need not, as a run in which it did is no other */
	unsigned int clock[TASKS_MAX];	/* by task: those of its steps before this number come before */
	unsigned int since;		/* all steps before this number do */
	unsigned int preemptions;	/* in the steps before */
	int woken_by;			/* step that woke the task, -1: none */
	unsigned char task;
	struct touched touched;
	struct touched of[TASKS_MAX];	/* by each task that took it in some run, or is asleep */
};

struct object {
	unsigned long object;
	unsigned int round;
	unsigned int last[MODES][TASKS_MAX];	/* number + 1 of the last step with each mode */
};

static FL_KEEP struct step *step;
static FL_KEEP struct object *objects;
static FL_KEEP unsigned char slot_of[FL_NTASKS];	/* + 1 */
static FL_KEEP struct {
	unsigned int bound;	/* preemptions */
	int ntasks;
	unsigned int nrepeated;	/* steps that the next run has in common with the last one; 0: it is the first */
	bool reduces, cut;
} search;
/* Of the run. */
static FL_KEEP struct {
	unsigned int nsteps, since;
	unsigned long runnable;	/* when the last step began */
	int woken_by[TASKS_MAX];
	struct touched next[TASKS_MAX];
	bool frozen;		/* whatever comes is of no more interest */
	bool over;
} run;

static void touch(struct touched *touched, int mode, const volatile void *object)
{
	for (int i = 0; i < touched->n; i++) {
		struct access *access = &touched->access[i];

		if (access->object != (unsigned long)object)
			continue;
		access->modes |= mode;
		return;
	}
	if (touched->n == ACCESSES_MAX)
		touched->all = true;
	else
		touched->access[touched->n++] = (struct access){ (unsigned long)object, mode };
}

/*
 * The modes whose order with this one matters.  Who tries a lock with others reads it.  That a lock is released before it is
 * taken is no matter of order: see find_before().
 */
static int in_conflict_one(int mode)
{
	switch (mode) {
	case FL_READ:
		return FL_ADD | FL_WRITE | FL_TAKE | FL_RELEASE;
	case FL_ADD:
		return FL_READ | FL_WRITE;
	case FL_TAKE:
		return FL_TAKE | FL_TAKE_SHARED | FL_READ | FL_WRITE;
	case FL_TAKE_SHARED:
		return FL_TAKE | FL_WRITE;
	case FL_RELEASE:
		return FL_READ | FL_WRITE;
	case FL_RELEASE_SHARED:
		return FL_WRITE;
	default:
		return ~0;
	}
}

static int in_conflict(int modes)
{
	int found = 0;

	for (; modes; modes &= modes - 1)
		found |= in_conflict_one(modes & -modes);
	return found;
}

static bool conflicting(const struct touched *a, const struct touched *b)
{
	if (a->all || b->all)
		return true;
	for (int i = 0; i < a->n; i++)
		for (int j = 0; j < b->n; j++)
			if (a->access[i].object == b->access[j].object && in_conflict(a->access[i].modes) & b->access[j].modes)
				return true;
	return false;
}

static int slot(int task)
{
	if (!slot_of[task]) {
		if (search.ntasks == TASKS_MAX) {
			search.cut = run.frozen = true;
			return 0;
		}
		slot_of[task] = ++search.ntasks;
	}
	return slot_of[task] - 1;
}

/* Only a machine that searches needs it. */
static bool room(void)
{
	step = fl_posix_map(STEPS_MAX * sizeof(*step));
	objects = fl_posix_map(OBJECTS_MAX * sizeof(*objects));
	if (!objects)
		step = NULL;
	return step;
}

static void begin(const struct fl_plan *plan)
{
	if (!plan->goes_on || !search.nrepeated) {
		memset(&search, 0, sizeof(search));
		memset(slot_of, 0, sizeof(slot_of));
	}
	search.bound = plan->policy == FL_PLAN_EVERY ? plan->parameter : FL_ANY_NUMBER;
	search.reduces = plan->policy == FL_PLAN_SEARCH;
	memset(&run, 0, sizeof(run));
	if (!step && !room())
		search.cut = run.frozen = true;
	memset(run.woken_by, -1, sizeof(run.woken_by));
}

static void begin_block(void)
{
	run.since = run.nsteps;
	run.runnable = fl.runnable;
}

static void note(enum fl_mode mode, const volatile void *object)
{
	if (run.nsteps && !run.frozen)
		touch(&step[run.nsteps - 1].touched, mode, object);
}

static void all_before(void)
{
	run.since = run.nsteps;
}

/* It looks again, at whatever it waits for. */
static void gave_way(int task)
{
	if (run.frozen || !run.nsteps)
		return;
	step[run.nsteps - 1].touched.all = true;
	run.next[slot(task)].all = true;
}

/* The point at which a task stands: what was released is of the step before, all else of the next one. */
static void stands_at(const struct fl_choice *choice)
{
	switch (choice->kind) {
	case FL_POINT_NEXT:
	case FL_POINT_RESCHED:
		break;
	case FL_POINT_UNLOCK:
		note(FL_RELEASE, choice->object);
		break;
	case FL_POINT_UNLOCK_SHARED:
		note(FL_RELEASE_SHARED, choice->object);
		break;
	case FL_POINT_LOCK:
		touch(&run.next[slot(choice->task)], FL_TAKE, choice->object);
		break;
	case FL_POINT_LOCK_SHARED:
		touch(&run.next[slot(choice->task)], FL_TAKE_SHARED, choice->object);
		break;
	case FL_POINT_TRY_SHARED:
	case FL_POINT_PTE_READ:
	case FL_POINT_COUNT:
		touch(&run.next[slot(choice->task)], FL_READ, choice->object);
		break;
	default:
		touch(&run.next[slot(choice->task)], FL_WRITE, choice->object);
	}
}

/* The last step has ended. */
static void close_step(void)
{
	struct step *last = &step[run.nsteps - 1];

	if (!run.nsteps)
		return;
	last->of[slot(last->task)] = last->touched;
	for (unsigned long woken = fl.runnable & ~run.runnable; woken; woken &= woken - 1)
		run.woken_by[slot(__builtin_ctzl(woken))] = run.nsteps - 1;
}

/* Who need not take the step: a run in which it did comes to the same, as long as nobody touches what it would. */
static unsigned long inherit_asleep(struct step *s)
{
	const struct step *before = s - 1;
	unsigned long asleep = 0;

	if (!search.reduces || run.since == run.nsteps)
		return 0;
	for (unsigned long left = (before->asleep | before->done) & ~(1UL << before->task); left; left &= left - 1) {
		int task = __builtin_ctzl(left);

		if (conflicting(&before->of[slot(task)], &before->touched))
			continue;
		s->of[slot(task)] = before->of[slot(task)];
		asleep |= 1UL << task;
	}
	return asleep;
}

/*
 * Whether who asks for the lock would only wait for it.  A writer of an rwsem is let wait for its readers: that keeps later
 * ones out.
 */
static bool is_taken(const void *lock, int modes)
{
	for (int i = 0; i < FL_NTASKS; i++) {
		const struct fl_held *held = fl_held_find(&fl.task[i], lock);

		if (!held)
			continue;
		switch (held->kind) {
		case FL_LOCK_SPIN:
		case FL_LOCK_WRITE:
		case FL_LOCK_RWSEM_WRITE:
		case FL_LOCK_MUTEX:
			return true;
		case FL_LOCK_READ:
			return modes & FL_TAKE;
		default:
			return false;
		}
	}
	return false;
}

/* Who stands before a lock that another task holds. */
static unsigned long would_wait(unsigned long mask)
{
	unsigned long waits = 0;

	for (; mask; mask &= mask - 1) {
		int task = __builtin_ctzl(mask);
		const struct touched *next = &run.next[slot(task)];
		const struct access *access = &next->access[0];

		if (next->n && access->modes & (FL_TAKE | FL_TAKE_SHARED) &&
		    is_taken((const void *)access->object, access->modes))
			waits |= 1UL << task;
	}
	return waits;
}

/* Who may take the step without more preemptions than are allowed. */
static unsigned long within_bound(const struct step *s, const struct fl_choice *choice)
{
	return choice->runs_on && s->preemptions >= search.bound ? 1UL << choice->task : s->mask;
}

static unsigned long can_go_on(const struct fl_choice *choice)
{
	return (choice->mask & ~would_wait(choice->mask)) ?: choice->mask;
}

/* A step that no run has taken in this place. */
static void new_step(struct step *s, const struct fl_choice *choice)
{
	unsigned long may;

	s->mask = can_go_on(choice);
	s->kept = choice->kept;
	s->asleep = inherit_asleep(s);
	may = within_bound(s, choice) & ~s->asleep;
	if (!may) {
		run.frozen = true;
		return;
	}
	s->task = fl_default_choice(choice);
	if (!(may >> s->task & 1))
		s->task = __builtin_ctzl(may);
	s->first = search.reduces ? 1UL << s->task : may;
	s->done = 1UL << s->task;
}

static int choose(const struct fl_choice *choice)
{
	struct step *s = &step[run.nsteps];
	bool repeated = run.nsteps < search.nrepeated;

	if (!run.frozen) {
		stands_at(choice);
		close_step();
	}
	if (run.nsteps == STEPS_MAX || (repeated && s->mask != can_go_on(choice)))
		search.cut = run.frozen = true;
	if (run.frozen)
		return fl_default_choice(choice);
	if (!repeated) {
		s->preemptions = run.nsteps ? s->preemptions : 0;
		new_step(s, choice);
		if (run.frozen)
			return fl_default_choice(choice);
	}
	s->since = run.since;
	s->woken_by = run.woken_by[slot(s->task)];
	s->touched = run.next[slot(s->task)];
	run.next[slot(s->task)] = (struct touched){ };
	run.woken_by[slot(s->task)] = -1;
	run.runnable = fl.runnable & ~(1UL << s->task);
	if (++run.nsteps < STEPS_MAX && run.nsteps >= search.nrepeated)
		s[1].preemptions = s->preemptions + (choice->runs_on && s->task != choice->task);
	return s->task;
}

static unsigned int round;

static struct object *object_of(unsigned long address)
{
	unsigned long at = address * 0x9e3779b97f4a7c15UL >> 40;

	for (unsigned int tries = 0; tries < OBJECTS_MAX; tries++, at++) {
		struct object *object = &objects[at % OBJECTS_MAX];

		if (object->round != round)
			*object = (struct object){ .object = address, .round = round };
		if (object->object == address)
			return object;
	}
	search.cut = true;
	return &objects[0];
}

/* Tasks' last steps, by number + 1; 0: none. */
struct lasts {
	unsigned int by[TASKS_MAX];
};

/* Adds each task's last step with one of the modes. */
static void add_last(struct lasts *lasts, const struct object *object, int modes)
{
	for (int m = 0; m < MODES; m++)
		for (int q = 0; q < search.ntasks && modes >> m & 1; q++)
			lasts->by[q] = max(lasts->by[q], object->last[m][q]);
}

/*
 * Steps that are before this one: those in conflict with it.  Of locks that it takes apart from all else: `taken` are the steps
 * that took them, which might have come later, `released` are those that let go of them, which might not.
 */
static void find_before(unsigned int i, struct lasts *taken, struct lasts *released, struct lasts *others)
{
	const struct touched *touched = &step[i].touched;
	int self = slot(step[i].task);

	for (int a = 0; a < touched->n; a++) {
		const struct object *object = object_of(touched->access[a].object);
		int modes = touched->access[a].modes, conflicts = in_conflict(modes);

		if (modes & (FL_TAKE | FL_TAKE_SHARED)) {
			add_last(taken, object, conflicts & (FL_TAKE | FL_TAKE_SHARED));
			add_last(released, object, FL_RELEASE | (modes & FL_TAKE ? FL_RELEASE_SHARED : 0));
			conflicts &= ~(FL_TAKE | FL_TAKE_SHARED);
		}
		if (!fl_canary_is(BLIND_SEARCH))
			add_last(others, object, conflicts);
	}
	taken->by[self] = released->by[self] = others->by[self] = 0;
}

static void join(unsigned int *clock, const unsigned int *other)
{
	for (int q = 0; q < search.ntasks; q++)
		clock[q] = max(clock[q], other[q]);
}

/* Of the steps after `d` that it is not before, up to step `i`: the tasks that could take the first one. */
static unsigned long initials(unsigned int d, unsigned int i)
{
	unsigned int first[TASKS_MAX] = { };
	int by = slot(step[d].task);
	unsigned long found = 0;

	for (unsigned int k = d + 1; k <= i; k++) {
		const struct step *s = &step[k];
		bool initial = true;

		if (first[slot(s->task)] || (k < i && s->clock[by] > d))
			continue;
		for (int q = 0; q < search.ntasks; q++)
			if (first[q] && s->clock[q] >= first[q])
				initial = false;
		first[slot(s->task)] = k + 1;
		if (initial)
			found |= 1UL << s->task;
	}
	return found;
}

/* Nothing but who came first says that step `d` is before step `i`: there is to be a run in which it is not. */
static void reverse(unsigned int d, unsigned int i)
{
	unsigned long others = initials(d, i), can = others & step[d].mask;

	if (others & step[d].first)
		return;
	/* Who has to wait for a CPU goes on before that was taken from it. */
	while (!can && step[d].kept & others && d > step[d].since)
		can = step[--d].mask & others;
	if (can & step[d].first)
		return;
	if (can >> step[i].task & 1)
		step[d].first |= 1UL << step[i].task;
	else
		step[d].first |= can & -can;
}

/* Adds to the step's clock those that are before it, and to its races who is so for no other reason. */
static void order(struct lasts *before, unsigned int *clock, unsigned int *races, int *nraces)
{
	for (;;) {
		int latest = 0;

		for (int q = 1; q < search.ntasks; q++)
			if (before->by[q] > before->by[latest])
				latest = q;
		if (!before->by[latest])
			break;
		if (before->by[latest] > clock[latest] && races)
			races[(*nraces)++] = before->by[latest] - 1;
		join(clock, step[before->by[latest] - 1].clock);
		before->by[latest] = 0;
	}
}

/* The clock of step `i`; the steps that it has raced with are to be turned round. */
static void race(unsigned int i, unsigned int *clock, const struct lasts *last, const struct lasts *last_all)
{
	struct lasts taken = { }, released = { }, others = step[i].touched.all ? *last : *last_all;
	unsigned int races[2 * TASKS_MAX];
	struct step *s = &step[i];
	int nraces = 0;

	find_before(i, &taken, &released, &others);
	for (int q = 0; q < search.ntasks; q++)
		clock[q] = max(clock[q], s->since);
	if (s->woken_by >= 0)
		join(clock, step[s->woken_by].clock);
	order(&taken, clock, races, &nraces);
	order(&released, clock, NULL, NULL);
	order(&others, clock, races, &nraces);
	memcpy(s->clock, clock, sizeof(s->clock));
	s->clock[slot(s->task)] = clock[slot(s->task)] = i + 1;
	while (nraces && i + 1 >= search.nrepeated)
		reverse(races[--nraces], i);
}

static void add_to(struct object *object, int modes, int task, unsigned int i)
{
	for (; modes; modes &= modes - 1)
		object->last[__builtin_ctz(modes)][task] = i + 1;
}

/* What the run shows of schedules that are to be run. */
static void find_races(void)
{
	unsigned int clock[TASKS_MAX][TASKS_MAX] = { };
	struct lasts last = { }, last_all = { };

	round++;
	for (unsigned int i = 0; i < run.nsteps; i++) {
		const struct touched *touched = &step[i].touched;
		int task = slot(step[i].task);

		race(i, clock[task], &last, &last_all);
		last.by[task] = i + 1;
		if (touched->all)
			last_all.by[task] = i + 1;
		for (int a = 0; a < touched->n; a++)
			add_to(object_of(touched->access[a].object), touched->access[a].modes, task, i);
	}
}

/* Whether there is another schedule, and which. */
static bool next_run(void)
{
	for (unsigned int i = run.nsteps; i-- > 0;) {
		struct step *s = &step[i];
		unsigned long left = s->first & ~s->done & ~s->asleep;

		if (!left)
			continue;
		s->task = __builtin_ctzl(left);
		s->done |= 1UL << s->task;
		search.nrepeated = i + 1;
		return true;
	}
	search.nrepeated = 0;
	return false;
}

static void end(struct fl_taken *taken)
{
	if (!run.over) {
		run.over = true;
		if (!run.frozen)
			close_step();
		if (search.reduces)
			find_races();
		taken->left = next_run();
	}
	taken->cut = search.cut;
}

static const struct fl_search the_search = { begin_block, note, all_before, end };

const struct fl_policy fl_policy_search = {
	.name = "search", .begin = begin, .choose = choose, .gave_way = gave_way, .search = &the_search,
};
const struct fl_policy fl_policy_every = {
	.name = "every", .begin = begin, .choose = choose, .gave_way = gave_way, .search = &the_search,
};
