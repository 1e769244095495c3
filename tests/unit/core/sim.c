// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy core in a simulated host (sim.h), one trace after the other, with
 * what has to come out of each: that it converges, stays within bounds, does
 * not oscillate, and beats every static number of threads on bursts, as in the
 * paper's Figure 13.
 *
 *	sim		all traces, a table, and the verdict as exit status
 *	sim --csv	the burst trace, one line a millisecond
 *	sim --svg FILE	the burst trace and the comparison, drawn
 */
#include "sim.h"
#include "check.h"

#define NPAGES	98304u		/* 384 MiB, ... */
#define LIMIT	65536u		/* ... of which 256 MiB are local */
#define CPUS	16
#define VCPUS	12
#define THREADS	8
#define HOT	40000u
#define STATIC_FREE 2048	/* 8 MiB: where the paper's static threads begin */
#define ULL(x)	((unsigned long long)(x))

#define PHASE(ms, r)							\
	{ .length = (ms) * MS, .rate = (r), .vcpus = VCPUS,		\
	  .hot_pages = HOT, .hot_percent = 60, .pages = NPAGES }

static const struct sim_policy feedback = { .feedback = true, .threads = THREADS };

static struct sim *simulate(const struct sim_phase *phases, unsigned int nr,
			    const struct sim_policy *policy, uint64_t seed)
{
	struct sim_phase copy[16];
	const struct sim_vm_config c = {
		.npages = NPAGES,
		.vcpus = VCPUS,
		.phases = copy,
		.nr_phases = nr,
		.policy = *policy,
		.weight = HERMIT_SHARE_WEIGHT,
	};
	struct sim *s = sim_new(CPUS, 0, seed);

	memcpy(copy, phases, nr * sizeof(*phases));
	if (!copy[0].limit)
		copy[0].limit = LIMIT;
	sim_add_vm(s, &c);
	sim_run(s);
	return s;
}

static void show(const char *name, const struct sim_result *r)
{
	printf("%-12s %8llu faults %6llu early %5llu direct %6llu wakes  stall %8.1f ms = fetch %.1f + direct %.1f + CPU %.1f   reclaim CPU %7.1f ms\n",
	       name, ULL(r->faults), ULL(r->early), ULL(r->direct),
	       ULL(r->wakes), (double)sim_stall(r) / MS,
	       (double)r->stall_fetch / MS, (double)r->stall_direct / MS,
	       (double)r->stall_cpu / MS, (double)r->cpu / MS);
}

/* Over the samples [from, to) of the first VM. */
struct summary {
	double running;		/* mean */
	unsigned int wanted_min, wanted_max, running_max;
	u64 low_min, low_max, used_max, direct, faults;
};

static struct summary summarise(const struct sim *s, unsigned int from,
				unsigned int to)
{
	struct summary m = { .wanted_min = ~0u, .low_min = ~0ULL };
	unsigned int n, i;
	const struct sim_sample *x = sim_samples(s, &n);

	CHECK(from < to && to <= n, "samples %u to %u of %u", from, to, n);
	if (from >= to || to > n)
		return m;
	for (i = from; i < to; i++) {
		m.running += x[i].running;
		m.faults += x[i].faults;
		if (x[i].wanted < m.wanted_min)
			m.wanted_min = x[i].wanted;
		if (x[i].wanted > m.wanted_max)
			m.wanted_max = x[i].wanted;
		if (x[i].running > m.running_max)
			m.running_max = x[i].running;
		if (x[i].low < m.low_min)
			m.low_min = x[i].low;
		if (x[i].low > m.low_max)
			m.low_max = x[i].low;
		if (x[i].used > m.used_max)
			m.used_max = x[i].used;
	}
	m.running /= to - from;
	m.direct = x[to - 1].direct - x[from].direct;
	return m;
}

/* ---- steady load: as many threads as it takes, and no hunting ---- */

