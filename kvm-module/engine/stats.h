/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_STATS_H
#define HERMIT_STATS_H
/*
 * Counters that the fault and reclaim paths bump: per CPU, summed on reading.
 * Any context.
 */
#include <linux/percpu.h>

#include "engine/region.h"

enum hermit_counter {
	HERMIT_C_FAULTS_GUEST,
	HERMIT_C_FAULTS_HOST,
	HERMIT_C_FIRST_TOUCH,
	HERMIT_C_FETCHES,
	HERMIT_C_EARLY,			/* of them: see core/sched.h */
	HERMIT_C_AWAY,			/* evictions since theirs, summed */
	HERMIT_C_CHARGED,		/* pages that left the room */
	HERMIT_C_STANDBY_HITS,		/* came back without a fetch: see standby.h */
	HERMIT_C_PREFETCHES,
	HERMIT_C_PREFETCH_HITS,
	HERMIT_C_PREFETCH_MISSES,
	HERMIT_C_CONFLICTS,
	HERMIT_C_READ_ERRORS,
	HERMIT_C_MISMATCHES,		/* see copy.h */
	HERMIT_C_SEAL_REFUSED,		/* of them */
	HERMIT_C_EVICTED_CLEAN,
	HERMIT_C_EVICTED_DIRTY,
	HERMIT_C_EVICTED_ZERO,
	HERMIT_C_RESCUED,
	HERMIT_C_PINNED,
	HERMIT_C_KEPT,
	HERMIT_C_WRITE_ERRORS,
	HERMIT_C_MOVED,			/* see mover.h */
	HERMIT_C_DISCARDED,
	HERMIT_C_POISONED,
	HERMIT_C_ZAP_BATCHES,
	HERMIT_C_ZAPPED,
	HERMIT_C_SCANNED,
	HERMIT_C_UNAGED,
	HERMIT_C_ROOM_WAITS,
	HERMIT_C_TURN_WAITS,
	HERMIT_C_PARKED,
	HERMIT_C_SPUN,
	HERMIT_C_ASYNC,
	HERMIT_C_WAIT_KERNEL,
	HERMIT_C_WAIT_MMAP_LONG,
	HERMIT_C_STALL_NS,
	/* pages by state, as sums of +1 and -1 on any CPU */
	HERMIT_C_LOCAL,
	HERMIT_C_REMOTE,
	HERMIT_C_LOST,
	HERMIT_C_SHORT,			/* of the remote ones: see holder.h */
	HERMIT_C_INFLIGHT,
	HERMIT_C_HOSTMAPPED,
	HERMIT_NR_COUNTERS
};

struct hermit_cpu_stats {
	long counter[HERMIT_NR_COUNTERS];
	u64 hist[HERMIT_HIST_BUCKETS];
};

static inline void hermit_count(struct hermit_region *r, enum hermit_counter c,
				long n)
{
	this_cpu_add(r->stats->counter[c], n);
}

/* The sum over all CPUs; other CPUs may be at it. */
long hermit_stat(struct hermit_region *r, enum hermit_counter c);

#endif /* HERMIT_STATS_H */
