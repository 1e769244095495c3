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
 * Before a charge, after a batch, and ten times a second: less if the VM's cgroup has
 * little left.
 * Task context.
 */
void hermit_limit_look(struct hermit_region *r);
/*
 * Before the VM starts: so many pages its cgroup lacks for the floor, or for all of
 * the limit if that is less, and for what stays free beside it; 0: none. What is
 * lowered below that later makes the VM stand still, with its event. Task context.
 */
long hermit_limit_lacks(struct hermit_region *r);
/* Ten times a second: more again if nothing was short for a while. Task context. */
void hermit_limit_tick(struct hermit_region *r);

struct mem_cgroup;

/*
 * group.c: pages that the group may still be charged, below memory.max and
 * memory.high, its page cache counted as free; below 0 if it is above. LONG_MAX if
 * there is no bound. Looks no closer if it is @enough. Any context.
 */
long hermit_group_room(struct mem_cgroup *memcg, long enough);

#endif /* HERMIT_LIMIT_H */
