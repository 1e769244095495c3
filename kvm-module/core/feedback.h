/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_FEEDBACK_H
#define HERMIT_CORE_FEEDBACK_H
/*
 * Feedback for what the fault path does on a bet.
 *
 * Trials: eager fetch bets that nobody else fetches the same page, and
 * asynchronous I/O that the charge after the post will not fail. A lost bet is
 * work for nothing. If too many of a window are lost, the technique pauses;
 * then it is tried again, and pauses twice as long each time that fails.
 *
 * Waiting: a fault that waits for the server spins if the answer usually comes
 * sooner than parking and waking would cost, and parks otherwise.
 *
 * All of it tolerates lost updates (statistics on the fault path take no
 * lock): keep one per CPU or per server, or add batches that were counted per
 * CPU.
 */
#include "env.h"

struct hermit_trial_policy {
	u32 window;		/* tries that are judged together */
	u32 lost_max;		/* of them; more, and it pauses */
	u32 pause;		/* tries to do without at first */
	u32 pause_max;
};

/*
 * Eager fetch. 1 % of 4,096: at Hermit's usual rate of 0.07 % three are lost
 * (sigma 1.7), so 41 are no accident. A pause of 16 windows: a load that always
 * conflicts pays for 1/17 of it at first and for 1/257 in the end.
 */
extern const struct hermit_trial_policy hermit_eager_policy;

struct hermit_trial {
	u32 tries, lost;	/* of this window, or of this pause */
	u32 paused;		/* length of the pause; 0: on */
	u32 next_pause;
	u64 switches;		/* how often it was paused */
};

void hermit_trial_init(struct hermit_trial *t,
		       const struct hermit_trial_policy *p);

static inline bool hermit_trial_on(const struct hermit_trial *t)
{
	return !READ_ONCE(t->paused);
}

/* @tries more were made, with or without the technique; @lost of them lost. */
void hermit_trial_note(struct hermit_trial *t,
		       const struct hermit_trial_policy *p, u32 tries,
		       u32 lost);

/* Never spin longer, whatever was measured: it is under kvm->srcu. */
#define HERMIT_SPIN_MAX_NS	50000

struct hermit_latency {
	u64 done_ns, deviation_ns;	/* of completions, since their post */
	u64 park_ns;			/* from a completion to its waiter running */
	bool spin;
};

void hermit_latency_init(struct hermit_latency *w);
/* An answer came @ns after its request was posted. */
void hermit_latency_answer(struct hermit_latency *w, u64 ns);
/* A waiter that had parked ran again @ns after its answer had come. */
void hermit_latency_parked(struct hermit_latency *w, u64 ns);
/* How long to spin before parking; 0: park at once. */
u64 hermit_latency_spin(const struct hermit_latency *w);

/*
 * An async page fault costs the guest an exception, two task switches, an
 * interrupt and a few exits: some 10 us. The host does not know whether another
 * task is ready to run; from ten times as much on one in ten is enough.
 */
#define HERMIT_LATENCY_LONG_NS	100000

/* Do answers take so long that a guest should do something else meanwhile? */
bool hermit_latency_long(const struct hermit_latency *w);

#endif /* HERMIT_CORE_FEEDBACK_H */
