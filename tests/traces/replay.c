// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which policy has how many misses on which trace.
 *
 *	replay --table NAME TRACE... [NAME TRACE...]...	a table of each group
 *	replay --cut TRACE...		a limit that is cut by half
 *	replay --check [TRACE RATIO]...	that this program can be trusted, and that at
 *					50 % of TRACE core/replace has RATIO of LRU's
 *					misses at most, and GATE more
 *
 * In an epoch the order is not known, so each figure is the mean of SEEDS orders.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define SEEDS		3
/* A ratio of fewer misses is chance. */
#define MISSES_MIN	10000

/* Of one order alone, but always the same: what changes it is a change of the code. */
#define GATE		0.03

#define REPLACE(n, w, ...) {							\
	.name = n, .what = w, .begin = replace_begin, .brought = replace_brought, \
	.choose = replace_choose, .end = replace_end,				\
	.rules = &(const struct replace_rules){ __VA_ARGS__ } }

enum { LRU, OPT, FIFO, CLOCK, RULES };
static const struct policy policies[] = {
	[LRU] = { .name = "LRU", .what = "what was accessed longest ago leaves; knows every access", .misses = refs_lru },
	[OPT] = { .name = "OPT", .what = "what is accessed again last leaves; knows the future", .misses = refs_opt },
	[FIFO] = { .name = "FIFO", .what = "what came first leaves", .misses = refs_fifo },
	[CLOCK] = { .name = "clock", .what = "engine/clock.c itself: one bit, in order",
		.begin = today_begin, .brought = today_brought, .choose = today_choose, .end = today_end },
	REPLACE("counter", "a counter to 3 instead of the one bit", .most = 3),
	REPLACE("+ value", "what came back has a value of its own, which its first accessed bit only takes away",
		.most = 3, .new_value = true),
	REPLACE("+ newcomers", "`counter`, and the bit of what came back is taken off before the next batch",
		.most = 3, .newcomers = true),
	REPLACE("+ first", "`+ newcomers`, and that of first touches too", .most = 3, .newcomers = true, .first_too = true),
	REPLACE("+ order", "`+ newcomers`, and the hand goes over blocks in another order", .most = 3, .newcomers = true, .permuted = true),
	REPLACE("replace", "core/replace whole: `+ order`, and what came back soon begins at 1",
		.most = 3, .newcomers = true, .permuted = true, .soon = true),
};
#define POLICIES	(sizeof(policies) / sizeof(policies[0]))
#define WHOLE		(POLICIES - 1)

static const int shares[] = { 20, 30, 50, 70, 90 };
#define SHARES		(sizeof(shares) / sizeof(shares[0]))

static uint32_t share_of(const struct trace *t, int share)
{
	return (uint64_t)t->footprint * share / 100;
}

static double replayed(const char *path, int share, const struct policy *p, struct plan plan,
		       uint64_t seed, struct result *r)
{
	struct trace *t = trace_read(path);

	trace_shuffle(t, seed);
	*r = host_replay(t, p, share_of(t, share), plan);
	trace_free(t);
	return r->misses;
}

static const char *name_of(const char *path)
{
	static char name[64];
	const char *slash = strrchr(path, '/');

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(slash ? slash + 1 : path, "."), slash ? slash + 1 : path);
	return name;
}

/* --table */

struct mean { double log_sum; int n; double most; };

static void mean_add(struct mean *m, double ratio)
{
	m->log_sum += log(ratio);
	m->n++;
	if (ratio > m->most)
		m->most = ratio;
}

static void means_row(const char *what, const struct mean *m, size_t n)
{
	printf("| **%s** |", what);
	for (size_t p = 0; p < n; p++) {
		if (m[p].n && p > OPT)
			printf(" **%.2f** (%.2f) |", exp(m[p].log_sum / m[p].n), m[p].most);
		else if (m[p].n && p == LRU)
			printf(" %d rows |", m[p].n);
		else
			printf(" |");
	}
	printf("\n");
}

/* Columns: the policies, and the clock and the last one with STANDBY. */
#define COLUMNS		(POLICIES + 2)

static double spread;

