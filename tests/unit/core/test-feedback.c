// SPDX-License-Identifier: GPL-2.0-or-later
/* Trials that pause and come back; spinning that pays and does not. */
#include "core/feedback.h"
#include "check.h"

#define ULL(x) ((unsigned long long)(x))

/* @n tries in batches, each lost with probability @ppm; while paused none is. */
static u64 feed(struct hermit_trial *t, const struct hermit_trial_policy *p,
		u64 n, u64 ppm, uint64_t *seed)
{
	u64 on = 0, i;

	for (i = 0; i < n; i++) {
		const bool trying = hermit_trial_on(t);

		on += trying;
		hermit_trial_note(t, p, 1, trying &&
				  check_random(seed) % 1000000 < ppm);
	}
	return on;
}

static void test_trial(const struct hermit_trial_policy *p, const char *name)
{
	const u64 limit_ppm = 1000000ULL * p->lost_max / p->window;
	struct hermit_trial t;
	uint64_t seed = 1;
	u64 on, n = 4000000;

	/* A tenth of the limit never pauses it, three times the limit always. */
	hermit_trial_init(&t, p);
	CHECK(hermit_trial_on(&t), "%s begins off", name);
	feed(&t, p, n, limit_ppm / 10, &seed);
	CHECK(!t.switches && hermit_trial_on(&t), "%s: paused %llu times", name,
	      ULL(t.switches));
	feed(&t, p, p->window, 3 * limit_ppm, &seed);
	CHECK(!hermit_trial_on(&t) && t.switches == 1, "%s: not paused", name);

	/* The pause has its length, and what still loses then does not count. */
	hermit_trial_note(&t, p, p->pause / 2, p->pause / 2);
	CHECK(!hermit_trial_on(&t), "%s: half a pause", name);
	hermit_trial_note(&t, p, p->pause, 0);
	CHECK(hermit_trial_on(&t), "%s: never tried again", name);

	/* All lost: nearly always off, but tried again and again. */
	hermit_trial_init(&t, p);
	on = feed(&t, p, n, 1000000, &seed);
	CHECK(t.switches >= 3, "%s: tried %llu times", name, ULL(t.switches));
	CHECK(on < n / 1000, "%s: on for %llu of %llu", name, ULL(on), ULL(n));

	/* When the reason is gone it comes back for good, and is forgiven. */
	on = feed(&t, p, 2 * (u64)p->pause_max + n, 0, &seed);
	CHECK(hermit_trial_on(&t) && on >= n - p->window, "%s: on for %llu", name,
	      ULL(on));
	CHECK(t.next_pause == p->pause, "%s: the pause stays %u", name,
	      t.next_pause);
}

static void test_trial_batches(void)
{
	const struct hermit_trial_policy *p = &hermit_eager_policy;
	struct hermit_trial t;
	unsigned int i;

	/* Counted in batches of 64 it comes to the same. */
	hermit_trial_init(&t, p);
	for (i = 0; i < 1000; i++)
		hermit_trial_note(&t, p, 64, i % 2);
	CHECK(hermit_trial_on(&t) && !t.switches, "0.8 %% paused it");
	for (i = 0; i < 64; i++)
		hermit_trial_note(&t, p, 64, 1);
	CHECK(!hermit_trial_on(&t), "1.6 %% did not pause it");
	/* Nonsense does not wrap. */
	hermit_trial_init(&t, p);
	hermit_trial_note(&t, p, 0, 0);
	hermit_trial_note(&t, p, 0, 1000);
	CHECK(hermit_trial_on(&t), "more lost than tried");
	hermit_trial_note(&t, p, ~0u, ~0u);
	CHECK(!hermit_trial_on(&t), "all lost");
	hermit_trial_note(&t, p, ~0u, ~0u);
	CHECK(hermit_trial_on(&t), "no end of the pause");
}

static void answers(struct hermit_latency *w, unsigned int n, u64 ns, uint64_t *seed)
{
	while (n--)
		hermit_latency_answer(w, ns - ns / 10 +
				 (ns >= 5 ? check_random(seed) % (ns / 5) : 0));
}

