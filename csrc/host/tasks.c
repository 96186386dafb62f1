// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks and scheduling.
 * keeps: a stack and a task_struct for each task, real blocking and waking, kill.
 * leaves out: time slices.  A task runs until it sleeps or its operation ends.
 */
#include "check/held.h"
#include "host/swapdev.h"
#include "sched/sched.h"
#include <linux/cred.h>
#include <linux/sched/debug.h>
#include <linux/sched/wake_q.h>
#include <linux/wait.h>
#include <linux/rcuwait.h>
#include <linux/rcupdate.h>
#include <linux/user_namespace.h>

#ifdef FL_HAVE_TASK_STATE
#define FL_TASK_STATE	__state
#else
#define FL_TASK_STATE	state
#endif

struct fl_machine fl;
struct task_struct *fl_current;
unsigned long fl_irqs_off;

static struct task_struct structs[FL_NTASKS];
static struct signal_struct the_signal;
static struct sighand_struct the_sighand;
static struct cred the_cred;

/* Of the window: what a task hands to a system call, and what it copies from. */
static char windows[FL_NTASKS][2][PAGE_SIZE] __aligned(PAGE_SIZE);

static void enter(struct fl_task *task)
{
	fl.cur = task;
	fl.args = windows[task->id][0];
	fl.source = windows[task->id][1];
	fl_current = task->ts;
	fl_irqs_off = task->irqs_off;
	fl_switch_cpu(task->cpu);
}

/* Outside of all tasks: boot, decoding, snapshots, the end-of-program checks. */
void fl_boot_task_enter(void)
{
	enter(&fl.task[FL_ID_BOOT]);
}

static void leave(void)
{
	struct fl_task *task = fl.cur;

	task->irqs_off = fl_irqs_off;
	fl_race_publish(&__per_cpu_offset[task->cpu]);
	fl_boot_task_enter();
	fl_fiber_switch(&task->fiber, &fl.task[FL_ID_BOOT].fiber);
	enter(task);
}

/* Where tasks keep a part of their mm's page counts, one that leaves it hands them in, as exit_mm() has it. */
void fl_task_hand_in_counts(struct fl_task *task)
{
#ifdef SPLIT_RSS_COUNTING
	struct task_rss_stat *stat = &task->ts->rss_stat;

	for (int i = 0; i < NR_MM_COUNTERS; i++) {
		add_mm_counter(task->ts->mm, i, stat->count[i]);
		stat->count[i] = 0;
	}
	stat->events = 0;
#endif
}

/* A task whose process ends gives up the mm and is gone. */
static void end_task(struct fl_task *task)
{
	struct fl_process *process = &fl.process[task->process];
	struct mm_struct *mm = task->ts->mm;
	bool last;

	fl_task_hand_in_counts(task);
	task->ts->mm = NULL;
	task->ts->active_mm = NULL;
	mmgrab(mm);
	last = atomic_read(&mm->mm_users) == 1;	/* else a task that is at work in it takes it along, maybe just now */
	mmput(mm);
	process->tasks &= ~(1 << task->id % FL_TASKS);
	if (!process->tasks) {
		fl_guest_ended(task->process);
		if (last && !atomic_read(&mm->mm_users))
			fl_tlb_process_gone(mm);
		process->mm = NULL;
		fl_vmas_forget(task->process);
		process->dying = false;
	}
	mmdrop(mm);
}

static void task_loop(void *arg)
{
	struct fl_task *task = arg;

	for (;;) {
		bool ends;

		if (task->id == FL_ID_DISK)
			fl_swapdev_interrupt();
		else
			fl_op_run(task);
		ends = task->killed && task->id < FL_ID_MONITOR;
		if (ends)
			end_task(task);
		fl_files_release();
		fl_check_idle(task);
		task->state = ends ? FL_TASK_NONE : FL_TASK_IDLE;
		leave();
	}
}

/* The monitor and the kernel's thread, with which the disk is, are the last CPUs', so that they overlap with the first tasks. */
int fl_task_cpu(int id)
{
	if (id >= FL_ID_MONITOR)
		return id == FL_ID_BOOT ? 0 : fl.cpus - 1 - (id != FL_ID_MONITOR) % fl.cpus;
	return (id / FL_TASKS + id % FL_TASKS) % fl.cpus;
}

