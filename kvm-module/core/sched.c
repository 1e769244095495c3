// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many reclaim threads, and how much room to keep free: the theory.
 * sched.h has the picture and what the functions promise.
 *
 * The problem. A fault that finds no free page has to wait for an eviction,
 * hundreds of microseconds; so pages must have left before they are needed. But
 * a page that left too early is fetched again, which costs some ten; and a
 * thread that runs for nothing takes a CPU from the guest.
 *
 * What can be seen. Charges (pages that left the room), reclaimed pages and the
 * time that threads took for them, and for each page that comes back how many
 * evictions passed since its own (its generation numbers them). Not seen: what
 * the guest will do, and which free page would have been touched.
 *
 * What follows.
 *
 *  1. Threads must match the rate of charges, and what one can do depends on
 *     server and CPU: so both rates are measured, and their ratio is the number
 *     of threads that keeps pace. What is kept free above that number
 *     (headroom) is what is charged while a thread wakes up: so many pages a
 *     thread, from the paper.
 *
 *  2. A burst is charges faster than any rate measured before it. Only room
 *     that is free already helps (the gap), and how much pays cannot be derived:
 *     it is probed. If a page comes back after d evictions, and g pages are kept
 *     free, then it would still be here without them if d < g: it left early.
 *     The share of early pages among those that come back is the price of the
 *     gap; it grows while the price is low and shrinks when it is high. A fault
 *     that had to wait for room is the price of too small a gap, and is much
 *     dearer: the gap then grows at once.
 *
 *  3. Distances in evictions, not in time: in a burst everything comes back
 *     sooner, whatever the gap is.
 *
 * What is not done. There is no model of the guest and no history beyond
 * smoothed rates: a load that bursts once an hour finds the gap of a calm one.
 * The first fault of a burst may wait. Which page leaves is not decided here,
 * but by the clock (engine/clock.c).
 */
#include "sched.h"

#define SEC_NS		1000000000ULL
#define MSEC_NS		1000000ULL

/* Pages of headroom for each thread that the charges keep busy (the paper). */
#define ALPHA		128
/* One batch under way and one being filled, however calm it is. */
#define HEADROOM_MIN	64
/* Both marks together never cost more than 3/8 of the limit. */
#define HEADROOM_SHIFT	2
#define GAP_SHIFT	3
/* A running thread goes on so far below low: two batches for each wake-up. */
#define SLACK		64

/* Rates are measured over at least this. */
#define TICK_NS		MSEC_NS
/* A burst must be seen at once; between bursts, the marks wait for the next. */
#define RISE_NS		(2 * MSEC_NS)
#define DECAY_NS	(200 * MSEC_NS)
/* A thread's rate depends on server and CPU, which change slowly. */
#define THREAD_TAU_NS	(20 * MSEC_NS)
/* What a thread does before it was measured: half of the paper's figure. */
#define THREAD_RATE	100000
/* Less work than this says little about a thread's rate. */
#define BUSY_MIN_NS	(MSEC_NS / 10)
#define RATE_MAX	(1ULL << 32)

/* The probe of low: a judgement needs so much time and so many refaults ... */
#define PROBE_NS	(20 * MSEC_NS)
#define PROBE_REFAULTS	64
/* ... or so much time, in which next to nothing came back. */
#define PROBE_LONG_NS	(500 * MSEC_NS)
#define STEP_SHIFT	10		/* limit / 1024 */
#define STEP_MIN	32
/*
 * Of the pages that come back, so many may be early: an early one costs its
 * fault 10 us, a fault without room hundreds.
 */
#define EARLY_FEW_SHIFT		4	/* 1/16: below, the gap grows */
#define EARLY_MANY_SHIFT	3	/* 1/8: above, it shrinks, ... */
#define SHRINK_SHIFT		3	/* ... by 1/8 a period */

