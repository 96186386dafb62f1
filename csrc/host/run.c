// SPDX-License-Identifier: GPL-2.0-only
/* Runs one program: decode, dispatch, trace, teardown, checks, reset. */
#define FL_OPSPECS
#include "host/host.h"
#include <linux/file.h>
#include <linux/swap.h>
#include <linux/sched/mm.h>
#include "host/ops.h"
#include "host/pins.h"
#include "host/swapdev.h"
#include "host/trace.h"
#include "host/huge.h"
#include "sched/sched.h"
#include "check/held.h"
#include "check/races.h"
#include "internal.h"

FL_KEEP struct fl_stats fl_counts;
static FL_KEEP enum { MACHINE_NEW, MACHINE_RUNS, MACHINE_GIVEN_UP } state;
static FL_KEEP struct fl_trace trace;
static bool last_first;		/* of the tasks that were woken */

/* Every byte string is a program: each byte is reduced by its operand's kind, a range is clipped to the region. */
static void decode(const unsigned char *bytes, struct fl_operation *op, unsigned int flags)
{
	const struct fl_opspec *spec;
	unsigned int slot = 0;

	op->code = bytes[0] % FL_NR_OPS;
	spec = &fl_opspecs[op->code];
	op->task = spec->monitor ? FL_TASK_MONITOR : bytes[1] % (FL_PROCESSES * FL_TASKS);
	op->overlaps = flags & FL_OVERLAPS && bytes[1] & FL_TASK_OVERLAPS;
	for (int i = 0; i < spec->noperands; i++) {
		unsigned int val = spec->operand[i].lo + bytes[2 + i] % spec->operand[i].count;

		if (spec->operand[i].form == FL_FORM_SLOT)
			slot = val;
		if (spec->operand[i].form == FL_FORM_PAGES && val > FL_SLOTS - slot)
			val = FL_SLOTS - slot;
		op->v[i] = val;
	}
}

/* The id of the task that the operation names. */
static int id_of(const struct fl_operation *op)
{
	if (op->task == FL_TASK_MONITOR)
		return fl_opspecs[op->code].kthread ? FL_ID_KSMD : FL_ID_MONITOR;
	return op->task % FL_PROCESSES * FL_TASKS + op->task / FL_PROCESSES;
}

/* The task that runs the operation, or NULL: skipped, for the reason given. */
static struct fl_task *actor(const struct fl_operation *op, int *skip)
{
	struct fl_task *task;

	if (op->task == FL_TASK_MONITOR) {
		task = &fl.task[id_of(op)];
		*skip = FL_SKIP_BUSY;
		return task->state == FL_TASK_IDLE ? task : NULL;
	}
	*skip = FL_SKIP_NO_PROCESS;
	if (!fl_lives(op->task % FL_PROCESSES))
		return NULL;
	task = fl_task_get(op->task % FL_PROCESSES, op->task / FL_PROCESSES);
	*skip = FL_SKIP_BUSY;
	return task->state == FL_TASK_IDLE ? task : NULL;
}

static bool anybody_blocked(void)
{
	for (unsigned long left = fl.asleep; left; left &= left - 1)
		if (fl.task[__builtin_ctzl(left)].state == FL_TASK_BLOCKED)
			return true;
	return false;
}

/* Whether a task of another process is at work in the process's memory, which its exit would not end. */
static bool used_from_outside(int process)
{
	for (int i = 0; i < FL_ID_MONITOR; i++)
		if (fl.task[i].remote == process + 1 && fl.task[i].process != process)
			return true;
	return false;
}

