/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_VMALLOC_H
#define FL_ASM_VMALLOC_H
#endif
