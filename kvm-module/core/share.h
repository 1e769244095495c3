/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_SHARE_H
#define HERMIT_CORE_SHARE_H
/*
 * One host's reclaim threads, shared among its VMs by weight. At most so many
 * batches run at once on the host; when more threads want to begin one, the VM
 * that is furthest behind goes first (stride scheduling).
 *
 * Each VM has a pass: what it had, in pages, divided by its weight. A VM that
 * wanted nothing for a while joins at the host's pass, so that it cannot have
 * saved up a claim, but keeps a debt. The host's pass is that of the VM served
 * last. The caller holds one lock around all of this.
 */
#include "env.h"

#define HERMIT_SHARE_WEIGHT	100	/* the usual weight; 1 to 10000 */
#define HERMIT_SHARE_SCALE	65536

struct hermit_share {
	u64 pass;
	u32 weight;
};

static inline bool hermit_share_before(const struct hermit_share *a,
				       const struct hermit_share *b)
{
	return (s64)(a->pass - b->pass) < 0;
}

/* The VM begins to want threads. */
static inline void hermit_share_join(struct hermit_share *s, u64 host_pass)
{
	if ((s64)(s->pass - host_pass) < 0)
		s->pass = host_pass;
}

/* It was served: @pages in one batch, or 1 if none were found. */
static inline void hermit_share_charge(struct hermit_share *s, u32 pages,
				       u64 *host_pass)
{
	if ((s64)(s->pass - *host_pass) > 0)
		*host_pass = s->pass;
	s->pass += div64_u64((u64)(pages ? pages : 1) * HERMIT_SHARE_SCALE,
			     s->weight ? s->weight : 1);
}

#endif /* HERMIT_CORE_SHARE_H */
