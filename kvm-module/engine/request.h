/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_REQUEST_H
#define HERMIT_REQUEST_H
/* One read, write or discard of ours on the wire. */
#include <linux/kref.h>
#include <linux/wait.h>

#include "link/transport.h"

struct hermit_region;

/* Writes on the wire, at most; beyond it reclaim waits for the server. */
#define HERMIT_MAX_WRITES	512

/*
 * A page left in io.page goes back to the pool with the last reference, which
 * also holds one of the region.
 */
struct hermit_req {
	struct hermit_io io;
	struct kref ref;		/* the wire's, and each waiter's */
	struct hermit_region *region;
	u64 idx;
	u64 word;			/* READ: what the installer must find */
	u32 nr;				/* DISCARD: pages */
	bool done;
	bool prefetch;
	bool moved;			/* WRITE: of a page that was away; see mover.h */
	int status;
	u64 posted, finished;		/* ns, local_clock() */
	wait_queue_head_t wq;
};

int hermit_req_init(void);
void hermit_req_exit(void);
/* A region's reserve, for its life; for a set of servers if @set. Sleeps. */
int hermit_req_reserve(struct hermit_region *r, bool set);
void hermit_req_unreserve(struct hermit_region *r);
/* With one reference, the wire's; NULL without memory. Does not sleep. */
struct hermit_req *hermit_req_alloc(struct hermit_region *r);
/* Any context. */
void hermit_req_put(struct hermit_req *req);
/* Submit unless the region has ended: then -EFAULT and nothing happened. */
int hermit_req_submit(struct hermit_region *r, struct hermit_req *req);
/* Others than who answered this read may be asked for the page. */
static inline bool hermit_req_has_others(const struct hermit_io *io)
{
	return io->members & ~io->wrong & ~(1U << io->server);
}
/*
 * From ->done() of a read, whose answer is of no use: ask them. The request goes on,
 * unless this is false: there are none, or the region has ended. Task or softirq.
 */
bool hermit_req_ask_others(struct hermit_region *r, struct hermit_req *req);
/* hermit_req_submit() for several, which complete with -ECANCELED then. */
void hermit_req_submit_list(struct hermit_region *r, struct list_head *ios);
/* Handle completions of the link at once, if it knows how; does not sleep. */
void hermit_req_poll(struct hermit_region *r);
/*
 * From ->done(): the wire is done with it. Wakes the waiters, drops the wire's
 * reference. Task or softirq.
 */
void hermit_req_finish(struct hermit_req *req);

#endif /* HERMIT_REQUEST_H */
