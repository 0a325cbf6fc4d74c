/* The check that keeps these programs inert: true in a guest alone (see settled.py, which says why). */
#ifndef SETTLED_H
#define SETTLED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOME "/home/dev"

static int every_line(const char *path, int (*good)(const char *line))
{
	char line[512];
	int all = 1;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file)) /* the heading */
		all = 0;
	while (all && fgets(line, sizeof(line), file))
		all = good(line);
	fclose(file);
	return all;
}

static int on_loopback(const char *line)
{
	return strncmp(line, "lo\t", 3) == 0;
}

static int not_everything_local(const char *line)
{
	return strstr(line, "/0 host LOCAL") == NULL;
}

static int settled(void)
{
	const char *home = getenv("HOME");

	return getuid() == 1000 && home && strcmp(home, HOME) == 0 && every_line("/proc/net/route", on_loopback) &&
	       access("/proc/net/fib_trie", R_OK) == 0 &&
	       !every_line("/proc/net/fib_trie", not_everything_local);
}

#endif
