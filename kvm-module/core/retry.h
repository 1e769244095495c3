/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_RETRY_H
#define HERMIT_CORE_RETRY_H
/*
 * How long to wait before the next try to reach a server that is away.
 *
 * Whoever doubles his wait is late by as much as the server was away: one that
 * needed 0.8 s to restart was seen again after 1.6. So the wait doubles, but is a
 * quarter of the time since the server left at most: who comes back is found after
 * a quarter more than it took, at most, or MIN.
 *
 *	away, ms	0   50  100 ... 200  250  312 ... 1000 ... 4000  5000  6000
 *	tries		|   |   |       |    |    |       |        |     |     |
 *
 * That is some fourteen tries in the first second, twenty in the first four, and
 * then one a second.
 */
#include "env.h"

#define HERMIT_RETRY_MIN_MS	50U
#define HERMIT_RETRY_MAX_MS	1000U

/*
 * The next wait in ms: after one of @last (0: there was none), when the server has
 * been away for @away ms. Never shorter than @last, so who has been told to be slow
 * stays so.
 */
static inline unsigned int hermit_retry_next(unsigned int last, u64 away)
{
	u64 next = away / 4;

	if (next > 2ULL * last)
		next = 2ULL * last;
	if (next < HERMIT_RETRY_MIN_MS)
		next = HERMIT_RETRY_MIN_MS;
	if (next < last)
		next = last;
	return next < HERMIT_RETRY_MAX_MS ? (unsigned int)next :
					    HERMIT_RETRY_MAX_MS;
}

#endif /* HERMIT_CORE_RETRY_H */
