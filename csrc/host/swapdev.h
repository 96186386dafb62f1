/* SPDX-License-Identifier: GPL-2.0-only */
/* The swap device. */
#ifndef FL_HOST_SWAPDEV_H
#define FL_HOST_SWAPDEV_H

#include "host/host.h"

/* Turns swap on, on a device of this FL_SWAP_DEVICE_ kind, if it is off.  0 or a negative errno. */
int fl_swap_on(int kind);
/* Turns swap off; every page in it comes back.  By a task that has an mm.  0 or a negative errno. */
int fl_swap_off(void);
bool fl_swap_is_on(void);
/* The device is done with what was asked of it.  False: nothing was. */
bool fl_swapdev_interrupt(void);

extern struct bio *fl_swapdev_queue;

#endif
