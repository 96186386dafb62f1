// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which locks were taken, and how often CPUs were told to flush and pages faulted in, since the last record.  Classes are
 * numbered by their well-known names, which are the same in every build.
 * leaves out: locks without such a name.  Caches of the kernel's take them, as they were filled by programs before.
 */
#include "check/taken.h"
#include "check/order.h"
#include "ops.h"

FL_KEEP bool fl_taken_on;
static FL_KEEP unsigned int taken;
static FL_KEEP unsigned char notes[FL_NOTES_MAX];
static FL_KEEP unsigned long flushes, faults;

static bool is_shared(int kind)
{
	return kind == FL_LOCK_READ || kind == FL_LOCK_RWSEM_READ || kind == FL_LOCK_MAP_READ;
}

static void start_over(void)
{
	taken = 0;
	flushes = fl_counts.tlb_flushes;
	faults = fl_counts.faults;
}

void fl_taken_begin(bool on)
{
	fl_taken_on = on;
	start_over();
}

void fl_taken_note(unsigned int class, int kind)
{
	unsigned int number = fl_class_name_number(class);
	bool shared = is_shared(kind);

	fl_costs_lock(number, shared);
	if (!number)
		return;
	if (taken < FL_NOTES_MAX)
		notes[taken] = number | (shared ? FL_SHARED : 0);
	taken++;
}

void fl_taken_put(struct fl_trace *trace)
{
	fl_put32(trace, fl_counts.tlb_flushes - flushes);
	fl_put32(trace, fl_counts.faults - faults);
	fl_put16(trace, min(taken, 0xffffU));
	fl_put(trace, notes, min_t(unsigned int, taken, FL_NOTES_MAX));
	start_over();
}
