// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that exported programs are made of (faultline.export.parts).  Each stands below a line that gives its
 * name, what it calls and the headers that it needs.  An exported file holds those that its program uses, in this order.
 */

/*** fallbacks.register-minor ***/
#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR	((__u64)1 << 2)	/* Linux 5.13 */
#endif

/*** fallbacks.continue ***/
#ifndef UFFDIO_CONTINUE	/* Linux 5.13 */
struct uffdio_continue { struct uffdio_range range; __u64 mode; __s64 mapped; };
#define UFFDIO_CONTINUE			_IOWR(UFFDIO, 0x07, struct uffdio_continue)
#define UFFDIO_CONTINUE_MODE_DONTWAKE	((__u64)1 << 0)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP		((__u64)1 << 1)	/* Linux 6.4 */
#endif

/*** fallbacks.poison ***/
#ifndef UFFDIO_POISON	/* Linux 6.6 */
struct uffdio_poison { struct uffdio_range range; __u64 mode; __s64 updated; };
#define UFFDIO_POISON			_IOWR(UFFDIO, 0x08, struct uffdio_poison)
#define UFFDIO_POISON_MODE_DONTWAKE	((__u64)1 << 0)
#endif

/*** fallbacks.move ***/
#ifndef UFFDIO_MOVE	/* Linux 6.8 */
struct uffdio_move { __u64 dst, src, len, mode; __s64 move; };
#define UFFDIO_MOVE				_IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFDIO_MOVE_MODE_DONTWAKE		((__u64)1 << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES	((__u64)1 << 1)
#endif

/*** fallbacks.feature-minor-shmem ***/
#ifndef UFFD_FEATURE_MINOR_SHMEM
#define UFFD_FEATURE_MINOR_SHMEM	(1 << 10)	/* Linux 5.14 */
#endif

/*** fallbacks.feature-wp-shmem ***/
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	(1 << 12)	/* Linux 5.19 */
#endif

/*** fallbacks.feature-wp-unpopulated ***/
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)	/* Linux 6.4 */
#endif

/*** fallbacks.feature-poison ***/
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON	(1 << 14)	/* Linux 6.6 */
#endif

/*** fallbacks.feature-wp-async ***/
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)	/* Linux 6.7 */
#endif

/*** fallbacks.feature-move ***/
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)	/* Linux 6.8 */
#endif

/*** fallbacks.advice-reclaim ***/
#ifndef MADV_COLD
#define MADV_COLD	20	/* Linux 5.4 */
#define MADV_PAGEOUT	21
#endif

/*** fallbacks.advice-populate ***/
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22	/* Linux 5.14 */
#define MADV_POPULATE_WRITE	23
#endif

/*** fallbacks.advice-guard ***/
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102	/* Linux 6.13 */
#define MADV_GUARD_REMOVE	103
#endif

/*** fallbacks.dontunmap ***/
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4	/* Linux 5.7 */
#endif

/*** fallbacks.flag-minor ***/
#ifndef UFFD_PAGEFAULT_FLAG_MINOR
#define UFFD_PAGEFAULT_FLAG_MINOR	(1 << 2)	/* Linux 5.13 */
#endif

/*** fallbacks.scan ***/
#ifndef PAGEMAP_SCAN	/* Linux 6.7 */
#define PAGE_IS_WPALLOWED	(1 << 0)
#define PAGE_IS_WRITTEN		(1 << 1)
#define PAGE_IS_FILE		(1 << 2)
#define PAGE_IS_PRESENT		(1 << 3)
#define PAGE_IS_SWAPPED		(1 << 4)
#define PAGE_IS_PFNZERO		(1 << 5)
#define PAGE_IS_HUGE		(1 << 6)
#define PM_SCAN_WP_MATCHING	(1 << 0)
#define PM_SCAN_CHECK_WPASYNC	(1 << 1)
struct page_region { __u64 start, end, categories; };
struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN	_IOWR('f', 16, struct pm_scan_arg)
#endif
#ifndef PAGE_IS_SOFT_DIRTY
#define PAGE_IS_SOFT_DIRTY	(1 << 7)	/* Linux 6.8 */
#endif

/*** base: | stddef.h unistd.h ***/
static size_t page_size;
static const char *now;	/* the operation at work */

