// SPDX-License-Identifier: GPL-2.0-only
/* Fault signals of the code under test become findings; a watchdog on CPU time ends loops that pass no checker. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "fl.h"

#define WATCHDOG_SIGNAL	(SIGRTMIN + 7)
#define WATCHDOG_SECONDS	1
#define WATCHDOG_TICKS_MAX	3

static const int caught[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
#define NCAUGHT (int)(sizeof(caught) / sizeof(caught[0]))

static FL_KEEP struct sigaction before[NCAUGHT], before_tick;
static FL_KEEP char signal_stack[64 << 10] __attribute__((aligned(16)));
static FL_KEEP char landing_stack[64 << 10] __attribute__((aligned(16)));
static FL_KEEP volatile int running;
static FL_KEEP volatile unsigned long run_number, run_seen;
static FL_KEEP int ticks_stuck;
static FL_KEEP int timer;		/* the kernel's number: its own functions have the C library's names */
static FL_KEEP int have_timer, installed;
static FL_KEEP char error_text[256];
static FL_KEEP struct { int signal; unsigned long address, ip, bp; } pending;

const char *fl_error(void)
{
	return error_text;
}

void fl_posix_set_error(const char *text)
{
	error_text[0] = 0;
	strncat(error_text, text, sizeof(error_text) - 1);
}

__attribute__((used, noreturn)) static void land(void)
{
	fl_on_signal(pending.signal, pending.address, pending.ip, pending.bp);
}

/* Leaves the handler for land() on a stack of its own: the interrupted one may be used up. */
static void leave_for_landing(int signal, unsigned long address, ucontext_t *uc)
{
	pending.signal = signal;
	pending.address = address;
	pending.ip = uc->uc_mcontext.gregs[REG_RIP];
	pending.bp = uc->uc_mcontext.gregs[REG_RBP];
	uc->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)(landing_stack + sizeof(landing_stack) - 8);
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)land;
}

/* Not ours: whoever was there before gets it, another machine of this process perhaps. */
static void hand_on(const struct sigaction *old, int signal, siginfo_t *info, void *context)
{
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(signal, info, context);
	else
		sigaction(signal, old, NULL);	/* the instruction runs again and meets it */
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	if (running) {
		/* The CPU does not tell the address of every bad access. */
		leave_for_landing(signal, info->si_code == SI_KERNEL ? -1UL : (unsigned long)info->si_addr, context);
		return;
	}
	for (int i = 0; i < NCAUGHT; i++)
		if (caught[i] == signal)
			hand_on(&before[i], signal, info, context);
}

static void on_tick(int signal, siginfo_t *info, void *context)
{
	if (info->si_value.sival_ptr != &timer) {
		if (before_tick.sa_flags & SA_SIGINFO)
			before_tick.sa_sigaction(signal, info, context);
		return;
	}
	if (!running || run_number != run_seen) {
		run_seen = run_number;
		ticks_stuck = 0;
		return;
	}
	if (++ticks_stuck >= WATCHDOG_TICKS_MAX) {
		ticks_stuck = 0;
		leave_for_landing(0, 0, context);
	}
}

static int start_watchdog(void)
{
	struct itimerspec every = { { WATCHDOG_SECONDS, 0 }, { WATCHDOG_SECONDS, 0 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCHDOG_SIGNAL };

	event._sigev_un._tid = syscall(SYS_gettid);
	event.sigev_value.sival_ptr = &timer;
	if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer))
		return -errno;
	have_timer = 1;
	syscall(SYS_timer_settime, timer, 0, &every, NULL);
	return 0;
}

/*
 * Once for the life of the process: handlers of several machines form a chain, in which each must stand in one place
 * only.  A machine that does not run hands every signal on.
 */
static void install_handlers(void)
{
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction tick = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	if (installed)
		return;
	installed = 1;
	for (int i = 0; i < NCAUGHT; i++)
		sigaction(caught[i], &fault, &before[i]);
	sigaction(WATCHDOG_SIGNAL, &tick, &before_tick);
}

int fl_posix_init(void)
{
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) }, old;

	if (sigaltstack(NULL, &old) || (old.ss_flags & SS_DISABLE) || old.ss_size < 16384)
		sigaltstack(&stack, NULL);
	install_handlers();
	fl_posix_watch_asan();
	return have_timer ? 0 : start_watchdog();
}

void fl_posix_arm(void)
{
	run_number++;
	running = 1;
}

void fl_posix_disarm(void)
{
	running = 0;
}

void fl_posix_exit(void)
{
	running = 0;
	if (have_timer)
		syscall(SYS_timer_delete, timer);
	have_timer = 0;
}
