// SPDX-License-Identifier: GPL-2.0-only
/* A checker's report: it notes the finding and ends the program. */
#include "check/held.h"

/* Survives the restore that follows a finding. */
static FL_KEEP struct fl_finding finding;
static FL_KEEP int have_finding;
/* Of the call that runs the program, on a stack that is not ours. */
static FL_KEEP const void *outer_frame;
FL_KEEP void *fl_main_context[5];
FL_KEEP struct fl_fiber *fl_fiber_of_report;

int fl_finding(struct fl_finding *out)
{
	if (have_finding)
		*out = finding;
	return have_finding;
}

void fl_finding_clear(const void *frame)
{
	have_finding = 0;
	outer_frame = frame;
}

/* A number in base 8, 10 or 16, most significant digit first. */
static int put_number(char *to, unsigned long val, int base, bool negative)
{
	char digits[24];
	int n = 0, len = 0;

	do {
		digits[n++] = "0123456789abcdef"[val % base];
	} while (val /= base);
	if (negative)
		to[len++] = '-';
	while (n)
		to[len++] = digits[--n];
	return len;
}

static int put_string(char *to, int room, const char *s)
{
	int len = 0;

	for (; *s && len < room; s++)
		to[len++] = *s;
	return len;
}

/* One conversion, its length modifiers read before; `to` has room for a number. */
static int put_conversion(char *to, int room, const char **fmt, bool is_long, va_list *args)
{
	unsigned long val;
	long sval;

	switch (**fmt) {
	case 'd': case 'i':
		sval = is_long ? va_arg(*args, long) : va_arg(*args, int);
		return put_number(to, sval < 0 ? -sval : sval, 10, sval < 0);
	case 'u': case 'x': case 'o':
		val = is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned int);
		return put_number(to, val, **fmt == 'u' ? 10 : **fmt == 'x' ? 16 : 8, false);
	case 's':
		return put_string(to, room, va_arg(*args, const char *) ?: "(null)");
	case 'c':
		*to = va_arg(*args, int);
		return 1;
	case 'p':
		(void)va_arg(*args, void *);
		while (((*fmt)[1] | 0x20) >= 'a' && ((*fmt)[1] | 0x20) <= 'z')
			++*fmt;
		*to = '*';
		return 1;
	case 0:
		--*fmt;
		return 0;
	default:
		*to = **fmt;
		return 1;
	}
}

#define NUMBER_ROOM	26

/*
 * keeps: the conversions d i u x o s c with their length modifiers.
 * leaves out: padding, and the kernel's %p extensions: a pointer would make the text differ from run to run.
 */
int fl_format(char *to, int room, const char *fmt, va_list args)
{
	va_list rest;
	int len = 0;

	va_copy(rest, args);
	for (; *fmt && len < room - NUMBER_ROOM; fmt++) {
		bool is_long = false;

		if (*fmt != '%') {
			if (*fmt >= ' ')
				to[len++] = *fmt;
			continue;
		}
		while (*++fmt && strchr("-+ #0123456789.", *fmt))
			;
		for (; *fmt == 'l' || *fmt == 'z' || *fmt == 'h'; fmt++)
			is_long |= *fmt != 'h';
		len += put_conversion(to + len, room - NUMBER_ROOM - len, &fmt, is_long, &rest);
	}
	va_end(rest);
	to[len] = 0;
	return len;
}

#define OUTER_STACK_BYTES	(256UL << 10)

static bool is_frame(const unsigned long *frame)
{
	const char *outer = outer_frame;

	/* What checks find at the end is named by what they say, kernel code by its place. */
	if (finding.kind == FL_KIND_KERNEL_BUG && (char *)frame < outer && (char *)frame > outer - OUTER_STACK_BYTES)
		return true;
	return fl_posix_is_stack(frame) && fl_posix_is_stack(frame + 1);
}

/* The chain of return addresses, as offsets into the library; it ends where the stack ends.  How many there are. */
static int collect_frames(unsigned long *to, const void *ip, const void *bp)
{
	unsigned long base = fl_posix_library_base();
	const unsigned long *frame = bp;
	int n = 0;

	if (ip)
		to[n++] = (unsigned long)ip - base;
	while (n < FL_FRAMES_MAX && is_frame(frame)) {
		const unsigned long *up = (const unsigned long *)frame[0];

		if (frame[1])
			to[n++] = frame[1] - 1 - base;
		if (up <= frame)
			break;
		frame = up;
	}
	return n;
}

/* The same of a task that does not run. */
static int collect_frames_of(const struct fl_task *task, unsigned long *to)
{
	const void *bp;
	const void *ip = fl_fiber_stands(&task->fiber, &bp);

	return collect_frames(to, ip, bp);
}

static void put_name(char *to, const char *name)
{
	to[put_string(to, FL_NAME_MAX - 1, name)] = 0;
}

static int collect_locks(const struct fl_task *task, struct fl_lock_taken *to)
{
	int n = 0;

	for (int i = task->nheld - 1; i >= 0 && n < FL_TAKEN_MAX; i--, n++) {
		to[n].at = (unsigned long)task->held[i].ip - 1 - fl_posix_library_base();
		put_name(to[n].name, fl_lock_name(task->held[i].lock, task->held[i].kind));
	}
	return n;
}

static int byte_of(const struct fl_task *task)
{
	return task->id < FL_ID_MONITOR ? task->process | (task->id % FL_TASKS) << 3 :
	       task->id >= FL_ID_DISK ? -1 : FL_TASK_MONITOR;
}

