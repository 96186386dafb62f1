/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_CURRENT_H
#define FL_ASM_CURRENT_H

struct task_struct;
extern struct task_struct *fl_current;
#define get_current()	(fl_current)
#define current		get_current()

#endif