/*** timeout ***/
#define TIMEOUT_MS	10000	/* what should end, or wait, by then does not */

/*** addr: base ***/
/* The address of page @n of those that the test works on.  At page 16 a new page table begins. */
static unsigned long addr(long n)
{
	return 0x40000000 + (n - 16) * page_size;
}

/*** page: addr ***/
static char *page(long n)
{
	return (char *)addr(n);
}

/*** op: base ***/
/* Begins an operation; @text names it if something goes wrong. */
static void op(const char *text)
{
	now = text;
}

/*** fail: base | stdio.h stdlib.h ***/
__attribute__((noreturn))
static void fail(const char *expected, const char *happened)
{
	printf("FAIL: %s: expected: %s; happened: %s\n", now, expected, happened);
	exit(1);
}

/*** skip: | stdio.h stdlib.h ***/
__attribute__((noreturn))
static void skip(const char *why)
{
	printf("SKIP: %s\n", why);
	exit(4);
}

/*** selftest.fail: base | stdlib.h ***/
__attribute__((noreturn))
static void fail(const char *expected, const char *happened)
{
	ksft_print_msg("%s: expected: %s; happened: %s\n", now, expected, happened);
	ksft_test_result_fail(TEST_NAME "\n");
	ksft_print_cnts();
	exit(KSFT_FAIL);
}

/*** selftest.skip: | stdlib.h ***/
__attribute__((noreturn))
static void skip(const char *why)
{
	ksft_exit_skip("%s\n", why);
	exit(KSFT_SKIP);	/* not all versions of that say that it ends here */
}

/*** setup: base fail | string.h errno.h ***/
/* What the test itself cannot do without. */
static void need(int ok, const char *what)
{
	if (ok)
		return;
	now = what;
	fail("it works", strerror(errno));
}

/*** done: fail | string.h errno.h ***/
/* The call has to succeed. */
static void done(long result)
{
	if (result == -1)
		fail("done", strerror(errno));
}

/*** fails: fail | string.h errno.h ***/
/* The call has to fail with @error. */
static void fails(int error, long result)
{
	if (result != -1)
		fail(strerror(error), "done");
	if (errno != error)
		fail(strerror(error), strerror(errno));
}

/*** counts: fail | string.h errno.h stdio.h ***/
/* The call has to work on so many pages. */
static void counts(long pages, long result)
{
	char expected[32], happened[32];

	if (result == -1)
		fail("done", strerror(errno));
	if (result == pages)
		return;
	snprintf(expected, sizeof(expected), "%ld pages", pages);
	snprintf(happened, sizeof(happened), "%ld pages", result);
	fail(expected, happened);
}

/*** outcomes ***/
/* What an access comes to, if not to the byte that fills the page; SIGNAL: plus its number. */
enum { MIXED = 256, STORED, END_OF_FILE, SIGNAL = 1000 };

/*** expect: outcomes fail | stdio.h string.h errno.h ***/
static const char *in_words(long outcome, char *text, size_t size)
{
	if (outcome == -1)
		return strerror(errno);
	if (outcome == STORED)
		return "done";
	if (outcome == END_OF_FILE)
		return "end of file";
	if (outcome == MIXED)
		return "unequal bytes";
	if (outcome > SIGNAL)
		return strsignal(outcome - SIGNAL);
	snprintf(text, size, "byte %ld", outcome);
	return text;
}

/* The access has to come to this. */
static void expect(long wanted, long outcome)
{
	char expected[32], happened[32];

	if (outcome != wanted)
		fail(in_words(wanted, expected, sizeof(expected)),
		     in_words(outcome, happened, sizeof(happened)));
}

/*** chosen: skip base | stdio.h ***/
/* Documentation leaves open what this comes to.  What follows is for one of the outcomes. */
static void chosen(int so)
{
	char why[256];

	snprintf(why, sizeof(why), "the kernel chose otherwise, as it may: %s", now);
	if (!so)
		skip(why);
}

