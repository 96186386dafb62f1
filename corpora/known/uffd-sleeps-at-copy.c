// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task sleeps in a fault for a missing page, although the page is there and nobody has taken it away.
 *
 * One thread stores to a page of a private mapping of a memfd that has no page there; the mapping's own page was put there
 * by UFFDIO_COPY.  The other thread protects the page again and again; a store lifts the protection by itself
 * (UFFD_FEATURE_WP_ASYNC).  The kernel clears the entry for a moment when it protects the page.  A fault that looks then
 * finds nothing, twice: when it asks which fault it is, and when it asks whether it must wait.
 *
 * cc -pthread uffd-sleeps-at-copy.c && ./a.out [SECONDS]: exit status 1 if it happened, 0 if not, 4 without what it needs.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef UFFD_FEATURE_WP_ASYNC	/* headers of before Linux 6.7 */
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif

#define PATIENCE	2	/* seconds: a store takes microseconds */

static atomic_long stores;
static char *page;
static long size;

static void *writer(void *arg)
{
	for (;;) {
		*(volatile char *)page = 1;
		atomic_fetch_add(&stores, 1);
	}
	return arg;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int is_stuck(void)
{
	long before = atomic_load(&stores);

	for (double start = seconds(); seconds() - start < PATIENCE; usleep(1000))
		if (atomic_load(&stores) != before)
			return 0;
	return 1;
}

/* Whether the store waits for good that a message tells of. */
static int one_round(int uffd, long round)
{
	struct uffdio_range area = { (unsigned long)page, size };
	struct uffdio_writeprotect protect = { .range = area, .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffd_msg message;

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &protect)) {
		perror("UFFDIO_WRITEPROTECT");
		exit(2);
	}
	if (read(uffd, &message, sizeof(message)) != sizeof(message) || !is_stuck())
		return 0;
	printf("round %ld: a store waits %d s for a page that is there\n", round, PATIENCE);
	ioctl(uffd, UFFDIO_WAKE, &area);
	printf("after UFFDIO_WAKE it %s\n", is_stuck() ? "sleeps on" : "goes on");
	return 1;
}

/* A page of the mapping's own, where the file has none. */
static void make_page(int uffd)
{
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP };
	struct uffdio_copy copy = { .len = size };
	int file = memfd_create("pages", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, size))
		exit(2);
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	area.range.start = copy.dst = (unsigned long)page;
	area.range.len = size;
	copy.src = (unsigned long)aligned_alloc(size, size);
	memset((void *)copy.src, 1, size);
	if (ioctl(uffd, UFFDIO_REGISTER, &area)) {
		perror("UFFDIO_REGISTER");
		exit(4);
	}
	if (ioctl(uffd, UFFDIO_COPY, &copy)) {
		perror("UFFDIO_COPY");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	double end = seconds() + (argc > 1 ? atof(argv[1]) : 20);
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	pthread_t thread;
	long round = 0;

	size = sysconf(_SC_PAGESIZE);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		perror("userfaultfd");
		return 4;
	}
	make_page(uffd);
	pthread_create(&thread, NULL, writer, NULL);
	while (seconds() < end)
		if (one_round(uffd, ++round))
			return 1;
	printf("%ld rounds, none of it\n", round);
	return 0;
}
