/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_POISON_H
#define HERMIT_POISON_H
/*
 * Frames of this host that had a memory error, PageHWPoison(). They leave their
 * page and the region; poison.c says how.
 */
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct hermit_region;
struct page;

#define HERMIT_POISON_PAGES	64

/* Pages whose frame is to go; poison.c's. */
struct hermit_poison {
	spinlock_t lock;		/* _bh; a leaf */
	unsigned int nr;
	struct {
		u64 idx;
		unsigned long since;	/* jiffies */
	} pages[HERMIT_POISON_PAGES];
	struct delayed_work work;
};

void hermit_poison_init(struct hermit_region *r);
/* After `dead` and a grace period. Sleeps. */
void hermit_poison_stop(struct hermit_region *r);
/*
 * The frame of page @idx is bad, or soon will be known to be: have it taken
 * out. Task or softirq. When too many are waiting nothing happens: whoever wants
 * the page says so again.
 */
void hermit_poison_report(struct hermit_region *r, u64 idx);
/* Does the word name a bad frame? Any context. */
bool hermit_poison_seen(u64 word);

#endif /* HERMIT_POISON_H */
