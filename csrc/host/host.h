/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel-side files of the machine share. */
#ifndef FL_HOST_H
#define FL_HOST_H

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/mm.h>
#include <linux/fs.h>
#include <asm/fl_sched.h>
#include "fl.h"

/* The region that programs act on: slot FL_SLOT_TABLE_EDGE begins a page table. */
#define FL_REGION	(0x40200000UL - FL_SLOT_TABLE_EDGE * PAGE_SIZE)
#define FL_REGION_END	(FL_REGION + FL_SLOTS * PAGE_SIZE)
/* Always resident pages of every process, for ioctl arguments and copy sources. */
#define FL_WINDOW	0x10000000UL
#define FL_WINDOW_ARGS	FL_WINDOW
#define FL_WINDOW_SOURCE	(FL_WINDOW + PAGE_SIZE)	/* FL_SLOTS pages, all the same one */
#define FL_WINDOW_LOCAL	(FL_WINDOW_SOURCE + FL_SLOTS * PAGE_SIZE)	/* a page for each task */
#define FL_WINDOW_END	(FL_WINDOW_LOCAL + FL_PROCESSES * FL_TASKS * PAGE_SIZE)

#define FL_ARENA_PAGES	8192UL
#define FL_CPUS_MAX	4
#define FL_HELD_MAX	48
#define FL_RELEASED	16

#if defined(CONFIG_PER_VMA_LOCK) && defined(FL_HAVE_LOCK_VMA_UNDER_RCU)
#define FL_VMA_LOCKS	1
#endif

#define FL_ID_MONITOR	(FL_PROCESSES * FL_TASKS)
#define FL_ID_KSMD	(FL_ID_MONITOR + 1)
#define FL_ID_DISK	(FL_ID_MONITOR + 2)	/* the disk's interrupts, while operations overlap */
#define FL_ID_BOOT	(FL_ID_MONITOR + 3)
#define FL_NTASKS	(FL_ID_MONITOR + 4)

enum fl_lock_kind { FL_LOCK_SPIN, FL_LOCK_READ, FL_LOCK_WRITE, FL_LOCK_RWSEM_READ, FL_LOCK_RWSEM_WRITE, FL_LOCK_MUTEX,
		    FL_LOCK_FOLIO, FL_LOCK_VMA, FL_LOCK_MAP_READ, FL_LOCK_MAP };

struct fl_held {
	const void *lock;
	const void *ip;
	unsigned char kind;
	unsigned char class;		/* check/order.c; 0: none */
#ifdef CONFIG_LOCKDEP
	unsigned int number;		/* of the acquisition, among those of its task */
#endif
};

struct fl_operation {
	unsigned char code, task, v[FL_OPERANDS_MAX];
	bool overlaps;			/* with those before and after it that do */
};

struct fl_outcome {
	unsigned char status;
	int value, aux;
};

/* READY: interrupted at a scheduling point. */
enum fl_task_state { FL_TASK_NONE, FL_TASK_IDLE, FL_TASK_RUNNING, FL_TASK_BLOCKED, FL_TASK_READY };

struct fl_task {
	struct task_struct *ts;
	struct fl_fiber fiber;
	enum fl_task_state state;
	int id, process, cpu;
	int op;				/* index of the operation under way */
	struct fl_operation what;
	struct fl_outcome outcome;
	const void *wait_lock;		/* the sleeping lock that it waits for */
	bool killed;			/* its process is being ended */
	int remote;			/* the process whose memory it is at work in + 1, or 0 */
	unsigned long events;		/* checker events of this operation, against endless loops */
	unsigned long irqs_off;
	int nheld, spins;
	unsigned int nreleased;
	struct fl_held released[FL_RELEASED];	/* the last ones, to tell a second release from a first */
	struct fl_held held[FL_HELD_MAX];
};

struct fl_process {
	struct mm_struct *mm;		/* NULL: does not live */
	bool forking;			/* a fork under way has taken the number */
	bool dying;
	int tasks;			/* bit mask of tasks that exist */
};

