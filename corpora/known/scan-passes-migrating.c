// SPDX-License-Identifier: GPL-2.0-only
/*
 * PAGEMAP_SCAN with PM_SCAN_WP_MATCHING tells of written pages, and leaves those unprotected that migrate meanwhile.
 *
 * One process frees every other page of some memory again and again and asks for compaction (root), so that pages of the
 * parent's memory migrate.  The parent writes each page, scans with write protection, then scans again: nobody has
 * written in between, so the second scan must find no page.
 *
 * cc scan-passes-migrating.c && ./a.out [SECONDS]: exit status 1 if it happened, 0 if not, 4 without what it needs.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef PAGEMAP_SCAN	/* headers of before Linux 6.7 */
struct page_region {
	__u64 start, end, categories;
};
struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN		_IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WRITTEN		(1 << 1)
#define PM_SCAN_WP_MATCHING	(1 << 0)
#define PM_SCAN_CHECK_WPASYNC	(1 << 1)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif

#define PAGE		4096UL
#define PAGES		4096UL
#define HOLES		16384UL
#define SCANS		20

static void compact(void)
{
	int knob = open("/proc/sys/vm/compact_memory", O_WRONLY);
	char *memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		memory = mmap(NULL, HOLES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(memory, HOLES * PAGE, MADV_NOHUGEPAGE);
		memset(memory, 1, HOLES * PAGE);
		for (unsigned long i = 0; i < HOLES; i += 2)
			madvise(memory + i * PAGE, PAGE, MADV_DONTNEED);
		for (int i = 0; i < 4; i++)
			if (write(knob, "1", 1) != 1)
				_exit(4);
		munmap(memory, HOLES * PAGE);
	}
}

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		exit(4);
	return uffd;
}

static char *watched_memory(int uffd)
{
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
	range.range.start = (unsigned long)memory;
	range.range.len = PAGES * PAGE;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		exit(4);
	return memory;
}

/* How many pages were written since they were protected. */
static long written(int pagemap, char *memory, unsigned long flags)
{
	static struct page_region found[PAGES];
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .flags = flags,
		.start = (unsigned long)memory, .end = (unsigned long)memory + PAGES * PAGE,
		.vec = (unsigned long)found, .vec_len = PAGES,
		.category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN,
	};
	long regions = ioctl(pagemap, PAGEMAP_SCAN, &arg), pages = 0;

	if (regions < 0)
		exit(4);
	for (long i = 0; i < regions; i++)
		pages += (found[i].end - found[i].start) / PAGE;
	return pages;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 20);
	char *memory;
	int uffd = open_uffd(), pagemap = open("/proc/self/pagemap", O_RDONLY);
	long round, left = 0;
	pid_t other = fork();

	if (!other)
		compact();
	for (round = 0; !left && time(NULL) < end; round++) {
		memory = watched_memory(uffd);
		for (int i = 0; i < SCANS && !left; i++) {
			memset(memory, i, PAGES * PAGE);
			written(pagemap, memory, PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC);
			left = written(pagemap, memory, 0);
		}
		munmap(memory, PAGES * PAGE);
	}
	kill(other, SIGKILL);
	printf("%ld pages were told of and left unprotected, in round %ld\n", left, round);
	return left > 0;
}
