/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_PREFETCH_H
#define HERMIT_CORE_PREFETCH_H
/*
 * What to fetch along with a demand page, from the faults of one vCPU: the
 * stride that more than half of the last faults kept (a majority vote, as in
 * Leap), so that a few stray faults do not hide a stream and random ones make
 * none. Keep one per vCPU: streams of two do not vote well together.
 *
 * The number of pages follows what became of the earlier ones: the caller
 * maps them with the accessed bit clear, looks at it when the clock comes by,
 * and says how many were touched. While that pays the window doubles; while it
 * does not it halves, to nothing in the end; then one small try is made now
 * and then.
 */
#include "env.h"

#define HERMIT_PREFETCH_HISTORY	16
#define HERMIT_PREFETCH_MAX	32	/* pages with one fault */

struct hermit_prefetch {
	u64 last;		/* page of the fault before */
	s64 stride;		/* what was asked for with it: so many pages */
	u32 asked;		/*   this far apart */
	u32 window;
	u32 silent, next_silent; /* trends left to pass over; and the next time */
	u32 hits, judged;	/* of this round */
	u32 head, filled;	/* of the history, a ring */
	s64 history[HERMIT_PREFETCH_HISTORY];
};

void hermit_prefetch_init(struct hermit_prefetch *p);

/*
 * A demand fault on @page of @npages. Returns how many pages to fetch beside
 * it: page + *@stride, page + 2 x *@stride, ..., all of the region.
 */
unsigned int hermit_prefetch_fault(struct hermit_prefetch *p, u64 page,
				   u64 npages, s64 *stride);

/* Of pages prefetched, @hits were touched, @misses evicted or aged untouched. */
void hermit_prefetch_judge(struct hermit_prefetch *p, u32 hits, u32 misses);

#endif /* HERMIT_CORE_PREFETCH_H */
