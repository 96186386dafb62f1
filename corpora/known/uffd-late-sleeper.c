// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task sleeps for good in a fault on a range that UFFDIO_UNREGISTER has taken from the userfaultfd.
 *
 * One thread reads a missing page at about the moment at which the other one unregisters it.  UFFDIO_UNREGISTER wakes who
 * sleeps in the range before it keeps out faults that hold only the mapping's own lock; such a fault may have found that it
 * must wait, and begin to sleep after the wake-up.
 *
 * cc -pthread uffd-late-sleeper.c && ./a.out [SECONDS]: exit status 1 if it happened, 0 if not, 4 without userfaultfd.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE	2	/* seconds: a read takes microseconds */

static atomic_long begun, ended;
static char *page;

static void pass_time(int most)
{
	for (volatile int n = rand() % most; n > 0; n--)
		;
}

static void *reader(void *arg)
{
	for (long round = 1;; round++) {
		while (atomic_load(&begun) < round)
			;
		pass_time(400);
		*(volatile char *)page;
		atomic_store(&ended, round);
	}
	return arg;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int has_read(long round)
{
	double start = seconds();

	while (atomic_load(&ended) < round)
		if (seconds() - start > PATIENCE)
			return 0;
	return 1;
}

/* Whether the reader was still asleep when the range had long been unregistered. */
static int one_round(int uffd, long size, long round)
{
	struct uffdio_register area = { .range = { (unsigned long)page, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };

	madvise(page, size, MADV_DONTNEED);
	if (ioctl(uffd, UFFDIO_REGISTER, &area)) {
		perror("UFFDIO_REGISTER");
		exit(2);
	}
	atomic_store(&begun, round);
	pass_time(1200);
	if (ioctl(uffd, UFFDIO_UNREGISTER, &area.range)) {
		perror("UFFDIO_UNREGISTER");
		exit(2);
	}
	if (has_read(round))
		return 0;
	printf("round %ld: the reader sleeps %d s after UFFDIO_UNREGISTER returned\n", round, PATIENCE);
	ioctl(uffd, UFFDIO_WAKE, &area.range);
	printf("after UFFDIO_WAKE it %s\n", has_read(round) ? "goes on" : "sleeps on");
	return 1;
}

int main(int argc, char **argv)
{
	double end = seconds() + (argc > 1 ? atof(argv[1]) : 20);
	long size = sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t thread;

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		perror("userfaultfd");
		return 4;
	}
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || pthread_create(&thread, NULL, reader, NULL))
		return 2;
	for (long round = 1; seconds() < end; round++)
		if (one_round(uffd, size, round))
			return 1;
	return 0;
}
