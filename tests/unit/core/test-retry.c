// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long to wait between tries: whatever the time that a server is away, it is
 * found soon after, and not asked often. The time is the test's own.
 */
#include "core/retry.h"
#include "check.h"

struct outcome {
	u64 late;		/* ms after it was back */
	unsigned int tries;	/* in vain */
	unsigned int longest;	/* wait */
};

/* Of a wait at least half, at random: link/remote.c. Without @seed all of it. */
static u64 jitter(unsigned int wait, uint64_t *seed)
{
	return seed ? wait - check_random(seed) % (wait / 2 + 1) : wait;
}

static struct outcome server_away_for(u64 ms, uint64_t *seed)
{
	struct outcome o = { 0 };
	unsigned int wait = 0;
	u64 at = 0;

	while (at < ms) {
		o.tries++;
		wait = hermit_retry_next(wait, at);
		if (wait > o.longest)
			o.longest = wait;
		at += jitter(wait, seed);
	}
	o.late = at - ms;
	return o;
}

static void check_outcome(u64 ms, uint64_t *seed)
{
	struct outcome o = server_away_for(ms, seed);

	CHECK(o.late <= ms / 4 || o.late <= HERMIT_RETRY_MIN_MS,
	      "away for %llu ms, found %llu ms later", (unsigned long long)ms,
	      (unsigned long long)o.late);
	CHECK(o.late <= HERMIT_RETRY_MAX_MS && o.longest <= HERMIT_RETRY_MAX_MS,
	      "away for %llu ms: a wait of %u", (unsigned long long)ms, o.longest);
	/* With jitter, twice as many at most. */
	CHECK(o.tries <= (seed ? 2 : 1) * (24 + ms / HERMIT_RETRY_MAX_MS),
	      "away for %llu ms, asked %u times", (unsigned long long)ms, o.tries);
}

/* Who is slow for another reason than time stays so. */
static void test_slow(void)
{
	unsigned int last;

	for (last = 0; last <= HERMIT_RETRY_MAX_MS; last++) {
		unsigned int next = hermit_retry_next(last, 0);

		CHECK(next >= last && next >= HERMIT_RETRY_MIN_MS,
		      "after %u: %u", last, next);
		CHECK(hermit_retry_next(last, ~0ULL) <= HERMIT_RETRY_MAX_MS,
		      "after %u: more than the most", last);
	}
}

int main(void)
{
	uint64_t seed = 1;
	u64 ms;

	for (ms = 0; ms < 20000; ms += 7) {
		check_outcome(ms, NULL);
		check_outcome(ms, &seed);
	}
	for (ms = 20000; ms < 4000000; ms += ms / 3)
		check_outcome(ms, NULL);
	test_slow();
	return check_report("retry");
}
