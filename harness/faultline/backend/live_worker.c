// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processes of a program run on the live kernel; live.py is the monitor that steers them.
 *
 * usage: live_worker ZYGOTE_FD RESULT_FD UFFD_SOCKET COMMAND_FD... PIPE_FD...
 *
 * The zygote turns every byte read from ZYGOTE_FD into a fresh process p0.  The first thread of a process is its service,
 * which starts a thread per task on demand, or becomes the task if there is but one.  Each thread reads commands from a
 * pipe of its own and writes results to RESULT_FD; userfaultfds go to the monitor by UFFD_SOCKET.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "ops.h"

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE			_IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFDIO_MOVE_MODE_DONTWAKE		(1 << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES	(1 << 1)
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define STACK_SIZE	(32 * 1024)
#define SERVICE		FL_TASKS

/* A command is FL_OP_SIZE bytes: the operation's code and its operand values, or one of these. */
enum { COMMAND_SPAWN = 0xfe, COMMAND_BECOME = 0xff };

enum { RESULT_ALIVE = 0x100, RESULT_READY = 0x101 };	/* value: a pid, a tid; else kind is a FL_STATUS_* */

struct result {
	int process, task, kind, value, aux;
};

static int result_fd, uffd_socket, monitor;
static int command_fd[FL_PROCESSES][FL_TASKS + 1];
static int pin_fd[FL_PINS];	/* pipes whose buffers hold the references of a handle */
static int this_process;
static int monitor_pid;
/*
 * The threads share the C library's thread-local storage (only memory accesses and fork run beside another thread), so
 * nothing here may rest on it.  One stack per task and one more, on which p0 begins.  A child begins on the stack of the
 * task that forked, and that task of the child gets the spare one.
 */
static char stacks[FL_TASKS + 1][STACK_SIZE] __attribute__((aligned(64)));
static int stack_of[FL_TASKS], stack_spare = FL_TASKS;
static sigjmp_buf on_signal[FL_TASKS + 1];	/* by stack */

static void die(const char *what)
{
	dprintf(2, "live_worker: %s: %s\n", what, strerror(errno));
	_exit(3);
}

static void report_aux(int task, int kind, int value, int aux)
{
	struct result r = { this_process, task, kind, value, aux };

	if (write(result_fd, &r, sizeof(r)) != sizeof(r))
		die("write");
}

static void report(int task, int kind, int value)
{
	report_aux(task, kind, value, 0);
}

static void get_command(int task, unsigned char *command)
{
	if (read(command_fd[this_process][task], command, FL_OP_SIZE) != FL_OP_SIZE)
		_exit(0);
}

static void handler(int signal, siginfo_t *info, void *context)
{
	char here;

	(void)info, (void)context;
	siglongjmp(on_signal[(&here - stacks[0]) / STACK_SIZE], signal);
}

static char *slot(int number)
{
	return (char *)REGION + (long)number * PAGE_SIZE;
}

static int load(const volatile char *page)
{
	unsigned char first = page[0];

	for (int i = 1; i < PAGE_SIZE; i++)
		if ((unsigned char)page[i] != first)
			return FL_VALUE_MIXED;
	return first;
}

static int protection(int prot)
{
	return prot == FL_PROT_NONE ? PROT_NONE : prot == FL_PROT_R ? PROT_READ : PROT_READ | PROT_WRITE;
}

static const int advices[] = {
	[FL_ADVICE_DONTNEED] = MADV_DONTNEED, [FL_ADVICE_MERGEABLE] = MADV_MERGEABLE,
	[FL_ADVICE_UNMERGEABLE] = MADV_UNMERGEABLE, [FL_ADVICE_DONTFORK] = MADV_DONTFORK,
	[FL_ADVICE_DOFORK] = MADV_DOFORK, [FL_ADVICE_WIPEONFORK] = MADV_WIPEONFORK,
	[FL_ADVICE_KEEPONFORK] = MADV_KEEPONFORK, [FL_ADVICE_REMOVE] = MADV_REMOVE,
	/* a huge page of the live kernel is bigger than the region: refused, as if there were none */
	[FL_ADVICE_HUGEPAGE] = -1, [FL_ADVICE_NOHUGEPAGE] = -1, [FL_ADVICE_COLLAPSE] = -1,
	[FL_ADVICE_FREE] = MADV_FREE, [FL_ADVICE_COLD] = MADV_COLD, [FL_ADVICE_PAGEOUT] = MADV_PAGEOUT,
};

static long map(const unsigned char *c, int flags, int fd, long offset)
{
	void *start = mmap(slot(c[1]), c[2] * PAGE_SIZE, protection(c[3]), flags | MAP_FIXED, fd, offset);

	return start == MAP_FAILED ? -1 : 0;
}

/* The file is the monitor's, which every process can open by its number there. */
static long map_file(const unsigned char *c)
{
	char path[64];
	long r;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", monitor, FILE_FD + c[4]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path);
	r = map(c, c[6] == FL_MAP_TYPE_SHARED ? MAP_SHARED : MAP_PRIVATE, fd, c[5] * PAGE_SIZE);
	close(fd);
	return r;
}

static int open_uffd(int features)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC);

	if (features & FL_FEATURES_EVENT_FORK)
		api.features |= UFFD_FEATURE_EVENT_FORK;
	if (features & FL_FEATURES_WP_ASYNC)
		api.features |= UFFD_FEATURE_WP_ASYNC;
	if (features & FL_FEATURES_WP_UNPOPULATED)
		api.features |= UFFD_FEATURE_WP_UNPOPULATED;
	if (features & FL_FEATURES_SIGBUS)
		api.features |= UFFD_FEATURE_SIGBUS;
	if (features & FL_FEATURES_EVENT_REMAP)
		api.features |= UFFD_FEATURE_EVENT_REMAP;
	if (features & FL_FEATURES_EVENT_REMOVE)
		api.features |= UFFD_FEATURE_EVENT_REMOVE;
	if (features & FL_FEATURES_EVENT_UNMAP)
		api.features |= UFFD_FEATURE_EVENT_UNMAP;
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* The monitor gets the userfaultfd, and is to be the only one who has it. */
static long hand_over(int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	if (fd < 0)
		return -1;
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (sendmsg(uffd_socket, &message, 0) != 1)
		die("sendmsg");
	return close(fd);
}