/*** same_pages: base fail | errno.h stdio.h string.h ***/
/* The pages have to be these: a bit for each. */
static void same_pages(long wanted, long found)
{
	char expected[32], happened[32];

	if (found == wanted)
		return;
	snprintf(expected, sizeof(expected), "pages %#lx", wanted);
	snprintf(happened, sizeof(happened), "pages %#lx", found);
	if (found == -1)
		snprintf(happened, sizeof(happened), "%s", strerror(errno));
	fail(expected, happened);
}

/*** signals: setup | setjmp.h signal.h ***/
static __thread sigjmp_buf on_signal;

static void caught(int number)
{
	siglongjmp(on_signal, number);
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = caught, .sa_flags = SA_NODEFER };

	need(!sigaction(SIGSEGV, &action, NULL) && !sigaction(SIGBUS, &action, NULL), "sigaction");
}

/*** filled_with: outcomes base ***/
/* The byte that fills the page, or MIXED. */
static long filled_with(const volatile char *page)
{
	unsigned char first = page[0];

	for (size_t i = 1; i < page_size; i++)
		if ((unsigned char)page[i] != first)
			return MIXED;
	return first;
}

/*** load: filled_with signals ***/
/* Reads a page. */
static long load(const char *page)
{
	int number = sigsetjmp(on_signal, 0);

	return number ? SIGNAL + number : filled_with(page);
}

/*** fill: outcomes base signals | string.h ***/
/* Writes a page. */
static long fill(char *page, int byte)
{
	int number = sigsetjmp(on_signal, 0);

	if (number)
		return SIGNAL + number;
	memset(page, byte, page_size);
	return STORED;
}

/*** pages_hold: load page ***/
/* @byte if that fills all of these pages, else what reading the first other one comes to. */
static long pages_hold(long n, long pages, int byte)
{
	long outcome = byte;

	for (long end = n + pages; n < end && outcome == byte; n++)
		outcome = load(page(n));
	return outcome;
}

/*** watch: fail setup | pthread.h unistd.h ***/
/* A call of main() itself that never ends. */
static void *watch(void *unused)
{
	sleep(30);
	fail("it ends", "it is still under way");
	return unused;
}

static void start_watch(void)
{
	pthread_t thread;

	need(!pthread_create(&thread, NULL, watch, NULL), "pthread_create");
}

/*** task: setup timeout | semaphore.h stdbool.h string.h sys/mman.h sys/syscall.h sys/types.h time.h ***/
/* Somebody who does one call after another for main(): a thread, or a process. */
struct task {
	sem_t go, end;
	long (*call)(const unsigned long *arg);
	unsigned long arg[6];
	long result;
	int error;
	pid_t pid, tid;
	const char *what;
};

#define TASKS	256
static struct task *tasks;	/* in memory that all processes share */
static int task_count;

static void start_tasks(void)
{
	tasks = mmap(NULL, TASKS * sizeof(*tasks), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(tasks != MAP_FAILED, "shared memory");
}

static struct task *new_task(void)
{
	struct task *t = &tasks[task_count++];

	need(task_count <= TASKS && !sem_init(&t->go, 1, 0) && !sem_init(&t->end, 1, 0), "a task");
	return t;
}

/* What a task does all its life.  First it says that it is there. */
static void *serve(void *task)
{
	struct task *t = task;

	t->pid = getpid();
	t->tid = syscall(SYS_gettid);
	for (;;) {
		sem_post(&t->end);
		while (sem_wait(&t->go))
			continue;
		t->result = t->call(t->arg);
		t->error = errno;
	}
	return NULL;
}

/* Whether the task's call is over within this time; that can be asked until it is. */
static bool over(struct task *t, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	return !sem_timedwait(&t->end, &until);
}

/* What the task's call came to. */
static long ends(struct task *t)
{
	if (t->what)
		now = t->what;
	if (!over(t, TIMEOUT_MS))
		fail("it ends", "it is still under way");
	errno = t->error;
	return t->result;
}

/*** start: task ***/
static void start_call(struct task *t, long (*call)(const unsigned long *),
		       const unsigned long *arg)
{
	memcpy(t->arg, arg, sizeof(t->arg));
	t->call = call;
	t->what = now;
	sem_post(&t->go);
}

/* Has the task make a call: do_...(arguments). */
#define start(task, call, ...)	start_call(task, call, (const unsigned long [6]){ __VA_ARGS__ })

/*** in: start ***/
/* The same, and waits for what it comes to. */
#define in(task, call, ...)	(start(task, call, __VA_ARGS__), ends(task))

/*** thread: task | pthread.h ***/
/* Makes the task a thread of this process. */
static long begin_thread(struct task *t)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, serve, t);
	return errno ? -1 : 0;
}

