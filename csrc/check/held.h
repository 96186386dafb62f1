/* SPDX-License-Identifier: GPL-2.0-only */
/* Who holds which lock, taken where. */
#ifndef FL_HELD_H
#define FL_HELD_H

#include "host/host.h"
#include "check/order.h"
#include "check/races.h"
#include "check/taken.h"

/* More than any operation of a program of full length comes to. */
#define FL_EVENTS_MAX	200000UL

void fl_held_full(void) __noreturn;
void fl_held_missing(const void *lock, int kind) __noreturn;
void fl_lock_recursion(const void *lock, int kind, const void *taken_at) __noreturn;
void fl_events_used_up(void) __noreturn;
void fl_held_hand_over(const void *lock, int kind);
void fl_held_pass_on(struct fl_task *to);
const char *fl_lock_name(const void *lock, int kind);
const char *fl_lock_waited_for(const struct fl_task *task);
const void *fl_folio_waited_for(const struct task_struct *ts);
bool fl_filemap_has_queue(const void *lock);
const void *fl_held_released(const void *lock);
struct fl_held *fl_held_find(struct fl_task *task, const void *lock);

static __always_inline void fl_held_take(const void *lock, int kind, unsigned int class, const void *ip)
{
	struct fl_task *task = fl.cur;
	struct fl_held *held = &task->held[task->nheld];

	if (unlikely(task->nheld == FL_HELD_MAX))
		fl_held_full();
	if (unlikely(++task->events > FL_EVENTS_MAX))
		fl_events_used_up();
	task->nheld++;
	held->lock = lock;
	held->ip = ip;
	held->kind = kind;
	held->class = class;
#ifdef CONFIG_LOCKDEP
	held->number = task->events;
#endif
	fl_counts.lock_ops++;
	if (unlikely(fl_taken_on))
		fl_taken_note(class, kind);
	fl_race_locked(lock, kind);
}

/* Of a lock that its kind tells the class of. */
static __always_inline void fl_held_add(const void *lock, int kind, const void *ip)
{
	fl_held_take(lock, kind, fl_class_of_kind(kind), ip);
}

/* Locks are mostly released in the reverse order of taking. */
static __always_inline void fl_held_del(const void *lock, int kind, const void *ip)
{
	struct fl_task *task = fl.cur;
	int i = task->nheld - 1;

	while (i >= 0 && (task->held[i].lock != lock || task->held[i].kind != kind))
		i--;
	if (unlikely(i < 0))
		fl_held_missing(lock, kind);
	fl_race_unlocked(lock, kind);
	for (task->nheld--; i < task->nheld; i++)
		task->held[i] = task->held[i + 1];
	task->released[task->nreleased++ % FL_RELEASED] = (struct fl_held){ .lock = lock, .ip = ip, .kind = kind };
}

#endif
