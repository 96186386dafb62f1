// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA balancing on a machine with one node: pages are hinted, accesses fault, nothing is placed better elsewhere.
 * keeps: which mappings are hinted; the tree's own change of their entries, fault and policies.
 * leaves out: when a task is due, and what it learns from its faults.
 */
#include "host/ops.h"
#include <linux/hugetlb_inline.h>
#include <linux/mempolicy.h>
#include <linux/mmap_lock.h>
#include <linux/sched/numa_balancing.h>
#include <linux/sched/sysctl.h>

#ifdef CONFIG_NUMA
struct pglist_data *node_data[MAX_NUMNODES];
unsigned int nr_node_ids = 1, nr_online_nodes = 1;
DEFINE_STATIC_KEY_TRUE(vm_numa_stat_key);
#endif

#ifdef CONFIG_NUMA_BALANCING
#ifdef FL_HAVE_NUMA_BALANCING_MODE
int sysctl_numa_balancing_mode = NUMA_BALANCING_NORMAL;
#endif
DEFINE_STATIC_KEY_FALSE(sched_numa_balancing);

void task_numa_fault(int last, int node, int pages, int flags) { }

#ifdef FL_HAVE_FOLIO_NUMA
bool should_numa_migrate_memory(struct task_struct *p, struct folio *folio, int from, int cpu) { return true; }
#else
bool should_numa_migrate_memory(struct task_struct *p, struct page *page, int from, int cpu) { return true; }
#endif

/* Whether a task that is due would hint the mapping's pages. */
static bool takes_hints(struct vm_area_struct *vma)
{
	if (!vma_migratable(vma) || !vma_policy_mof(vma) || is_vm_hugetlb_page(vma) || (vma->vm_flags & VM_MIXEDMAP))
		return false;
	if (vma->vm_file && (vma->vm_flags & (VM_READ | VM_WRITE)) == VM_READ)
		return false;
	return vma->vm_flags & VM_ACCESS_FLAGS;
}

void fl_op_numa_hint(struct fl_task *task, const unsigned char *v)
{
	unsigned long start = fl_slot_addr(v[0]), end = start + fl_pages_len(v[1]);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	fl_for_each_vma(vma, mm, start, end)
		if (takes_hints(vma))
			change_prot_numa(vma, max(start, vma->vm_start), min(end, vma->vm_end));
	mmap_read_unlock(mm);
	fl_done(task, 0);
}
#else
void fl_op_numa_hint(struct fl_task *task, const unsigned char *v) { }
#endif