/* Whether what the operation names is there; a FL_SKIP_ reason, or 0. */
static int missing_operand(const struct fl_operation *op)
{
	const unsigned char *v = op->v;

	if (fl_opspecs[op->code].needs & ~fl_has())
		return FL_SKIP_LACKS;
	if (fl_hugetlb_unknown(op))
		return FL_SKIP_LACKS;
	switch (op->code) {
	case FL_OP_FORK:
		return fl.process[v[0]].mm || fl.process[v[0]].forking ? FL_SKIP_EXISTS : 0;
	case FL_OP_UFFD_OPEN:
		return fl.uffd[v[0]] ? FL_SKIP_HANDLE_USED : 0;
	case FL_OP_FILE_OPEN:
		return fl.file[v[0]] ? FL_SKIP_HANDLE_USED : 0;
	case FL_OP_MMAP_FILE:
		return fl.file[v[3]] ? 0 : FL_SKIP_NO_HANDLE;
	case FL_OP_FILE_CLOSE:
	case FL_OP_FILE_READ:
	case FL_OP_FILE_WRITE:
	case FL_OP_FILE_TRUNCATE:
	case FL_OP_FILE_ALLOCATE:
	case FL_OP_FILE_SYNC:
	case FL_OP_FILE_DROP:
		return fl.file[v[0]] ? 0 : FL_SKIP_NO_HANDLE;
	case FL_OP_UFFD_READ:
		if (!fl.uffd[v[0]])
			return FL_SKIP_NO_HANDLE;
		return fl.uffd[v[1]] ? FL_SKIP_HANDLE_USED : 0;
	case FL_OP_UFFD_MOVE:
		return fl.uffd[v[0]] ? 0 : FL_SKIP_NO_HANDLE;
	case FL_OP_KSM_MERGE:
	case FL_OP_KHUGEPAGED:
	case FL_OP_SPLIT:
		return fl_lives(v[0]) ? 0 : FL_SKIP_NO_PROCESS;
	case FL_OP_SWAP_OUT:
		return fl_lives(v[0]) ? 0 : FL_SKIP_NO_PROCESS;
	case FL_OP_KSM_SCAN:
	case FL_OP_POPULATE:
	case FL_OP_FAIL:
		return 0;
	case FL_OP_EXIT:
		return used_from_outside(op->task % FL_PROCESSES) ? FL_SKIP_BUSY : 0;
	case FL_OP_PIN:
	case FL_OP_REF:
	case FL_OP_PIN_READ:
	case FL_OP_PIN_WRITE:
	case FL_OP_UNPIN:
		return fl_pins_missing(op->code, v);
	case FL_OP_PROCESS_READ:
	case FL_OP_PROCESS_WRITE:
	case FL_OP_MEM_READ:
	case FL_OP_MEM_WRITE:
	case FL_OP_MIGRATE:
		return fl_lives(v[0]) ? 0 : FL_SKIP_NO_PROCESS;
	case FL_OP_DROP_SWAP_CACHE:
		return 0;
	case FL_OP_MMAP_HUGETLB:
	case FL_OP_SWAPOFF:
		return anybody_blocked() ? FL_SKIP_BUSY : 0;
	default:
		return op->task == FL_TASK_MONITOR && !fl.uffd[v[0]] ? FL_SKIP_NO_HANDLE : 0;
	}
}

static int wait_kind(const struct fl_task *task)
{
	if (task->wait_lock)
		return FL_WAIT_LOCK;
	switch (task->what.code) {
	case FL_OP_READ:
	case FL_OP_WRITE:
	case FL_OP_GUEST_READ:
	case FL_OP_GUEST_WRITE:
	case FL_OP_PIN:
	case FL_OP_REF:
	case FL_OP_PROCESS_READ:
	case FL_OP_PROCESS_WRITE:
	case FL_OP_POPULATE:
		return FL_WAIT_FAULT;
	default:
		return FL_WAIT_EVENT;
	}
}

/* While all tasks sleep the disk gets done, and a grace period passes. */
static bool something_happens(void)
{
	if (fl.ready | fl.spinning)	/* they only wait until they look again */
		return false;
	fl_race_learn_all();
	if (fl_swapdev_interrupt())
		return true;
	fl_rcu_run();
	fl_work_run();
	return fl.runnable || fl_time_passes();
}

/* Lets every task go on that was woken, until all sleep or are done.  Bit mask of those that completed. */
static unsigned long run_woken(const struct fl_task *but)
{
	unsigned long completed = 0;
	int rounds = 0;

	while (fl.runnable || something_happens()) {
		struct fl_task *task;

		if (!fl.runnable)
			continue;
		task = &fl.task[last_first ? __fls(fl.runnable) : __ffs(fl.runnable)];
		fl.runnable &= ~(1UL << task->id);
		if (task->state != FL_TASK_BLOCKED)
			continue;
		if (++rounds > 10000)
			fl_report(FL_KIND_HANG, NULL, "tasks wake each other for ever");
		fl_task_run(task);
		if (task->state != FL_TASK_BLOCKED && task != but)
			completed |= 1UL << task->id;
	}
	return completed;
}