static void test_steady(unsigned int rate)
{
	const struct sim_phase phases[] = { PHASE(2000, rate) };
	struct sim *s = simulate(phases, 1, &feedback, 1);
	const struct sim_result *r = sim_vm_result(s, 0);
	struct summary m, early;
	double need;

	show("steady", r);
	m = summarise(s, 1000, 2000);
	early = summarise(s, 1000, 1500);
	/* What one thread reclaims, against what came in. */
	need = (double)m.faults * (double)sim_costs.page / SEC;
	CHECK(m.direct == 0, "%u/s: %llu direct reclaims", rate, ULL(m.direct));
	CHECK(m.used_max < LIMIT, "used %llu", ULL(m.used_max));
	CHECK(m.running > need * 0.95 && m.running < need * 1.3 + 0.2,
	      "%u/s: %.2f threads run where %.2f are needed", rate, m.running, need);
	CHECK(m.wanted_max <= (unsigned int)need + 2,
	      "%u/s: up to %u threads where %.2f are needed", rate, m.wanted_max, need);
	/* A thread that was woken finds work for several batches. */
	CHECK(r->wakes * 2 * SIM_BATCH <= r->reclaimed,
	      "%u/s: woken %llu times for %llu pages", rate, ULL(r->wakes),
	      ULL(r->reclaimed));
	/* The marks have settled: what is left is the step of the probe. */
	CHECK(m.low_max - m.low_min < LIMIT / 32, "%u/s: low between %llu and %llu",
	      rate, ULL(m.low_min), ULL(m.low_max));
	CHECK(early.low_min < m.low_max + LIMIT / 32, "low still falls");
	CHECK(r->early * 8 < r->refaults, "%llu of %llu refaults are early",
	      ULL(r->early), ULL(r->refaults));
	sim_free(s);
}

/* ---- bursts: better than any static number ---- */

static const struct sim_phase bursts[] = {
	PHASE(300, 60000), PHASE(400, 8000), PHASE(60, 120000), PHASE(300, 8000),
	PHASE(60, 220000), PHASE(300, 8000), PHASE(40, 400000), PHASE(300, 8000),
	PHASE(120, 180000), PHASE(300, 8000), PHASE(60, 320000), PHASE(300, 8000),
};

#define NR_BURSTS (sizeof(bursts) / sizeof(bursts[0]))

static void run_static(unsigned int k, uint64_t seed, struct sim_result *r)
{
	const struct sim_policy p = { .threads = k, .threshold = STATIC_FREE };
	struct sim *s = simulate(bursts, NR_BURSTS, &p, seed);

	*r = *sim_vm_result(s, 0);
	sim_free(s);
}

static void test_bursts(uint64_t seed, unsigned int each)
{
	struct sim *s = simulate(bursts, NR_BURSTS, &feedback, seed);
	const struct sim_result *f = sim_vm_result(s, 0);
	struct sim_result r;
	struct summary m;
	char name[16];
	unsigned int k;

	printf("bursts, seed %llu\n", ULL(seed));
	show("feedback", f);
	m = summarise(s, 300, 2200);
	CHECK(m.running_max >= 4 && m.running_max <= THREADS, "%u threads",
	      m.running_max);
	/* Between the bursts it calms down: one thread, now and then. */
	m = summarise(s, 850, 1050);
	CHECK(m.wanted_max <= 1 && m.running < 0.6, "%.2f threads, up to %u, in between",
	      m.running, m.wanted_max);
	for (k = 0; k <= 8; k += each) {
		run_static(k, seed, &r);
		snprintf(name, sizeof(name), "static %u", k);
		show(name, &r);
		CHECK(r.accesses == f->accesses, "another trace: %llu accesses, %llu",
		      ULL(r.accesses), ULL(f->accesses));
		CHECK(sim_stall(f) < sim_stall(&r), "%s stalls for less", name);
		CHECK(f->cpu <= r.cpu, "%s takes less CPU", name);
		/* With too few threads the room for a burst runs out. */
		CHECK(k > 3 || r.direct > 10 * f->direct,
		      "%s: %llu direct reclaims; %llu with feedback", name,
		      ULL(r.direct), ULL(f->direct));
	}
	/* A burst far beyond all before it may find it unprepared, once. */
	CHECK(f->direct <= 2 * VCPUS, "%llu direct reclaims", ULL(f->direct));
	sim_free(s);
}

/*
 * A static number whose threshold was tuned by hand for just this trace may
 * stall a little less, at more CPU; nothing may be better in both.
 */
static void test_tuned(void)
{
	static const u64 thresholds[] = { 256, 512 };
	struct sim *s = simulate(bursts, NR_BURSTS, &feedback, 1);
	const struct sim_result *f = sim_vm_result(s, 0);
	u64 best = ~0ULL;
	unsigned int t, k;

	for (t = 0; t < 2; t++)
		for (k = 5; k <= 6; k++) {
			const struct sim_policy p = {
				.threads = k, .threshold = thresholds[t],
			};
			struct sim *o = simulate(bursts, NR_BURSTS, &p, 1);
			const struct sim_result *r = sim_vm_result(o, 0);

			if (sim_stall(r) < best)
				best = sim_stall(r);
			CHECK(sim_stall(f) < sim_stall(r) || f->cpu < r->cpu,
			      "static %u below %llu free is better in both", k,
			      ULL(thresholds[t]));
			sim_free(o);
		}
	printf("tuned by hand, the best stalls for %.1f ms, feedback for %.1f\n",
	       (double)best / MS, (double)sim_stall(f) / MS);
	CHECK(sim_stall(f) < best + best / 40, "more than 2.5 %% worse");
	sim_free(s);
}