/*** reap: task | signal.h ***/
/* Nobody is left behind. */
static void end_processes(void)
{
	for (int i = 0; i < task_count; i++)
		if (tasks[i].pid && tasks[i].pid != getpid())
			kill(tasks[i].pid, SIGKILL);
}

/*** fork: task reap ***/
/* The child does what main() says, as the task @child. */
static long fork_as(struct task *child)
{
	pid_t pid = fork();

	if (!pid) {
		alarm(60);	/* if main() is killed */
		serve(child);
	}
	return pid;
}

/*** clone: task reap | sched.h sys/syscall.h ***/
/*
 * fork(), but for the descriptors, which are everybody's: main() has the userfaultfds.
 * The child does what main() says, as the task @child.
 */
static long fork_as(struct task *child)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		alarm(60);	/* if main() is killed */
		serve(child);
	}
	return pid;
}

/*** exits: start | poll.h sys/syscall.h ***/
static long do_exit(const unsigned long *arg)
{
	_exit(arg[0]);
}

/* Ends the process of the task. */
static void exits(struct task *t)
{
	pid_t pid = t->pid;
	struct pollfd process = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	start(t, do_exit, 0);
	if (poll(&process, 1, TIMEOUT_MS) != 1)
		fail("the process ends", "it lives on");
	close(process.fd);
	for (int i = 0; i < task_count; i++)
		if (tasks[i].pid == pid)
			tasks[i].pid = 0;
}

/*** blocks: task | poll.h ***/
/* The task's call must wait for the userfaultfd, which tells of it. */
static void blocks(struct task *t, int uffd)
{
	struct pollfd message = { .fd = uffd, .events = POLLIN };

	if (poll(&message, 1, TIMEOUT_MS) != 1)
		fail("it waits for the userfaultfd", over(t, 0) ? "it ends" : "no message");
	if (over(t, 0))
		fail("it waits for the userfaultfd", "it ends");
}

