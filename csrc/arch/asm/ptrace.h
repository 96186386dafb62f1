/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_PTRACE_H
#define FL_ASM_PTRACE_H

struct pt_regs { unsigned long ip, sp, bp, ax; };
#define user_mode(regs)	1
#define instruction_pointer(regs)	((regs)->ip)
#define user_stack_pointer(regs)	((regs)->sp)
#define profile_pc(regs)	((regs)->ip)
#define frame_pointer(regs)	((regs)->bp)
#define regs_return_value(regs)	((regs)->ax)
#define arch_has_single_step()	0

#endif
