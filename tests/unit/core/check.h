/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_CHECK_H
#define HERMIT_TEST_CHECK_H
/*
 * What the unit tests of core/ share: a check that goes on after a failure,
 * so that one run shows all that is wrong, and a summary for main() to return.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long check_done, check_failed;

#define CHECK(cond, ...) do {						\
	check_done++;							\
	if (!(cond)) {							\
		if (check_failed++ < 40) {				\
			fprintf(stderr, "%s:%d: %s: ", __FILE__,	\
				__LINE__, #cond);			\
			fprintf(stderr, __VA_ARGS__);			\
			fputc('\n', stderr);				\
		}							\
	}								\
} while (0)

static inline int check_report(const char *name)
{
	printf("%s: %lu checks, %lu failed\n", name, check_done, check_failed);
	return check_failed || !check_done ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* xorshift64*: small, seeded, the same everywhere. */
static inline uint64_t check_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

#endif /* HERMIT_TEST_CHECK_H */