static void task_start(struct fl_task *task, int id, struct mm_struct *mm)
{
	struct task_struct *ts = &structs[id];

	memset(ts, 0, sizeof(*ts));
	ts->mm = ts->active_mm = mm;
	refcount_set(&ts->usage, 1);
	ts->flags = mm ? 0 : PF_KTHREAD;
	ts->signal = &the_signal;
	ts->sighand = &the_sighand;
	ts->group_leader = ts;
	refcount_set(&ts->usage, 1);
	ts->pid = ts->tgid = 1000 + id;
	refcount_set(&ts->usage, 1);
	spin_lock_init(&ts->alloc_lock);
	ts->nr_dirtied_pause = INT_MAX;
	rcu_assign_pointer(ts->cred, &the_cred);
	rcu_assign_pointer(ts->real_cred, &the_cred);
	INIT_LIST_HEAD(&ts->pending.list);
	task->ts = ts;
	task->id = id;
	task->process = id / FL_TASKS;
	task->cpu = fl_task_cpu(id);
	task->state = FL_TASK_IDLE;
	task->op = -1;
	task->killed = false;
	task->wait_lock = NULL;
	task->remote = 0;
	fl_held_reset(task);
	if (id != FL_ID_BOOT)
		fl_fiber_start(&task->fiber, id, task_loop, task);
}

/* The task, which begins to exist when it is first named.  Its process must live. */
struct fl_task *fl_task_get(int process, int index)
{
	struct fl_task *task = &fl.task[process * FL_TASKS + index];
	struct fl_process *owner = &fl.process[process];

	if (task->state == FL_TASK_NONE) {
		if (owner->tasks)
			mmget(owner->mm);
		owner->tasks |= 1 << index;
		task_start(task, process * FL_TASKS + index, owner->mm);
	}
	return task;
}

/* Runs a task that is idle with an operation at hand, or was woken, until it sleeps or its operation ends. */
void fl_task_run(struct fl_task *task)
{
	task->state = FL_TASK_RUNNING;
	if (fl_overlap)
		fl.op = task->op;
	enter(task);
	fl_race_learn(task);
	fl_race_learn(&__per_cpu_offset[task->cpu]);	/* tasks follow each other on a CPU */
	fl_fiber_switch(&fl.task[FL_ID_BOOT].fiber, &task->fiber);
}

void fl_task_block(void)
{
	struct fl_task *task = fl.cur;

	if (task->id == FL_ID_BOOT)
		fl_report(FL_KIND_HANG, NULL, "teardown waits for something that nobody will do");
	if (++task->events > FL_EVENTS_MAX)
		fl_events_used_up();
	task->state = FL_TASK_BLOCKED;
	fl.asleep |= 1UL << task->id;
	leave();
	fl.asleep &= ~(1UL << task->id);
	task->state = FL_TASK_RUNNING;
}

/* Another task goes on, as a policy chose; this one may do so at any time. */
void fl_task_pause(void)
{
	struct fl_task *task = fl.cur;

	task->state = FL_TASK_READY;
	fl.ready |= 1UL << task->id;
	leave();
	fl.ready &= ~(1UL << task->id);
	task->state = FL_TASK_RUNNING;
}

void fl_wake_lock_waiters(const void *lock)
{
	for (int i = 0; i < FL_ID_BOOT; i++)
		if (fl.task[i].state == FL_TASK_BLOCKED && fl.task[i].wait_lock == lock)
			fl.runnable |= 1UL << i;
}

asmlinkage __visible void __sched schedule(void)
{
	struct task_struct *ts = current;
	unsigned int state = READ_ONCE(ts->FL_TASK_STATE);

	fl_check_sleep("schedule()");
	if (++fl.cur->events > FL_EVENTS_MAX)
		fl_events_used_up();
	if (state == TASK_RUNNING)
		return;
	if (signal_pending_state(state, ts)) {
		WRITE_ONCE(ts->FL_TASK_STATE, TASK_RUNNING);
		return;
	}
	fl_task_block();
	WRITE_ONCE(ts->FL_TASK_STATE, TASK_RUNNING);
}

void __sched io_schedule(void)
{
	schedule();
}

/* keeps: who waits no longer than a time goes on when nobody else can.  leaves out: how long that is. */
signed long __sched schedule_timeout(signed long timeout)
{
	unsigned long bit = 1UL << fl.cur->id;

	if (timeout != MAX_SCHEDULE_TIMEOUT)
		fl.timed |= bit;
	schedule();
	if (timeout == MAX_SCHEDULE_TIMEOUT || fl.timed & bit) {
		fl.timed &= ~bit;
		return timeout;
	}
	return 0;
}

/* Time passes, as nobody can go on: who waits for no more than that goes on.  Whether there are any. */
bool fl_time_passes(void)
{
	unsigned long timed = fl.timed;

	fl.timed = 0;
	fl.runnable |= timed;
	return timed;
}

