/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_TOPOLOGY_H
#define FL_ASM_TOPOLOGY_H

/* One node is online, and all CPUs are its. */
#ifdef CONFIG_NUMA
#define cpu_to_node(cpu)	((void)(cpu), 0)
#define cpumask_of_node(node)	((void)(node), cpu_online_mask)
#endif
#include <asm-generic/topology.h>

#endif
