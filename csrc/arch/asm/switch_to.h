/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SWITCH_TO_H
#define FL_ASM_SWITCH_TO_H

#define switch_to(prev, next, last)	do { (last) = (prev); } while (0)

#endif