struct fl_machine {
	int cpus;
	struct fl_task task[FL_NTASKS];
	struct fl_task *cur;
	struct fl_process process[FL_PROCESSES];
	struct file *uffd[FL_UFFDS];
	struct file *file[FL_FILES];
	unsigned long asleep;		/* bit per task id: blocked, and perhaps some that are not any more */
	unsigned long runnable;		/* bit per task id: blocked, and woken since */
	unsigned long ready;		/* bit per task id: interrupted at a scheduling point */
	unsigned long timed;		/* bit per task id: blocked, but not for ever */
	unsigned long spinning;		/* bit per task id: blocked, but waits for a lock that spins */
	int lock_waiters;		/* tasks that wait for a sleeping lock */
	bool ksm_used;
	bool soft_dirty_used;		/* snapshots show soft-dirty bits */
	int op;				/* index of the operation being run, -1 outside */
	char *args, *source;		/* the running task's pages of the window */
};

extern struct fl_machine fl;

static inline bool fl_lives(int process)
{
	return fl.process[process].mm && !fl.process[process].dying;
}
extern struct fl_stats fl_counts;

/* Before anything that may sleep. */
#define fl_check_sleep(what) do {					\
	if (unlikely(fl.cur->spins || rcu_preempt_depth() || preempt_count())) \
		fl_sleeping_in_atomic(what);				\
} while (0)

/* report.c */
extern void *fl_main_context[5];		/* where a program that found something ends */
extern struct fl_fiber *fl_fiber_of_report;
void fl_finding_clear(const void *frame);
void fl_report(int kind, const void *other, const char *fmt, ...) __noreturn __printf(3, 4);
void fl_report_from(int kind, const void *other, const void *ip, const void *bp, const char *fmt, ...)
	__noreturn __printf(5, 6);
void fl_end_if_noted(void);
void fl_report_as(struct fl_task *task);
void fl_chain_of(struct fl_chain *chain, const void *bp);
void fl_report_earlier(const struct fl_chain *chain);
void fl_end_program(void) __noreturn;
int fl_format(char *to, int room, const char *fmt, va_list args);

/* tasks.c */
struct fl_task *fl_task_get(int process, int index);
void fl_task_run(struct fl_task *task);
void fl_task_kill(struct fl_task *task);
void fl_task_hand_in_counts(struct fl_task *task);
void fl_task_block(void);
void fl_task_pause(void);
bool fl_time_passes(void);
int fl_task_cpu(int id);
void fl_wake_lock_waiters(const void *lock);
void fl_tasks_init(void);
void fl_tasks_reset(bool all);
void fl_switch_cpu(int cpu);
void fl_boot_task_enter(void);

/* ops.c */
void fl_op_run(struct fl_task *task);

/* pages.c, slab.c, rcu.c, percpu.c, files.c */
void fl_pages_init(void *arena);
unsigned long fl_pages_used(void);
unsigned long fl_pages_live(void);
void fl_pages_after_restore(void);
struct page *fl_page_alloc(gfp_t gfp, unsigned int order);
void fl_page_free(struct page *page, unsigned int order);
void fl_slab_init(void);
void fl_slab_mark(void);
void fl_slab_check(void);
bool fl_slab_place(const void *addr, const void **cache, const char **name, unsigned long *offset);
bool fl_slab_in_vma(const void *addr, unsigned long offset);
const char *fl_slab_name(const void *addr);
void fl_rcu_run(void);
void fl_work_run(void);
void fl_percpu_init(int cpus);
bool fl_percpu_has(const void *first);
void fl_files_init(void);
struct file *fl_file_take(int fd);
int fl_file_lend(struct file *file);
void fl_files_release(void);
struct file *fl_file_alloc(const struct file_operations *fops, void *private_data);
struct dentry *fl_dentry_alloc(struct inode *inode);

/* store.c */
void fl_store_boot(void);
struct file *fl_store_open(void);

/* mmu.c */
#define FL_MMU_WRITE	1
int fl_mmu_access(unsigned long addr, unsigned int flags, char **page);
pte_t *fl_pte_at(struct mm_struct *mm, unsigned long addr);
int fl_compound_mapcount(struct page *page);
unsigned long fl_pte_value(struct mm_struct *mm, unsigned long addr);
pmd_t *fl_huge_at(struct mm_struct *mm, unsigned long addr);
struct page *fl_mapped_page(struct vm_area_struct *vma, unsigned long addr);
/* The entries that map the page, by itself or as part of a huge page. */
static inline int fl_mapcount(struct page *page)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	if (unlikely(PageCompound(page)))
		return fl_compound_mapcount(page);
#endif
	return atomic_read(&page->_mapcount) + 1;
}
static inline bool fl_pmd_huge(pmd_t pmd)
{
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && (pmd_val(pmd) & _PAGE_HUGE);
}

