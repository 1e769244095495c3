// SPDX-License-Identifier: GPL-2.0-or-later
/* Traces: reading files, and making some up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace.h"

static void die(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s\n", path, what);
	exit(1);
}

static void *grown(void *p, size_t n, size_t size)
{
	/* twice as much at each power of two */
	if (n & (n - 1))
		return p;
	p = realloc(p, (n ? 2 * n : 1) * size);
	if (!p) {
		perror("trace");
		exit(1);
	}
	return p;
}

struct trace *trace_new(uint32_t pages, uint64_t epoch)
{
	struct trace *t = calloc(1, sizeof(*t));

	t->pages = pages;
	t->epoch = epoch;
	t->begin = grown(NULL, 0, sizeof(*t->begin));
	t->begin[0] = 0;
	return t;
}

static uint32_t nr_records(const struct trace *t)
{
	return t->begin[t->epochs];
}

void trace_add(struct trace *t, uint32_t page, bool written)
{
	uint32_t n = nr_records(t);

	t->records = grown(t->records, n, sizeof(*t->records));
	t->records[n] = page | (written ? TRACE_WRITTEN : 0);
	t->begin[t->epochs]++;
}

void trace_epoch(struct trace *t)
{
	uint32_t n = nr_records(t);

	t->epochs++;
	t->begin = grown(t->begin, t->epochs, sizeof(*t->begin));
	t->begin[t->epochs] = n;
}

void trace_free(struct trace *t)
{
	free(t->head);
	free(t->filled);
	free(t->begin);
	free(t->records);
	free(t);
}

static uint64_t number(FILE *f, const char *path)
{
	uint64_t v = 0;
	int c, shift = 0;

	do {
		c = getc(f);
		if (c == EOF || shift > 56)
			die(path, "ends within a set of pages: it is damaged");
		v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80);
	return v;
}

/* One set; false at the end of the file. */
static bool set(FILE *f, const char *path, struct trace *t, bool first)
{
	uint64_t n, next = 0;
	int c = getc(f);

	if (c == EOF)
		return false;
	ungetc(c, f);
	for (n = number(f, path); n; n--) {
		uint64_t v = number(f, path), page = next + (v >> 1);

		if (page >= t->pages)
			die(path, "has a page beyond the guest's memory: it is damaged");
		if (first) {
			t->filled = grown(t->filled, t->nr_filled, sizeof(*t->filled));
			t->filled[t->nr_filled++] = page;
		} else {
			trace_add(t, page, v & 1);
		}
		next = page + 1;
	}
	return true;
}

struct trace *trace_read(const char *path)
{
	char command[4096], line[1024], head[8192] = "";
	unsigned long long pages = 0, epoch = 0;
	struct trace *t;
	bool *seen;
	FILE *f;

	if (access(path, R_OK))
		die(path, "cannot be read");
	if (strchr(path, '\'') ||
	    snprintf(command, sizeof(command), "xz -dc '%s'", path) >= (int)sizeof(command))
		die(path, "is no name for a trace");
	f = popen(command, "r");
	if (!f || !fgets(line, sizeof(line), f) || strcmp(line, "hermit page trace 1\n"))
		die(path, "is no page trace, or xz is not there");
	while (fgets(line, sizeof(line), f) && strcmp(line, "\n")) {
		sscanf(line, "pages: %llu", &pages);
		sscanf(line, "instructions in an epoch: %llu", &epoch);
		if (strlen(head) + strlen(line) < sizeof(head))
			strcat(head, line);
	}
	if (!pages || pages >= TRACE_WRITTEN || !epoch)
		die(path, "has a head that does not say how many pages, or how long an epoch is");
	t = trace_new(pages, epoch);
	t->head = strdup(head);
	set(f, path, t, true);
	while (set(f, path, t, false))
		trace_epoch(t);
	if (pclose(f))
		die(path, "xz failed: it is damaged");
	seen = calloc(pages, sizeof(*seen));
	for (uint32_t i = 0; i < nr_records(t); i++) {
		t->footprint += !seen[trace_page(t->records[i])];
		seen[trace_page(t->records[i])] = true;
	}
	free(seen);
	return t;
}

static void shuffle(uint32_t *r, uint32_t n, uint64_t *x)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j, swap;

		*x ^= *x >> 12;
		*x ^= *x << 25;
		*x ^= *x >> 27;
		j = *x * 0x2545f4914f6cdd1dull % i;
		swap = r[i - 1];
		r[i - 1] = r[j];
		r[j] = swap;
	}
}

void trace_shuffle(struct trace *t, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull | 1;

	shuffle(t->filled, t->nr_filled, &x);
	for (uint32_t e = 0; e < t->epochs; e++)
		shuffle(t->records + t->begin[e], t->begin[e + 1] - t->begin[e], &x);
}
