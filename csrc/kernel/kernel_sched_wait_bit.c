// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for bits and variables.  As with wait.c, the tree's file has no includes of its own. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/debug.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/export.h>
#include FL_SOURCE