/* The mappings that overlap [start, end), ascending. */
#ifdef FL_HAVE_MAPLE_TREE
#define fl_for_each_vma(vma, mm, start, end) \
	for (VMA_ITERATOR(vmi, mm, start); (vma = vma_find(&vmi, (end) - 1)); )
#else
#define fl_for_each_vma(vma, mm, start, end) \
	for (vma = find_vma(mm, start); vma && vma->vm_start < (end); vma = vma->vm_next)
#endif
/* pins.c, check/pins.c */
extern int fl_pins_held;
char *fl_local_at(unsigned long addr);
void fl_check_held_freed(const struct page *page);

/* snapshot.c */
unsigned int fl_page_bits(struct vm_area_struct *vma, unsigned long addr);

/* boot.c */
int fl_boot(int cpus);

/* check/ */
void fl_check_idle(struct fl_task *task);
void fl_sleeping_in_atomic(const char *what) __noreturn;
void fl_check_tlb(void);
void fl_check_deferred_flush(struct fl_task *task);
void fl_check_leftovers(void);
long fl_page_count_of(int process, int member);
void fl_check_swap(void);
void fl_check_swap_entries(void);
void fl_check_mappings(void);
void fl_check_vmas(void);
void fl_check_large_folios(void);
void fl_check_pagemap(void);
void fl_baseline(void);
void fl_held_reset(struct fl_task *task);
void fl_tlb_process_gone(struct mm_struct *mm);
bool fl_tlb_find(struct mm_struct *mm, unsigned long addr, bool write, unsigned long *pfn);
const void *fl_tlb_of(int cpu);
void fl_tlb_fill(struct mm_struct *mm, unsigned long addr, unsigned long pfn, bool write);
void fl_tlb_fill_huge(struct mm_struct *mm, unsigned long addr, unsigned long pfn, bool write);
void fl_tlb_page_freed(unsigned long pfn);

/* check/order.c */
void fl_order_begin(void);
bool fl_order_again(void);

/* check/vmalocks.c */
extern bool fl_vmas_watched;
void fl_vmas_watch(bool on);
void fl_vmas_locked(const void *lock);
void fl_vmas_unlock(const void *lock);
void fl_vmas_forget(int process);

/* fail.c */
extern int fl_fail_left[];			/* by FL_FAULT_: so many requests from now one fails; 0: none */
extern unsigned long fl_shrunk_moving;			/* pages by which mappings shrank as they moved */
extern unsigned long fl_left_middles;			/* moves of the middle of a mapping that left it mapped */
extern bool fl_failed;				/* one did, in this program */
bool fl_fail_now(int fault);
static inline bool fl_fails(int fault)
{
	return unlikely(fl_fail_left[fault]) && fl_fail_now(fault);
}
bool fl_fail_begin(void);
void fl_fail_end(void);
void fl_fail_reset(void);

/* guest.c */
extern unsigned int fl_guest_entries;		/* translations that secondary MMUs hold */
void fl_guest_page_freed(unsigned long pfn);
void fl_guest_check(void);
void fl_guest_ended(int process);

/* kernel/ glue; what the profile leaves out has nothing to do: its operations are skipped */
struct mm_struct *fl_dup_mm(struct task_struct *child, struct mm_struct *mm);
#ifdef CONFIG_KSM
void fl_ksm_boot(void);
void fl_ksm_merge(struct mm_struct *mm, unsigned long addr, unsigned int pages);
void fl_ksm_scan(void);
void fl_ksm_cleanup(void);
#else
static inline void fl_ksm_boot(void) { }
static inline void fl_ksm_merge(struct mm_struct *mm, unsigned long addr, unsigned int pages) { }
static inline void fl_ksm_scan(void) { }
static inline void fl_ksm_cleanup(void) { }
#endif
#ifdef CONFIG_USERFAULTFD
void fl_uffd_boot(void);
struct mm_struct *fl_uffd_mm(struct file *file);
#else
static inline void fl_uffd_boot(void) { }
static inline struct mm_struct *fl_uffd_mm(struct file *file) { return NULL; }
#endif
#ifdef CONFIG_SWAP
void fl_swap_state_boot(void);
void fl_swapfile_boot(void);
#else
static inline void fl_swap_state_boot(void) { }
static inline void fl_swapfile_boot(void) { }
#endif
void fl_filemap_boot(void);
void fl_memory_boot(void);
void fl_write_mapping(struct mm_struct *mm, bool locked);
void fl_workingset_boot(void);
void fl_inode_boot(void);

