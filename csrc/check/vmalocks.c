// SPDX-License-Identifier: GPL-2.0-only
/*
 * Documentation/mm/process_addrs.rst: the tree of mappings, and what describes a mapping, change under mmap_lock held for
 * writing, and where mappings have locks of their own, with that one write-locked too.
 *
 * keeps: place, flags, protection, file, policy and userfaultfd of each mapping, compared between one writer and the next.
 * leaves out: what changes and changes back in between; programs whose operations do not overlap, unless they are to be
 * looked at closely: it takes a walk through the tree at each writer.
 */
#include "check/held.h"
#include <linux/mempolicy.h>

#define MAPPINGS_MAX	(FL_SLOTS + 8)

struct mapping {
	struct vm_area_struct *vma;
	unsigned long start, end, pgoff, flags, prot;
	const void *file, *policy, *uffd;
};

static struct watched {
	struct mm_struct *mm;		/* NULL: nothing is known of it */
	int count;
	struct mapping mapping[MAPPINGS_MAX];
} watched[FL_PROCESSES];

bool fl_vmas_watched;

/* Flags that may be set under a lock for reading, as include/linux/mm.h says where a tree has such. */
#ifdef VM_MAYBE_GUARD
#define ATOMIC_FLAGS	VM_MAYBE_GUARD
#else
#define ATOMIC_FLAGS	0
#endif

static struct mapping describe(struct vm_area_struct *vma)
{
	struct mapping mapping = {
		vma, vma->vm_start, vma->vm_end, vma->vm_pgoff, vma->vm_flags & ~ATOMIC_FLAGS,
		pgprot_val(vma->vm_page_prot), vma->vm_file,
	};

#ifdef CONFIG_NUMA
	mapping.policy = vma->vm_policy;
#endif
#ifdef CONFIG_USERFAULTFD
	mapping.uffd = vma->vm_userfaultfd_ctx.ctx;
#endif
	return mapping;
}

static bool is_alive(int process)
{
	struct mm_struct *mm = fl.process[process].mm;

	return mm && atomic_read(&mm->mm_users) && !fl.process[process].dying;
}

static const char *difference(const struct mapping *was, const struct mapping *is)
{
	if (was->start != is->start || was->end != is->end || was->pgoff != is->pgoff)
		return "place";
	if (was->flags != is->flags)
		return "vm_flags";
	if (was->prot != is->prot)
		return "vm_page_prot";
	if (was->file != is->file)
		return "vm_file";
	if (was->policy != is->policy)
		return "vm_policy";
	return was->uffd != is->uffd ? "vm_userfaultfd_ctx" : NULL;
}

static const struct mapping *find(const struct watched *watch, const struct vm_area_struct *vma)
{
	for (int i = 0; i < watch->count; i++)
		if (watch->mapping[i].vma == vma)
			return &watch->mapping[i];
	return NULL;
}

static void take_down(int process)
{
	struct watched *watch = &watched[process];
	struct vm_area_struct *vma;

	watch->count = 0;
	watch->mm = is_alive(process) ? fl.process[process].mm : NULL;
	if (!watch->mm)
		return;
	fl_for_each_vma(vma, watch->mm, FL_REGION, FL_REGION_END) {
		if (watch->count == MAPPINGS_MAX) {
			watch->mm = NULL;
			return;
		}
		watch->mapping[watch->count++] = describe(vma);
	}
}

/* Nobody held mmap_lock for writing since the mappings were taken down: they are the same. */
static void compare(int process)
{
	struct watched *watch = &watched[process];
	struct vm_area_struct *vma;
	int count = 0;

	if (!watch->mm || watch->mm != fl.process[process].mm || !is_alive(process))
		return;
	fl_for_each_vma(vma, watch->mm, FL_REGION, FL_REGION_END) {
		struct mapping is = describe(vma);
		const struct mapping *was = find(watch, vma);
		const char *what = was ? difference(was, &is) : "place in the tree";

		count++;
		if (unlikely(what))
			fl_report(FL_KIND_LOCK_NOT_HELD, NULL,
				  "p%d: a mapping's %s has changed, but nobody held mmap_lock for writing", process, what);
	}
	if (unlikely(count != watch->count))
		fl_report(FL_KIND_LOCK_NOT_HELD, NULL,
			  "p%d: a mapping has left the tree, but nobody held mmap_lock for writing", process);
}

static int process_of(const void *lock)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		if (fl.process[p].mm && lock == &fl.process[p].mm->mmap_lock)
			return p;
	return -1;
}

/* mmap_lock is held for writing now, if that is what the lock is. */
void fl_vmas_locked(const void *lock)
{
	int process = process_of(lock);

	if (process >= 0)
		compare(process);
}

#if defined(FL_VMA_LOCKS) && defined(FL_HAVE_MM_LOCK_SEQCOUNT)
/* The writer has just ended the write locks of all mappings, which are the ones with the sequence before this one. */
static bool was_write_locked(const struct vm_area_struct *vma)
{
	return vma->vm_lock_seq == vma->vm_mm->mm_lock_seq.sequence - 1;
}
#else
static bool was_write_locked(const struct vm_area_struct *vma)
{
	return true;
}
#endif

/* The writer is about to let mmap_lock go, or to keep it for reading: what it changed was its to change. */
void fl_vmas_unlock(const void *lock)
{
	int process = process_of(lock);
	struct watched *watch;
	struct vm_area_struct *vma;

	if (process < 0)
		return;
	watch = &watched[process];
	if (watch->mm == fl.process[process].mm && is_alive(process))
		fl_for_each_vma(vma, watch->mm, FL_REGION, FL_REGION_END) {
			struct mapping is = describe(vma);
			const struct mapping *was = find(watch, vma);
			const char *what = was ? difference(was, &is) : NULL;

			if (unlikely(what && !was_write_locked(vma)))
				fl_report(FL_KIND_LOCK_NOT_HELD, fl_held_find(fl.cur, lock)->ip,
					  "a mapping's %s has changed under mmap_lock, but not its vma lock", what);
		}
	take_down(process);
}

static bool is_written(int process)
{
	for (int i = 0; i < FL_NTASKS; i++) {
		struct fl_held *held = fl_held_find(&fl.task[i], &fl.process[process].mm->mmap_lock);

		if (held && held->kind == FL_LOCK_RWSEM_WRITE)
			return true;
	}
	return false;
}

/* Begins to watch, or looks again, or stops. */
void fl_vmas_watch(bool on)
{
	for (int p = 0; p < FL_PROCESSES && on; p++) {
		if (fl_vmas_watched && fl.process[p].mm && !is_written(p))
			compare(p);
		if (!fl_vmas_watched)
			take_down(p);
	}
	fl_vmas_watched = on;
}

/* Its number will be another one's. */
void fl_vmas_forget(int process)
{
	watched[process].mm = NULL;
}