/*** sleeps: task | fcntl.h stdio.h string.h unistd.h ***/
/* The task's call must wait for a userfaultfd: the kernel says in which function it sleeps. */
static void sleeps(struct task *t)
{
	char path[64], where[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", t->pid, t->tid);
	for (int ms = 0; ms < TIMEOUT_MS; ms++) {
		int fd = open(path, O_RDONLY);
		ssize_t length = read(fd, where, sizeof(where) - 1);

		close(fd);
		where[length < 0 ? 0 : length] = 0;
		if (strstr(where, "userfault"))
			return;
		if (over(t, 1))
			fail("it waits for the userfaultfd", "it ends");
	}
	fail("it waits for the userfaultfd", where);
}

/*** still: task ***/
/* What the task does must go on waiting; it would end at once. */
static void still_waits(struct task *t)
{
	if (!over(t, 10))
		return;
	now = t->what;
	fail("it goes on waiting", "it ends");
}

/*** uffd_open: | fcntl.h sys/ioctl.h sys/syscall.h unistd.h errno.h linux/userfaultfd.h ***/
static long uffd_open(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/*** need_uffd: skip | fcntl.h sys/ioctl.h sys/syscall.h unistd.h linux/userfaultfd.h ***/
/* Is there userfaultfd, and all that is used of it? */
static void need_uffd(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		skip("no userfaultfd here, or not for this user: run it as root");
	if (ioctl(fd, UFFDIO_API, &api) || (api.features & features) != features)
		skip("the kernel's userfaultfd lacks a feature");
	close(fd);
}

/*** need_advice: skip base | sys/mman.h ***/
/* Does the kernel know this advice? */
static void need_advice(int advice, const char *name)
{
	char *start = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (madvise(start, page_size, advice))
		skip(name);
	munmap(start, page_size);
}

/*** need_swap: skip | stdio.h ***/
static void need_swap(void)
{
	FILE *file = fopen("/proc/swaps", "r");
	int lines = 0;

	for (int c; file && (c = getc(file)) != EOF;)
		lines += c == '\n';
	if (lines < 2)
		skip("there is no swap: see swapon(8)");
	fclose(file);
}

/*** page_out: page fallbacks.advice-reclaim | sys/mman.h ***/
/* Reclaim takes what it may of these pages. */
static long page_out(long n, long pages)
{
	for (long end = n + pages; n < end; n++)
		madvise(page(n), page_size, MADV_PAGEOUT);
	return 0;
}

/*** page_out_of: addr fallbacks.advice-reclaim | sys/mman.h sys/syscall.h sys/uio.h unistd.h ***/
/* The same for a process whose tasks all wait. */
static void page_out_of(pid_t pid, long n, long pages)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	for (long end = n + pages; n < end; n++) {
		struct iovec range = { (void *)addr(n), page_size };

		syscall(SYS_process_madvise, fd, &range, 1, MADV_PAGEOUT, 0);
	}
	close(fd);
}

/*** one_cpu: | sched.h ***/
/* Reclaim takes a page only if no CPU has it in a batch of its own still. */
static void stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*** uffd_register: base | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_register(int uffd, unsigned long start, long pages, __u64 mode)
{
	struct uffdio_register arg = { .range = { start, pages * page_size }, .mode = mode };

	return ioctl(uffd, UFFDIO_REGISTER, &arg);
}

/*** uffd_unregister: base | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_unregister(int uffd, unsigned long start, long pages)
{
	struct uffdio_range arg = { start, pages * page_size };

	return ioctl(uffd, UFFDIO_UNREGISTER, &arg);
}

/*** uffd_wake: base | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_wake(int uffd, unsigned long start, long pages)
{
	struct uffdio_range arg = { start, pages * page_size };

	return ioctl(uffd, UFFDIO_WAKE, &arg);
}

/*** uffd_protect: base | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_writeprotect(int uffd, unsigned long start, long pages, __u64 mode)
{
	struct uffdio_writeprotect arg = { .range = { start, pages * page_size }, .mode = mode };

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &arg);
}

/*** progress: base | linux/types.h ***/
/* Pages that the last such ioctl said it was done with, or its negated error. */
static long progress;

static long progressed(long result, const __s64 *bytes)
{
	progress = *bytes < 0 ? *bytes : *bytes / (long)page_size;
	return result ? result : progress;
}

/*** uffd_copy: progress | sys/ioctl.h sys/mman.h string.h linux/userfaultfd.h ***/
static long uffd_copy(int uffd, unsigned long start, long pages, int byte, __u64 mode)
{
	size_t size = pages * page_size;
	char *from = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_copy arg = {
		.dst = start, .src = (unsigned long)from, .len = size, .mode = mode,
	};

	memset(from, byte, size);
	return progressed(ioctl(uffd, UFFDIO_COPY, &arg), &arg.copy);
}

/*** uffd_zeropage: progress | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_zeropage(int uffd, unsigned long start, long pages, __u64 mode)
{
	struct uffdio_zeropage arg = { .range = { start, pages * page_size }, .mode = mode };

	return progressed(ioctl(uffd, UFFDIO_ZEROPAGE, &arg), &arg.zeropage);
}

/*** uffd_continue: progress | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_continue(int uffd, unsigned long start, long pages, __u64 mode)
{
	struct uffdio_continue arg = { .range = { start, pages * page_size }, .mode = mode };

	return progressed(ioctl(uffd, UFFDIO_CONTINUE, &arg), &arg.mapped);
}

/*** uffd_poison: progress | sys/ioctl.h linux/userfaultfd.h ***/
static long uffd_poison(int uffd, unsigned long start, long pages, __u64 mode)
{
	struct uffdio_poison arg = { .range = { start, pages * page_size }, .mode = mode };

	return progressed(ioctl(uffd, UFFDIO_POISON, &arg), &arg.updated);
}

/*** uffd_move: base | sys/ioctl.h linux/userfaultfd.h ***/
/* The pages moved. */
static long uffd_move(int uffd, unsigned long to, long pages, unsigned long from, __u64 mode)
{
	struct uffdio_move arg = { .dst = to, .src = from, .len = pages * page_size, .mode = mode };

	return ioctl(uffd, UFFDIO_MOVE, &arg) ? -1 : arg.move / (long)page_size;
}

/*** message: fail | string.h errno.h stdio.h unistd.h linux/userfaultfd.h ***/
/* The next message of the userfaultfd, which must be one of this event. */
static struct uffd_msg message(int uffd, int event, const char *expected)
{
	struct uffd_msg msg = { 0 };
	char happened[32];

	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		fail(expected, errno == EAGAIN ? "no message" : strerror(errno));
	if (msg.event != event) {
		snprintf(happened, sizeof(happened), "a message of event %#x", msg.event);
		fail(expected, happened);
	}
	return msg;
}

/*** no_message: | unistd.h linux/userfaultfd.h ***/
static long read_message(int uffd)
{
	struct uffd_msg msg;

	return read(uffd, &msg, sizeof(msg));
}

/*** told_of_fault: message base ***/
/* A message of a page fault: UFFD_PAGEFAULT_FLAG_*, and where. */
static void told_of_fault(int uffd, __u64 flags, unsigned long address)
{
	struct uffd_msg msg = message(uffd, UFFD_EVENT_PAGEFAULT, "a message of a page fault");
	unsigned long page = msg.arg.pagefault.address & ~(page_size - 1);
	char expected[64], happened[64];

	if (msg.arg.pagefault.flags == flags && page == address)
		return;
	snprintf(expected, sizeof(expected), "a fault at %#lx, flags %#llx", address,
		 (unsigned long long)flags);
	snprintf(happened, sizeof(happened), "one at %#lx, flags %#llx", page,
		 (unsigned long long)msg.arg.pagefault.flags);
	fail(expected, happened);
}

/*** told_of_fork: message ***/
/* A message of a fork: the child's userfaultfd. */
static int told_of_fork(int uffd)
{
	return message(uffd, UFFD_EVENT_FORK, "a message of a fork").arg.fork.ufd;
}

/*** told_of_removal: message base ***/
/* A message of pages that are removed, UFFD_EVENT_REMOVE or UFFD_EVENT_UNMAP. */
static void told_of_removal(int uffd, int event, unsigned long start, long pages)
{
	struct uffd_msg msg = message(uffd, event, "a message of a removal");
	char happened[64];

	if (msg.arg.remove.start == start && msg.arg.remove.end == start + pages * page_size)
		return;
	snprintf(happened, sizeof(happened), "a message of %#llx to %#llx",
		 (unsigned long long)msg.arg.remove.start,
		 (unsigned long long)msg.arg.remove.end);
	fail("a message of the removal of other pages", happened);
}

/*** told_of_remap: message base ***/
static void told_of_remap(int uffd, unsigned long from, unsigned long to, long pages)
{
	struct uffd_msg msg = message(uffd, UFFD_EVENT_REMAP, "a message of a move");
	char happened[96];

	if (msg.arg.remap.from == from && msg.arg.remap.to == to &&
	    msg.arg.remap.len == pages * page_size)
		return;
	snprintf(happened, sizeof(happened), "a message of %#llx+%#llx moved to %#llx",
		 (unsigned long long)msg.arg.remap.from, (unsigned long long)msg.arg.remap.len,
		 (unsigned long long)msg.arg.remap.to);
	fail("a message of another move", happened);
}

/*** file_open: skip base | fcntl.h stdlib.h sys/mman.h unistd.h ***/
static int sized(int fd, long pages)
{
	if (fd < 0 || ftruncate(fd, pages * page_size))
		skip("a file cannot be made");
	return fd;
}

/*** memfd: file_open ***/
static int new_memfd(long pages)
{
	return sized(memfd_create("test", MFD_CLOEXEC), pages);
}

/*** tmpfile: file_open ***/
/* A file in a file system with a store behind its page cache, if /var/tmp is in one. */
static int new_file(long pages)
{
	return sized(open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), pages);
}

