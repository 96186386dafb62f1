/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_UACCESS_H
#define FL_ASM_UACCESS_H

#include <asm/processor.h>
/* Bytes not copied.  The address is one of the simulated user space: it goes through the MMU and may fault. */
extern unsigned long fl_copy_from_user(void *to, unsigned long from, unsigned long len);
extern unsigned long fl_copy_to_user(unsigned long to, const void *from, unsigned long len);
static inline unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long len)
{
	return fl_copy_from_user(to, (unsigned long)from, len);
}
static inline unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long len)
{
	return fl_copy_to_user((unsigned long)to, from, len);
}
extern unsigned long fl_clear_user(unsigned long to, unsigned long len);
#define __clear_user(to, len)	fl_clear_user((unsigned long)(to), len)
#define clear_user(to, len)	fl_clear_user((unsigned long)(to), len)
#define user_addr_max()	TASK_SIZE
#if FL_KVER >= 518
#include <asm-generic/access_ok.h>
#else
#define access_ok(addr, size)	((unsigned long)(addr) < TASK_SIZE)
#endif
/* The value's own type is not const, whatever the pointer says. */
#define get_user(x, ptr) ({						\
	__auto_type fl_val = (typeof(*(ptr)))0;				\
	int fl_err = raw_copy_from_user(&fl_val, (ptr), sizeof(fl_val)) ? -14 : 0; \
	(x) = fl_val;							\
	fl_err; })
#define put_user(x, ptr) ({						\
	typeof(*(ptr)) fl_val = (x);					\
	raw_copy_to_user((ptr), &fl_val, sizeof(fl_val)) ? -14 : 0; })
#define __get_user	get_user
#define __put_user	put_user
extern long strncpy_from_user(char *to, const char __user *from, long len);
extern long strnlen_user(const char __user *s, long len);
#define INLINE_COPY_FROM_USER
#define INLINE_COPY_TO_USER
#define INLINE_COPY_USER

#endif
