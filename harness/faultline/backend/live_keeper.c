// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts the settings of a machine back when the live backend has ended, whatever its end was: live_knobs.py.
 *
 * Reads from standard input what is to be undone, a line each, before the backend does it:
 *
 *	write PATH VALUE
 *	swapoff DEVICE
 *
 * At the end of the input, which a death of the backend brings about too, it undoes all of that, the last first.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#define LINES_MAX	256
#define LINE_BYTES	512

static char lines[LINES_MAX][LINE_BYTES];

static int write_value(const char *path, const char *value)
{
	size_t length = strlen(value);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int failed = fd < 0 || write(fd, value, length) != (ssize_t)length;

	if (fd >= 0)
		close(fd);
	return failed;
}

static int undo(char *line)
{
	char *what = strtok(line, " "), *path = strtok(NULL, " "), *value = strtok(NULL, "");

	if (what && path && !strcmp(what, "swapoff")) {
		swapoff(path);	/* perhaps it was never on */
		return 0;
	}
	if (!what || !path || !value || write_value(path, value)) {
		dprintf(2, "faultline: %s cannot be put back to %s\n", path ? path : "?", value ? value : "?");
		return 1;
	}
	return 0;
}

int main(void)
{
	int count = 0, failed = 0;

	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	while (count < LINES_MAX && fgets(lines[count], LINE_BYTES, stdin)) {
		lines[count][strcspn(lines[count], "\n")] = 0;
		count++;
	}
	while (count)
		failed |= undo(lines[--count]);
	return failed;
}
