// SPDX-License-Identifier: GPL-2.0-only
/* The arena that is the machine's physical memory, and the snapshot that a broken program is undone with. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "fl.h"

#define RANGES_MAX 32
#define ARENAS_MAX 192	/* machines of one process: a test run has one of each tree, profile and bug; below VMALLOC_START */

struct range {
	char *start;
	unsigned long len;
	char *copy;
};

static FL_KEEP struct range ranges[RANGES_MAX];
static FL_KEEP int nranges;
static FL_KEEP unsigned long library_base, data_start, data_end;

extern char __start_fl_keep[], __stop_fl_keep[];
extern char __start___sancov_cntrs[] __attribute__((weak)), __stop___sancov_cntrs[] __attribute__((weak));
extern char __start___llvm_prf_cnts[] __attribute__((weak)), __stop___llvm_prf_cnts[] __attribute__((weak));

/* Tries fixed places first, so that two runs see the same order of addresses; ASan's shadow lies elsewhere. */
void *fl_posix_map_arena(unsigned long bytes)
{
	for (unsigned long i = 0; i < ARENAS_MAX; i++) {
		void *want = (void *)(0x200000000000UL + (i << 36));
		void *map = mmap(want, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

		if (map == want)
			return map;
		if (map != MAP_FAILED)
			munmap(map, bytes);
	}
	return NULL;
}

/* Zeroed memory of no fixed place, which no snapshot holds; NULL: there is none. */
void *fl_posix_map(unsigned long bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static void add_range(uintptr_t start, uintptr_t end)
{
	if (start < end && nranges < RANGES_MAX) {
		ranges[nranges].start = (char *)start;
		ranges[nranges++].len = end - start;
	}
}

/* Adds [start, end) without [hole_start, hole_end) and what the further holes take away. */
static void add_without(uintptr_t start, uintptr_t end, const uintptr_t (*holes)[2], int nholes)
{
	if (!nholes) {
		add_range(start, end);
		return;
	}
	if ((*holes)[1] <= start || (*holes)[0] >= end || (*holes)[0] == (*holes)[1]) {
		add_without(start, end, holes + 1, nholes - 1);
		return;
	}
	if (start < (*holes)[0])
		add_without(start, (*holes)[0], holes + 1, nholes - 1);
	if ((*holes)[1] < end)
		add_without((*holes)[1], end, holes + 1, nholes - 1);
}

/* Writable data of this library: all but what is kept, coverage counters and the linker's own tables. */
static int find_data(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t holes[4][2] = {
		{ (uintptr_t)__start_fl_keep, (uintptr_t)__stop_fl_keep },
		{ (uintptr_t)__start___sancov_cntrs, (uintptr_t)__stop___sancov_cntrs },
		{ (uintptr_t)__start___llvm_prf_cnts, (uintptr_t)__stop___llvm_prf_cnts },
	};
	uintptr_t here = (uintptr_t)__start_fl_keep;
	int mine = 0;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && here >= start && here < start + ph->p_memsz)
			mine = 1;
		if (ph->p_type == PT_GNU_RELRO) {
			holes[3][0] = start;
			holes[3][1] = (start + ph->p_memsz + 4095) & ~4095UL;
		}
	}
	if (!mine)
		return 0;
	library_base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		add_without(start, start + ph->p_memsz, holes, 4);
		data_start = data_start ? data_start : start;
		data_end = start + ph->p_memsz;
	}
	return 1;
}

unsigned long fl_posix_library_base(void)
{
	if (!library_base) {
		dl_iterate_phdr(find_data, NULL);
	}
	return library_base;
}

int fl_posix_is_data(const void *addr)
{
	fl_posix_library_base();
	return (uintptr_t)addr >= data_start && (uintptr_t)addr < data_end;
}

/* By hand: ASan's memcpy() would object to what is poisoned, and the compiler would make one of a plain loop. */
void fl_posix_copy(void *to, const void *from, unsigned long len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

/* Whether the page is filled with one byte.  Here, as ASan's memcmp() goes byte by byte. */
int fl_posix_is_uniform(const void *page)
{
	const unsigned long *word = page;
	unsigned long byte = *(const unsigned char *)page, want = byte * 0x0101010101010101UL, differ = 0;

	for (int i = 0; i < 512; i++)
		differ |= word[i] ^ want;
	return !differ;
}

static FL_KEEP char *counts_out;
static FL_KEEP unsigned long counts_room;

void fl_counts_to(unsigned char *out, unsigned long room)
{
	counts_out = (char *)out;
	counts_room = room;
}

/* Whoever asked for it gets the library's counters as they are after an operation. */
void fl_posix_note_counts(int index)
{
	unsigned long bytes = __stop___llvm_prf_cnts - __start___llvm_prf_cnts;

	if (counts_out && (index + 1) * bytes <= counts_room)
		fl_posix_copy(counts_out + index * bytes, __start___llvm_prf_cnts, bytes);
}

static FL_KEEP const int *count_weights;
static FL_KEEP unsigned long weighed;

void fl_costs_weigh(const int *weights, unsigned long counters)
{
	count_weights = weights;
	weighed = weights ? counters : 0;
}

/* The compiler's counters, each as often as it was said to count. */
unsigned long fl_posix_weighed_counts(void)
{
	const unsigned long *counts = (const unsigned long *)__start___llvm_prf_cnts;
	unsigned long sum = 0;

	for (unsigned long i = 0; i < weighed; i++)
		sum += counts[i] * count_weights[i];
	return sum;
}

int fl_posix_snapshot(unsigned long arena, unsigned long used)
{
	fl_posix_library_base();
	add_range(arena, arena + used);
	for (int i = 0; i < nranges; i++) {
		ranges[i].copy = malloc(ranges[i].len);
		if (!ranges[i].copy)
			return -ENOMEM;
		fl_posix_copy(ranges[i].copy, ranges[i].start, ranges[i].len);
	}
	return 0;
}

void fl_posix_restore(void)
{
	for (int i = 0; i < nranges; i++)
		fl_posix_copy(ranges[i].start, ranges[i].copy, ranges[i].len);
}
