// SPDX-License-Identifier: GPL-2.0-or-later
/* Placement: equal shares, and nothing moves but what has to. */
#include "core/place.h"
#include "check.h"

#define EXTENTS	20000
#define SERVERS	5

static const char *const names[SERVERS] = {
	"tcp:10.0.0.1:7471", "tcp:10.0.0.2:7471", "tcp:10.0.0.3:7471",
	"rdma:10.0.0.1:7471", "tcp:10.0.0.1:7472",
};
static u64 keys[SERVERS];

static u64 offset(u64 extent)
{
	return extent << HERMIT_EXTENT_SHIFT;
}

/* Within 5 % of its share; by the normal approximation 1 % is one deviation of these. */
static void check_share(u64 n, u64 all, u64 parts, const char *what)
{
	CHECK(n * parts > all * 95 / 100 && n * parts < all * 105 / 100,
	      "%s: %llu of %llu, in %llu parts", what, (unsigned long long)n,
	      (unsigned long long)all, (unsigned long long)parts);
}

static void test_shares(void)
{
	u64 first[SERVERS] = {}, second[SERVERS][SERVERS] = {}, e;
	unsigned int all = (1 << SERVERS) - 1;
	int i, j;

	for (e = 0; e < EXTENTS * 5; e++) {
		i = hermit_place(keys, SERVERS, offset(e), all);
		j = hermit_place(keys, SERVERS, offset(e), all & ~(1U << i));
		CHECK(i >= 0 && j >= 0 && i != j, "extent %llu: %d, then %d",
		      (unsigned long long)e, i, j);
		first[i]++;
		second[i][j]++;
	}
	for (i = 0; i < SERVERS; i++) {
		check_share(first[i], EXTENTS * 5, SERVERS, names[i]);
		/* What a server leaves behind is no single one's burden. */
		for (j = 0; j < SERVERS; j++)
			if (i != j)
				check_share(second[i][j], first[i], SERVERS - 1, names[j]);
	}
}

/* Whoever is away: the first of those that are left is the first of all that is left. */
static void test_stable(void)
{
	unsigned int all = (1 << SERVERS) - 1, among, order[SERVERS], rest;
	int i, n, first, expected;
	u64 e;

	for (e = 0; e < 500; e++) {
		for (n = 0, rest = all; rest; rest &= ~(1U << order[n++]))
			order[n] = (unsigned int)hermit_place(keys, SERVERS, offset(e), rest);
		for (among = 0; among <= all; among++) {
			first = hermit_place(keys, SERVERS, offset(e), among);
			for (expected = -1, i = 0; i < SERVERS && expected < 0; i++)
				if (among >> order[i] & 1)
					expected = (int)order[i];
			CHECK(first == expected, "extent %llu among %#x: %d, not %d",
			      (unsigned long long)e, among, first, expected);
		}
	}
}

/* Who is among the first so many is who is named so early, one after the other. */
static void test_has(void)
{
	unsigned int among, rest, first, n;
	int next;
	u64 e;

	for (e = 0; e < 500; e++)
		for (among = 1; among < 1 << SERVERS; among++)
			for (n = 0, rest = among; rest; rest &= ~(1U << next), n++) {
				next = hermit_place(keys, SERVERS, offset(e), rest);
				for (first = 0; first <= SERVERS; first++)
					CHECK(hermit_place_has(keys, among, first,
							       (unsigned int)next,
							       offset(e)) == (n < first),
					      "extent %llu: %d, which is number %u of %#x, among the first %u",
					      (unsigned long long)e, next, n, among, first);
			}
}

/* The first so many are those that are named one after the other. */
static void test_first(void)
{
	unsigned int among, rest, first, n, expected;
	u64 e;

	for (e = 0; e < 500; e++)
		for (among = 0; among < 1 << SERVERS; among++)
			for (n = 0, rest = among, expected = 0; n <= SERVERS; n++) {
				first = hermit_place_first(keys, among, n, offset(e));
				CHECK(first == expected,
				      "extent %llu: the first %u of %#x are %#x, not %#x",
				      (unsigned long long)e, n, among, first, expected);
				if (rest)
					expected |= 1U << hermit_place(keys, SERVERS, offset(e), rest);
				rest = among & ~expected;
			}
}

/* Where a server stands in the list is of no account, nor is what is not in it. */
static void test_by_name(void)
{
	u64 shuffled[SERVERS] = { keys[3], keys[0], keys[4], keys[2], keys[1] };
	int back[SERVERS] = { 3, 0, 4, 2, 1 }, a, b;
	u64 e;

	for (e = 0; e < 2000; e++) {
		a = hermit_place(keys, SERVERS, offset(e), 0x1f);
		b = hermit_place(shuffled, SERVERS, offset(e), 0x1f);
		CHECK(a == back[b], "extent %llu: %d and %d", (unsigned long long)e, a, b);
		a = hermit_place(keys, 2, offset(e), 0xff);
		CHECK(a == 0 || a == 1, "%d of two", a);
	}
	CHECK(hermit_place(keys, SERVERS, 0, 0) == -1, "nobody");
}

static void test_extents(void)
{
	unsigned int i, moved = 0;
	int a, b;

	for (i = 0; i < 1000; i++) {
		a = hermit_place(keys, SERVERS, offset(i), 0x1f);
		b = hermit_place(keys, SERVERS, offset(i) + (1 << HERMIT_EXTENT_SHIFT) - 4096, 0x1f);
		CHECK(a == b, "extent %u is with %d and with %d", i, a, b);
		moved += a != hermit_place(keys, SERVERS, offset(i + 1), 0x1f);
	}
	CHECK(moved > 700 && moved < 900, "%u of 1000 neighbours are apart", moved);
}

int main(void)
{
	int i, j;

	for (i = 0; i < SERVERS; i++) {
		keys[i] = hermit_place_key(names[i]);
		for (j = 0; j < i; j++)
			CHECK(keys[i] != keys[j], "%s and %s are alike", names[i], names[j]);
	}
	test_shares();
	test_stable();
	test_has();
	test_first();
	test_by_name();
	test_extents();
	return check_report("place");
}
