/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_MOVER_H
#define HERMIT_MOVER_H
/*
 * The mover sees to it that each page that is away is on as many servers as it can be:
 * it reads those that too few have (holder.h), and has them written to the next ones in
 * the order of their extent. What a server lost, or missed while it was away, comes to
 * it so; or to another one, if it stays away; or away from it, if it is to leave
 * (server.h): a pass that finds no page that needs it says that it is drained. Nothing
 * with one server.
 *
 * To move a page is to fetch it and to evict it again, in one step:
 *
 *	REMOTE ── install ─► LOCAL ── begin ─► EVICTING ── write ─► EVICTING + W ─┐
 *	   ▲	 └───────────── one compare-exchange ─────────────────┘	     │
 *	   └── acknowledged, or refused: as it was ────────────────────────────────┘
 *
 * The page is first read into a page of the mover's own, with nothing in the word, as
 * by pread(). If the word is still the one that the read expected then, the exchange
 * makes it what these three events would. So the word's own rules say what a fault does
 * (rescue: the page is here, sooner than by a fetch), what a discard does, and what the
 * clock does not; and what was read is what the CRC is of. The completion of the write
 * (reclaim.h) adds those that acknowledged it, with a new generation, and nobody else
 * does. A page is moved under sweep_lock, and its write is one of r->writes: no sweep
 * meets it half-way.
 *
 * Demand goes first: a window of HERMIT_MOVE_PAGES each HERMIT_MOVE_MS is the most;
 * while somebody waits for a page it is an eighth of that; nothing while somebody waits
 * for room or memory, or many writes are out; and never more than half of the room that
 * there is. Its reads are none that somebody waits for, so links send them last.
 */
#include <linux/types.h>
#include <linux/workqueue.h>

struct hermit_region;
struct hermit_req;

/* Pages in a window: at most 32 MiB in a second. */
#define HERMIT_MOVE_PAGES	32
#define HERMIT_MOVE_MS		4

struct hermit_mover {
	struct delayed_work work;
	struct hermit_req *reads[HERMIT_MOVE_PAGES];	/* a reference each, or NULL */
	bool passing;
	bool again;			/* a server's state changed since the pass began */
	bool found;			/* something to move, in this pass */
	u8 leaving, needed;		/* servers: when it began, and by pages in it */
	u64 next;			/* page to look at */
	long moved;			/* in all, when it began */
	unsigned long rest;		/* jiffies, after a pass in vain */
	unsigned long resting;		/* until then */
	unsigned long backoff;		/* a write was refused: no reads before */
	bool told;			/* of too few copies, at told_at */
	unsigned long told_at;
};

void hermit_mover_init(struct hermit_region *r);
/* After the link is closed: every request is done. Sleeps. */
void hermit_mover_stop(struct hermit_region *r);
/* A server came or went. Any context. */
void hermit_mover_again(struct hermit_region *r);
/* Ten times a second: is there something to move, or to tell of? Task context. */
void hermit_mover_look(struct hermit_region *r);

#endif /* HERMIT_MOVER_H */
