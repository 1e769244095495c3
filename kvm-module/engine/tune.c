// SPDX-License-Identifier: GPL-2.0-only
/*
 * The feedback: what was counted sets the scheduler's marks, pauses eager fetch,
 * and gives the turnaround. The algorithms are in core/, where a simulator runs
 * them as well.
 */
#include <linux/sched/clock.h>

#include "engine/pool.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/tune.h"
#include "engine/unmap.h"

/* Turnarounds are smoothed over about so many ticks of the scheduler. */
#define TURNAROUND_SHIFT	3

void hermit_tune(struct hermit_region *r)
{
	struct hermit_sched_counters c = {};
	long limit = READ_ONCE(r->limit_now), used = max(limit - hermit_room(r), 0L);
	u64 now = local_clock();
	u64 conflicts, away, fetches, fetched, back, low, high;
	unsigned int i;

	if (!spin_trylock(&r->tune_lock))
		return;
	/* What follows sums over all CPUs. */
	if (!hermit_sched_due(&r->sched, now, used, limit))
		goto unlock;
	c.charged = hermit_stat(r, HERMIT_C_CHARGED);
	fetches = hermit_stat(r, HERMIT_C_FETCHES);
	/* Each of them would still be mapped if nothing were kept free. */
	back = hermit_stat(r, HERMIT_C_STANDBY_HITS);
	c.refaults = fetches + back;
	c.early = hermit_stat(r, HERMIT_C_EARLY) + back;
	c.direct = hermit_stat(r, HERMIT_C_ROOM_WAITS);
	for (i = 0; i < r->nr_reclaimers; i++) {
		c.reclaimed += READ_ONCE(r->reclaimers[i].reclaimed);
		c.busy_ns += READ_ONCE(r->reclaimers[i].busy_ns);
	}
	hermit_sched_tune(&r->sched, now, used, limit, &c);
	/* The threads stop at low, each after the batch it is at. */
	hermit_sched_marks(&r->sched, limit, &low, &high);
	WRITE_ONCE(r->pool.max,
		   max_t(long, HERMIT_POOL_SHARED,
			 limit - low + HERMIT_BATCH * r->nr_reclaimers));

	conflicts = hermit_stat(r, HERMIT_C_CONFLICTS);
	away = hermit_stat(r, HERMIT_C_AWAY);
	fetched = fetches - r->tuned_fetches;
	if ((s64)fetched > 0) {
		s64 mean = div64_u64(away - r->tuned_away, fetched);

		hermit_trial_note(&r->eager, &hermit_eager_policy, fetched,
				  max_t(s64, conflicts - r->tuned_conflicts, 0));
		WRITE_ONCE(r->turnaround, r->turnaround +
			   ((mean - (s64)r->turnaround) >> TURNAROUND_SHIFT));
		r->tuned_fetches = fetches;
		r->tuned_conflicts = conflicts;
		r->tuned_away = away;
	}
unlock:
	spin_unlock(&r->tune_lock);
}

void hermit_tune_took(struct hermit_region *r, long n)
{
	struct hermit_pcp *pcp;
	bool tune = false;

	hermit_count(r, HERMIT_C_CHARGED, n);
	pcp = get_cpu_ptr(r->pcp);
	pcp->charged += n;
	if (pcp->charged >= HERMIT_SCHED_CHARGES) {
		pcp->charged = 0;
		tune = true;
	}
	put_cpu_ptr(r->pcp);
	/* The scheduler works inside the charge (the paper, section 4.2). */
	if (tune)
		hermit_tune(r);
	hermit_threads_kick(r);
}