static void trace_rows(const char *path, struct mean *all)
{
	struct mean own[COLUMNS] = {};
	double misses[SHARES][COLUMNS] = {}, looks[SHARES][2] = {};
	uint32_t footprint = 0;
	double cells[SEEDS];

	for (size_t s = 0; s < SHARES; s++) {
		for (int seed = 0; seed < SEEDS; seed++) {
			struct trace *t = trace_read(path);

			footprint = t->footprint;
			trace_shuffle(t, seed + 1);
			for (size_t p = 0; p < COLUMNS; p++) {
				const struct policy *policy = &policies[p < POLICIES ? p : p == POLICIES ? CLOCK : WHOLE];
				struct result r = host_replay(t, policy, share_of(t, shares[s]),
							      (struct plan){ .standby = p >= POLICIES });

				misses[s][p] += (double)r.misses / SEEDS;
				if (p == CLOCK || p == WHOLE)
					looks[s][p == WHOLE] += (double)r.looks / (r.evictions + !r.evictions) / SEEDS;
				if (p == WHOLE)
					cells[seed] = r.misses;
			}
			trace_free(t);
		}
		if (misses[s][LRU] >= MISSES_MIN)
			for (int seed = 0; seed < SEEDS; seed++)
				spread = fmax(spread, fabs(cells[seed] / misses[s][WHOLE] - 1));
	}
	for (size_t s = 0; s < SHARES; s++) {
		bool many = misses[s][LRU] >= MISSES_MIN;

		printf("| %s, %u pages, %d %% | %.0f |", name_of(path), footprint, shares[s], misses[s][LRU]);
		for (size_t p = OPT; p < COLUMNS; p++) {
			if (many)
				printf(" %.2f |", misses[s][p] / misses[s][LRU]);
			else
				printf(" *%.0f* |", misses[s][p]);
			if (many && misses[s][p]) {
				mean_add(&own[p], misses[s][p] / misses[s][LRU]);
				mean_add(&all[p], misses[s][p] / misses[s][LRU]);
			}
		}
		printf(" %.1f, %.1f |\n", looks[s][0], looks[s][1]);
		if (many) {
			own[LRU].n++;
			all[LRU].n++;
		}
	}
	if (own[LRU].n > 1)
		means_row(name_of(path), own, COLUMNS);
	fflush(stdout);
}

static int table(int argc, char **argv)
{
	struct mean all[COLUMNS] = {};
	const char *group = NULL;

	for (size_t p = 0; p < POLICIES; p++)
		printf("* *%s*: %s\n", policies[p].name, policies[p].what);
	for (int i = 0; i < argc; i++) {
		if (!strchr(argv[i], '.')) {
			if (group)
				means_row(group, all, COLUMNS);
			memset(all, 0, sizeof(all));
			group = argv[i];
			printf("\n%s:\n\n| trace, footprint, limit | LRU |", group);
			for (size_t p = OPT; p < POLICIES; p++)
				printf(" %s |", policies[p].name);
			printf(" clock, STANDBY | replace, STANDBY | looks at a bit per eviction: clock, replace |\n|---|");
			for (size_t p = 0; p < COLUMNS + 1; p++)
				printf("---|");
			printf("\n");
		} else {
			trace_rows(argv[i], all);
		}
	}
	if (group)
		means_row(group, all, COLUMNS);
	printf("\nOf the %d orders none of *replace* is more than %.0f %% from their mean, where it is a ratio.\n",
	       SEEDS, 100 * spread);
	return 0;
}

/* --cut: from 70 % to 35 % in the middle. */

static int cut(int argc, char **argv)
{
	static const int columns[] = { CLOCK, WHOLE };

	printf("| trace | misses after the middle, 35 %% from the start: clock, replace | cut at once: more than that | steered: more |\n|---|---|---|---|\n");
	for (int i = 0; i < argc; i++) {
		double figures[3][2] = {};

		for (int seed = 1; seed <= SEEDS; seed++) {
			struct trace *t = trace_read(argv[i]);
			struct plan plan = { .cut = t->epochs / 2, .to = share_of(t, 35) };

			trace_shuffle(t, seed);
			for (int c = 0; c < 2; c++) {
				plan.steered = false;
				figures[0][c] += (double)host_replay(t, &policies[columns[c]], plan.to, plan).after / SEEDS;
				figures[1][c] += (double)host_replay(t, &policies[columns[c]], share_of(t, 70), plan).after / SEEDS;
				plan.steered = true;
				figures[2][c] += (double)host_replay(t, &policies[columns[c]], share_of(t, 70), plan).after / SEEDS;
			}
			trace_free(t);
		}
		printf("| %s | %.0f, %.0f | %+.0f, %+.0f | %+.0f, %+.0f |\n", name_of(argv[i]), figures[0][0], figures[0][1],
		       figures[1][0] - figures[0][0], figures[1][1] - figures[0][1],
		       figures[2][0] - figures[0][0], figures[2][1] - figures[0][1]);
		fflush(stdout);
	}
	return 0;
}

/* --check */

static unsigned long failed;

#define CHECK(cond, ...) do {					\
	if (!(cond)) {						\
		failed++;					\
		fprintf(stderr, "%s: ", #cond);			\
		fprintf(stderr, __VA_ARGS__);			\
		fputc('\n', stderr);				\
	}							\
} while (0)

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull % n;
}

/* The least misses that there can be, by trying all: pages of @local as bits. */
static uint32_t least(const struct trace *t, uint32_t i, uint32_t local, uint32_t seen, uint32_t limit)
{
	uint32_t bit, best = UINT32_MAX, miss;

	if (i == t->begin[t->epochs])
		return 0;
	bit = 1u << trace_page(t->records[i]);
	if (local & bit)
		return least(t, i + 1, local, seen, limit);
	miss = !!(seen & bit);
	if ((uint32_t)__builtin_popcount(local) < limit)
		return miss + least(t, i + 1, local | bit, seen | bit, limit);
	for (uint32_t left = local; left; left &= left - 1) {
		uint32_t got = least(t, i + 1, (local & ~(left & -left)) | bit, seen | bit, limit);

		if (got < best)
			best = got;
	}
	return miss + best;
}

