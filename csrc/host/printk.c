// SPDX-License-Identifier: GPL-2.0-only
/* The kernel log.  keeps: what the kernel itself calls a bug becomes a finding.  leaves out: the log. */
#include "host/host.h"
#include <linux/printk.h>
#include <linux/uaccess.h>
#if __has_include(<linux/panic.h>)
#include <linux/panic.h>
#endif

static void heard(const char *fmt, va_list args)
{
	char text[FL_TEXT_MAX];

	if (fmt[0] == KERN_SOH_ASCII && fmt[1])
		fmt += 2;
	if (strncmp(fmt, "BUG: ", 5) && strncmp(fmt, "Bad ", 4))
		return;
	fl_format(text, sizeof(text), fmt, args);
	fl_report(strstr(text, "rss-counter") || strstr(text, "pgtables_bytes") ? FL_KIND_COUNTER_DRIFT :
		  FL_KIND_KERNEL_BUG, NULL, "%s", text);
}

#undef _printk
#undef printk
#ifdef FL_HAVE_PRINTK_WRAPPED
int _printk(const char *fmt, ...)
#else
int printk(const char *fmt, ...)
#endif
{
	va_list args;

	va_start(args, fmt);
	heard(fmt, args);
	va_end(args);
	return 0;
}

void warn_slowpath_fmt(const char *file, const int line, unsigned int taint, const char *fmt, ...)
{
	fl_report(FL_KIND_KERNEL_BUG, NULL, "WARNING");
}

static void __noreturn bug(const char *what, const char *fmt, va_list args)
{
	char text[FL_TEXT_MAX];

	fl_format(text, sizeof(text), fmt, args);
	fl_report(FL_KIND_KERNEL_BUG, NULL, "%s: %s", what, text);
}

void __warn_printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	bug("WARNING", fmt, args);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	bug("panic", fmt, args);
}

/* keeps: the conversions that a finding's text has.  leaves out: the end of a text that needs its whole room. */
int snprintf(char *to, size_t room, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = fl_format(to, room, fmt, args);
	va_end(args);
	return len;
}

int ___ratelimit(struct ratelimit_state *rs, const char *func)
{
	return 1;
}

int __printk_ratelimit(const char *func)
{
	return 1;
}

/* keeps: nothing. leaves out: the text. What leads here (a bad page) is reported by the caller's own BUG or WARN. */
void dump_stack(void)
{
}

void add_taint(unsigned flag, enum lockdep_ok ok)
{
}

/* The same for what describes a page or its mapping before a BUG: it looks at memory that may not be there. */
void print_hex_dump(const char *level, const char *prefix, int type, int row, int group, const void *buf, size_t len,
		    bool ascii)
{
}

long copy_from_kernel_nofault(void *to, const void *from, size_t size)
{
	return -EFAULT;
}

long strncpy_from_kernel_nofault(char *to, const void *from, long count)
{
	return -EFAULT;
}
