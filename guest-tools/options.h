/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_GUEST_OPTIONS_H
#define HERMIT_GUEST_OPTIONS_H
/* The command line of hermit-guest-load. */
#include <stdbool.h>
#include <stdint.h>

#include "walk.h"

#define MAX_THREADS	256

/* What --break does to a page, so that the tool can be seen to find it. */
enum damage { DAMAGE_NONE, DAMAGE_ZERO, DAMAGE_STALE, DAMAGE_FOREIGN,
	      DAMAGE_TORN, DAMAGE_GARBAGE };

struct options {
	uint64_t pages;
	unsigned int threads, seconds, dio_threads;
	uint64_t ops;			/* of all threads; 0: no bound */
	double write_ratio, theta;
	enum walk_kind access;
	bool verify, fill;
	uint64_t seed;
	enum damage damage;
	const char *port, *dio, *make;
};

extern struct options opt;

/* Exits with a message if there is something wrong, or --help. */
void options_parse(int argc, char **argv);

/* "hermit-guest-load: ..." to stderr, exit status 2. */
void fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#endif /* HERMIT_GUEST_OPTIONS_H */
