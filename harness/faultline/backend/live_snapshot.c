// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a snapshot tells of one process, read from the kernel without touching the memory: live_process.py.
 *
 * smaps has what belongs to a mapping, and the numbers of pages; pagemap what belongs to a page; mem the content.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops.h"

#define REGION_END	(REGION + FL_SLOTS * PAGE_SIZE)
/* The swap type in a pagemap entry; those from a certain one on are no devices but markers and migrations. */
#define SWAP_TYPE	0x1f
#define SWAP_DEVICES	16
#define ENTRY_PRESENT	63
#define ENTRY_SWAP	62

struct row {
	uint32_t word[FL_SLOTS];
	int32_t anon, file, swap;	/* pages */
};

/* The mapping that smaps tells of at the moment; none of the region's if it has no slots. */
struct mapping {
	int first, end;
	uint32_t word;
	int beyond;	/* it lies behind the region */
};

static const struct {
	int bit;
	uint32_t mark;
} page_bits[] = {
	{ ENTRY_PRESENT, FL_BIT_PRESENT }, { ENTRY_SWAP, FL_BIT_SWAP }, { 61, FL_BIT_FILE }, { 58, FL_BIT_GUARD },
	{ 57, FL_BIT_UFFD_WP }, { 56, FL_BIT_EXCLUSIVE },
};

static const struct {
	char name[3];
	uint32_t mark;
} mapping_flags[] = {
	{ "um", FL_BIT_REG_MISSING }, { "uw", FL_BIT_REG_WP }, { "ui", FL_BIT_REG_MINOR }, { "mg", FL_BIT_MERGEABLE },
	{ "dc", FL_BIT_DONTFORK }, { "wf", FL_BIT_WIPEONFORK },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t marks_of(const char *flags)
{
	uint32_t marks = 0;

	for (; (flags = strchr(flags, ' ')); flags++)
		for (unsigned int i = 0; i < COUNT(mapping_flags); i++)
			if (!strncmp(flags + 1, mapping_flags[i].name, 2))
				marks |= mapping_flags[i].mark;
	return marks;
}

static struct mapping mapping_of(const char *line)
{
	char *rest;
	unsigned long start = strtoul(line, &rest, 16);
	unsigned long end = strtoul(rest + 1, &rest, 16);
	struct mapping m = { .beyond = start >= REGION_END };

	if (start >= REGION && !m.beyond) {
		m.first = (start - REGION) / PAGE_SIZE;
		m.end = (end - REGION) / PAGE_SIZE;
		m.word = FL_BIT_MAPPED | (rest[1] == 'r' ? FL_BIT_READ : 0) | (rest[2] == 'w' ? FL_BIT_WRITE : 0);
	}
	return m;
}

/* The line is NAME:, blanks and a value; or the bounds of a mapping, whose hexadecimal digits are small. */
static void take_line(const char *line, struct mapping *m, struct row *row)
{
	const char *colon = strchr(line, ':');

	if (line[0] < 'A' || line[0] > 'Z') {
		*m = mapping_of(line);
	} else if (m->end && colon) {
		if (!strncmp(line, "Rss:", 4)) {
			row->file += atoi(colon + 1);
		} else if (!strncmp(line, "Anonymous:", 10)) {
			row->anon += atoi(colon + 1);
		} else if (!strncmp(line, "VmFlags:", 8)) {
			m->word |= marks_of(colon);
			for (int slot = m->first; slot < m->end && slot < FL_SLOTS; slot++)
				row->word[slot] = m->word;
		}
	}
}

/* smaps takes long to write, so it is read no further than the region goes. */
static int read_mappings(int smaps, struct row *row)
{
	char text[16384];
	struct mapping m = { 0 };
	size_t have = 0;
	off_t at = 0;

	while (!m.beyond) {
		ssize_t n = pread(smaps, text + have, sizeof(text) - 1 - have, at);
		char *line = text, *end;

		if (n <= 0)
			return n ? -errno : 0;
		at += n;
		have += n;
		text[have] = 0;
		for (; !m.beyond && (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			take_line(line, &m, row);
		}
		have = text + have - line;
		memmove(text, line, have);
	}
	return 0;
}

static uint32_t content_of(const unsigned char *page)
{
	return page[0] | (memcmp(page, page + 1, PAGE_SIZE - 1) ? FL_BIT_MIXED : 0);
}

/* Pages that lie side by side are read at once. */
static int read_contents(int memory, const uint64_t *entry, struct row *row)
{
	static unsigned char pages[FL_SLOTS * PAGE_SIZE];
	int end;

	for (int slot = 0; slot < FL_SLOTS; slot = end + 1) {
		for (end = slot; end < FL_SLOTS && entry[end] >> ENTRY_PRESENT; end++)
			;
		size_t size = (end - slot) * PAGE_SIZE;

		if (size && pread(memory, pages, size, REGION + slot * PAGE_SIZE) != (ssize_t)size)
			return errno ? -errno : -EIO;
		for (int i = slot; i < end; i++)
			row->word[i] |= content_of(pages + (i - slot) * PAGE_SIZE);
	}
	return 0;
}

/* 0, or the negative errno. */
int live_row(int smaps, int pagemap, int memory, struct row *row)
{
	uint64_t entry[FL_SLOTS];
	int error;

	errno = 0;
	memset(row, 0, sizeof(*row));
	error = read_mappings(smaps, row);
	if (error)
		return error;
	row->anon /= PAGE_SIZE / 1024;
	row->file = row->file / (PAGE_SIZE / 1024) - row->anon;
	if (pread(pagemap, entry, sizeof(entry), REGION / PAGE_SIZE * sizeof(*entry)) != sizeof(entry))
		return errno ? -errno : -EIO;
	for (int slot = 0; slot < FL_SLOTS; slot++) {
		for (unsigned int i = 0; i < COUNT(page_bits); i++)
			row->word[slot] |= entry[slot] >> page_bits[i].bit & 1 ? page_bits[i].mark : 0;
		/* smaps would count what a shared mapping's file has in swap too */
		row->swap += (entry[slot] >> ENTRY_SWAP & 1) && (entry[slot] & SWAP_TYPE) < SWAP_DEVICES;
	}
	return read_contents(memory, entry, row);
}
