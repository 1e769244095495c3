// SPDX-License-Identifier: GPL-2.0-or-later
/* The reclaim scheduler: its curve, its marks, limits that move, odd input. */
#include "core/sched.h"
#include "core/share.h"
#include "check.h"

#define MS 1000000ULL
#define LIMIT 65536ULL
#define ULL(x) ((unsigned long long)(x))

/* A VM and its load. */
struct load {
	struct hermit_sched s;
	struct hermit_sched_counters c;
	u64 now;
};

static void start(struct load *l, unsigned int max)
{
	memset(l, 0, sizeof(*l));
	l->now = 5 * 1000 * MS;
	hermit_sched_init(&l->s, max, l->now);
}

/*
 * @ms of it: @charge pages/s come in, one thread reclaims @one pages/s, and so
 * many of a hundred pages that come back are early. Usage is down at low.
 */
static void run(struct load *l, u64 ms, u64 limit, u64 charge, u64 one,
		u64 early)
{
	u64 low, high, i;

	for (i = 0; i < ms; i++) {
		l->now += MS;
		l->c.charged += charge / 1000;
		l->c.reclaimed += charge / 1000;
		l->c.busy_ns += one ? charge * MS / one : 0;
		l->c.refaults += charge / 1000;
		l->c.early += charge / 1000 * early / 100;
		hermit_sched_marks(&l->s, limit, &low, &high);
		hermit_sched_tune(&l->s, l->now, low, limit, &l->c);
	}
}

static void test_curve(void)
{
	struct load l;
	u64 low, high, used;
	unsigned int n, last = 0;

	start(&l, 8);
	run(&l, 100, LIMIT, 800000, 200000, 0);
	hermit_sched_marks(&l.s, LIMIT, &low, &high);
	CHECK(low < high && high < LIMIT, "marks %llu %llu", ULL(low), ULL(high));
	/* 4 threads' worth of charges: 512 pages, by the paper's formula. */
	CHECK(LIMIT - high >= 480 && LIMIT - high <= 520, "headroom %llu",
	      ULL(LIMIT - high));
	for (used = 0; used < LIMIT + 1000; used++) {
		n = hermit_sched_wanted(&l.s, used, LIMIT, false);
		CHECK(n >= last && n <= last + 1 + 8 * (used == LIMIT),
		      "%u threads at %llu, %u before", n, ULL(used), last);
		CHECK(used >= low || n == 0, "%u threads below low", n);
		CHECK(used < low || used >= high || n == 1, "%u between", n);
		CHECK(used < LIMIT || n == 8, "%u at the limit", n);
		last = n;
		/* A thread that runs goes on for a little, and never less. */
		CHECK(hermit_sched_wanted(&l.s, used, LIMIT, true) >= n,
		      "fewer because some run");
	}
	CHECK(hermit_sched_wanted(&l.s, low - 1, LIMIT, true) == 1, "slack");
	CHECK(hermit_sched_wanted(&l.s, low - 65, LIMIT, true) == 0, "no end");
}

static void test_moving_limit(void)
{
	struct load l;
	u64 limit;

	start(&l, 6);
	run(&l, 50, LIMIT, 100000, 200000, 0);
	CHECK(hermit_sched_wanted(&l.s, 40000, LIMIT, false) == 0, "far below");
	/* Hermit's own code takes this for a lot of free memory. */
	for (limit = 0; limit <= 40000; limit++)
		CHECK(hermit_sched_wanted(&l.s, 40000, limit, false) == 6,
		      "limit %llu, below what is used: not all threads", ULL(limit));
	CHECK(hermit_sched_wanted(&l.s, 40000, 40001, false) >= 1, "just above");
	CHECK(hermit_sched_wanted(&l.s, 40000, 1 << 20, false) == 0, "raised");
	CHECK(hermit_sched_wanted(&l.s, 0, 0, false) == 6, "no room at all");
	for (limit = 1; limit < 600; limit++) {
		u64 low, high;

		hermit_sched_marks(&l.s, limit, &low, &high);
		CHECK(low <= high && high <= limit && low * 8 >= limit * 5,
		      "limit %llu: marks %llu %llu", ULL(limit), ULL(low), ULL(high));
	}
}