static void put_record(int index, const struct fl_outcome *outcome, unsigned long completed)
{
	fl_put16(&trace, index);
	fl_put8(&trace, outcome->status);
	fl_put8(&trace, hweight64(completed));
	fl_put32(&trace, outcome->value);
	fl_put32(&trace, outcome->aux);
	for (; completed; completed &= completed - 1) {
		const struct fl_task *task = &fl.task[__builtin_ctzl(completed)];

		fl_put16(&trace, task->op);
		fl_put8(&trace, task->outcome.status);
		fl_put8(&trace, 0);
		fl_put32(&trace, task->outcome.value);
		fl_put32(&trace, task->outcome.aux);
	}
}

static void after_operation(unsigned int flags)
{
	fl_end_if_noted();
	fl_rcu_run();
	fl_check_tlb();
	if (unlikely(fl_guest_entries))
		fl_guest_check();
	if (flags & FL_PARANOID) {
		fl_check_mappings();
		fl_check_vmas();
		fl_vmas_watch(true);
		fl_check_migrated();
		fl_check_pins();
		fl_check_pagemap();
	}
}

/* SHARING of faultline.program.ops. */
static bool shows_sharing(int code)
{
	return code == FL_OP_KSM_MERGE || code == FL_OP_KSM_SCAN || code == FL_OP_SPLIT || code == FL_OP_MIGRATE ||
	       code == FL_OP_SWAP_OUT || code == FL_OP_UFFD_MOVE;
}

static void put_state(bool sharing, unsigned int flags)
{
	if (!(flags & FL_SNAPSHOTS))
		return;
	if (sharing)
		fl_put_sharing(&trace);
	fl_put_snapshot(&trace);
	if (flags & FL_INTERNALS)
		fl_put_internals(&trace);
}

static void run_operation(int index, const struct fl_operation *op, unsigned int flags)
{
	bool failing = fl_fail_begin();
	struct fl_outcome outcome = { .status = FL_STATUS_SKIPPED };
	unsigned long completed = 0;
	struct fl_task *task;
	bool ran = false;

	fl.op = index;
	task = actor(op, &outcome.value);
	if (task) {
		outcome.value = missing_operand(op);
		ran = !outcome.value;
	}
	if (ran) {
		task->op = index;
		task->what = *op;
		fl_task_run(task);
		completed = run_woken(task);
		outcome = task->outcome;
		if (task->state == FL_TASK_BLOCKED) {
			fl_sched_check_deadlock();
			outcome = (struct fl_outcome){ .status = FL_STATUS_BLOCKED, .value = wait_kind(task) };
		}
	}
	if (unlikely(failing))
		fl_fail_end();
	if (ran)
		after_operation(flags);
	if (unlikely(flags & FL_COSTS) && ran)
		fl_costs_put(index);
	put_record(index, &outcome, completed);
	put_state(shows_sharing(op->code), flags);
	fl_posix_note_counts(index);
}

/* A block: operations that overlap.  Each task does its own in their order. */
static struct {
	int first, count, completed;
	struct fl_operation op[FL_OPS_MAX];
	struct fl_outcome outcome[FL_OPS_MAX];
	bool begun[FL_OPS_MAX];
	struct { int op; struct fl_outcome outcome; } completion[FL_NTASKS];	/* of operations before the block */
} block;

/* The next operation of the block that the task has not begun, -1: none. */
static int next_of(int id)
{
	for (int i = 0; i < block.count; i++)
		if (!block.begun[i] && id_of(&block.op[i]) == id)
			return i;
	return -1;
}

/* Tasks that have an operation to begin, and nothing under way. */
static unsigned long startable(void)
{
	unsigned long mask = 0;

	for (int i = 0; i < block.count; i++) {
		int id = id_of(&block.op[i]);

		if (!block.begun[i] && fl.task[id].state <= FL_TASK_IDLE)
			mask |= 1UL << id;
	}
	return mask;
}

/* What operations name is there or not, by those that make it and end it. */
static void note_handles(const struct fl_operation *op)
{
	switch (op->code) {
	case FL_OP_FORK:
	case FL_OP_EXIT:
	case FL_OP_UFFD_OPEN:
	case FL_OP_UFFD_CLOSE:
	case FL_OP_UFFD_READ:
	case FL_OP_FILE_OPEN:
	case FL_OP_FILE_CLOSE:
	case FL_OP_PIN:
	case FL_OP_REF:
	case FL_OP_PIN_READ:
	case FL_OP_PIN_WRITE:
	case FL_OP_UNPIN:
		FL_NOTE(FL_WRITE, &block);
		break;
	default:
		FL_NOTE(FL_READ, &block);
	}
}