static u64 lesser(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 greater(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* Counters are sums over CPUs read without a lock: they may step back a bit. */
static u64 grown(u64 now, u64 before)
{
	return (s64)(now - before) > 0 ? now - before : 0;
}

static u64 per_second(u64 n, u64 ns)
{
	n = lesser(n, 1ULL << 33);	/* so that the product fits */
	return lesser(div64_u64(n * SEC_NS, ns ? ns : 1), RATE_MAX);
}

/* Move @avg towards @sample, which is worth @dt, with time constant @tau. */
static u64 smooth(u64 avg, u64 sample, u64 dt, u64 tau)
{
	if (dt >= 16 * tau)
		return sample;
	if (sample > avg)
		return avg + div64_u64((sample - avg) * dt, dt + tau);
	return avg - div64_u64((avg - sample) * dt, dt + tau);
}

void hermit_sched_init(struct hermit_sched *s, unsigned int max, u64 now_ns)
{
	memset(s, 0, sizeof(*s));
	s->max = max;
	s->headroom = HEADROOM_MIN;
	s->thread_rate = THREAD_RATE;
	s->tuned_ns = now_ns;
	s->probed_ns = now_ns;
}

void hermit_sched_marks(const struct hermit_sched *s, u64 limit, u64 *low,
			u64 *high)
{
	*high = limit - lesser(READ_ONCE(s->headroom), limit >> HEADROOM_SHIFT);
	*low = *high - lesser(READ_ONCE(s->gap), limit >> GAP_SHIFT);
}

unsigned int hermit_sched_wanted(const struct hermit_sched *s, u64 used,
				 u64 limit, bool running)
{
	u64 low, high;

	/* Before any difference: a limit may have moved below what is used. */
	if (used >= limit || !s->max)
		return s->max;
	hermit_sched_marks(s, limit, &low, &high);
	if (running)
		low -= lesser(SLACK, low >> 3);
	if (used < low)
		return 0;
	if (used < high)
		return 1;
	/* high <= used < limit, and max is small: neither can overflow. */
	return 1 + (unsigned int)div64_u64((used - high) * (s->max - 1),
					   limit - high);
}

static void tune_high(struct hermit_sched *s, u64 dt,
		      const struct hermit_sched_counters *c)
{
	const u64 rate = per_second(grown(c->charged, s->tuned.charged),
				    dt);
	const u64 busy = grown(c->busy_ns, s->tuned.busy_ns);
	u64 headroom;

	s->charge_rate = smooth(s->charge_rate, rate, dt,
				rate > s->charge_rate ? RISE_NS : DECAY_NS);
	if (busy >= BUSY_MIN_NS) {
		const u64 one = per_second(grown(c->reclaimed,
						 s->tuned.reclaimed), busy);

		/* Never 0: it is divided by, and one thread does something. */
		s->thread_rate = greater(smooth(s->thread_rate, one, busy,
						THREAD_TAU_NS), 1);
		s->tuned.busy_ns = c->busy_ns;
		s->tuned.reclaimed = c->reclaimed;
	}
	headroom = div64_u64(s->charge_rate * ALPHA, s->thread_rate);
	/* More threads than there are cannot be called for. */
	headroom = lesser(headroom, (u64)ALPHA * s->max);
	WRITE_ONCE(s->headroom, greater(headroom, HEADROOM_MIN));
}

/* Does evicting early hurt? Then less of it; else a little more. */
static void probe_low(struct hermit_sched *s, u64 now_ns, u64 limit,
		      const struct hermit_sched_counters *c)
{
	const u64 refaults = grown(c->refaults, s->probed.refaults);
	const u64 early = grown(c->early, s->probed.early);
	const u64 dt = now_ns - s->probed_ns;
	u64 gap = s->gap;

	if (dt < PROBE_NS || (refaults < PROBE_REFAULTS && dt < PROBE_LONG_NS))
		return;
	if (early > refaults >> EARLY_MANY_SHIFT)
		gap -= gap >> SHRINK_SHIFT;
	/* Pages that are not free yet do no harm: first come down to low. */
	else if (early <= refaults >> EARLY_FEW_SHIFT && s->reached &&
		 grown(c->reclaimed, s->probed.reclaimed))
		gap += greater(limit >> STEP_SHIFT, STEP_MIN);
	WRITE_ONCE(s->gap, lesser(gap, limit >> GAP_SHIFT));
	s->probed = *c;
	s->probed_ns = now_ns;
	s->reached = false;
}

bool hermit_sched_due(struct hermit_sched *s, u64 now_ns, u64 used, u64 limit)
{
	u64 low, high;

	hermit_sched_marks(s, limit, &low, &high);
	if (used <= low)
		s->reached = true;
	/* Clocks of two CPUs may differ by a little. */
	return now_ns >= s->tuned_ns && now_ns - s->tuned_ns >= TICK_NS;
}

void hermit_sched_tune(struct hermit_sched *s, u64 now_ns, u64 used, u64 limit,
		       const struct hermit_sched_counters *c)
{
	u64 dt;

	if (!hermit_sched_due(s, now_ns, used, limit))
		return;
	dt = now_ns - s->tuned_ns;
	tune_high(s, dt, c);
	if (grown(c->direct, s->tuned.direct))
		WRITE_ONCE(s->gap, lesser(2 * s->gap + ALPHA,
					  limit >> GAP_SHIFT));
	s->tuned.charged = c->charged;
	s->tuned.direct = c->direct;
	s->tuned_ns = now_ns;
	probe_low(s, now_ns, limit, c);
}

unsigned int hermit_sched_update(struct hermit_sched *s, u64 now_ns, u64 used,
				 u64 limit, bool running,
				 const struct hermit_sched_counters *c)
{
	hermit_sched_tune(s, now_ns, used, limit, c);
	return hermit_sched_wanted(s, used, limit, running);
}
