/* SPDX-License-Identifier: GPL-2.0-only */
/* Pins and references that a program holds: what operations, teardown and checks share. */
#ifndef FL_HOST_PINS_H
#define FL_HOST_PINS_H

#include "host/host.h"

struct fl_pin {
	bool used;
	bool taking;		/* by an operation that has not ended yet */
	bool ref;		/* plain references instead of pins */
	bool write;
	unsigned char start, n;	/* slots at which the pages were, and how many */
	struct page *page[FL_SLOTS];
};

extern struct fl_pin fl_pins[FL_PINS];

void fl_pin_release(struct fl_pin *pin, bool dirty);
/* Before the processes of a program end, and after: what a device holds is there and has not changed. */
void fl_pins_before_exit(void);
void fl_pins_after_exit(void);

/* A page of the task's own, at fl_window_local() for user copies. */
char *fl_local(const struct fl_task *task);
static inline unsigned long fl_window_local(const struct fl_task *task)
{
	return FL_WINDOW_LOCAL + task->id * PAGE_SIZE;
}

/* A task of the process, by which system calls name it. */
int fl_pid_of(int process);

/* kernel/mm_migrate.c: moves what can be moved; the pages moved. */
int fl_migrate(struct mm_struct *mm, unsigned long addr, unsigned int pages);
/* check/pins.c */
void fl_check_migrated(void);
void fl_check_pins(void);

#endif
