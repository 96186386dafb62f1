/* SPDX-License-Identifier: GPL-2.0-only */
/* Which locks an operation took, in their order, and what it cost, for a comparison with another build. */
#ifndef FL_TAKEN_H
#define FL_TAKEN_H

#include "host/host.h"
#include "host/trace.h"

/* Whether somebody wants to know. */
extern bool fl_taken_on;

void fl_taken_begin(bool on);
void fl_taken_note(unsigned int class, int kind);
void fl_taken_put(struct fl_trace *trace);

/* costs.c */
void fl_costs_begin(bool on);
void fl_costs_lock(unsigned int number, bool shared);
void fl_costs_fault(unsigned long addr, bool write);
void fl_costs_put(int place);

#endif