/* Gives the task its next operation, or skips that: whether there is something to run. */
static bool begin_next(int id)
{
	int i = next_of(id);
	struct fl_outcome *outcome = &block.outcome[i];
	struct fl_task *task;

	block.begun[i] = true;
	note_handles(&block.op[i]);
	outcome->status = FL_STATUS_SKIPPED;
	task = actor(&block.op[i], &outcome->value);
	if (task)
		outcome->value = missing_operand(&block.op[i]);
	if (!task || outcome->value)
		return false;
	task->op = block.first + i;
	task->what = block.op[i];
	return true;
}

/* The task has stopped running: with its operation, or it sleeps or was interrupted. */
static void note_outcome(const struct fl_task *task)
{
	if (task->state > FL_TASK_IDLE || task->id == FL_ID_DISK)
		return;
	note_handles(&task->what);
	if (task->op >= block.first) {
		block.outcome[task->op - block.first] = task->outcome;
	} else {
		block.completion[block.completed].op = task->op;
		block.completion[block.completed++].outcome = task->outcome;
	}
}

static void run_one(int id)
{
	struct fl_task *task = &fl.task[id];

	if (task->state == FL_TASK_BLOCKED)
		fl.runnable &= ~(1UL << id);
	else if (task->state != FL_TASK_READY && id != FL_ID_DISK && !begin_next(id))
		return;
	fl_task_run(task);
	note_outcome(task);
}

/* More than operations of one block can come to that get anywhere. */
#define ROUNDS_MAX	20000

/* Until everybody sleeps or is done. */
static void run_overlapping(void)
{
	unsigned long rounds = 0;

	for (;;) {
		unsigned long mask;

		fl_sched_startable = startable();
		mask = fl_sched_candidates();
		if (mask) {
			run_one(fl_sched_next(mask));
		} else {
			fl_sched_check_deadlock();
			if (!something_happens() && !fl_sched_try_again())
				return;
			fl_sched_all_before();
		}
		if (++rounds > ROUNDS_MAX)
			fl_report(FL_KIND_HANG, NULL, "tasks give way to each other for ever");
	}
}

static void put_block(unsigned int flags)
{
	for (int i = 0; i < block.count; i++) {
		bool ends = i == block.count - 1;

		fl_put16(&trace, block.first + i);
		fl_put8(&trace, block.outcome[i].status);
		fl_put8(&trace, ends ? block.completed : 0);
		fl_put32(&trace, block.outcome[i].value);
		fl_put32(&trace, block.outcome[i].aux);
	}
	for (int i = 0; i < block.completed; i++) {
		fl_put16(&trace, block.completion[i].op);
		fl_put8(&trace, block.completion[i].outcome.status);
		fl_put8(&trace, 0);
		fl_put32(&trace, block.completion[i].outcome.value);
		fl_put32(&trace, block.completion[i].outcome.aux);
	}
	put_state(false, flags);
}

/* Runs the operations from `first` on that overlap; the number of them. */
static int run_block(int number, int first, const unsigned char *program, int n, unsigned int flags)
{
	bool failing = fl_fail_begin();

	block.first = first;
	block.completed = 0;
	for (block.count = 0; first + block.count < n; block.count++) {
		struct fl_operation *op = &block.op[block.count];

		decode(program + (first + block.count) * FL_OP_SIZE, op, flags);
		if (!op->overlaps)
			break;
		block.begun[block.count] = false;
		block.outcome[block.count] = (struct fl_outcome){ .status = FL_STATUS_SKIPPED, .value = FL_SKIP_BUSY };
	}
	fl_vmas_watch(true);
	fl_sched_begin_block(number, first);
	fl_races_begin_block();
	run_overlapping();
	fl_races_end_block();
	fl_sched_end_block();
	for (int i = 0; i < FL_ID_BOOT; i++)
		if (fl.task[i].state == FL_TASK_BLOCKED && fl.task[i].op >= first)
			block.outcome[fl.task[i].op - first] =
				(struct fl_outcome){ .status = FL_STATUS_BLOCKED, .value = wait_kind(&fl.task[i]) };
	if (unlikely(failing))
		fl_fail_end();
	fl.op = first + block.count - 1;
	fl_vmas_watch(true);
	if (!(flags & FL_PARANOID))
		fl_vmas_watch(false);
	after_operation(flags);
	put_block(flags);
	return block.count;
}

