// SPDX-License-Identifier: GPL-2.0-only
/* Per-CPU memory: a unit for each CPU, its static part copied from the library, its dynamic part behind that. */
#include "host/host.h"
#include <linux/percpu.h>

#define GRANULE	64UL
#define DYNAMIC_BYTES	(64UL << 10)
#define GRANULES	(DYNAMIC_BYTES / GRANULE)

extern char fl_percpu_start[], fl_percpu_end[];

unsigned long __per_cpu_offset[NR_CPUS];
unsigned long fl_my_cpu_offset;
int fl_cpu;

static unsigned long static_bytes;
static unsigned long used[GRANULES / 64];
static unsigned short length[GRANULES];		/* in granules, at the first of an allocation */

void fl_switch_cpu(int cpu)
{
	fl_cpu = cpu;
	fl_my_cpu_offset = __per_cpu_offset[cpu];
}

void fl_percpu_init(int cpus)
{
	static_bytes = fl_percpu_end - fl_percpu_start;
	for (int cpu = 0; cpu < cpus; cpu++) {
		unsigned int order = get_order(static_bytes + DYNAMIC_BYTES);
		char *unit = page_to_virt(fl_page_alloc(__GFP_ZERO, order));

		fl_posix_copy(unit, fl_percpu_start, static_bytes);
		__per_cpu_offset[cpu] = (unsigned long)unit - (unsigned long)fl_percpu_start;
	}
	fl_switch_cpu(0);
}

/* Whether the address belongs to the first unit, from which the others are counted: static or dynamic. */
bool fl_percpu_has(const void *first)
{
	return (char *)first >= fl_percpu_start && (char *)first < fl_percpu_start + static_bytes + DYNAMIC_BYTES;
}

static bool is_free(unsigned long first, unsigned long count)
{
	for (unsigned long i = first; i < first + count; i++)
		if (used[i / 64] & (1UL << i % 64))
			return false;
	return true;
}

static long find_free(unsigned long count)
{
	for (unsigned long i = 0; i + count <= GRANULES; i++) {
		if (used[i / 64] == ~0UL) {
			i |= 63;
			continue;
		}
		if (is_free(i, count))
			return i;
	}
	return -1;
}

static void *alloc(size_t size)
{
	unsigned long count = DIV_ROUND_UP(size, GRANULE);
	long first = find_free(count);
	char *ptr;

	if (first < 0)
		return NULL;
	ptr = fl_percpu_start + static_bytes + first * GRANULE;
	for (unsigned long i = first; i < first + count; i++)
		used[i / 64] |= 1UL << i % 64;
	length[first] = count;
	for (int cpu = 0; cpu < fl.cpus; cpu++)
		memset(ptr + __per_cpu_offset[cpu], 0, size);
	return ptr;
}

#ifdef FL_HAVE_ALLOC_NOPROF
void __percpu *pcpu_alloc_noprof(size_t size, size_t align, bool reserved, gfp_t gfp)
{
	return alloc(size);
}
#else
void __percpu *__alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp) { return alloc(size); }
void __percpu *__alloc_percpu(size_t size, size_t align) { return alloc(size); }
#endif

void free_percpu(void __percpu *ptr)
{
	unsigned long first = ((char *)ptr - fl_percpu_start - static_bytes) / GRANULE;

	if (!ptr)
		return;
	for (unsigned long i = first; i < first + length[first]; i++)
		used[i / 64] &= ~(1UL << i % 64);
	length[first] = 0;
}
