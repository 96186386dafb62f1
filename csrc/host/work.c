// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work queues.
 * keeps: work waits in a queue, once, until it begins, and runs on the CPU that it was queued for; who flushes it finds
 * it done.
 * leaves out: threads for it.  Who flushes work does it; what nobody flushes is done when all tasks sleep or have ended
 * their operations.
 */
#include "sched/sched.h"
#include "check/races.h"
#include <linux/workqueue.h>

#define QUEUED_MAX	16

static struct {
	struct work_struct *work;
	int cpu;
} queued[QUEUED_MAX];
static int nqueued;

bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work)
{
	if (test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)))
		return false;
	if (nqueued == QUEUED_MAX)
		fl_report(FL_KIND_TOOL_ERROR, NULL, "too much work is queued");
	fl_race_publish(work);
	queued[nqueued].work = work;
	queued[nqueued++].cpu = cpu < fl.cpus ? cpu : fl_cpu;
	return true;
}

static void do_work(int i)
{
	struct work_struct *work = queued[i].work;
	int cpu = queued[i].cpu, here = fl_cpu;

	for (nqueued--; i < nqueued; i++)
		queued[i] = queued[i + 1];
	clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
	fl_race_learn(work);
	fl_sched_to_cpu(cpu);
	work->func(work);
	fl_sched_to_cpu(here);
}

bool flush_work(struct work_struct *work)
{
	fl_check_sleep("flush_work()");
	for (int i = 0; i < nqueued; i++)
		if (queued[i].work == work) {
			do_work(i);
			return true;
		}
	return false;
}

/* All that is queued, when nothing else runs. */
void fl_work_run(void)
{
	while (nqueued)
		do_work(0);
}
