// SPDX-License-Identifier: GPL-2.0-only
/* Small services that kernel code calls out to. */
#include "sched/sched.h"
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/cpuhotplug.h>
#include <linux/ctype.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/miscdevice.h>
#include <linux/mmu_notifier.h>
#include <linux/random.h>
#include <linux/security.h>
#include <linux/smp.h>
#include <linux/sysctl.h>
#include <linux/timekeeping.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

/* keeps: a process allowed everything, as root is.  leaves out: user namespaces. */
struct user_namespace init_user_ns;
unsigned long mmap_min_addr = PAGE_SIZE, dac_mmap_min_addr = PAGE_SIZE;
bool capable(int cap) { return true; }
bool file_ns_capable(const struct file *file, struct user_namespace *ns, int cap) { return true; }
bool ns_capable(struct user_namespace *ns, int cap) { return true; }
int cap_vm_enough_memory(struct mm_struct *mm, long pages) { return 1; }
int cap_mmap_addr(unsigned long addr) { return addr < mmap_min_addr ? -EPERM : 0; }
/* leaves out: namespaces. */
int nsproxy_cache_init(void) { return 0; }
void exit_creds(struct task_struct *ts) { }


/* leaves out: the passing of time. */
unsigned long volatile jiffies = INITIAL_JIFFIES;
void ktime_get_coarse_real_ts64(struct timespec64 *ts) { *ts = (struct timespec64){ .tv_sec = 1 }; }
void ktime_get_coarse_real_ts64_mg(struct timespec64 *ts) { ktime_get_coarse_real_ts64(ts); }
void ktime_get_real_ts64_mg(struct timespec64 *ts) { ktime_get_coarse_real_ts64(ts); }

/* keeps: nanoseconds that are less than a second. */
void set_normalized_timespec64(struct timespec64 *ts, time64_t sec, s64 nsec)
{
	s64 over = nsec / NSEC_PER_SEC - (nsec % NSEC_PER_SEC < 0);

	ts->tv_sec = sec + over;
	ts->tv_nsec = nsec - over * NSEC_PER_SEC;
}

/* keeps: rounding up. */
unsigned long __msecs_to_jiffies(const unsigned int msecs) { return DIV_ROUND_UP((unsigned long)msecs * HZ, 1000); }
#ifdef FL_HAVE_JIFFIES_TO_USECS_EXTERN
unsigned int jiffies_to_usecs(const unsigned long ticks) { return ticks * (USEC_PER_SEC / HZ); }
#endif

/* keeps: a number below the ceiling, the same in every run. */
u32 __get_random_u32_below(u32 ceil) { return 0; }
u32 get_random_u32(void) { return 0x5eed; }
u32 prandom_u32(void) { return 0x5eed; }

void uuid_gen(uuid_t *uuid) { memset(uuid, 0x5e, sizeof(*uuid)); }

/* leaves out: capabilities of files. */
int cap_inode_need_killpriv(struct dentry *dentry) { return 0; }

/* keeps: registration succeeds, and CPUs that are there are announced.  leaves out: device nodes, sysctls, hotplug. */
int misc_register(struct miscdevice *misc) { return 0; }
void __register_sysctl_init(const char *path, struct ctl_table *table, const char *name, size_t size) { }
int __cpuhp_setup_state(enum cpuhp_state state, const char *name, bool invoke, int (*startup)(unsigned int),
			int (*teardown)(unsigned int), bool multi)
{
	int here = fl_cpu, err = 0;

	for (int cpu = 0; invoke && startup && cpu < fl.cpus && !err; cpu++) {
		fl_switch_cpu(cpu);
		err = startup(cpu);
	}
	fl_switch_cpu(here);
	return err;
}

/* keeps: success.  leaves out: sysfs and what it would hold. */
struct kobject *kobject_create_and_add(const char *name, struct kobject *parent)
{
	static struct kobject nothing;

	return &nothing;
}
void kobject_put(struct kobject *kobj) { }
int sysfs_create_group(struct kobject *kobj, const struct attribute_group *grp) { return 0; }

/* The string without the blanks around it. */
char *strim(char *s)
{
	char *end;

	while (isspace(*s))
		s++;
	for (end = s + strlen(s); end > s && isspace(end[-1]); )
		end--;
	*end = '\0';
	return s;
}

#ifdef FL_HAVE_TIMER_INIT_KEY
#define init_timer_key timer_init_key
#endif
/* leaves out: timers, and work that waits for one: nothing is ever late. */
void init_timer_key(struct timer_list *timer, void (*func)(struct timer_list *), unsigned int flags, const char *name,
		    struct lock_class_key *key)
{
	timer->entry.pprev = NULL;
	timer->function = func;
	timer->flags = flags;
}

int mod_timer(struct timer_list *timer, unsigned long expires) { return 0; }

bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *work, unsigned long delay)
{
	return true;
}

long strnlen_user(const char __user *s, long len)
{
	char c = 1;
	long n;

	for (n = 0; n < len && c; n++)
		if (fl_copy_from_user(&c, (unsigned long)s + n, 1))
			return 0;
	return n + !!c;
}

/* keeps: the length without the end, at most what there is room for. */
long strncpy_from_user(char *to, const char __user *from, long room)
{
	for (long n = 0; n < room; n++) {
		if (fl_copy_from_user(to + n, (unsigned long)from + n, 1))
			return -EFAULT;
		if (!to[n])
			return n;
	}
	return room;
}

/* leaves out: buffer heads; there is no block device yet. */
void invalidate_bh_lrus(void) { }
void invalidate_bh_lrus_cpu(void) { }
bool has_bh_in_lru(int cpu, void *dummy) { return false; }

/* leaves out: plugging; there is no block device yet. */
void blk_start_plug(struct blk_plug *plug) { }
void blk_finish_plug(struct blk_plug *plug) { }

/* keeps: calls go to every CPU in turn, as if by interrupt. */
void on_each_cpu_cond_mask(smp_cond_func_t cond, smp_call_func_t func, void *info, bool wait, const struct cpumask *mask)
{
	int here = fl_cpu;

	for (int cpu = 0; cpu < fl.cpus; cpu++) {
		fl_sched_to_cpu(cpu);
		if (!cond || cond(cpu, info))
			func(info);
	}
	fl_sched_to_cpu(here);
}
