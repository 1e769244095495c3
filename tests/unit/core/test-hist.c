// SPDX-License-Identifier: GPL-2.0-or-later
/* Histograms by powers of two: buckets, and percentiles against sorted samples. */
#include "core/hist.h"
#include "check.h"

#define BUCKETS 40
#define SAMPLES 5000

static void test_buckets(void)
{
	unsigned int i;

	CHECK(hermit_hist_bucket(0, BUCKETS) == 0, "0");
	CHECK(hermit_hist_bucket(~0ULL, BUCKETS) == BUCKETS - 1, "the largest");
	CHECK(hermit_hist_bucket(~0ULL, 64) == 63, "the largest of 64");
	for (i = 0; i < BUCKETS; i++) {
		CHECK(hermit_hist_bucket(1ULL << i, BUCKETS) == i, "2^%u", i);
		CHECK(hermit_hist_bucket((2ULL << i) - 1, BUCKETS) == i,
		      "2^%u - 1", i + 1);
	}
	CHECK(hermit_hist_bucket(1ULL << BUCKETS, BUCKETS) == BUCKETS - 1,
	      "just too large");
}

static int by_value(const void *a, const void *b)
{
	const u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Of any samples: in the bucket of the exact one, and growing with the share. */
static void test_random(uint64_t seed)
{
	static u64 samples[SAMPLES];
	static const unsigned int parts[] = { 0, 1, 1000, 25000, 50000, 90000,
					      99000, 99900, 99999, 100000 };
	const unsigned int shift = (unsigned int)(check_random(&seed) % 60);
	u64 hist[BUCKETS] = { 0 }, got, last = 0;
	unsigned int n = 1 + (unsigned int)(check_random(&seed) % SAMPLES), i;

	for (i = 0; i < n; i++) {
		samples[i] = check_random(&seed) >> shift >> (check_random(&seed) % 4);
		hist[hermit_hist_bucket(samples[i], BUCKETS)]++;
	}
	qsort(samples, n, sizeof(*samples), by_value);
	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		u64 rank = ((u64)n * parts[i] + HERMIT_HIST_ONE - 1) / HERMIT_HIST_ONE;
		u64 exact = samples[rank ? rank - 1 : 0];

		got = hermit_hist_percentile(hist, BUCKETS, parts[i]);
		CHECK(hermit_hist_bucket(got, BUCKETS) ==
		      hermit_hist_bucket(exact, BUCKETS),
		      "part %u of %u samples: %llu, exactly %llu", parts[i], n,
		      (unsigned long long)got, (unsigned long long)exact);
		CHECK(got >= last, "part %u: %llu after %llu", parts[i],
		      (unsigned long long)got, (unsigned long long)last);
		last = got;
	}
}

static void test_edges(void)
{
	u64 hist[64] = { 0 };

	CHECK(hermit_hist_percentile(hist, 64, 50000) == 0, "no samples");
	hist[0] = 10;
	CHECK(hermit_hist_percentile(hist, 64, 50000) <= 1, "all in bucket 0");
	CHECK(hermit_hist_percentile(hist, 64, 200000) <= 2, "more than all");
	hist[63] = 10;
	CHECK(hermit_hist_percentile(hist, 64, 100000) >= 1ULL << 63, "the top");
	/* Counts for which rank and product go beyond 64 bits. */
	hist[0] = 0;
	hist[10] = 1ULL << 61;
	hist[11] = 1ULL << 61;
	hist[63] = 0;
	CHECK(hermit_hist_percentile(hist, 64, 25000) >= 1400 &&
	      hermit_hist_percentile(hist, 64, 25000) <= 1600, "%llu",
	      (unsigned long long)hermit_hist_percentile(hist, 64, 25000));
	CHECK(hermit_hist_percentile(hist, 64, 75000) >= 2900 &&
	      hermit_hist_percentile(hist, 64, 75000) <= 3200, "%llu",
	      (unsigned long long)hermit_hist_percentile(hist, 64, 75000));
}

int main(void)
{
	uint64_t seed;

	test_buckets();
	test_edges();
	for (seed = 1; seed <= 200; seed++)
		test_random(seed);
	return check_report("hist");
}