/* ---- the working set moves elsewhere at once ---- */

static void test_phase_change(void)
{
	struct sim_phase phases[] = { PHASE(600, 60000), PHASE(600, 60000),
				      PHASE(600, 60000) };
	struct sim *s;
	struct summary before, after;

	phases[1].hot_base = 50000;
	phases[2].hot_base = 20000;
	s = simulate(phases, 3, &feedback, 1);
	show("phases", sim_vm_result(s, 0));
	before = summarise(s, 400, 600);
	after = summarise(s, 600, 700);
	CHECK(after.faults > before.faults * 3 / 4, "the change was not felt");
	CHECK(after.direct == 0, "%llu direct reclaims after the change",
	      ULL(after.direct));
	after = summarise(s, 1000, 1200);
	CHECK(after.direct == 0, "%llu direct reclaims later", ULL(after.direct));
	CHECK(after.running < before.running * 1.3 + 0.1 &&
	      after.running > before.running * 0.7 - 0.1,
	      "%.2f threads before, %.2f after it settled", before.running,
	      after.running);
	sim_free(s);
}

/* ---- the limit is halved, and given back ---- */

static void test_limit(void)
{
	struct sim_phase phases[] = { PHASE(500, 40000), PHASE(500, 40000),
				      PHASE(500, 40000) };
	struct sim *s;
	const struct sim_sample *x;
	unsigned int n, i, reached = 0;

	phases[1].limit = LIMIT / 2;
	phases[2].limit = LIMIT;
	s = simulate(phases, 3, &feedback, 1);
	show("limit", sim_vm_result(s, 0));
	x = sim_samples(s, &n);
	CHECK(n > 1499, "%u samples", n);
	CHECK(x[499].limit == LIMIT && x[502].limit == LIMIT / 2, "no drop");
	CHECK(x[502].wanted == THREADS, "%u threads right after the drop",
	      x[502].wanted);
	for (i = 502; i < 1000 && !reached; i++) {
		CHECK(x[i].wanted == THREADS || x[i].used < x[i].limit,
		      "%u threads and %llu above the limit", x[i].wanted,
		      ULL(x[i].used - x[i].limit));
		if (x[i].used <= x[i].limit)
			reached = i;
	}
	/* All threads at what contention leaves of them, and half again. */
	n = (unsigned int)(LIMIT / 2 * sim_costs.page / THREADS *
			   (100 + sim_costs.contention * THREADS) / 100 / MS);
	CHECK(reached && reached - 500 <= n + n / 2, "reached after %u ms; %u are needed",
	      reached - 500, n);
	/* The load wants more than the half: steady at the new limit, ... */
	for (i = 700; i < 1000; i++)
		CHECK(x[i].used <= x[i].limit, "%llu above the limit again",
		      ULL(x[i].used - x[i].limit));
	CHECK(x[999].direct == x[700].direct, "%llu direct reclaims once it is reached",
	      ULL(x[999].direct - x[700].direct));
	/* ... and no reclaim at all when there is room again. */
	for (i = 1002; i < 1040; i++)
		CHECK(!x[i].wanted, "%u threads with half of the limit free",
		      x[i].wanted);
	sim_free(s);
}

/* ---- nothing to do ---- */

static void test_idle(void)
{
	const struct sim_phase phases[] = { PHASE(500, 100000), PHASE(2000, 0),
					    PHASE(100, 500) };
	struct sim *s = simulate(phases, 3, &feedback, 1);
	const struct sim_sample *x;
	struct summary m;
	unsigned int n;

	show("idle", sim_vm_result(s, 0));
	x = sim_samples(s, &n);
	m = summarise(s, 520, 2500);
	CHECK(m.running == 0 && m.wanted_max == 0, "%.3f threads in an idle VM",
	      m.running);
	/* Back at work, what it was like before is forgotten. */
	CHECK(n > 2590 && x[2590].limit - x[2590].high == 64, "headroom %llu",
	      ULL(x[2590].limit - x[2590].high));
	sim_free(s);
}

