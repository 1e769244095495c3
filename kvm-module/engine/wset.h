/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_WSET_H
#define HERMIT_WSET_H
/*
 * The working set: a histogram of how long ago pages were accessed, from a
 * sample of the accessed bits. A work item's; readers may see two passes mixed.
 */
#include <linux/workqueue.h>

#include "uapi/hermit.h"

struct hermit_wset_page;
struct hermit_region;

/* wset.c's; the work alone changes it */
struct hermit_wset {
	struct delayed_work work;
	struct hermit_wset_page *pages;	/* 64 for each block */
	u64 blocks, stride;		/* of the sample; in blocks */
	u64 next;			/* in the pass under way */
	u64 period_ns, busy_ns;
	bool blind;			/* in the pass under way: no telling */
	bool seen;			/* a pass is over */
	u32 hist[HERMIT_IDLE_BUCKETS];	/* of the pass under way */
	u32 shown[HERMIT_IDLE_BUCKETS];	/* of the last one */
};

/* 0 or -ENOMEM. Sleeps. */
int hermit_wset_start(struct hermit_region *r);
/* Sleeps; after start or not. */
void hermit_wset_stop(struct hermit_region *r);
/* Fill in what @st says of it, by its sums of local and remote pages. */
void hermit_wset_fill(struct hermit_region *r, struct hermit_stats *st);

#endif /* HERMIT_WSET_H */