static void check_references(void)
{
	for (int i = 0; i < 300; i++) {
		struct trace *t = trace_new(6, 1000);
		uint32_t limit = 1 + random_below(4), none;

		for (int k = 0; k < 13; k++)
			trace_add(t, random_below(6), false);
		trace_epoch(t);
		none = least(t, 0, 0, 0, limit);
		CHECK(refs_opt(t, limit) == none, "trace %d, %u pages: OPT has %lu misses, the least are %u", i, limit,
		      (unsigned long)refs_opt(t, limit), none);
		CHECK(refs_lru(t, limit) >= none && refs_fifo(t, limit) >= none, "trace %d: less than the least", i);
		trace_free(t);
	}
}

/* A loop over @n pages, @rounds times. */
static struct trace *loop(uint32_t n, uint32_t rounds)
{
	struct trace *t = trace_new(n, 1000000);

	for (uint32_t i = 0; i < n * rounds; i++) {
		trace_add(t, i % n, i % 3 == 0);
		if (i % 200 == 199)
			trace_epoch(t);
	}
	trace_epoch(t);
	t->footprint = n;
	return t;
}

static void check_policies(void)
{
	const uint32_t n = 10500, rounds = 30;
	struct trace *t = loop(n, rounds);
	uint64_t most = (uint64_t)n * (rounds - 1), opt = refs_opt(t, 10000 - HOST_FREE);

	CHECK(refs_lru(t, 10000) == most && refs_fifo(t, 10000) == most, "LRU misses each access of a loop");
	CHECK(refs_lru(t, n) == 0 && refs_opt(t, n) == 0, "there is room for all");
	for (size_t p = CLOCK; p < POLICIES; p++) {
		struct result r = host_replay(t, &policies[p], n + HOST_FREE, (struct plan){});

		CHECK(!r.misses && r.cold == n && !r.evictions, "%s: %lu misses with room for all", policies[p].name,
		      (unsigned long)r.misses);
		r = host_replay(t, &policies[p], 10000, (struct plan){});
		CHECK(r.misses >= opt && r.misses <= most, "%s: %lu misses, of OPT's %lu to %lu", policies[p].name,
		      (unsigned long)r.misses, (unsigned long)opt, (unsigned long)most);
		CHECK(r.writes < r.evictions && r.writes > r.evictions / 4, "%s: %lu of %lu evicted were written, of a third that is",
		      policies[p].name, (unsigned long)r.writes, (unsigned long)r.evictions);
		/* Which of these can be told from the clock, on this one? */
		if (p == WHOLE)
			CHECK(r.misses <= 8 * opt, "loop of 1.05: %lu misses, OPT %lu", (unsigned long)r.misses, (unsigned long)opt);
		if (p == CLOCK)
			CHECK(r.misses >= most * 9 / 10, "the clock has a loop in order, and %lu misses", (unsigned long)r.misses);
	}
	printf("loop of 1.05: LRU %lu misses, OPT %lu, clock %lu, replace %lu\n", (unsigned long)most, (unsigned long)opt,
	       (unsigned long)host_replay(t, &policies[CLOCK], 10000, (struct plan){}).misses,
	       (unsigned long)host_replay(t, &policies[WHOLE], 10000, (struct plan){}).misses);
	trace_free(t);
}

static int check(int argc, char **argv)
{
	check_references();
	check_policies();
	for (int i = 0; i + 1 < argc; i += 2) {
		struct result lru, opt, clock, whole, standby;
		double ratio = atof(argv[i + 1]);

		replayed(argv[i], 50, &policies[LRU], (struct plan){}, 1, &lru);
		replayed(argv[i], 50, &policies[OPT], (struct plan){}, 1, &opt);
		replayed(argv[i], 50, &policies[CLOCK], (struct plan){}, 1, &clock);
		replayed(argv[i], 50, &policies[WHOLE], (struct plan){}, 1, &whole);
		replayed(argv[i], 50, &policies[WHOLE], (struct plan){ .standby = true }, 1, &standby);
		printf("%s at 50 %%: LRU %lu misses, OPT %lu, clock %lu, replace %lu\n", name_of(argv[i]), (unsigned long)lru.misses,
		       (unsigned long)opt.misses, (unsigned long)clock.misses, (unsigned long)whole.misses);
		CHECK(opt.misses < lru.misses && opt.misses < whole.misses, "%s: OPT is no bound", argv[i]);
		CHECK(whole.misses <= lru.misses * (ratio + GATE), "%s: core/replace had %.2f of LRU's misses, and has %.2f; if that is meant, measure docs/bench/replace.md anew",
		      argv[i], ratio, (double)whole.misses / lru.misses);
		CHECK(standby.rescued, "%s: STANDBY rescues nothing", argv[i]);
	}
	printf("replay: %lu failed\n", failed);
	return failed != 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--table"))
		return table(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "--cut"))
		return cut(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "--check"))
		return check(argc - 2, argv + 2);
	fprintf(stderr, "replay --table NAME TRACE..., --cut TRACE... or --check TRACE...; traces are tests/traces/*.xz\n");
	return 2;
}
