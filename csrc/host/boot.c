// SPDX-License-Identifier: GPL-2.0-only
/* Brings the machine up to where a program can run. */
#include "host/host.h"
#include "host/huge.h"
#include "check/races.h"
#include <linux/cpumask.h>
#include <linux/mempolicy.h>
#include <linux/mmzone.h>
#include <linux/radix-tree.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#ifdef FL_HAVE_MAPLE_TREE
#include <linux/maple_tree.h>
#endif
#include <linux/writeback.h>
#include "internal.h"

pgd_t swapper_pg_dir[PTRS_PER_PGD];
#ifdef CONFIG_NUMA
static struct pglist_data contig_page_data;
#else
struct pglist_data contig_page_data;
#endif
atomic_long_t _totalram_pages = ATOMIC_LONG_INIT(FL_ARENA_PAGES);
struct cpumask __cpu_online_mask, __cpu_possible_mask, __cpu_present_mask, __cpu_dying_mask, __cpu_active_mask;
atomic_t __num_online_cpus;
unsigned int nr_cpu_ids;
nodemask_t node_states[NR_NODE_STATES];

#if FL_KVER >= 519
/* The protections of private and shared mappings by their VM_READ, VM_WRITE, VM_EXEC and VM_SHARED bits. */
pgprot_t vm_get_page_prot(unsigned long vm_flags)
{
	unsigned long prot = FL_PROT_BASE;

	if (!(vm_flags & (VM_READ | VM_WRITE | VM_EXEC)))
		return PAGE_NONE;
	if ((vm_flags & (VM_WRITE | VM_SHARED)) == (VM_WRITE | VM_SHARED))
		prot |= _PAGE_WRITE;
	if (vm_flags & VM_EXEC)
		prot |= _PAGE_EXEC;
	return __pgprot(prot);
}
#endif

static void init_cpus(int cpus)
{
	nr_cpu_ids = cpus;
	atomic_set(&__num_online_cpus, cpus);
	for (int cpu = 0; cpu < cpus; cpu++) {
		cpumask_set_cpu(cpu, &__cpu_online_mask);
		cpumask_set_cpu(cpu, &__cpu_possible_mask);
		cpumask_set_cpu(cpu, &__cpu_present_mask);
		cpumask_set_cpu(cpu, &__cpu_active_mask);
	}
}

/* One node with one populated zone; each CPU has its counters. */
static void init_node(void)
{
	struct pglist_data *node = &contig_page_data;

#ifdef CONFIG_NUMA
	node_data[0] = node;
#endif
	node->node_present_pages = FL_ARENA_PAGES;
	for (int state = 0; state < NR_NODE_STATES; state++)
		node_set(0, node_states[state]);
	lruvec_init(&node->__lruvec);
#ifdef FL_HAVE_RECLAIM_WAIT
	for (int i = 0; i < ARRAY_SIZE(node->reclaim_wait); i++)
		init_waitqueue_head(&node->reclaim_wait[i]);
#endif
#if FL_KVER < 511
	spin_lock_init(&node->lru_lock);
#endif
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) && !defined(FL_HAVE_DEFERRED_SPLIT_LRU)
	spin_lock_init(&node->deferred_split_queue.split_queue_lock);
	INIT_LIST_HEAD(&node->deferred_split_queue.split_queue);
#endif
	node->per_cpu_nodestats = alloc_percpu(struct per_cpu_nodestat);
	for (int i = 0; i < MAX_NR_ZONES; i++) {
		struct zone *zone = &node->node_zones[i];

		zone->zone_pgdat = node;
		/* As much as nobody runs short of: no writer is throttled. */
		if (!i)
			zone_page_state_add(FL_ARENA_PAGES, zone, NR_FREE_PAGES);
		spin_lock_init(&zone->lock);
		if (!i)		/* whoever looks for memory looks there */
			node->node_zonelists[ZONELIST_FALLBACK]._zonerefs[0] = (struct zoneref){ .zone = zone };
#if FL_KVER >= 514
		zone->per_cpu_zonestats = alloc_percpu(struct per_cpu_zonestat);
#else
		zone->pageset = alloc_percpu(struct per_cpu_pageset);
#endif
	}
}

static void init_zero_page(void)
{
#ifndef FL_HAVE_GENERIC_ZERO_PAGE
	extern unsigned long zero_pfn;

	zero_pfn = page_to_pfn(fl_zero_page);
#else
	extern struct page *__zero_page;
	extern unsigned long zero_page_pfn;

	__zero_page = fl_zero_page;
	zero_page_pfn = page_to_pfn(fl_zero_page);
#endif
	highest_memmap_pfn = fl_max_pfn - 1;
}

/* The kernel's own start-up code, as far as what is built here has some. */
static void init_kernel(void)
{
	extern struct workqueue_struct *mm_percpu_wq;

	radix_tree_init();
#ifdef FL_HAVE_MAPLE_TREE
	maple_tree_init();
#endif
	mm_cache_init();
	ptlock_cache_init();
	numa_policy_init();
	numa_default_policy();
	anon_vma_init();
	proc_caches_init();
	wait_bit_init();
	page_writeback_init();
	fl_inode_boot();
	shmem_init();
	fl_store_boot();
	fl_uffd_boot();
	fl_ksm_boot();
	fl_filemap_boot();
#ifdef FL_HAVE_SWAP_SETUP
	swap_setup();
#endif
	fl_swap_state_boot();
	fl_swapfile_boot();
	fl_workingset_boot();
	fl_memory_boot();
	fl_huge_boot();
	fl_hugetlb_boot();
	fl_hugetlbfs_boot();
	mm_percpu_wq = (void *)1;	/* queue_work_on() does not look at it */
}

int fl_boot(int cpus)
{
	void *arena = fl_posix_map_arena(FL_ARENA_PAGES << PAGE_SHIFT);

	if (!arena)
		return -ENOMEM;
	fl.cpus = cpus;
	fl.op = -1;
	fl.cur = &fl.task[FL_ID_BOOT];
	fl_boot_task_enter();
	fl_pages_init(arena);
	fl_percpu_init(cpus);
	init_cpus(cpus);
	fl_slab_init();
	fl_tasks_init();
	fl_races_boot();
	init_node();
	init_zero_page();
	fl_files_init();
	atomic_set(&init_mm.mm_count, 1);
	atomic_set(&init_mm.mm_users, 1);
	init_kernel();
	return 0;
}
