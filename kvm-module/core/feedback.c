// SPDX-License-Identifier: GPL-2.0-only
#include "feedback.h"

const struct hermit_trial_policy hermit_eager_policy = {
	.window = 4096,
	.lost_max = 40,
	.pause = 65536,
	.pause_max = 1 << 20,
};

void hermit_trial_init(struct hermit_trial *t,
		       const struct hermit_trial_policy *p)
{
	memset(t, 0, sizeof(*t));
	t->next_pause = p->pause;
}

void hermit_trial_note(struct hermit_trial *t,
		       const struct hermit_trial_policy *p, u32 tries,
		       u32 lost)
{
	const u32 paused = READ_ONCE(t->paused);
	u32 sum;

	/* Batches are small; a nonsensical one must not wrap the sums. */
	if (tries > 1U << 30)
		tries = 1U << 30;
	if (lost > tries)
		lost = tries;
	sum = t->tries + tries;

	if (paused) {
		/* What was under way when the pause began still loses. */
		if (sum >= paused) {
			WRITE_ONCE(t->paused, 0);
			sum = 0;
		}
		t->tries = sum;
		t->lost = 0;
		return;
	}
	t->tries = sum;
	t->lost += lost;
	if (t->lost > p->lost_max) {
		/* No need to see the rest of the window. */
		WRITE_ONCE(t->paused, t->next_pause);
		t->next_pause = t->next_pause < p->pause_max / 2 ?
				2 * t->next_pause : p->pause_max;
		t->switches++;
	} else if (t->tries >= p->window) {
		/* A good window: forgiven. */
		t->next_pause = p->pause;
	} else {
		return;
	}
	t->tries = 0;
	t->lost = 0;
}

/* Before anything was measured: a context switch out and in, and an interrupt. */
#define PARK_GUESS_NS	5000
/* A scheduler that is busy with others makes no case for spinning. */
#define PARK_MAX_NS	20000
/* A stalled server is not a time to average in. */
#define DONE_MAX_NS	1000000000ULL

static u64 towards(u64 avg, u64 sample, unsigned int shift)
{
	if (sample >= avg)
		return avg + ((sample - avg) >> shift);
	return avg - ((avg - sample) >> shift);
}

void hermit_latency_init(struct hermit_latency *w)
{
	memset(w, 0, sizeof(*w));
	w->park_ns = PARK_GUESS_NS;
	w->spin = true;
}

void hermit_latency_answer(struct hermit_latency *w, u64 ns)
{
	u64 avg = READ_ONCE(w->done_ns), off;
	bool spin = w->spin;

	if (ns > DONE_MAX_NS)
		ns = DONE_MAX_NS;
	if (!avg) {
		avg = ns;
		off = ns / 4;
	} else {
		/* As TCP smooths its round trips: 1/8, deviation 1/4. */
		off = ns > avg ? ns - avg : avg - ns;
		off = towards(READ_ONCE(w->deviation_ns), off, 2);
		avg = towards(avg, ns, 3);
	}
	WRITE_ONCE(w->done_ns, avg);
	WRITE_ONCE(w->deviation_ns, off);
	/*
	 * The guest waits as long as parking costs beyond the answer: worth
	 * twice as much of the host's CPU. A band against flapping.
	 */
	if (avg <= 2 * w->park_ns)
		spin = true;
	else if (avg > 3 * w->park_ns)
		spin = false;
	if (spin != w->spin)
		WRITE_ONCE(w->spin, spin);
}

void hermit_latency_parked(struct hermit_latency *w, u64 ns)
{
	if (ns > PARK_MAX_NS)
		ns = PARK_MAX_NS;
	WRITE_ONCE(w->park_ns, towards(READ_ONCE(w->park_ns), ns, 3));
}

u64 hermit_latency_spin(const struct hermit_latency *w)
{
	u64 ns;

	if (!READ_ONCE(w->spin))
		return 0;
	/* Until hardly any answer is still to come. */
	ns = READ_ONCE(w->done_ns) + 2 * READ_ONCE(w->deviation_ns);
	if (!ns)
		ns = PARK_GUESS_NS;
	return ns < HERMIT_SPIN_MAX_NS ? ns : HERMIT_SPIN_MAX_NS;
}

bool hermit_latency_long(const struct hermit_latency *w)
{
	return READ_ONCE(w->done_ns) >= HERMIT_LATENCY_LONG_NS;
}
