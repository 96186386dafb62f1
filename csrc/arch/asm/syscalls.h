/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SYSCALLS_H
#define FL_ASM_SYSCALLS_H

#include <asm-generic/syscalls.h>

#endif