static void test_thread_counts(void)
{
	struct load l;
	unsigned int max;

	for (max = 0; max <= 64; max++) {
		start(&l, max);
		run(&l, 20, LIMIT, 500000, 100000, 0);
		CHECK(hermit_sched_wanted(&l.s, LIMIT, LIMIT, false) == max, "max");
		CHECK(hermit_sched_wanted(&l.s, LIMIT - 1, LIMIT, false) <= max,
		      "more than %u", max);
		CHECK(hermit_sched_wanted(&l.s, 0, LIMIT, false) == 0, "idle");
	}
}

/* The rate of charges rises at once and calms down again. */
static void test_rates(void)
{
	struct load l;
	u64 high0, high, low, rate;

	start(&l, 8);
	run(&l, 1000, LIMIT, 10000, 200000, 0);
	hermit_sched_marks(&l.s, LIMIT, &low, &high0);
	run(&l, 5, LIMIT, 1000000, 200000, 0);
	hermit_sched_marks(&l.s, LIMIT, &low, &high);
	CHECK(LIMIT - high > 300, "5 ms into a burst the headroom is %llu",
	      ULL(LIMIT - high));
	run(&l, 100, LIMIT, 1000000, 200000, 0);
	rate = l.s.charge_rate;
	CHECK(rate > 990000 && rate <= 1000000, "rate %llu", ULL(rate));
	CHECK(l.s.thread_rate > 195000 && l.s.thread_rate < 205000,
	      "thread rate %llu", ULL(l.s.thread_rate));
	run(&l, 2000, LIMIT, 10000, 200000, 0);
	hermit_sched_marks(&l.s, LIMIT, &low, &high);
	CHECK(high == high0, "2 s after the burst high is %llu, not %llu",
	      ULL(high), ULL(high0));
	/* One call after a long sleep forgets at once. */
	run(&l, 100, LIMIT, 1000000, 200000, 0);
	l.now += 60000 * MS;
	hermit_sched_tune(&l.s, l.now, LIMIT - 1, LIMIT, &l.c);
	CHECK(l.s.charge_rate < 100, "rate %llu after a minute",
	      ULL(l.s.charge_rate));
	/* Sums over CPUs, read while they change, may step back. */
	run(&l, 100, LIMIT, 10000, 200000, 0);
	l.now += MS;
	l.c.charged -= 3;
	l.c.reclaimed -= 3;
	l.c.busy_ns -= 50000;
	hermit_sched_tune(&l.s, l.now, LIMIT - 1, LIMIT, &l.c);
	CHECK(l.s.charge_rate <= 10000, "rate %llu after a step back",
	      ULL(l.s.charge_rate));
	CHECK(l.s.thread_rate > 195000 && l.s.thread_rate < 205000,
	      "thread rate %llu after a step back", ULL(l.s.thread_rate));
}

/* A thread that gets slower, or stands still, calls for more of them. */
static void test_slow_server(void)
{
	struct load l;
	u64 low, fast, slow;

	start(&l, 8);
	run(&l, 300, LIMIT, 200000, 200000, 0);
	hermit_sched_marks(&l.s, LIMIT, &low, &fast);
	run(&l, 300, LIMIT, 200000, 40000, 0);
	hermit_sched_marks(&l.s, LIMIT, &low, &slow);
	CHECK(LIMIT - slow > 4 * (LIMIT - fast), "headroom %llu, then %llu",
	      ULL(LIMIT - fast), ULL(LIMIT - slow));
	l.c.busy_ns += 1000000 * MS;
	l.now += 10 * MS;
	l.c.charged += 1000;
	hermit_sched_tune(&l.s, l.now, LIMIT - 1, LIMIT, &l.c);
	CHECK(l.s.thread_rate >= 1, "divided by 0 next time");
	hermit_sched_marks(&l.s, LIMIT, &low, &slow);
	CHECK(LIMIT - slow == 8 * 128, "headroom %llu of threads that stand still",
	      ULL(LIMIT - slow));
}