static void test_wait(void)
{
	struct hermit_latency w;
	uint64_t seed = 7;
	unsigned int i, flips = 0;
	u64 budget;
	bool spin;

	hermit_latency_init(&w);
	budget = hermit_latency_spin(&w);
	CHECK(budget > 0 && budget <= 10000, "first budget %llu", ULL(budget));

	/* RDMA: 3 us; spin a little longer than that. */
	CHECK(!hermit_latency_long(&w), "long before anything was measured");
	answers(&w, 100, 3000, &seed);
	budget = hermit_latency_spin(&w);
	CHECK(budget >= 3000 && budget < 5000, "budget %llu for 3 us", ULL(budget));
	/* TCP: 60 us; park. */
	answers(&w, 100, 60000, &seed);
	CHECK(hermit_latency_spin(&w) == 0, "spins for 60 us");
	CHECK(!hermit_latency_long(&w), "60 us are no time for another task");
	/* A link across a city: let the guest do something else. */
	answers(&w, 100, 2 * HERMIT_LATENCY_LONG_NS, &seed);
	CHECK(hermit_latency_long(&w), "200 us are not long");
	/* And back. */
	answers(&w, 100, 3000, &seed);
	CHECK(hermit_latency_spin(&w) > 0, "does not spin for 3 us any more");

	/* Where waking is dear, spinning pays longer, but never beyond the cap. */
	answers(&w, 100, 18000, &seed);
	CHECK(hermit_latency_spin(&w) == 0, "spins for 18 us, parking is 5 us");
	for (i = 0; i < 100; i++)
		hermit_latency_parked(&w, 500000);
	answers(&w, 100, 18000, &seed);
	CHECK(hermit_latency_spin(&w) >= 18000, "parks for 18 us, waking is dear");
	answers(&w, 100, 39000, &seed);
	for (i = 0; i < 200; i++)
		hermit_latency_answer(&w, i % 2 ? 2000 : 70000);
	CHECK(hermit_latency_spin(&w) <= HERMIT_SPIN_MAX_NS, "budget %llu",
	      ULL(hermit_latency_spin(&w)));

	/* At the border it does not flap. */
	hermit_latency_init(&w);
	answers(&w, 100, 12000, &seed);
	spin = hermit_latency_spin(&w) > 0;
	for (i = 0; i < 10000; i++) {
		answers(&w, 1, 12000, &seed);
		if ((hermit_latency_spin(&w) > 0) != spin) {
			spin = !spin;
			flips++;
		}
	}
	CHECK(flips <= 1, "%u changes of mind", flips);

	/* A server that was gone for an hour is forgotten soon. */
	hermit_latency_answer(&w, ~0ULL);
	CHECK(hermit_latency_spin(&w) <= HERMIT_SPIN_MAX_NS, "after an hour");
	answers(&w, 200, 3000, &seed);
	CHECK(hermit_latency_spin(&w) > 0, "still parks");
	hermit_latency_parked(&w, ~0ULL);
	hermit_latency_parked(&w, 0);
}

/* Spin until hardly any answer is still to come: mean and two deviations. */
static void test_wait_deviation(void)
{
	struct hermit_latency w;
	unsigned int i;

	hermit_latency_init(&w);
	hermit_latency_answer(&w, 4000);
	CHECK(w.deviation_ns == 1000, "first deviation %llu", ULL(w.deviation_ns));
	for (i = 0; i < 100; i++)
		hermit_latency_answer(&w, 4000);
	CHECK(hermit_latency_spin(&w) >= 4000 && hermit_latency_spin(&w) < 4050,
	      "budget %llu for 4 us sharp", ULL(hermit_latency_spin(&w)));
	for (i = 0; i < 200; i++)
		hermit_latency_answer(&w, i % 2 ? 2000 : 6000);
	CHECK(w.deviation_ns > 1600 && w.deviation_ns < 2400,
	      "deviation %llu of 4 us +- 2 us", ULL(w.deviation_ns));
	CHECK(hermit_latency_spin(&w) > 7000 && hermit_latency_spin(&w) < 9000,
	      "budget %llu for 4 us +- 2 us", ULL(hermit_latency_spin(&w)));
}

/* What parking costs is learnt, but a busy host makes no case for spinning. */
static void test_wait_parked(void)
{
	struct hermit_latency w;
	unsigned int i;

	hermit_latency_init(&w);
	for (i = 0; i < 100; i++)
		hermit_latency_parked(&w, 9000);
	CHECK(w.park_ns > 8900 && w.park_ns <= 9000, "parking %llu, not 9 us",
	      ULL(w.park_ns));
	for (i = 0; i < 100; i++)
		hermit_latency_parked(&w, 500000);
	CHECK(w.park_ns > 19900 && w.park_ns <= 20000,
	      "parking %llu, not the cap", ULL(w.park_ns));
	for (i = 0; i < 100; i++)
		hermit_latency_parked(&w, 1000);
	CHECK(w.park_ns >= 1000 && w.park_ns < 1100, "parking %llu, not 1 us",
	      ULL(w.park_ns));
}

int main(void)
{
	test_trial(&hermit_eager_policy, "eager");
	test_trial_batches();
	test_wait();
	test_wait_deviation();
	test_wait_parked();
	return check_report("feedback");
}