/*** file_page: filled_with | stdlib.h ***/
/* A copy of a page to read into or to write from. */
static char *a_page(void)
{
	static __thread char *copy;

	if (!copy)
		copy = malloc(page_size);
	return copy;
}

/*** file_read: file_page | unistd.h ***/
static long file_read(int fd, long n)
{
	ssize_t size = pread(fd, a_page(), page_size, n * page_size);

	return size < 0 ? -1 : size ? filled_with(a_page()) : END_OF_FILE;
}

/*** file_write: file_page | string.h unistd.h ***/
static long file_write(int fd, long n, int byte)
{
	memset(a_page(), byte, page_size);
	return pwrite(fd, a_page(), page_size, n * page_size);
}

/*** proc_mem: base | fcntl.h stdio.h unistd.h ***/
static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, flags | O_CLOEXEC);
}

/*** mem_read: proc_mem file_page | errno.h ***/
/* Reads a page of a process as a debugger. */
static long mem_read(pid_t pid, unsigned long address)
{
	int fd = open_proc(pid, "mem", O_RDONLY);
	ssize_t size = pread(fd, a_page(), page_size, address);
	int error = errno;

	close(fd);
	errno = error;
	return size < 0 ? -1 : filled_with(a_page());
}

/*** mem_write: proc_mem file_page | errno.h string.h ***/
/* Writes a page of a process as a debugger. */
static long mem_write(pid_t pid, unsigned long address, int byte)
{
	int fd = open_proc(pid, "mem", O_RDWR);
	ssize_t size;
	int error;

	memset(a_page(), byte, page_size);
	size = pwrite(fd, a_page(), page_size, address);
	error = errno;
	close(fd);
	errno = error;
	return size;
}

