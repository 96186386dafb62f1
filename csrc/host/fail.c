// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failure injection: the nth request of the next operation fails.
 * keeps: requests that may fail; one that says __GFP_NOFAIL never does.  leaves out: failures that last.
 */
#include "host/ops.h"

int fl_fail_left[FL_NR_FAULTS];
bool fl_failed;
static int fault = -1, nth;			/* what the next operation will meet */

void fl_op_fail(struct fl_task *task, const unsigned char *v)
{
	fault = v[0];
	nth = v[1];
	fl_done(task, 0);
}

/* An operation begins; true if one of its requests is to fail. */
bool fl_fail_begin(void)
{
	if (likely(fault < 0))
		return false;
	fl_fail_left[fault] = nth;
	fault = -1;
	return true;
}

bool fl_fail_now(int which)
{
	FL_NOTE(FL_WRITE, fl_fail_left);
	if (--fl_fail_left[which])
		return false;
	fl_failed = true;
	return true;
}

/* A program begins: what an earlier one asked for at its end is void. */
void fl_fail_reset(void)
{
	fault = -1;
	fl_failed = false;
}

void fl_fail_end(void)
{
	memset(fl_fail_left, 0, sizeof(fl_fail_left));
}
