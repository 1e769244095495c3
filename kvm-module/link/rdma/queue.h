/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RDMA_QUEUE_H
#define HERMIT_RDMA_QUEUE_H
/*
 * The ios of a link that are on no queue pair, and what is known of the
 * region's extents at the server: which are granted in this epoch, and which
 * pages of them were written. So a read of one that was not fails, and a discard
 * is done, without asking anybody.
 *
 * What is not for the work item alone is safe from any context. The lock is a leaf; no function calls done() under it.
 */
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "link/remote.h"

struct hermit_wire_grant;

struct hermit_rdma_extent;

struct hermit_rdma_queue {
	spinlock_t lock;		/* all below */
	struct list_head lists[HERMIT_REMOTE_NR_LISTS];
	struct list_head asked;		/* extents to be granted */
	struct list_head emptied;	/* extents to be released */
	int refuse;			/* if not 0, ios complete with it at once */
	struct hermit_rdma_extent *extents;
	u64 nr_extents;
	u64 stored;			/* pages */
	u64 reads, writes, discards, errors, rtt_ns;
	bool was_full;
	unsigned long full_at;		/* jiffies of the last -ENOSPC */
	/* There is something for grant_next or release_next. */
	void (*kick)(struct hermit_rdma_queue *q);
};

/* An io that can be posted. */
struct hermit_rdma_target {
	struct hermit_io *io;
	u64 address;
	u32 rkey;
};

int hermit_rdma_queue_init(struct hermit_rdma_queue *q, u64 region_size);
void hermit_rdma_queue_destroy(struct hermit_rdma_queue *q);

/* Queue @ios (left empty), or complete at once what needs no server. */
void hermit_rdma_queue_add(struct hermit_rdma_queue *q, struct list_head *ios);

/*
 * Is there nothing to take? Asked without the lock, by who has just freed a slot
 * under its data->lock, or is about to use one: whoever added an io before that
 * and found no slot is seen; whoever adds one later looks for a slot itself.
 */
static inline bool hermit_rdma_queue_is_empty(const struct hermit_rdma_queue *q)
{
	return list_empty(&q->lists[HERMIT_REMOTE_DEMAND]) &&
	       list_empty(&q->lists[HERMIT_REMOTE_READS]) &&
	       list_empty(&q->lists[HERMIT_REMOTE_WRITES]);
}

/*
 * Take up to @max ios of one kind to be posted, of demand reads only if
 * @demand; returns how many. Each is to be given back by done or by return.
 */
unsigned int hermit_rdma_queue_take(struct hermit_rdma_queue *q, bool demand,
				    unsigned int max,
				    struct hermit_rdma_target *targets);

/* @ios were done by the server: complete them. @rtt_ns of the last, or 0. */
void hermit_rdma_queue_done(struct hermit_rdma_queue *q, struct list_head *ios,
			    u64 rtt_ns);

/* Put @ios back, before all others. */
void hermit_rdma_queue_return(struct hermit_rdma_queue *q,
			      struct list_head *ios);

/*
 * From now on complete every io at once with @status, discards with 0 if it is
 * -ENODATA; and first those that are queued. 0: queue again.
 */
void hermit_rdma_queue_refuse(struct hermit_rdma_queue *q, int status);

/*
 * The rest is for the link's work item alone, and so is refuse.
 *
 * The epoch is over, all ios were returned: nothing is granted any more.
 */
void hermit_rdma_queue_reset(struct hermit_rdma_queue *q);

/* After reset and refuse(-ENODATA): the server has nothing of the region. */
void hermit_rdma_queue_lose(struct hermit_rdma_queue *q);

/*
 * A run of extents to ask for, up to @max: their number, 0 if there is none,
 * and @first. To be followed by grant_done with the server's answer: 0 and @n
 * of @grants (the rest is asked for again when needed), or an errno.
 */
unsigned int hermit_rdma_queue_grant_next(struct hermit_rdma_queue *q,
					  unsigned int max, u64 *first);
void hermit_rdma_queue_grant_done(struct hermit_rdma_queue *q, u64 first,
				  unsigned int asked, unsigned int n,
				  const struct hermit_wire_grant *grants,
				  int error);

/* The server has no memory left: release what was granted and is not used. */
void hermit_rdma_queue_spare(struct hermit_rdma_queue *q);

/* The same for an extent to be released. */
bool hermit_rdma_queue_release_next(struct hermit_rdma_queue *q, u64 *extent);
void hermit_rdma_queue_release_done(struct hermit_rdma_queue *q, u64 extent);

/* -ENOSPC within the last second? */
bool hermit_rdma_queue_full(struct hermit_rdma_queue *q);
void hermit_rdma_queue_stats(struct hermit_rdma_queue *q,
			     struct hermit_server_stats *st);

#endif /* HERMIT_RDMA_QUEUE_H */