/* Ends what is left of a process as exit_group() by its first task does. */
static void end_process(int number)
{
	struct fl_process *process = &fl.process[number];
	struct fl_task *killer = NULL;

	for (int i = 0; i < FL_TASKS; i++) {
		struct fl_task *task = &fl.task[number * FL_TASKS + i];

		if (task->state == FL_TASK_IDLE && !killer)
			killer = task;
		else if (task->state == FL_TASK_BLOCKED)
			fl_task_kill(task);
	}
	process->dying = true;
	if (killer) {
		killer->what = (struct fl_operation){ .code = FL_OP_EXIT };
		killer->op = -1;
		fl_task_run(killer);
	}
	run_woken(NULL);
}

/* A monitor's operation without operands, as part of the teardown. */
static void end_by(int code)
{
	struct fl_task *monitor = &fl.task[FL_ID_MONITOR];

	monitor->what = (struct fl_operation){ .code = code, .task = FL_TASK_MONITOR };
	monitor->op = -1;
	fl_task_run(monitor);
	run_woken(NULL);
	if (monitor->state != FL_TASK_IDLE)
		fl_report(FL_KIND_HANG, NULL, "the monitor waits for ever");
}

/* The processes are gone: so must be what they had in swap, then swap goes too. */
static void end_swap(void)
{
	end_by(FL_OP_DROP_SWAP_CACHE);
	fl_check_swap();
	end_by(FL_OP_SWAPOFF);
}

/* Tasks that are at work in another process's memory end first, so that each process takes its memory along. */
static void end_remote(void)
{
	for (int i = 0; i < FL_ID_MONITOR; i++)
		if (fl.task[i].remote)
			fl_task_kill(&fl.task[i]);
	run_woken(NULL);
}

static void drain_lru(void)
{
	for (int cpu = 0; cpu < fl.cpus; cpu++) {
		fl_switch_cpu(cpu);
		lru_add_drain();
	}
	fl_switch_cpu(0);
}

/* The real teardown: every process exits, every file is closed, KSM lets go. */
static void teardown(void)
{
	fl.op = -1;
	fl_check_mappings();
	fl_check_vmas();
	fl_check_migrated();
	fl_check_pins();
	fl_pins_before_exit();
	end_remote();
	for (int p = 0; p < FL_PROCESSES; p++)
		if (fl.process[p].mm)
			end_process(p);
	for (int p = 0; p < FL_PROCESSES; p++)
		if (unlikely(fl.process[p].mm))
			fl_report(FL_KIND_HANG, NULL, "p%d cannot end: one of its tasks waits for ever", p);
	fl_pins_after_exit();
	for (int u = 0; u < FL_UFFDS; u++)
		if (fl.uffd[u]) {
			fput(fl.uffd[u]);
			fl.uffd[u] = NULL;
		}
	for (int f = 0; f < FL_FILES; f++)
		if (fl.file[f]) {
			fput(fl.file[f]);
			fl.file[f] = NULL;
		}
	fl_files_release();
	if (fl.ksm_used)
		fl_ksm_cleanup();
	fl.ksm_used = false;
	if (fl_swap_is_on())
		end_swap();
	fl_huge_cleanup();
	drain_lru();
	fl_rcu_run();
	fl_check_idle(&fl.task[FL_ID_BOOT]);
	fl_check_leftovers();
	fl_end_if_noted();
	fl_tasks_reset(false);
}

static void start_first_process(void)
{
	struct mm_struct *mm = mm_alloc();

	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	fl.process[0].mm = mm;
	fl_task_get(0, 0);
}

