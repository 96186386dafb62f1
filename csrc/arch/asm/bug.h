/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_BUG_H
#define FL_ASM_BUG_H

#ifndef __ASSEMBLY__
extern void fl_bug(const char *file, int line, const char *function) __attribute__((noreturn));
extern void fl_warn(const char *file, int line, const char *function);
#define HAVE_ARCH_BUG
#define BUG()	fl_bug(__FILE__, __LINE__, __func__)
#define __WARN()	fl_warn(__FILE__, __LINE__, __func__)
#define __WARN_printf(taint, arg...) do { fl_warn(__FILE__, __LINE__, __func__); } while (0)
#define WARN_ON(condition) ({						\
	int fl_cond = !!(condition);					\
	if (__builtin_expect(fl_cond, 0))				\
		__WARN();						\
	__builtin_expect(fl_cond, 0); })
#endif
#include <asm-generic/bug.h>

#endif
