/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_WAIT_H
#define HERMIT_WAIT_H
/* What a fault that found no page waits for, and since when somebody waits. */
#include <linux/types.h>

#include "core/pageword.h"
#include "engine/request.h"

struct hermit_region;

/*
 * No sleep on a word or for room is longer: a lost wake-up costs this. In a wait for
 * a read, how long the link may be down before it counts as memory pressure no more.
 */
#define HERMIT_NAP	(HZ / 10)
/* Before the next try, where nothing tells when. */
#define HERMIT_BACKOFF	msecs_to_jiffies(10)

enum hermit_wait_kind {
	HERMIT_WAIT_NONE,
	HERMIT_WAIT_REQ,		/* a read */
	HERMIT_WAIT_WORD,		/* the word of the page to change */
	HERMIT_WAIT_ROOM,		/* the limit */
	HERMIT_WAIT_MEMORY,		/* a page in the pool: the host has none */
	HERMIT_WAIT_BACKOFF,		/* 10 ms: nothing tells when to try again */
};

/* The clocks of two CPUs differ a little: never below 0. */
static inline u64 hermit_ns(u64 from, u64 to)
{
	return to > from ? to - from : 0;
}

struct hermit_waiter {
	struct hermit_region *region;	/* a reference, while set */
	enum hermit_wait_kind kind;
	u64 idx;
	u64 word;
	/* ns, local_clock(): this fault's first wait; what hermit_waiter_sleep() took */
	u64 since, began, ended;
	bool posted;			/* prepare posted a read */
	struct hermit_req *req;		/* a reference */
};

/*
 * Sleep as @state until the wait is over or @timeout jiffies: 0, -EINTR, -ETIME.
 * Sets w->began and w->ended. Of a fault, which has w->since, it counts as a stall
 * for memory (PSI) while the link is up.
 */
int hermit_waiter_sleep(struct hermit_waiter *w, unsigned int state, long timeout);
/* Give up what @w holds: its request, and the region. */
void hermit_waiter_drop(struct hermit_waiter *w);
/* Somebody begins, or ends, to wait; @served: for the better. Any context. */
void hermit_waiters_enter(struct hermit_region *r);
void hermit_waiters_leave(struct hermit_region *r, bool served);
/* Does anybody wait, or did so in vain a moment ago and will again? Any context. */
bool hermit_waiters_any(struct hermit_region *r);

/*
 * Of HERMIT_WAIT_WORD: is @word what it waits for? That its host PTEs went is on
 * the owner's way there, and no news.
 */
static inline bool hermit_waiter_moved(const struct hermit_waiter *w, u64 word)
{
	return (word ^ w->word) & ~(HERMIT_W_HOSTMAPPED | HERMIT_W_HOSTUSED);
}

static inline void hermit_waiter_forget(struct hermit_waiter *w)
{
	if (w->req)
		hermit_req_put(w->req);
	w->req = NULL;
}

/* What to wait for without a page, because of @why: see hermit_page_get(). */
static inline enum hermit_wait_kind hermit_wait_for(long why)
{
	return why == -ENOSPC ? HERMIT_WAIT_ROOM :
	       why == -ENOMEM ? HERMIT_WAIT_MEMORY : HERMIT_WAIT_BACKOFF;
}

#endif /* HERMIT_WAIT_H */