/* Where tasks have to do with each other, the others are part of what happened. */
static bool is_about_tasks(int kind)
{
	switch (kind) {
	case FL_KIND_LOCK_NOT_HELD:
	case FL_KIND_LOCK_LEAK:
	case FL_KIND_LOCK_ORDER:
	case FL_KIND_UNLOCK_NOT_OWNER:
	case FL_KIND_HANG:
		return true;
	default:
		return fl_overlap;
	}
}

/* What the running task has come to by these calls. */
void fl_chain_of(struct fl_chain *chain, const void *bp)
{
	*chain = (struct fl_chain){ .task = byte_of(fl.cur), .op = fl.cur->op };
	chain->nframes = collect_frames(chain->frames, NULL, bp);
	chain->nlocks = collect_locks(fl.cur, chain->lock);
}

/* Of another task, which a report tells instead of where that stands now. */
static const struct fl_chain *earlier;

void fl_report_earlier(const struct fl_chain *chain)
{
	earlier = chain;
}

static void collect_chains(const struct fl_task *but)
{
	if (earlier)
		finding.chain[finding.nchains++] = *earlier;
	for (int i = 0; i < FL_ID_BOOT && finding.nchains < FL_CHAINS_MAX; i++) {
		struct fl_task *task = &fl.task[i];
		struct fl_chain *chain = &finding.chain[finding.nchains];

		if (task == but || task->state < FL_TASK_BLOCKED || (earlier && earlier->task == byte_of(task)))
			continue;
		chain->task = byte_of(task);
		chain->op = task->op;
		chain->nframes = collect_frames_of(task, chain->frames);
		chain->nlocks = collect_locks(task, chain->lock);
		put_name(chain->waits, (task->state == FL_TASK_BLOCKED ? fl_lock_waited_for(task) : NULL) ?: "");
		finding.nchains++;
	}
}

/* The task that a report is about, if that is not the one that runs. */
static struct fl_task *about;

void fl_report_as(struct fl_task *task)
{
	about = task;
}

static void note(int kind, const void *other, const void *ip, const void *bp, const char *fmt, va_list args)
{
	struct fl_task *task = about ?: fl.cur;

	if (have_finding)
		return;
	memset(&finding, 0, sizeof(finding));
	finding.kind = kind;
	finding.op = (about || task->state == FL_TASK_RUNNING) && task->op >= 0 ? task->op : fl.op;
	finding.task = byte_of(task);
	finding.other = other ? (unsigned long)other - 1 - fl_posix_library_base() : 0;
	finding.nframes = about && about != fl.cur ? collect_frames_of(about, finding.frames) :
						     collect_frames(finding.frames, ip, bp);
	if (is_about_tasks(kind)) {
		finding.nlocks = collect_locks(task, finding.lock);
		collect_chains(task);
	}
	fl_format(finding.text, FL_TEXT_MAX, fmt, args);
	have_finding = 1;
}

void fl_end_program(void)
{
	fl_fiber_of_report = &fl.cur->fiber;
	__builtin_longjmp(fl_main_context, 1);
}

static void __noreturn report(int kind, const void *other, const void *ip, const void *bp, const char *fmt, va_list args)
{
	note(kind, other, ip, bp, fmt, args);
	fl_end_program();
}

static void note_as(int kind, const void *ip, const void *bp, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	note(kind, NULL, ip, bp, fmt, args);
}

/* ASan cannot be left in the middle of its report: the code goes on until fl_end_if_noted(). */
void fl_on_asan_error(unsigned long ip, unsigned long bp, const char *what)
{
	note_as(FL_KIND_USE_AFTER_FREE, (const void *)ip, (const void *)bp, "ASan: %s", what);
}

void fl_end_if_noted(void)
{
	if (unlikely(have_finding))
		fl_end_program();
}

void fl_report(int kind, const void *other, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(kind, other, NULL, __builtin_frame_address(0), fmt, args);
}

void fl_report_from(int kind, const void *other, const void *ip, const void *bp, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(kind, other, ip, bp, fmt, args);
}

void fl_bug(const char *file, int line, const char *function)
{
	fl_report(FL_KIND_KERNEL_BUG, NULL, "BUG in %s()", function);
}

void fl_warn(const char *file, int line, const char *function)
{
	fl_report(FL_KIND_KERNEL_BUG, NULL, "WARNING in %s()", function);
}

void __noreturn fl_trap(const char *name)
{
	fl_report(FL_KIND_TOOL_ERROR, NULL, "%s() is not part of the machine", name);
}

static const char *signal_name(int signal)
{
	switch (signal) {
	case 4: return "illegal instruction";
	case 5: return "trap";
	case 7: return "bus error";
	case 8: return "division error";
	default: return "bad memory access";
	}
}

/* The address is told only where it is the same in every run: a NULL pointer with a small offset, a poison value. */
void fl_on_signal(int signal, unsigned long address, unsigned long ip, unsigned long bp)
{
	const void *at = (const void *)ip, *frame = (const void *)bp;

	if (!signal)
		fl_report_from(FL_KIND_HANG, NULL, at, frame, "no end in sight: the operation used up its time");
	if (address < 4096)
		fl_report_from(FL_KIND_KERNEL_BUG, NULL, at, frame, "%s at NULL + %lu", signal_name(signal), address);
	fl_report_from(FL_KIND_KERNEL_BUG, NULL, at, frame, "%s", signal_name(signal));
}