/*** process_read: file_page | sys/uio.h ***/
/* Reads a page of another process. */
static long process_read(pid_t pid, unsigned long address)
{
	struct iovec own = { a_page(), page_size }, other = { (void *)address, page_size };

	return process_vm_readv(pid, &own, 1, &other, 1, 0) < 0 ? -1 : filled_with(a_page());
}

/*** process_write: file_page | string.h sys/uio.h ***/
/* Writes a page of another process. */
static long process_write(pid_t pid, unsigned long address, int byte)
{
	struct iovec own = { a_page(), page_size }, other = { (void *)address, page_size };

	memset(a_page(), byte, page_size);
	return process_vm_writev(pid, &own, 1, &other, 1, 0);
}

/*** pagemap: addr proc_mem setup | linux/types.h ***/
/* Those of the pages that the test works on whose entry in the process's pagemap has this bit. */
static long pages_with(pid_t pid, int bit)
{
	__u64 entry[32];
	int fd = open_proc(pid, "pagemap", O_RDONLY);
	ssize_t size = pread(fd, entry, sizeof(entry), addr(0) / page_size * sizeof(*entry));
	long mask = 0;

	need(size == sizeof(entry), "pagemap");
	close(fd);
	for (int n = 0; n < 32; n++)
		mask |= (long)(entry[n] >> bit & 1) << n;
	return mask;
}