static void test_probe(void)
{
	struct load l;
	u64 gap, i;

	start(&l, 4);
	CHECK(l.s.gap == 0, "low does not start at high");
	/* Nothing comes back early: down it goes, to an eighth of the limit. */
	for (i = 0, gap = 0; i < 20; i++) {
		run(&l, 50, LIMIT, 50000, 200000, 2);
		CHECK(l.s.gap > gap, "gap %llu after %llu", ULL(l.s.gap), ULL(gap));
		gap = l.s.gap;
	}
	run(&l, 10000, LIMIT, 50000, 200000, 2);
	CHECK(l.s.gap == LIMIT / 8, "gap %llu", ULL(l.s.gap));
	/* Between few and many it stays. */
	run(&l, 1000, LIMIT, 50000, 200000, 10);
	CHECK(l.s.gap == LIMIT / 8, "gap %llu", ULL(l.s.gap));
	/* Too many: it shrinks at once, and the faster the larger it is. */
	run(&l, 25, LIMIT, 50000, 200000, 20);
	CHECK(l.s.gap < LIMIT / 8, "gap %llu does not shrink", ULL(l.s.gap));
	run(&l, 200, LIMIT, 50000, 200000, 20);
	CHECK(l.s.gap < LIMIT / 16, "gap %llu", ULL(l.s.gap));
	run(&l, 2000, LIMIT, 50000, 200000, 20);
	CHECK(l.s.gap < LIMIT / 1024, "gap %llu", ULL(l.s.gap));
	run(&l, 1000, LIMIT, 50000, 200000, 2);
	CHECK(l.s.gap > LIMIT / 64, "gap %llu, and nothing is early any more",
	      ULL(l.s.gap));
	/* Who has nothing to do learns nothing, but for the period before. */
	gap = l.s.gap;
	run(&l, 5000, LIMIT, 0, 200000, 0);
	CHECK(l.s.gap <= gap + LIMIT / 1024, "gap %llu after idling", ULL(l.s.gap));
	/* Nor who never comes down to low: it does not grow behind his back. */
	gap = l.s.gap;
	for (i = 0; i < 1000; i++) {
		l.now += MS;
		l.c.charged += 800;
		l.c.reclaimed += 800;
		l.c.busy_ns += 4 * MS;
		l.c.refaults += 800;
		hermit_sched_tune(&l.s, l.now, LIMIT - 10, LIMIT, &l.c);
	}
	CHECK(l.s.gap <= gap + LIMIT / 1024, "gap %llu, and usage is above high",
	      ULL(l.s.gap));
}

static void test_direct(void)
{
	struct load l;
	u64 i;

	start(&l, 4);
	for (i = 0; i < 12; i++) {
		const u64 gap = l.s.gap;

		l.now += 2 * MS;
		l.c.direct++;
		hermit_sched_tune(&l.s, l.now, LIMIT - 1, LIMIT, &l.c);
		CHECK(l.s.gap > gap || gap == LIMIT / 8,
		      "a direct reclaim leaves the gap at %llu", ULL(gap));
	}
	CHECK(l.s.gap == LIMIT / 8, "gap %llu", ULL(l.s.gap));
}

/* Within a millisecond, and when the clock steps back, nothing is learnt. */
static void test_tick(void)
{
	struct load l;
	struct hermit_sched before;

	start(&l, 4);
	run(&l, 50, LIMIT, 100000, 200000, 0);
	before = l.s;
	l.c.charged += 5000;
	l.c.direct++;
	hermit_sched_tune(&l.s, l.now + MS - 1, LIMIT - 1, LIMIT, &l.c);
	CHECK(!memcmp(&l.s, &before, sizeof(before)), "learnt within the tick");
	hermit_sched_tune(&l.s, l.now - 10 * MS, LIMIT - 1, LIMIT, &l.c);
	CHECK(!memcmp(&l.s, &before, sizeof(before)), "learnt from the past");
	hermit_sched_tune(&l.s, l.now + MS, LIMIT - 1, LIMIT, &l.c);
	CHECK(l.s.tuned_ns == l.now + MS && l.s.charge_rate > before.charge_rate &&
	      l.s.gap > before.gap, "a tick, and nothing learnt");
}

