// SPDX-License-Identifier: GPL-2.0-only
/* Without preemptions: a task runs until it sleeps or is done with its operations. */
#include "sched/sched.h"

static void begin(const struct fl_plan *plan) { }

const struct fl_policy fl_policy_first = { "first", begin, fl_default_choice };
