// SPDX-License-Identifier: GPL-2.0-only
/*
 * The techniques' switches, and the feedback that works them: the scheduler's
 * marks, pauses of eager fetch, the turnaround. The algorithms are in core/,
 * where a simulator runs them as well.
 */
#include <linux/sched/clock.h>

#include "engine/region.h"

/* Turnarounds are smoothed over about so many ticks of the scheduler. */
#define TURNAROUND_SHIFT	3

void hermit_policy_init(struct hermit_region *r, unsigned int threads)
{
	spin_lock_init(&r->tune_lock);
	hermit_sched_init(&r->sched, threads, local_clock());
	hermit_trial_init(&r->eager, &hermit_eager_policy);
	hermit_wait_init(&r->wait);
	r->async_pause = jiffies;
	r->policy = (struct hermit_policy) {
		.size = sizeof(r->policy),
		.eager = 1,
		.async_io = 1,
		.prefetch = HERMIT_PREFETCH_MAX,
		.batch = HERMIT_BATCH,
		.threads = 0,
		.wait = HERMIT_POLICY_WAIT_AUTO,
		.async_pf = HERMIT_POLICY_ASYNC_PF_AUTO,
		.weight = HERMIT_SHARE_WEIGHT,
	};
}

struct policy_field {
	u32 bit;
	u32 offset;
	u32 min, max;
	const char *name;
};

/* @option: what the error message calls it, as in QEMU's properties. */
#define FIELD(b, f, option, lo, hi) \
	{ HERMIT_POLICY_##b, offsetof(struct hermit_policy, f), lo, hi, option }

static const struct policy_field fields[] = {
	FIELD(EAGER, eager, "eager-fetch", 0, 1),
	FIELD(ASYNC_IO, async_io, "async-io", 0, 1),
	FIELD(PREFETCH, prefetch, "prefetch", 0, HERMIT_PREFETCH_MAX),
	FIELD(BATCH, batch, "batch", 1, HERMIT_BATCH),
	FIELD(THREADS, threads, "fixed-threads", 0, HERMIT_MAX_THREADS),
	FIELD(WAIT, wait, "wait", 0, HERMIT_POLICY_WAIT_PARK),
	FIELD(ASYNC_PF, async_pf, "async-pf", 0, HERMIT_POLICY_ASYNC_PF_OFF),
	FIELD(WEIGHT, weight, "reclaim-weight", 1, 10000),
};

static u32 *field_of(struct hermit_policy *p, const struct policy_field *f)
{
	return (void *)p + f->offset;
}

int hermit_policy_set(struct hermit_region *r, struct hermit_policy *p)
{
	const struct policy_field *f;
	u32 max, value;
	int i;

	p->error[0] = 0;
	if (p->set & ~HERMIT_POLICY_ALL) {
		snprintf(p->error, sizeof(p->error),
			 "set %#x: this hermit.ko knows %#x", p->set,
			 HERMIT_POLICY_ALL);
		return -EINVAL;
	}
	/* All or nothing. */
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		f = &fields[i];
		max = f->bit == HERMIT_POLICY_THREADS ? r->nr_reclaimers :
							f->max;
		value = *field_of(p, f);
		if (!(p->set & f->bit) || (value >= f->min && value <= max))
			continue;
		snprintf(p->error, sizeof(p->error),
			 "%s %u: must be from %u to %u", f->name, value,
			 f->min, max);
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		f = &fields[i];
		if (p->set & f->bit)
			WRITE_ONCE(*field_of(&r->policy, f), *field_of(p, f));
		*field_of(p, f) = READ_ONCE(*field_of(&r->policy, f));
	}
	/* More threads, perhaps. */
	hermit_reclaim_kick(r);
	return 0;
}

void hermit_tune(struct hermit_region *r)
{
	struct hermit_sched_counters c = {};
	long limit = READ_ONCE(r->limit);
	u64 conflicts, away, fetched, low, high;
	unsigned int i;

	if (!spin_trylock(&r->tune_lock))
		return;
	c.charged = hermit_stat(r, HERMIT_C_CHARGED);
	c.refaults = hermit_stat(r, HERMIT_C_FETCHES);
	c.early = hermit_stat(r, HERMIT_C_EARLY);
	c.direct = hermit_stat(r, HERMIT_C_ROOM_WAITS);
	for (i = 0; i < r->nr_reclaimers; i++) {
		c.reclaimed += READ_ONCE(r->reclaimers[i].reclaimed);
		c.busy_ns += READ_ONCE(r->reclaimers[i].busy_ns);
	}
	hermit_sched_tune(&r->sched, local_clock(),
			  max(limit - hermit_room(r), 0L), limit, &c);
	/* The threads stop at low, each after the batch it is at. */
	hermit_sched_marks(&r->sched, limit, &low, &high);
	WRITE_ONCE(r->pool.max,
		   max_t(long, HERMIT_POOL_SHARED,
			 limit - low + HERMIT_BATCH * r->nr_reclaimers));

	conflicts = hermit_stat(r, HERMIT_C_CONFLICTS);
	away = hermit_stat(r, HERMIT_C_AWAY);
	fetched = c.refaults - r->tuned_fetches;
	if ((s64)fetched > 0) {
		s64 mean = div64_u64(away - r->tuned_away, fetched);

		hermit_trial_note(&r->eager, &hermit_eager_policy, fetched,
				  max_t(s64, conflicts - r->tuned_conflicts, 0));
		WRITE_ONCE(r->turnaround, r->turnaround +
			   ((mean - (s64)r->turnaround) >> TURNAROUND_SHIFT));
		r->tuned_fetches = c.refaults;
		r->tuned_conflicts = conflicts;
		r->tuned_away = away;
	}
	spin_unlock(&r->tune_lock);
}
