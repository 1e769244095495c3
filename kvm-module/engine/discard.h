/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_DISCARD_H
#define HERMIT_DISCARD_H
/* Pages that are zeros from now on. */
#include <linux/types.h>

struct hermit_region;

/*
 * Discard @nr pages from @start; 0. Sleeps, for evictions and discards of others
 * under way, not for the server.
 */
int hermit_discard(struct hermit_region *r, u64 start, u64 nr);
/* Drop every page; the link is closed, nothing is in flight. Sleeps. */
void hermit_discard_all(struct hermit_region *r);
/* Tell the server that a page's stale copy may go. Any context. */
void hermit_discard_copy(struct hermit_region *r, u64 idx, u64 nr);

#endif /* HERMIT_DISCARD_H */
