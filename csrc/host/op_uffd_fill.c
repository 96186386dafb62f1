// SPDX-License-Identifier: GPL-2.0-only
/* Newer ways of userfaultfd to fill missing pages; skipped where the tree's own header lacks them. */
#include "host/ops.h"
#include <linux/userfaultfd.h>

/* A move is within the memory of the process that asks for it, so it is a task that does. */
void fl_op_uffd_move(struct fl_task *task, const unsigned char *v)
{
#ifdef UFFDIO_MOVE
	struct uffdio_move *move = (void *)fl.args;

	memset(move, 0, sizeof(*move));
	move->dst = fl_slot_addr(v[1]);
	move->len = fl_pages_len(v[2]);
	move->src = fl_slot_addr(v[3]);
	move->mode = (v[4] & FL_MOVE_MODE_DONTWAKE ? UFFDIO_MOVE_MODE_DONTWAKE : 0) |
		     (v[4] & FL_MOVE_MODE_HOLES ? UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES : 0);
	fl_result(task, fl_ioctl(fl.uffd[v[0]], UFFDIO_MOVE));
	task->outcome.aux = fl_pages_or_errno(move->move);
#endif
}

void fl_op_uffd_poison(struct fl_task *task, const unsigned char *v)
{
#ifdef UFFDIO_POISON
	struct uffdio_poison *poison = (void *)fl.args;

	memset(poison, 0, sizeof(*poison));
	poison->range.start = fl_slot_addr(v[1]);
	poison->range.len = fl_pages_len(v[2]);
	poison->mode = v[3] & FL_WAKE_MODE_DONTWAKE ? UFFDIO_POISON_MODE_DONTWAKE : 0;
	fl_result(task, fl_ioctl(fl.uffd[v[0]], UFFDIO_POISON));
	task->outcome.aux = fl_pages_or_errno(poison->updated);
#endif
}