/*** need_soft_dirty: skip pagemap page | sys/mman.h ***/
/* Does the kernel have soft-dirty bits?  A fresh page has one. */
static void need_soft_dirty(void)
{
	char *start = mmap(page(0), page_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	*start = 1;
	if (!pages_with(getpid(), 55))
		skip("no soft-dirty bits: see CONFIG_MEM_SOFT_DIRTY");
	munmap(start, page_size);
}

/*** clear_refs: proc_mem ***/
static long clear_refs(int what)
{
	int fd = open_proc(getpid(), "clear_refs", O_WRONLY);
	long result = dprintf(fd, "%d", what);

	close(fd);
	return result < 0 ? -1 : 0;
}

/*** reference: base | fcntl.h sys/uio.h ***/
/* A pipe that holds references to the pages; their number. */
static long reference(int pipe, char *start, long pages)
{
	struct iovec range = { start, pages * page_size };
	ssize_t size = vmsplice(pipe, &range, 1, 0);

	return size < 0 ? -1 : size / (ssize_t)page_size;
}

/*** new_pipe: setup | fcntl.h unistd.h ***/
/* A pipe for so many pages. */
static void new_pipe(int *ends, long pages)
{
	need(!pipe2(ends, O_CLOEXEC | O_NONBLOCK) &&
	     fcntl(ends[1], F_SETPIPE_SZ, pages * page_size) > 0, "a pipe");
}

/*** referenced: new_pipe file_page | fcntl.h unistd.h ***/
/* What page @n of those holds that the pipe refers to. */
static long referenced(int pipe, long n)
{
	int copy[2];
	long byte = -1;

	new_pipe(copy, n + 1);
	need(tee(pipe, copy[1], (n + 1) * page_size, 0) > 0, "tee");
	for (; n >= 0; n--)
		if (read(copy[0], a_page(), page_size) == (ssize_t)page_size)
			byte = filled_with(a_page());
	close(copy[0]);
	close(copy[1]);
	return byte;
}

/*** scan: addr proc_mem skip fallbacks.scan | errno.h stdio.h sys/ioctl.h linux/fs.h linux/types.h ***/
/* PAGEMAP_SCAN: the pages found, a bit for each of those that the test works on. */
static long scan(pid_t pid, long n, long pages, __u64 flags, __u64 inverted, __u64 wanted,
		 __u64 shown)
{
	struct page_region found[32];
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .flags = flags, .start = addr(n), .end = addr(n + pages),
		.vec = (unsigned long)found, .vec_len = 32, .category_inverted = inverted,
		.category_mask = wanted, .return_mask = shown,
	};
	int fd = open_proc(pid, "pagemap", O_RDONLY);
	int regions = ioctl(fd, PAGEMAP_SCAN, &arg);
	int error = errno;
	long mask = 0;

	if (regions < 0 && error == ENOTTY)
		skip("no PAGEMAP_SCAN: Linux 6.7 has it");
	close(fd);
	errno = error;
	for (int i = 0; i < regions; i++)
		for (__u64 at = found[i].start; at < found[i].end; at += page_size)
			mask |= 1L << (at - addr(0)) / page_size;
	return regions < 0 ? -1 : mask;
}

/*** ksm: skip | fcntl.h signal.h stdio.h stdlib.h string.h time.h unistd.h ***/
static const char *const ksm_knobs[] = {
	"sleep_millisecs", "smart_scan", "use_zero_pages", "pages_to_scan", "run",
};
static long ksm_before[5];

static long ksm_get(const char *knob)
{
	char path[64];
	FILE *file;
	long value = -1;

	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", knob);
	file = fopen(path, "r");
	if (file && fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

static void ksm_set(const char *knob, long value)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", knob);
	file = fopen(path, "w");
	if (!file)
		return;
	fprintf(file, "%ld", value);
	fclose(file);
}

static void ksm_restore(void)
{
	for (int i = 0; i < 5; i++)
		if (ksm_before[i] >= 0)
			ksm_set(ksm_knobs[i], ksm_before[i]);
}

static void interrupted(int number)
{
	ksm_restore();
	_exit(128 + number);
}

static void ksm_begin(void)
{
	static const long fast[] = { 0, 0, 0, 10000 };

	for (int i = 0; i < 5; i++)
		ksm_before[i] = ksm_get(ksm_knobs[i]);
	if (ksm_get("run") < 0 || access("/sys/kernel/mm/ksm/run", W_OK))
		skip("no KSM here, or not for this user: see CONFIG_KSM, or run it as root");
	if (ksm_get("run") == 1)
		skip("KSM is in use: echo 0 > /sys/kernel/mm/ksm/run if this machine can spare it");
	atexit(ksm_restore);
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	for (int i = 0; i < 4; i++)
		ksm_set(ksm_knobs[i], fast[i]);
}

/* Lets ksmd look at all pages often enough to merge equal ones; without any it does not move. */
static void ksm_scan(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	long scans = ksm_get("full_scans") + 3;

	ksm_set("run", 1);
	for (int ms = 0; ksm_get("full_scans") < scans && ms < 100; ms++)
		nanosleep(&pause, NULL);
	ksm_set("run", 0);
}

/*** swapoff: fail | errno.h stdio.h string.h sys/swap.h ***/
/* Takes the first swap device away, and puts it back. */
static void swap_off_and_on(void)
{
	char path[256] = "";
	FILE *file = fopen("/proc/swaps", "r");

	if (!file || fscanf(file, "%*[^\n] %255s", path) != 1 || fclose(file))
		fail("a swap device", "none");
	if (swapoff(path) || swapon(path, 0))
		fail("done", strerror(errno));
}
