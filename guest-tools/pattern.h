/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_GUEST_PATTERN_H
#define HERMIT_GUEST_PATTERN_H
/*
 * What a page of hermit-guest-load holds, so that a wrong page can be told
 * from a stale one, a torn one and a foreign one.
 *
 * Each of the eight 512-byte sectors of a page carries a mark of four words,
 * at a place in the sector that depends on the page:
 *
 *	magic and kind | page or block number and sector | version | checksum
 *
 * A page never written holds zeros. A block of the pattern disk holds the same
 * marks, of another kind, with version 0: a page that a device filled is told
 * from one that a CPU wrote.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PATTERN_PAGE	4096
#define PATTERN_SECTORS	8

enum pattern_kind {
	PATTERN_ZERO,		/* never written */
	PATTERN_MEMORY,		/* number: page; version */
	PATTERN_DISK,		/* number: block; version 0 */
};

struct pattern {
	enum pattern_kind kind;
	uint64_t number;
	uint64_t version;
};

/* Write the marks of @p; where they stand depends on @page. */
void pattern_write(void *mem, uint64_t page, const struct pattern *p);

/* True if all marks at the places of @page are those of @p. */
bool pattern_check(const void *mem, uint64_t page, const struct pattern *p);

/*
 * Explain to @out what differs, one line for each sector that does: the words
 * expected and found, and what was found: zeros, an older or newer version,
 * another page, a block of the disk, or nothing known.
 */
void pattern_explain(FILE *out, const void *mem, uint64_t page,
		     const struct pattern *p);

/* Disk blocks have their marks where page 0 has them. */
bool pattern_make_disk(const char *path, uint64_t bytes);

#endif /* HERMIT_GUEST_PATTERN_H */
