/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_LIMIT_H
#define HERMIT_LIMIT_H
/*
 * The limit that is kept, r->limit_now: what the operator set (r->limit), or
 * less while memory is short.
 */
#include <linux/types.h>

struct hermit_region;

void hermit_limit_init(struct hermit_region *r, long limit);
/* What the operator says, in pages. Wakes, and does not wait. Task context. */
void hermit_limit_set(struct hermit_region *r, long limit);
/* A reclaim thread was refused memory. Task context. */
void hermit_limit_refused(struct hermit_region *r);
/*
 * Memory is short: keep @pages less than are used now, but never less than the
 * floor, for at least @hold jiffies. Task context, any locks.
 */
void hermit_limit_squeeze(struct hermit_region *r, long pages, unsigned long hold);
/*
 * Ten times a second: more again if nothing was short for a while, less if the
 * VM's cgroup is above its memory.high. Task context.
 */
void hermit_limit_tick(struct hermit_region *r);

struct mem_cgroup;

/* Of a group and those above it, in pages: what may still be charged, at least. */
struct hermit_group {
	long room;		/* below memory.max and memory.high; LONG_MAX: no bound */
	long over_high;		/* above memory.high, or <= 0 */
};

/* group.c. Any context. */
struct hermit_group hermit_group_look(struct mem_cgroup *memcg);

#endif /* HERMIT_LIMIT_H */