/* ---- a thousand VMs, two weights, a cap for all of them ---- */

#define VMS 1000

static void test_many(unsigned int cap, bool enough)
{
	struct sim_phase phase = {
		.length = 2000 * MS, .rate = 5000, .vcpus = 1,
		.hot_pages = 400, .hot_percent = 60, .pages = 1024,
		.limit = 700,
	};
	const struct sim_phase idle = {
		.length = 2000 * MS, .limit = 700,
	};
	struct sim *s = sim_new(1024, cap, 1);
	u64 sum[2] = { 0 }, direct = 0, least = ~0ULL, most = 0;
	struct sim_vm_config c = {
		.npages = 1024, .vcpus = 1, .nr_phases = 1,
		.policy = { .feedback = true, .threads = 2 },
	};
	unsigned int i;
	double ratio;

	for (i = 0; i < VMS; i++) {
		/* A tenth of them sleeps. */
		c.phases = i % 10 == 9 ? &idle : &phase;
		c.weight = i % 2 ? 200 : 100;
		sim_add_vm(s, &c);
	}
	sim_run(s);
	for (i = 0; i < VMS; i++) {
		const struct sim_result *r = sim_vm_result(s, i);

		if (i % 10 == 9) {
			CHECK(!r->cpu && !r->reclaimed, "an idle VM takes CPU");
			continue;
		}
		sum[i % 2] += r->reclaimed;
		direct += r->direct;
		if (r->reclaimed < least)
			least = r->reclaimed;
		if (r->reclaimed > most)
			most = r->reclaimed;
	}
	printf("1000 VMs, cap %u: at most %u batches at once, %llu to %llu pages reclaimed a VM, weight 100 %llu, weight 200 %llu, %llu direct\n",
	       cap, sim_host_running_max(s), ULL(least), ULL(most), ULL(sum[0]),
	       ULL(sum[1]), ULL(direct));
	CHECK(sim_host_running_max(s) <= cap, "%u batches at once",
	      sim_host_running_max(s));
	CHECK(least > 0, "a VM starves");
	/* A VM of weight 200 (there are 400) against one of 100 (500). */
	ratio = (double)sum[1] / 400 / ((double)sum[0] / 500);
	if (enough) {
		/* Everyone has what it needs; weights do not matter. */
		CHECK(direct * 1000 < (sum[0] + sum[1]) / SIM_BATCH,
		      "%llu direct reclaims", ULL(direct));
		CHECK(ratio > 0.95 && ratio < 1.05,
		      "weight 200 has %.2f times as much, with enough for all", ratio);
		CHECK(least * 2 > most, "%llu and %llu", ULL(least), ULL(most));
	} else {
		CHECK(ratio > 1.6 && ratio < 2.2, "weight 200 has %.2f times as much",
		      ratio);
	}
	sim_free(s);
}

/* ---- drawing ---- */

static void write_csv(void)
{
	struct sim *s = simulate(bursts, NR_BURSTS, &feedback, 1);
	unsigned int n, i;
	const struct sim_sample *x = sim_samples(s, &n);

	printf("ms,faults,wanted,running,used,limit,low,high,direct\n");
	for (i = 0; i < n; i++)
		printf("%u,%llu,%u,%u,%llu,%llu,%llu,%llu,%llu\n", i,
		       ULL(x[i].faults), x[i].wanted, x[i].running,
		       ULL(x[i].used), ULL(x[i].limit), ULL(x[i].low),
		       ULL(x[i].high), ULL(x[i].direct));
	sim_free(s);
}

static int write_svg(const char *path)
{
	struct sim *s = simulate(bursts, NR_BURSTS, &feedback, 1);
	struct sim_result results[10];
	unsigned int k;
	int rc;

	results[0] = *sim_vm_result(s, 0);
	for (k = 0; k <= 8; k++)
		run_static(k, 1, &results[k + 1]);
	rc = sim_draw(path, s, results);
	sim_free(s);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--csv")) {
		write_csv();
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "--svg"))
		return write_svg(argv[2]);
	if (argc > 1) {
		fprintf(stderr, "usage: sim [--csv | --svg FILE]\n");
		return 2;
	}
	test_steady(20000);
	test_steady(60000);
	test_steady(120000);
	test_bursts(1, 1);
	test_bursts(2, 2);
	test_tuned();
	test_phase_change();
	test_limit();
	test_idle();
	test_many(8, true);
	test_many(2, false);
	return check_report("sim");
}
