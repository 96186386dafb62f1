/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_ELF_H
#define FL_ASM_ELF_H

#include <asm/ptrace.h>
/* No program is loaded here; enough for the headers that speak of core dumps. */
typedef unsigned long elf_greg_t;
typedef elf_greg_t elf_gregset_t[4];
typedef unsigned long elf_fpregset_t;
#define ELF_CLASS	ELFCLASS64
#define ELF_DATA	ELFDATA2LSB
#define ELF_ARCH	0xff
#define ELF_ET_DYN_BASE	0x1000000UL
#define ELF_EXEC_PAGESIZE	4096
#define ELF_HWCAP	0
#define ELF_PLATFORM	((char *)0)
#define elf_check_arch(x)	1
#define SET_PERSONALITY(ex)	do { } while (0)

#endif
