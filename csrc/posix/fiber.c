// SPDX-License-Identifier: GPL-2.0-only
/* Stacks of simulated tasks and the switch between them. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include "fl.h"

#ifdef FL_ASAN
#define STACK_BYTES	(512UL << 10)
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **old_bottom, size_t *old_size);
#else
#define STACK_BYTES	(128UL << 10)
#endif

static FL_KEEP char *stacks[FL_FIBERS];

/* keeps: a guard page below each stack.  leaves out: the 16 KiB limit of a real kernel stack. */
static char *stack_of(int number)
{
	char *map;

	if (!stacks[number]) {
		map = mmap(NULL, STACK_BYTES + 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (map == MAP_FAILED)
			return NULL;
		mprotect(map, 4096, PROT_NONE);
		stacks[number] = map + 4096;
	}
	return stacks[number];
}

int fl_posix_is_stack(const void *addr)
{
	for (int i = 0; i < FL_FIBERS; i++)
		if (stacks[i] && (char *)addr >= stacks[i] - 4096 && (char *)addr < stacks[i] + STACK_BYTES)
			return 1;
	return 0;
}

/* Saves the callee-saved registers on the old stack and takes up those of the new one. */
__attribute__((naked, noinline)) static void switch_stack(void **save_sp, void *new_sp)
{
	__asm__ volatile(
		"pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
		"movq %rsp, (%rdi)\n\t"
		"movq %rsi, %rsp\n\t"
		"popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\t"
		"ret\n\t");
}

/* First frame of a fiber: r12 holds the entry, r13 its argument (see fl_fiber_start). */
__attribute__((naked, noinline)) static void first_frame(void)
{
	__asm__ volatile(
		"movq %r13, %rdi\n\t"
		"movq %r12, %rsi\n\t"
		"xorl %ebp, %ebp\n\t"
		"call fl_fiber_main\n\t"
		"ud2\n\t");
}

__attribute__((used, visibility("hidden"))) void fl_fiber_main(void *arg, void (*entry)(void *))
{
#ifdef FL_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	entry(arg);
	__builtin_trap();
}

void fl_fiber_start(struct fl_fiber *fiber, int number, void (*entry)(void *), void *arg)
{
	char *lo = stack_of(number);
	uintptr_t *sp;

	if (!lo)
		__builtin_trap();
	fiber->stack_lo = lo;
	fiber->stack_hi = lo + STACK_BYTES;
	fiber->asan_fake_stack = NULL;
	sp = (uintptr_t *)(lo + STACK_BYTES);
	*--sp = 0;			/* the first frame calls on a stack aligned to 16 bytes */
	*--sp = 0;
	*--sp = (uintptr_t)first_frame;	/* where the switch returns to */
	*--sp = 0;			/* rbp */
	*--sp = 0;			/* rbx */
	*--sp = (uintptr_t)entry;	/* r12 */
	*--sp = (uintptr_t)arg;		/* r13 */
	*--sp = 0;			/* r14 */
	*--sp = 0;			/* r15 */
	fiber->sp = sp;
}

void fl_fiber_switch(struct fl_fiber *from, struct fl_fiber *to)
{
#ifdef FL_ASAN
	__sanitizer_start_switch_fiber(&from->asan_fake_stack, to->stack_lo, to->stack_hi - to->stack_lo);
#endif
	switch_stack(&from->sp, to->sp);
#ifdef FL_ASAN
	__sanitizer_finish_switch_fiber(from->asan_fake_stack, NULL, NULL);
#endif
}

const void *fl_fiber_stands(const struct fl_fiber *fiber, const void **bp)
{
	const uintptr_t *sp = fiber->sp;	/* what switch_stack() saved: r15 to r12, rbx, rbp, then where it returns to */

	*bp = (const void *)sp[5];
	return (const void *)(sp[6] - 1);
}

/* After a jump from one fiber into another that is not its switch: tells ASan, and clears the stack left behind. */
void fl_fiber_abandoned(struct fl_fiber *left, struct fl_fiber *entered)
{
#ifdef FL_ASAN
	if (left != entered) {
		void *unused;

		__sanitizer_start_switch_fiber(&unused, entered->stack_lo, entered->stack_hi - entered->stack_lo);
		__sanitizer_finish_switch_fiber(entered->asan_fake_stack, NULL, NULL);
	}
	for (int i = 0; i < FL_FIBERS; i++)
		if (stacks[i])
			fl_unpoison(stacks[i], STACK_BYTES);
#endif
}
