// SPDX-License-Identifier: GPL-2.0-or-later
/* The counter, newcomers, the order of blocks, and a limit on its way. */
#include <limits.h>
#include <stdlib.h>

#include "core/replace.h"
#include "check.h"

/* From each value, by each look. */
static void counter(void)
{
	static const struct { u8 from; bool accessed; u8 to; bool leaves; } looks[] = {
		{ 0, false, 0, true }, { 1, false, 0, false }, { 2, false, 1, false }, { 3, false, 2, false },
		{ 0, true, 1, false }, { 1, true, 2, false }, { 2, true, 3, false }, { 3, true, 3, false },
	};
	u8 c;
	int looks_left;

	for (unsigned int i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		c = looks[i].from;
		CHECK(hermit_replace_look(&c, looks[i].accessed) == looks[i].leaves && c == looks[i].to,
		      "from %d, accessed %d: %d", looks[i].from, looks[i].accessed, c);
	}
	/* However hot it was, four looks without an access and it is gone. */
	c = 0;
	for (int i = 0; i < 1000; i++)
		hermit_replace_look(&c, true);
	for (looks_left = 1; !hermit_replace_look(&c, false); looks_left++)
		;
	CHECK(looks_left == HERMIT_REPLACE_MOST + 1, "%d looks", looks_left);
}

static void start(void)
{
	CHECK(!hermit_replace_start(~0ULL, 1000) && !hermit_replace_start(250, 1000) &&
	      hermit_replace_start(249, 1000) == 1 && hermit_replace_start(0, 1000) == 1,
	      "a quarter of 1000 is not 250");
	CHECK(!hermit_replace_start(~0ULL, ~0ULL), "first touch, no limit");
}

static void newcomers(void)
{
	u64 taken[HERMIT_REPLACE_NEWCOMERS];
	struct hermit_newcomers n = {};
	u64 next = 0, expected = 0;
	uint64_t seed = 7;

	CHECK(!hermit_newcomers_take(&n, taken), "of none some are taken");
	/* Past the point where the counts wrap, too. */
	n.added = n.taken = UINT32_MAX - 1000;
	for (int i = 0; i < 2000; i++) {
		unsigned int add = check_random(&seed) % 100, got;

		for (unsigned int k = 0; k < add; k++)
			hermit_newcomers_add(&n, next++);
		if (add > HERMIT_REPLACE_NEWCOMERS)
			expected = next - HERMIT_REPLACE_NEWCOMERS;
		got = hermit_newcomers_take(&n, taken);
		CHECK(got == next - expected, "%u taken of %u", got, add);
		for (unsigned int k = 0; k < got && k < HERMIT_REPLACE_NEWCOMERS; k++)
			CHECK(taken[k] == expected + k, "%u: %llu", k, (unsigned long long)taken[k]);
		expected = next;
	}
}

/*
 * Each block once, the same in the next round; and how many follow their neighbour.
 * An odd one follows an even one no more often than chance has it.
 */
static unsigned int blocks(u64 n)
{
	unsigned int neighbours = 0, alternate = 0;
	u8 *seen = calloc(n, 1);
	u64 last = 0;

	for (u64 i = 0; i < n; i++) {
		u64 b = hermit_replace_block(i, n);

		CHECK(b < n && !seen[b], "turn %llu of %llu: block %llu", (unsigned long long)i,
		      (unsigned long long)n, (unsigned long long)b);
		if (b >= n)
			break;
		CHECK(hermit_replace_block(i + 5 * n, n) == b, "another one in a later round");
		seen[b] = 1;
		neighbours += i && b == last + 1;
		alternate += (b ^ last) & 1;
		last = b;
	}
	CHECK(n < 4096 || alternate < n * 6 / 10, "%u of %llu", alternate, (unsigned long long)n);
	free(seen);
	return neighbours;
}

static void order(void)
{
	static const u64 sizes[] = { 4096, 10000, 65536, 100003, 262145 };

	for (u64 n = 1; n < 300; n++)
		blocks(n);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned int neighbours = blocks(sizes[i]);

		CHECK(neighbours < sizes[i] / 100, "%u of %llu blocks after their neighbour",
		      neighbours, (unsigned long long)sizes[i]);
	}
	/* 2^40 pages of 4 KiB in blocks of 64. */
	for (u64 i = 0; i < 1000; i++)
		CHECK(hermit_replace_block(i, (1ULL << 34) + 1) <= 1ULL << 34, "block beyond the last");
}

/* A cut, with threads that take @rate pages a tick at most. Returns its ticks. */
static int cut(long from, long to, long rate, long gap)
{
	long kept = from, used = from, step = hermit_replace_step(from, to, 10), was;
	int ticks = 0;

	while (used > to && ticks < 100000) {
		was = kept;
		kept = hermit_replace_limit(kept, to, used, step, gap);
		CHECK(kept <= was && kept >= to, "%ld, then %ld", was, kept);
		CHECK(kept >= used - gap || kept == to, "%ld, with %ld used", kept, used);
		CHECK(kept >= was - step || kept >= used - step, "%ld, then %ld: more than a step", was, kept);
		if (used > kept)
			used -= rate < used - kept ? rate : used - kept;
		ticks++;
	}
	return ticks;
}

static void limit(void)
{
	int ticks = cut(100000, 50000, LONG_MAX, 1024);

	CHECK(ticks >= 49 && ticks <= 51, "half a second is %d ticks", ticks);
	/* Slow threads: as long as they take, and little more. */
	ticks = cut(100000, 50000, 100, 256);
	CHECK(ticks >= 500 && ticks <= 510, "%d ticks at 100 pages each", ticks);
	CHECK(cut(10, 9, 1, 64) <= 2, "one page less");
	cut(100000, 0, 1, 1);
	/* What is not used goes at once. */
	CHECK(hermit_replace_limit(100000, 20000, 30000, 500, 256) == 30000 - 256, "%ld",
	      hermit_replace_limit(100000, 20000, 30000, 500, 256));
	CHECK(hermit_replace_limit(100000, 20000, 10000, 500, 256) == 20000, "all of it is unused");
	/* Up at once, and at once down where there is no time. */
	CHECK(hermit_replace_limit(10, 5000, 10, 1, 1) == 5000, "it rises");
	CHECK(hermit_replace_limit(5000, 10, 5000, LONG_MAX, 1) == 10, "it falls at once");
	CHECK(hermit_replace_step(5, 10, 10) == 1 && hermit_replace_step(0, 1000, 10) == 1 &&
	      hermit_replace_step(1000, 0, 1000) == 1000 && hermit_replace_step(151, 100, 10) == 2, "steps");
	/* Far above it, by what was charged meanwhile: no higher than it was. */
	CHECK(hermit_replace_limit(1000, 10, 5000, 5, 100) == 1000, "%ld", hermit_replace_limit(1000, 10, 5000, 5, 100));
}

int main(void)
{
	counter();
	start();
	newcomers();
	order();
	limit();
	return check_report("replace");
}
