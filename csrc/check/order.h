/* SPDX-License-Identifier: GPL-2.0-only */
/* The order in which locks are taken, by class. */
#ifndef FL_ORDER_H
#define FL_ORDER_H

#include "host/host.h"

#define FL_CLASSES_MAX	128

/* Classes that are known by the kind of the lock; the others follow as they are met. */
enum { FL_CLASS_UNKNOWN, FL_CLASS_NONE, FL_CLASS_FOLIO, FL_CLASS_VMA, FL_CLASS_TABLE, FL_CLASSES_FIXED };

typedef unsigned long fl_order_graph[FL_CLASSES_MAX][FL_CLASSES_MAX / 64];

/* What need not be looked at again: what was held, as what was taken. */
extern fl_order_graph fl_order_fine;

unsigned int fl_class_find(const void *lock);
unsigned int fl_class_name_number(unsigned int class);
void fl_order_new(const struct fl_held *held, unsigned int class, const void *lock, int kind, const void *ip);

static __always_inline unsigned int fl_class_of_kind(int kind)
{
	return kind == FL_LOCK_FOLIO ? FL_CLASS_FOLIO : kind == FL_LOCK_VMA ? FL_CLASS_VMA : FL_CLASS_NONE;
}

/* Before a lock is waited for: whoever holds others says that they come before it. */
static __always_inline void fl_order_check(const void *lock, int kind, unsigned int class, const void *ip)
{
	const struct fl_task *task = fl.cur;

	for (int i = task->nheld - 1; i >= 0; i--) {
		const struct fl_held *held = &task->held[i];

		if (unlikely(!(fl_order_fine[held->class][class / 64] >> class % 64 & 1)))
			fl_order_new(held, class, lock, kind, ip);
	}
}

#endif