/* Who waits until the disk has less to do: that is when nobody else can go on. */
signed long __sched io_schedule_timeout(signed long timeout)
{
	__set_current_state(TASK_UNINTERRUPTIBLE);
	return schedule_timeout(timeout);
}

/*
 * keeps: others go on meanwhile, if any can.  leaves out: time.  For who waits until another CPU is done with something
 * that wakes nobody.
 */
signed long __sched schedule_timeout_uninterruptible(signed long timeout)
{
	fl_check_sleep("schedule_timeout_uninterruptible()");
	if (fl_overlap)
		fl_sched_yield("a wait for another task");
	return 0;
}

int __sched __cond_resched(void)
{
	fl_check_sleep("cond_resched()");
	if (++fl.cur->events > FL_EVENTS_MAX)
		fl_events_used_up();
	FL_POINT(RESCHED, NULL);
	return 0;
}

#ifdef FL_HAVE_COND_RESCHED_EXTERN
int __sched _cond_resched(void)
{
	return __cond_resched();
}
#endif

static int wake(struct task_struct *ts, unsigned int mode)
{
	struct fl_task *task = &fl.task[ts - structs];

	if (unlikely(fl_overlap))
		fl_held_pass_on(task);
	if (!(READ_ONCE(ts->FL_TASK_STATE) & mode))
		return 0;
	if (fl_canary_is(LOST_WAKEUP))
		return 1;
	if (unlikely(fl_overlap) && fl_sched_is_late(task))
		return 0;
	fl_race_publish(task);
	WRITE_ONCE(ts->FL_TASK_STATE, TASK_RUNNING);
	if (task->state == FL_TASK_BLOCKED && !task->wait_lock)
		fl.runnable |= 1UL << task->id;
	return 1;
}

int wake_up_state(struct task_struct *ts, unsigned int state)
{
	return wake(ts, state);
}

int try_to_wake_up(struct task_struct *ts, unsigned int state, int wake_flags)
{
	return wake(ts, state);
}

int wake_up_process(struct task_struct *ts)
{
	return wake(ts, TASK_NORMAL);
}

int default_wake_function(wait_queue_entry_t *entry, unsigned int mode, int flags, void *key)
{
	return wake(entry->private, mode);
}

/* keeps: the one sleeper goes on; it looks at its condition itself. */
int rcuwait_wake_up(struct rcuwait *wait)
{
	struct task_struct *ts = rcu_dereference_raw(wait->task);

	return ts ? wake_up_process(ts) : 0;
}

#ifndef FL_HAVE_FINISH_RCUWAIT_INLINE
void finish_rcuwait(struct rcuwait *wait)
{
	rcu_assign_pointer(wait->task, NULL);
	__set_current_state(TASK_RUNNING);
}
#endif

/* Sends the kill signal that exit_group() sends to the other tasks of the process. */
void fl_task_kill(struct fl_task *task)
{
	fl_race_publish(task);
	task->killed = true;
	sigaddset(&task->ts->pending.signal, SIGKILL);
	set_tsk_thread_flag(task->ts, TIF_SIGPENDING);
	if (task->state == FL_TASK_BLOCKED) {
		WRITE_ONCE(task->ts->FL_TASK_STATE, TASK_RUNNING);
		fl.runnable |= 1UL << task->id;
	}
}

void fl_tasks_init(void)
{
	for (int i = 0; i < RLIM_NLIMITS; i++)
		the_signal.rlim[i].rlim_cur = the_signal.rlim[i].rlim_max = RLIM_INFINITY;
	init_rwsem(&the_signal.exec_update_lock);
	the_cred.user_ns = &init_user_ns;
	atomic_long_set(&the_cred.usage, 1);
	for (int i = FL_ID_MONITOR; i < FL_NTASKS; i++)
		task_start(&fl.task[i], i, i == FL_ID_MONITOR ? &init_mm : NULL);
	fl_boot_task_enter();
}

/*
 * Puts the machine's own tasks back where they began.  After a restore all of them: their stacks are not part of the
 * snapshot.  Else those that the program left waiting.
 */
void fl_tasks_reset(bool all)
{
	for (int i = FL_ID_MONITOR; i < FL_ID_BOOT; i++)
		if (all || fl.task[i].state != FL_TASK_IDLE)
			task_start(&fl.task[i], i, i == FL_ID_MONITOR ? &init_mm : NULL);
	fl.runnable = fl.ready = fl.spinning = 0;
}