static void run_program(const unsigned char *program, unsigned long length, unsigned int flags)
{
	unsigned long n = min_t(unsigned long, length / FL_OP_SIZE, FL_OPS_MAX);

	fl.task[FL_ID_BOOT].events = 0;
	fl_fail_reset();
	fl_order_begin();
	fl_vmas_watch(false);
	fl.soft_dirty_used = false;
	start_first_process();
	last_first = flags & FL_LAST_FIRST;
	fl_sched_begin_program(flags & FL_OVERLAPS);
	fl_races_begin_program(flags & FL_FIND_RACES);
	fl_taken_begin(flags & (FL_INTERNALS | FL_COSTS));
	fl_costs_begin(flags & FL_COSTS);
	for (int i = 0, blocks = 0; i < n; ) {
		struct fl_operation op;

		decode(program + i * FL_OP_SIZE, &op, flags);
		if (op.overlaps)
			i += run_block(blocks++, i, program, n, flags);
		else
			run_operation(i++, &op, flags);
	}
	fl_counts.ops += n;
	last_first = false;
	fl_taken_on = flags & FL_COSTS;
	fl.task[FL_ID_BOOT].events = 0;
	teardown();
	if (unlikely(flags & FL_COSTS))
		fl_costs_put(n);
	fl_taken_on = false;
}

static void restore(void)
{
	struct fl_fiber *left = fl_fiber_of_report ?: &fl.task[FL_ID_BOOT].fiber;

	fl_counts.restores++;
	fl_posix_restore();
	fl_pages_after_restore();
	fl_fiber_abandoned(left, &fl.task[FL_ID_BOOT].fiber);
	fl_tasks_reset(true);
}

void fl_reset(void)
{
	if (state == MACHINE_RUNS)
		restore();
}

static void run_once(const unsigned char *program, unsigned long length, unsigned int flags)
{
	fl_finding_clear(__builtin_frame_address(0));
	fl_posix_arm();
	if (!__builtin_setjmp(fl_main_context)) {
		run_program(program, length, flags);
		fl_posix_disarm();
	} else {
		fl_posix_disarm();
		restore();
	}
}

long fl_run(const unsigned char *program, unsigned long length, unsigned int flags, unsigned char *out,
	    unsigned long room)
{
	bool again;

	if (state != MACHINE_RUNS)
		return -EINVAL;
	fl_counts.programs++;
	fl_races_begin_run();
	do {
		trace = (struct fl_trace){ .at = out, .end = out + room };
		run_once(program, length, flags);
		again = fl_order_again() | fl_races_again();
	} while (unlikely(again));
	return trace.full ? -ENOSPC : trace.at - out;
}

void fl_stats(struct fl_stats *out)
{
	fl_counts.pages_live = fl_pages_live();
	*out = fl_counts;
}

/* The first swapon makes what stays for ever: it is no program's. */
static int swap_once(void)
{
	int err = fl_swap_on(FL_SWAP_DEVICE_SYNC);

	if (!err)
		end_by(FL_OP_SWAPOFF);
	return err;
}

static int start(int cpus)
{
	int err = fl_posix_init();

	if (err)
		return err;
	fl_posix_arm();
	err = fl_boot(cpus);
	if (!err && fl_has() & 1 << FL_NEED_SWAP)
		err = swap_once();
	fl_posix_disarm();
	if (err)
		return err;
	drain_lru();
	fl_baseline();
	return fl_posix_snapshot(fl_arena, fl_pages_used());
}

/* The library cannot start twice, but a machine that was given up is still what it was when it started. */
static int start_again(int cpus)
{
	if (cpus != fl.cpus) {
		fl_posix_set_error("the machine had another number of CPUs before");
		return -EINVAL;
	}
	restore();
	return fl_posix_init();
}

int fl_create(unsigned int cpus)
{
	int err;

	if (state == MACHINE_RUNS || !cpus || cpus > FL_CPUS_MAX) {
		fl_posix_set_error(state == MACHINE_RUNS ? "the machine exists already" : "a machine has 1 to 4 CPUs");
		return -EINVAL;
	}
	if (__builtin_setjmp(fl_main_context)) {
		struct fl_finding found = { };

		fl_finding(&found);
		fl_posix_disarm();
		fl_posix_set_error(found.text);
		return -EFAULT;
	}
	fl_posix_set_error("no memory for the machine");
	err = state == MACHINE_GIVEN_UP ? start_again(cpus) : start(cpus);
	if (!err)
		state = MACHINE_RUNS;
	return err;
}

void fl_destroy(void)
{
	if (state != MACHINE_RUNS)
		return;
	fl_posix_exit();
	state = MACHINE_GIVEN_UP;
}
