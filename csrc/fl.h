/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel-side files and csrc/posix share: plain C types only, as their headers cannot meet. */
#ifndef FL_H
#define FL_H

#include "ops.h"
/* Everything else in the library is hidden. */
#pragma GCC visibility push(default)
#include "machine.h"
#pragma GCC visibility pop

/* Variables that a restore after a crash leaves alone. */
#define FL_KEEP __attribute__((section("fl_keep")))

struct fl_fiber {
	void *sp;
	char *stack_lo, *stack_hi;
	void *asan_fake_stack;
};

/* csrc/posix */
void fl_fiber_start(struct fl_fiber *fiber, int number, void (*entry)(void *), void *arg);
void fl_fiber_switch(struct fl_fiber *from, struct fl_fiber *to);
/* Where a fiber stands that does not run, with the frame of who called there. */
const void *fl_fiber_stands(const struct fl_fiber *fiber, const void **bp);
void fl_fiber_abandoned(struct fl_fiber *left, struct fl_fiber *entered);
void *fl_posix_map_arena(unsigned long bytes);
void *fl_posix_map(unsigned long bytes);
int fl_posix_init(void);
void fl_posix_exit(void);
void fl_posix_watch_asan(void);
void fl_posix_arm(void);
void fl_posix_disarm(void);
int fl_posix_snapshot(unsigned long arena, unsigned long used);
void fl_posix_restore(void);
void fl_posix_copy(void *to, const void *from, unsigned long len);
void fl_posix_note_counts(int index);
unsigned long fl_posix_weighed_counts(void);
int fl_posix_is_uniform(const void *page);
unsigned long fl_posix_library_base(void);
void fl_posix_set_error(const char *text);
/* Non-zero if a variable of the library lies there. */
int fl_posix_is_data(const void *addr);
/* Non-zero if the address range holds readable memory of the machine: a stack, the library, the arena. */
int fl_posix_is_stack(const void *addr);

/* called by csrc/posix when the running program broke: signal is 0 for the watchdog */
void fl_on_signal(int signal, unsigned long address, unsigned long ip, unsigned long bp) __attribute__((noreturn));

/* called from ASan's report: the program is ended when its operation has */
void fl_on_asan_error(unsigned long ip, unsigned long bp, const char *what);

#define FL_FIBERS	(FL_PROCESSES * FL_TASKS + 3)

#ifdef FL_ASAN	/* defined by the build of the asan variant */
void __asan_poison_memory_region(const volatile void *addr, unsigned long size);
void __asan_unpoison_memory_region(const volatile void *addr, unsigned long size);
#define fl_poison(addr, size)	__asan_poison_memory_region(addr, size)
#define fl_unpoison(addr, size)	__asan_unpoison_memory_region(addr, size)
#else
#define fl_poison(addr, size)	do { } while (0)
#define fl_unpoison(addr, size)	do { } while (0)
#endif

#endif
