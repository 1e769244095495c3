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

/* group.c: pages by which a group of @memcg, or one above it, is over memory.high. */
struct mem_cgroup;
long hermit_group_over_high(struct mem_cgroup *memcg);

#endif /* HERMIT_LIMIT_H */
