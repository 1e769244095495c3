/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_SCHED_H
#define HERMIT_CORE_SCHED_H
/*
 * The reclaim scheduler of one VM (the paper, section 4.2): how many reclaim
 * threads should run, given how much of the limit is used.
 *
 *	threads
 *	max ┤				     ┌──  at the limit and above
 *	    │				  ┌──┘
 *	    │			       ┌──┘	  proportional
 *	  1 ┤		┌──────────────┘
 *	  0 ┼───────────┴──────────────┬────┬──►  used
 *			low	     high  limit
 *
 * Both marks are kept as distances from the limit, so that a limit that moves
 * takes them along at once, in whichever direction:
 *
 *  high = limit - headroom; headroom = 128 x intensity, where intensity is the
 *	number of threads that match the rate of charges: that rate divided by
 *	what one thread reclaims. Both are measured and smoothed; the rate of
 *	charges rises within milliseconds and decays within tenths of a second.
 *
 *  low = high - gap. The gap is room for a burst, paid for with pages that
 *	leave early. It starts at 0 and grows step by step while evicted pages
 *	stay away for long enough, shrinks when too many come back early, and
 *	grows fast when a fault had to reclaim by itself.
 *
 * How long a page stays away, its turnaround, is counted in evictions and not
 * in time: time runs faster in a burst, when everything comes back sooner
 * whatever the gap is. A page that comes back after fewer evictions than pages
 * are now kept free would still be there if none were: it left early, and its
 * fault is what the gap costs. (The generations in REMOTE words number the
 * evictions.)
 *
 * Nothing here takes a lock or reads a clock. hermit_sched_tune() changes the
 * state and must not run twice at once (callers trylock and skip it);
 * hermit_sched_wanted() may run at any time, also beside it.
 */
#include "env.h"

/* Ask once in so many charges. */
#define HERMIT_SCHED_CHARGES	128

/* What the VM counted since its creation; never going down. Time in ns. */
struct hermit_sched_counters {
	u64 charged;		/* pages, for whatever: usage went up by them */
	u64 reclaimed;		/* pages that the threads gave back */
	u64 busy_ns;		/* that they took for it, summed over threads */
	u64 refaults;		/* fetches of pages that had been evicted */
	u64 early;		/* of them: after fewer evictions than limit - used */
	u64 direct;		/* reclaims that a fault had to do by itself */
};

struct hermit_sched {
	unsigned int max;	/* threads */
	u64 headroom, gap;	/* pages */
	u64 charge_rate;	/* pages per second */
	u64 thread_rate;	/* the same for one reclaim thread */
	u64 tuned_ns, probed_ns; /* when that was done last */
	bool reached;		/* usage was down at low since probed_ns */
	struct hermit_sched_counters tuned, probed;	/* as they were then */
};

void hermit_sched_init(struct hermit_sched *s, unsigned int max, u64 now_ns);

/* The marks for @limit, in pages. */
void hermit_sched_marks(const struct hermit_sched *s, u64 limit, u64 *low,
			u64 *high);

/*
 * How many threads should run: 0 to max. @running: whether any runs now; it
 * goes on a little below low, lest it be woken for each batch.
 */
unsigned int hermit_sched_wanted(const struct hermit_sched *s, u64 used,
				 u64 limit, bool running);

/*
 * Is there anything to learn? Not within a millisecond of the last time; then
 * nothing need be counted. Serialised with hermit_sched_tune().
 */
bool hermit_sched_due(struct hermit_sched *s, u64 now_ns, u64 used, u64 limit);

/* Learn from what was counted; nothing if it is not due. */
void hermit_sched_tune(struct hermit_sched *s, u64 now_ns, u64 used, u64 limit,
		       const struct hermit_sched_counters *c);

/* Both, for a caller that has them serialised. */
unsigned int hermit_sched_update(struct hermit_sched *s, u64 now_ns, u64 used,
				 u64 limit, bool running,
				 const struct hermit_sched_counters *c);

#endif /* HERMIT_CORE_SCHED_H */