/* Whatever is fed: bounds hold and nothing overflows (UBSan sees the rest). */
static void test_nonsense(uint64_t seed)
{
	struct hermit_sched s;
	struct hermit_sched_counters c = { 0 };
	u64 now = check_random(&seed), limit, used, low, high;
	unsigned int max = (unsigned int)(check_random(&seed) % 65), n, i;

	hermit_sched_init(&s, max, now);
	for (i = 0; i < 2000; i++) {
		const unsigned int shift = (unsigned int)(check_random(&seed) % 64);
		u64 *field = (u64 *)&c + check_random(&seed) % (sizeof(c) / 8);

		now += (check_random(&seed) >> shift) - (check_random(&seed) % 3 ? 0 : MS);
		*field += check_random(&seed) >> (check_random(&seed) % 64);
		limit = check_random(&seed) >> (8 + check_random(&seed) % 56);
		used = check_random(&seed) >> (8 + check_random(&seed) % 56);
		n = hermit_sched_update(&s, now, used, limit,
					check_random(&seed) & 1, &c);
		hermit_sched_marks(&s, limit, &low, &high);
		CHECK(n <= max, "%u threads of %u", n, max);
		CHECK(used < limit || n == max, "%u at or above the limit", n);
		CHECK(low <= high && high <= limit, "marks %llu %llu of %llu",
		      ULL(low), ULL(high), ULL(limit));
		CHECK(s.thread_rate, "no rate");
	}
}

static void test_share(void)
{
	static const u32 weights[] = { 100, 100, 200, 50, 400 };
	struct hermit_share vm[5] = { { 0 } };
	u64 got[5] = { 0 }, host = 0, total = 0, sum = 850;
	unsigned int i, round;

	for (i = 0; i < 5; i++)
		vm[i].weight = weights[i];
	for (round = 0; round < 100000; round++) {
		struct hermit_share *first = NULL;

		for (i = 0; i < 5; i++) {
			/* The last one sleeps through the first half. */
			if (i == 4 && round < 50000)
				continue;
			if (i == 4 && round == 50000) {
				memset(got, 0, sizeof(got));
				total = 0;
				hermit_share_join(&vm[i], host);
			}
			if (!first || hermit_share_before(&vm[i], first))
				first = &vm[i];
		}
		got[first - vm] += 32;
		total += 32;
		hermit_share_charge(first, 32, &host);
	}
	for (i = 0; i < 5; i++) {
		const u64 fair = total * weights[i] / sum;

		CHECK(got[i] > fair - fair / 50 && got[i] < fair + fair / 50,
		      "VM %u of weight %u got %llu, fair is %llu", i, weights[i],
		      ULL(got[i]), ULL(fair));
	}
	/* The host's pass is that of who was served, never less than before. */
	host = 1000;
	vm[0].pass = 1001;
	hermit_share_charge(&vm[0], 1, &host);
	CHECK(host == 1001, "the host's pass is %llu", ULL(host));
	vm[0].pass = 900;
	hermit_share_charge(&vm[0], 0, &host);
	CHECK(host == 1001, "the host's pass went to %llu", ULL(host));
	CHECK(vm[0].pass == 900 + HERMIT_SHARE_SCALE / 100, "nothing found is free");
	/* Passes wrap round. */
	vm[0].pass = ~0ULL - 5;
	vm[1].pass = 5;
	CHECK(hermit_share_before(&vm[0], &vm[1]), "wrapped");
	CHECK(!hermit_share_before(&vm[1], &vm[0]), "wrapped");
}

int main(void)
{
	uint64_t seed;

	test_curve();
	test_moving_limit();
	test_thread_counts();
	test_rates();
	test_slow_server();
	test_probe();
	test_direct();
	test_tick();
	test_share();
	for (seed = 1; seed <= 100; seed++)
		test_nonsense(seed);
	return check_report("sched");
}