/* canary.c: a planted fault, for tests that a checker sees what it is there for */
enum fl_canary_number {
	FL_CANARY_NONE,
	FL_CANARY_SKIP_FLUSH,
	FL_CANARY_SKIP_BATCH,
	FL_CANARY_FORGET_BATCH,
	FL_CANARY_LEAK_PAGE,
	FL_CANARY_KEEP_SPIN,
	FL_CANARY_KEEP_MMAP_LOCK,
	FL_CANARY_DOUBLE_UNLOCK,
	FL_CANARY_WRONG_BYTE,
	FL_CANARY_DROP_EVENT,
	FL_CANARY_LOSE_UFFD_BIT,
	FL_CANARY_LEAK_SLAB,
	FL_CANARY_PTE_UNLOCKED,
	FL_CANARY_RSS_DRIFT,
	FL_CANARY_LOST_WAKEUP,
	FL_CANARY_SLEEP_IN_ATOMIC,
	FL_CANARY_WILD_POINTER,
	FL_CANARY_ENDLESS_LOOP,
	FL_CANARY_WRONG_ERRNO,
	FL_CANARY_SPURIOUS_FAULT,
	FL_CANARY_ZERO_PAGE_WRITTEN,
	FL_CANARY_UFFD_WP_WRITE,
	FL_CANARY_SKIP_NOTIFIER,
	FL_CANARY_VMA_COUNT,
	FL_CANARY_TOTAL_VM,
	FL_CANARY_VMA_ORDER,
	FL_CANARY_PAGE_INDEX,
	FL_CANARY_ANON_VMA,
	FL_CANARY_FILE_PAGE,
	FL_CANARY_FILE_MAPPING,
	FL_CANARY_LEAK_INODE,
	FL_CANARY_LOSE_WRITEBACK,
	FL_CANARY_LOSE_PIN,
	FL_CANARY_FREE_PINNED,
	FL_CANARY_SPOIL_PINNED,
	FL_CANARY_LEFT_MIGRATION_ENTRY,
	FL_CANARY_PAGEMAP_HIDES,	/* seen by paranoid runs */
	FL_CANARY_LEAK_SWAP,
	FL_CANARY_SWAP_DRIFT,
	FL_CANARY_SWAP_BYTE,
	FL_CANARY_USE_AFTER_FREE,	/* seen by the asan variant alone */
	FL_CANARY_KEEP_VMA_LOCK,	/* these two where the tree has such locks */
	FL_CANARY_DOUBLE_VMA_UNLOCK,
	FL_CANARY_PMD_UNLOCKED,		/* these where the profile has huge pages, and the tree what they spoil */
	FL_CANARY_ENTIRE_MAPCOUNT,
	FL_CANARY_LARGE_MAPCOUNT,
	FL_CANARY_PAGES_MAPPED,
	FL_CANARY_LARGE_REFERENCES,
	FL_CANARY_FREE_MAPPED_FOLIO,
	FL_CANARY_FREE_OTHER_ORDER,
	FL_CANARY_FREE_DEFERRED,
	FL_CANARY_LEAK_HUGETLB,
	FL_CANARY_PROMISE_HUGETLB,
	FL_CANARY_RETRY_KEEPS_LOCK,
	FL_CANARY_FAULT_DROPS_LOCK,
	FL_CANARY_FAULT_WITHOUT_LOCK,
	FL_CANARY_LOCK_ORDER,
	FL_CANARY_LOCK_ORDER_OWN,
	FL_CANARY_DEADLOCK,
	FL_CANARY_BLIND_SEARCH,
	FL_CANARY_VMA_UNLOCKED,
	FL_CANARY_VMA_READ_LOCKED,
	FL_CANARY_PTE_AFTER_UNMAP,
	FL_CANARY_RCU_EARLY,
	FL_CANARY_FOLIO_UNLOCKED,
	FL_CANARY_REUSE_SHARED,
	FL_CANARY_RACE,			/* these where data races are looked for */
	FL_CANARY_RACE_LOCKED,
	FL_NR_CANARIES
};
extern int fl_canary_on;
void fl_canary_before(struct fl_task *task);
vm_fault_t fl_canary_faulted(vm_fault_t fault, const void *lock);
static inline vm_fault_t fl_canary_fault(vm_fault_t fault, const void *lock)
{
	return unlikely(fl_canary_on) ? fl_canary_faulted(fault, lock) : fault;
}
#define fl_canary_is(name)	unlikely(fl_canary_on == FL_CANARY_##name)

#endif