/* 0, or -1 with the reason in errno. */
static int moved(const void *address)
{
	return address == MAP_FAILED ? -1 : 0;
}

static int move(const unsigned char *c)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (c[5] & FL_REMAP_FLAGS_DONTUNMAP ? MREMAP_DONTUNMAP : 0);

	return moved(mremap(slot(c[1]), c[2] * PAGE_SIZE, c[4] * PAGE_SIZE, flags, slot(c[3])));
}

static int resize(const unsigned char *c)
{
	size_t pages = c[3] < FL_SLOTS - c[1] ? c[3] : FL_SLOTS - c[1];

	return moved(mremap(slot(c[1]), c[2] * PAGE_SIZE, pages * PAGE_SIZE, 0));
}

/* The pipe holds plain references to the pages; their number. */
static long reference(const unsigned char *c)
{
	struct iovec pages = { slot(c[2]), c[3] * PAGE_SIZE };
	long bytes = syscall(SYS_vmsplice, pin_fd[c[1]], &pages, 1, 0);

	return bytes < 0 ? -1 : bytes / PAGE_SIZE;
}

/* A page of the process whose pid stands behind the operands. */
static long access_process(const unsigned char *c)
{
	static const int calls[] = { SYS_process_vm_readv, SYS_process_vm_writev };
	int write = c[0] == FL_OP_PROCESS_WRITE;
	char page[PAGE_SIZE];
	struct iovec own = { page, PAGE_SIZE }, other = { slot(c[2]), PAGE_SIZE };
	int pid;

	__builtin_memcpy(&pid, c + 4, sizeof(pid));
	if (write)
		memset(page, c[3], PAGE_SIZE);
	if (syscall(calls[write], pid, &own, 1, &other, 1, 0) < 0)
		return -1;
	return write ? 0 : load(page);
}

/* Only a process itself may move its pages, so it borrows the userfaultfd that the monitor keeps. */
static void move_pages(int task, const unsigned char *c)
{
	struct uffdio_move move = {
		.dst = (unsigned long)slot(c[2]), .len = c[3] * PAGE_SIZE, .src = (unsigned long)slot(c[4]),
		.mode = (c[5] & FL_MOVE_MODE_DONTWAKE ? UFFDIO_MOVE_MODE_DONTWAKE : 0) |
			(c[5] & FL_MOVE_MODE_HOLES ? UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES : 0),
	};
	int monitor = syscall(SYS_pidfd_open, monitor_pid, 0);
	int fd = syscall(SYS_pidfd_getfd, monitor, c[6] | c[7] << 8, 0);
	int error;

	if (fd < 0)
		die("pidfd_getfd");
	error = ioctl(fd, UFFDIO_MOVE, &move) ? errno : 0;
	close(fd);
	close(monitor);
	report_aux(task, error ? FL_STATUS_ERROR : FL_STATUS_DONE, error,
		   move.move < 0 ? move.move : move.move / PAGE_SIZE);
}

static void service(void) __attribute__((noreturn));

static void fork_child(int task, int child)
{
	int spare = stack_spare;
	long pid = syscall(SYS_fork);

	if (pid < 0) {
		report(task, FL_STATUS_ERROR, errno);
	} else if (pid) {
		report(task, FL_STATUS_DONE, 0);
	} else {
		stack_spare = stack_of[task];
		stack_of[task] = spare;
		this_process = child;
		service();
	}
}

