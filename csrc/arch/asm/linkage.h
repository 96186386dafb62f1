/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_LINKAGE_H
#define FL_ASM_LINKAGE_H
#endif
