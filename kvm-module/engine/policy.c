// SPDX-License-Identifier: GPL-2.0-only
/* The techniques' switches, and what they say of one fault. */
#include <linux/jiffies.h>
#include <linux/sched/clock.h>

#include "engine/policy.h"
#include "engine/region.h"
#include "engine/threads.h"
#include "engine/unmap.h"

void hermit_policy_init(struct hermit_region *r, unsigned int threads)
{
	spin_lock_init(&r->tune_lock);
	hermit_sched_init(&r->sched, threads, local_clock());
	hermit_trial_init(&r->eager, &hermit_eager_policy);
	hermit_latency_init(&r->latency);
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
	hermit_threads_kick(r);
	return 0;
}

u64 hermit_policy_spin(struct hermit_region *r)
{
	switch (READ_ONCE(r->policy.wait)) {
	case HERMIT_POLICY_WAIT_SPIN:
		return HERMIT_SPIN_MAX_NS;
	case HERMIT_POLICY_WAIT_PARK:
		return 0;
	default:
		return hermit_latency_spin(&r->latency);
	}
}

bool hermit_policy_long(struct hermit_region *r)
{
	if (time_before(jiffies, READ_ONCE(r->async_pause)))
		return false;
	switch (READ_ONCE(r->policy.async_pf)) {
	case HERMIT_POLICY_ASYNC_PF_ON:
		return true;
	case HERMIT_POLICY_ASYNC_PF_OFF:
		return false;
	default:
		return hermit_latency_long(&r->latency);
	}
}