static void run(int task, const unsigned char *c)
{
	const size_t length = c[2] * PAGE_SIZE;
	volatile long r = 0;
	int signal = sigsetjmp(on_signal[stack_of[task]], 0);

	if (signal) {
		report(task, FL_STATUS_SIGNAL, signal);
		return;
	}
	switch (c[0]) {
	case FL_OP_MMAP:
		r = map(c, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case FL_OP_MMAP_SHARED:
		r = map(c, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		break;
	case FL_OP_MMAP_FILE:
		r = map_file(c);
		break;
	case FL_OP_MUNMAP:
		r = munmap(slot(c[1]), length);
		break;
	case FL_OP_MPROTECT:
		r = mprotect(slot(c[1]), length, protection(c[3]));
		break;
	case FL_OP_MADVISE:
		r = madvise(slot(c[1]), length, advices[c[3]]);
		break;
	case FL_OP_READ:
		r = load(slot(c[1]));
		break;
	case FL_OP_WRITE:
		memset(slot(c[1]), c[2], PAGE_SIZE);
		break;
	case FL_OP_FORK:
		fork_child(task, c[1]);
		return;
	case FL_OP_EXIT:
		_exit(0);
	case FL_OP_MREMAP:
		r = move(c);
		break;
	case FL_OP_MREMAP_RESIZE:
		r = resize(c);
		break;
	case FL_OP_GUARD_INSTALL:
		r = madvise(slot(c[1]), length, MADV_GUARD_INSTALL);
		break;
	case FL_OP_GUARD_REMOVE:
		r = madvise(slot(c[1]), length, MADV_GUARD_REMOVE);
		break;
	case FL_OP_REF:
		r = reference(c);
		break;
	case FL_OP_PROCESS_READ:
	case FL_OP_PROCESS_WRITE:
		r = access_process(c);
		break;
	case FL_OP_POPULATE:
		r = madvise(slot(c[1]), length, c[3] == FL_POPULATE_READ ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
		break;
	case FL_OP_UFFD_OPEN:
		r = hand_over(open_uffd(c[2]));
		break;
	case FL_OP_UFFD_MOVE:
		move_pages(task, c);
		return;
	default:
		errno = ENOSYS;
		die("unknown command");
	}
	report(task, r < 0 ? FL_STATUS_ERROR : FL_STATUS_DONE, r < 0 ? errno : r);
}

static void run_commands(int task) __attribute__((noreturn));

static void run_commands(int task)
{
	unsigned char command[FL_OP_SIZE];

	for (;;) {
		get_command(task, command);
		run(task, command);
	}
}

static int task_main(void *arg)
{
	const int task = (long)arg;

	report(task, RESULT_READY, syscall(SYS_gettid));
	run_commands(task);
}

/* The first thread goes on as the task, on the stack that it has. */
static void become(int task)
{
	int mine = stack_spare;

	stack_spare = stack_of[task];
	stack_of[task] = mine;
	run_commands(task);
}

static void service(void)
{
	unsigned char command[FL_OP_SIZE];
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	report(SERVICE, RESULT_ALIVE, syscall(SYS_getpid));
	for (;;) {
		get_command(SERVICE, command);
		long task = command[1];

		if (command[0] == COMMAND_BECOME)
			become(task);
		if (clone(task_main, stacks[stack_of[task]] + STACK_SIZE, flags, (void *)task) < 0)
			die("clone");
	}
}

static int first_process(void *unused)
{
	(void)unused;
	service();
}

/* Of what has ended, whose processor time is the zygote's from then on. */
static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/*
 * On one CPU, tasks that are woken together go on in the order in which they were woken, whatever ran before: the usual
 * policy goes by the time that each has had.
 */
static void first_come_first_served(void)
{
	struct sched_param lowest = { .sched_priority = 1 };
	cpu_set_t cpus;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == 1)
		sched_setscheduler(0, SCHED_FIFO, &lowest);	/* if it is not permitted, runs differ now and then */
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
	char byte;

	if (argc != 4 + FL_PROCESSES * (FL_TASKS + 1) + FL_PINS)
		_exit(2);
	result_fd = atoi(argv[2]);
	uffd_socket = atoi(argv[3]);
	monitor = getppid();
	for (int i = 0; i < FL_PINS; i++)
		pin_fd[i] = atoi(argv[argc - FL_PINS + i]);
	for (int i = 4; i < argc - FL_PINS; i++)
		command_fd[(i - 4) / (FL_TASKS + 1)][(i - 4) % (FL_TASKS + 1)] = atoi(argv[i]);
	for (int i = 0; i < FL_TASKS; i++)
		stack_of[i] = i;
	monitor_pid = getppid();
	first_come_first_served();
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);	/* large folios of a few pages too; fails on kernels without any */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || sigaction(SIGSEGV, &action, NULL) || sigaction(SIGBUS, &action, NULL))
		die("set-up");
	while (read(atoi(argv[1]), &byte, 1) == 1) {
		reap();
		if (clone(first_process, stacks[stack_spare] + STACK_SIZE, SIGCHLD, NULL) < 0)
			die("clone");
	}
	reap();
	return 0;
}
