/* SPDX-License-Identifier: GPL-2.0-only */
/* What orders the accesses of two tasks, for the variant of the library that looks for data races (races.c). */
#ifndef FL_RACES_H
#define FL_RACES_H

#include <linux/types.h>

#ifdef FL_RACE
extern bool fl_races_on;

void fl_races_locked(const void *lock, int kind);
void fl_races_unlocked(const void *lock, int kind);
void fl_races_publish(const void *object);
void fl_races_learn(const void *object);
void fl_races_learn_all(void);
void fl_races_found(const void *lock);
void fl_races_fresh(const void *object, unsigned long size);

#define FL_RACES_DO(call)	do { if (unlikely(fl_races_on)) call; } while (0)

/* Of the run loop. */
void fl_races_boot(void);
void fl_races_begin_run(void);
void fl_races_begin_program(bool wanted);
void fl_races_begin_block(void);
void fl_races_end_block(void);
bool fl_races_again(void);
#else
#define FL_RACES_DO(call)	do { } while (0)
static inline void fl_races_boot(void) { }
static inline void fl_races_begin_run(void) { }
static inline void fl_races_begin_program(bool wanted) { }
static inline void fl_races_begin_block(void) { }
static inline void fl_races_end_block(void) { }
static inline bool fl_races_again(void) { return false; }
#endif

/* The running task has taken the lock, or is about to let it go. */
#define fl_race_locked(lock, kind)	FL_RACES_DO(fl_races_locked(lock, kind))
#define fl_race_unlocked(lock, kind)	FL_RACES_DO(fl_races_unlocked(lock, kind))
/* What the running task has done comes before what those do who learn of the object later. */
#define fl_race_publish(object)		FL_RACES_DO(fl_races_publish(object))
#define fl_race_learn(object)		FL_RACES_DO(fl_races_learn(object))
/* After a grace period, or where nobody else can go on: what all have done comes before. */
#define fl_race_learn_all()		FL_RACES_DO(fl_races_learn_all())
/* The memory has become another object. */
#define fl_race_fresh(object, size)	FL_RACES_DO(fl_races_fresh(object, size))

#endif
