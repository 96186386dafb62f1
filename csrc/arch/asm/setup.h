/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_SETUP_H
#define FL_ASM_SETUP_H

#define COMMAND_LINE_SIZE 256

#endif
