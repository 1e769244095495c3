/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_TRACE_H
#define HERMIT_TEST_TRACE_H
/*
 * A trace: which pages a guest read and wrote, epoch after epoch. A file of it is
 * lines of text, an empty line, and sets of pages, all of it under xz:
 *
 *	set:	n, then n times: (page - the next after the last one) << 1 | written
 *	number:	7 bits a byte, lowest first, 0x80 set in all but the last
 *
 * The first set are the pages that had contents before; then one for each epoch.
 */
#include <stdbool.h>
#include <stdint.h>

struct trace {
	char *head;		/* the lines */
	uint32_t pages;		/* of the guest's memory */
	uint64_t epoch;		/* instructions, which take a nanosecond each */
	uint32_t *filled, nr_filled;	/* pages that had contents before */
	uint32_t footprint;	/* pages that are in some epoch */
	uint32_t epochs;
	uint32_t *begin;	/* of each epoch, and the end: index of its first record */
	uint32_t *records;	/* page | TRACE_WRITTEN, by page within an epoch */
};

#define TRACE_WRITTEN	(1u << 31)
static inline uint32_t trace_page(uint32_t record) { return record & ~TRACE_WRITTEN; }

/* Of a file; one that cannot be read, or is none, ends the program with a sentence. */
struct trace *trace_read(const char *path);
/* Empty ones, for what is made up: trace_add() in any order, then trace_epoch(). */
struct trace *trace_new(uint32_t pages, uint64_t epoch);
void trace_add(struct trace *t, uint32_t page, bool written);
void trace_epoch(struct trace *t);
void trace_free(struct trace *t);
/*
 * In an epoch nothing is known of the order, nor when the pages that had contents
 * before were accessed last. Put them into one, which @seed says, before a replay.
 */
void trace_shuffle(struct trace *t, uint64_t seed);

#endif /* HERMIT_TEST_TRACE_H */
