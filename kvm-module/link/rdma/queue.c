// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ios between submit() and a queue pair, and the extents they are about.
 *
 * An extent, in one epoch:
 *
 *	     an io needs it		granted
 *	NONE ──────────────► ASKED ───────────────► GRANTED
 *	 ▲ ▲		       │			│ discarded, nothing
 *	 │ └───────────────────┘ refused: its ios end	│ outstanding
 *	 └───────────────────────────────────────── RELEASING
 *
 * and at the end of an epoch all are NONE, but those with ios that wait, which
 * stay ASKED. Which pages are stored outlives epochs: only the incarnation's
 * end forgets it.
 *
 * `outstanding` counts ios that were taken. RELEASE is sent only when there is
 * none, and nothing is stored: that is the client's word that the server may
 * deregister the extent.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "link/rdma/queue.h"
#include "wire/rdma.h"

#define PAGES		(HERMIT_RDMA_EXTENT >> PAGE_SHIFT)
#define FULL_TIME	HZ
/* Extents done under one hold of the lock. */
#define LOCK_BATCH	512

enum extent_state {
	EXTENT_NONE,
	EXTENT_ASKED,
	EXTENT_GRANTED,
	EXTENT_RELEASING,
};

struct hermit_rdma_extent {
	struct list_head node;		/* in asked, or in emptied, or alone */
	struct list_head waiting;	/* ios, until it is granted */
	u64 address;
	u32 rkey;
	u32 outstanding;
	u16 nr_stored;
	u8 state;			/* enum extent_state */
	bool release;			/* discarded, and no write since */
	DECLARE_BITMAP(stored, PAGES);
};

int hermit_rdma_queue_init(struct hermit_rdma_queue *q, u64 region_size)
{
	u64 i;

	spin_lock_init(&q->lock);
	for (i = 0; i < HERMIT_REMOTE_NR_LISTS; i++)
		INIT_LIST_HEAD(&q->lists[i]);
	INIT_LIST_HEAD(&q->asked);
	INIT_LIST_HEAD(&q->emptied);
	q->nr_extents = DIV_ROUND_UP_ULL(region_size, HERMIT_RDMA_EXTENT);
	q->extents = kvcalloc(q->nr_extents, sizeof(*q->extents), GFP_KERNEL);
	if (!q->extents)
		return -ENOMEM;
	for (i = 0; i < q->nr_extents; i++) {
		INIT_LIST_HEAD(&q->extents[i].node);
		INIT_LIST_HEAD(&q->extents[i].waiting);
	}
	return 0;
}

void hermit_rdma_queue_destroy(struct hermit_rdma_queue *q)
{
	kvfree(q->extents);
}

static struct hermit_rdma_extent *extent_of(struct hermit_rdma_queue *q,
					    u64 offset)
{
	return &q->extents[offset >> HERMIT_RDMA_EXTENT_SHIFT];
}

static unsigned int page_of(u64 offset)
{
	return (offset >> PAGE_SHIFT) % PAGES;
}

/* The extent is empty, and nobody uses it: true if there is news for kick(). */
static bool extent_try_release(struct hermit_rdma_queue *q,
			       struct hermit_rdma_extent *e)
{
	lockdep_assert_held(&q->lock);
	if (!e->release || e->nr_stored || e->outstanding ||
	    (e->state != EXTENT_GRANTED && e->state != EXTENT_NONE) ||
	    !list_empty(&e->node))
		return false;
	list_add_tail(&e->node, &q->emptied);
	return true;
}

/* The part of a discard that lies in one extent; returns bytes done. */
static u64 discard_in(struct hermit_rdma_queue *q, u64 offset, u64 length,
		      bool *kick)
{
	struct hermit_rdma_extent *e = extent_of(q, offset);
	unsigned int first = page_of(offset);
	unsigned int n = min_t(u64, PAGES - first, length >> PAGE_SHIFT);
	unsigned int was = e->nr_stored;

	lockdep_assert_held(&q->lock);
	if (was) {
		bitmap_clear(e->stored, first, n);
		e->nr_stored = bitmap_weight(e->stored, PAGES);
		q->stored -= was - e->nr_stored;
		e->release = !e->nr_stored;
		*kick |= extent_try_release(q, e);
	}
	return (u64)n << PAGE_SHIFT;
}

/*
 * No write of these pages is in flight, and no read that will be used: nobody
 * has to be told before the extent is empty.
 */
static void discard(struct hermit_rdma_queue *q, const struct hermit_io *io)
{
	u64 at = io->offset, end = io->offset + io->length;
	unsigned long flags;
	bool kick = false;

	while (at < end) {
		spin_lock_irqsave(&q->lock, flags);
		at += discard_in(q, at, end - at, &kick);
		spin_unlock_irqrestore(&q->lock, flags);
	}
	if (kick)
		q->kick(q);
}

/* Queue @io; true if it is done instead: a discard with 0, others with *@status. */
static bool add_one(struct hermit_rdma_queue *q, struct hermit_io *io,
		    int *status)
{
	struct hermit_rdma_extent *e = extent_of(q, io->offset);
	bool done = true;
	unsigned long flags;

	*status = 0;
	spin_lock_irqsave(&q->lock, flags);
	if (q->refuse) {
		*status = q->refuse;
	} else if (io->op == HERMIT_IO_DISCARD) {
		q->discards++;
	} else if (io->op == HERMIT_IO_READ &&
		   !test_bit(page_of(io->offset), e->stored)) {
		/* No write of it came to its end in this incarnation. */
		*status = -ENOENT;
		q->errors++;
	} else {
		list_add_tail(&io->node, &q->lists[hermit_remote_list_of(io)]);
		done = false;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return done;
}

void hermit_rdma_queue_add(struct hermit_rdma_queue *q, struct list_head *ios)
{
	struct hermit_io *io, *next;
	int status;

	list_for_each_entry_safe(io, next, ios, node) {
		list_del_init(&io->node);
		if (!add_one(q, io, &status))
			continue;
		if (!status)
			discard(q, io);
		hermit_remote_complete(io, status);
	}
}

/* @io cannot be posted before its extent is granted. */
static bool wait_for_grant(struct hermit_rdma_queue *q,
			   struct hermit_rdma_extent *e, struct hermit_io *io)
{
	lockdep_assert_held(&q->lock);
	list_move_tail(&io->node, &e->waiting);
	if (e->state != EXTENT_NONE)
		return false;
	e->state = EXTENT_ASKED;
	/* It may have been about to be released. */
	list_move_tail(&e->node, &q->asked);
	return true;
}

unsigned int hermit_rdma_queue_take(struct hermit_rdma_queue *q, bool demand,
				    unsigned int max,
				    struct hermit_rdma_target *targets)
{
	enum hermit_remote_list l, lists = demand ? HERMIT_REMOTE_DEMAND + 1 :
						  HERMIT_REMOTE_NR_LISTS;
	struct hermit_io *io, *next;
	unsigned int n = 0;
	unsigned long flags;
	bool kick = false;

	spin_lock_irqsave(&q->lock, flags);
	for (l = 0; l < lists && !n; l++) {
		list_for_each_entry_safe(io, next, &q->lists[l], node) {
			struct hermit_rdma_extent *e = extent_of(q, io->offset);

			if (n == max)
				break;
			if (e->state != EXTENT_GRANTED) {
				kick |= wait_for_grant(q, e, io);
				continue;
			}
			list_del_init(&io->node);
			e->outstanding++;
			if (io->op == HERMIT_IO_WRITE) {
				e->release = false;
				list_del_init(&e->node);
			}
			targets[n].io = io;
			targets[n].address = e->address +
				(io->offset & (HERMIT_RDMA_EXTENT - 1));
			targets[n++].rkey = e->rkey;
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (kick)
		q->kick(q);
	return n;
}

static bool put_outstanding(struct hermit_rdma_queue *q,
			    struct hermit_rdma_extent *e)
{
	lockdep_assert_held(&q->lock);
	e->outstanding--;
	return extent_try_release(q, e);
}

void hermit_rdma_queue_done(struct hermit_rdma_queue *q, struct list_head *ios,
			    u64 rtt_ns)
{
	struct hermit_io *io;
	unsigned long flags;
	bool kick = false;

	spin_lock_irqsave(&q->lock, flags);
	list_for_each_entry(io, ios, node) {
		struct hermit_rdma_extent *e = extent_of(q, io->offset);

		if (io->op == HERMIT_IO_WRITE) {
			q->writes++;
			if (!__test_and_set_bit(page_of(io->offset),
						e->stored)) {
				e->nr_stored++;
				q->stored++;
			}
		} else {
			q->reads++;
		}
		kick |= put_outstanding(q, e);
	}
	/* Smoothed as TCP does it: an eighth of the news. */
	if (rtt_ns && q->rtt_ns)
		q->rtt_ns += ((s64)rtt_ns - (s64)q->rtt_ns) / 8;
	else if (rtt_ns)
		q->rtt_ns = rtt_ns;
	spin_unlock_irqrestore(&q->lock, flags);

	hermit_remote_complete_list(ios, 0);
	if (kick)
		q->kick(q);
}

void hermit_rdma_queue_return(struct hermit_rdma_queue *q,
			      struct list_head *ios)
{
	struct hermit_io *io, *next;
	unsigned long flags;
	bool kick = false;

	spin_lock_irqsave(&q->lock, flags);
	list_for_each_entry_safe_reverse(io, next, ios, node) {
		kick |= put_outstanding(q, extent_of(q, io->offset));
		list_move(&io->node, &q->lists[hermit_remote_list_of(io)]);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (kick)
		q->kick(q);
}

/* Outside of a GRANT or RELEASE, ios wait only for extents that are asked. */
static void take_waiting(struct hermit_rdma_queue *q, struct list_head *ios)
{
	struct hermit_rdma_extent *e, *next;

	lockdep_assert_held(&q->lock);
	list_for_each_entry_safe(e, next, &q->asked, node) {
		list_splice_tail_init(&e->waiting, ios);
		list_del_init(&e->node);
		e->state = EXTENT_NONE;
	}
}

void hermit_rdma_queue_refuse(struct hermit_rdma_queue *q, int status)
{
	unsigned long flags;
	LIST_HEAD(ios);
	int i;

	spin_lock_irqsave(&q->lock, flags);
	q->refuse = status;
	if (status) {
		for (i = 0; i < HERMIT_REMOTE_NR_LISTS; i++)
			list_splice_tail_init(&q->lists[i], &ios);
		take_waiting(q, &ios);
	}
	spin_unlock_irqrestore(&q->lock, flags);

	hermit_remote_complete_list(&ios, status);
}

/* Call @fn for each extent, under the lock but not all the time. */
static void for_extents(struct hermit_rdma_queue *q,
			void (*fn)(struct hermit_rdma_queue *q,
				   struct hermit_rdma_extent *e))
{
	unsigned long flags;
	u64 i = 0, end;

	while (i < q->nr_extents) {
		end = min(i + LOCK_BATCH, q->nr_extents);
		spin_lock_irqsave(&q->lock, flags);
		for (; i < end; i++)
			fn(q, &q->extents[i]);
		spin_unlock_irqrestore(&q->lock, flags);
		cond_resched();
	}
}

static void extent_reset(struct hermit_rdma_queue *q,
			 struct hermit_rdma_extent *e)
{
	WARN_ON_ONCE(e->outstanding);
	/* Those whose GRANT or RELEASE was not answered are on no list. */
	if (!list_empty(&e->waiting)) {
		e->state = EXTENT_ASKED;
		list_move_tail(&e->node, &q->asked);
	} else {
		e->state = EXTENT_NONE;
		list_del_init(&e->node);
		extent_try_release(q, e);
	}
}

void hermit_rdma_queue_reset(struct hermit_rdma_queue *q)
{
	for_extents(q, extent_reset);
}

static void extent_lose(struct hermit_rdma_queue *q,
			struct hermit_rdma_extent *e)
{
	q->stored -= e->nr_stored;
	e->nr_stored = 0;
	bitmap_zero(e->stored, PAGES);
	e->release = false;
	list_del_init(&e->node);
	e->state = EXTENT_NONE;
}

void hermit_rdma_queue_lose(struct hermit_rdma_queue *q)
{
	for_extents(q, extent_lose);
}

/* Ask together for what follows and is not granted: reclaim comes there, too. */
unsigned int hermit_rdma_queue_grant_next(struct hermit_rdma_queue *q,
					  unsigned int max, u64 *first)
{
	struct hermit_rdma_extent *e;
	unsigned int n = 0;
	unsigned long flags;
	u64 i;

	spin_lock_irqsave(&q->lock, flags);
	e = list_first_entry_or_null(&q->asked, struct hermit_rdma_extent,
				     node);
	if (e) {
		*first = e - q->extents;
		for (i = *first; n < max && i < q->nr_extents; i++, n++) {
			e = &q->extents[i];
			if (e->state != EXTENT_NONE &&
			    (e->state != EXTENT_ASKED || list_empty(&e->node)))
				break;
			e->state = EXTENT_ASKED;
			list_del_init(&e->node);
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return n;
}

void hermit_rdma_queue_grant_done(struct hermit_rdma_queue *q, u64 first,
				  unsigned int asked, unsigned int n,
				  const struct hermit_wire_grant *grants,
				  int error)
{
	struct hermit_io *io, *next;
	unsigned long flags;
	LIST_HEAD(granted);
	LIST_HEAD(refused);
	unsigned int i;

	spin_lock_irqsave(&q->lock, flags);
	for (i = 0; i < asked; i++) {
		struct hermit_rdma_extent *e = &q->extents[first + i];

		if (i < n) {
			e->state = EXTENT_GRANTED;
			e->address = le64_to_cpu(grants[i].address);
			e->rkey = le32_to_cpu(grants[i].rkey);
			list_splice_tail_init(&e->waiting, &granted);
			extent_try_release(q, e);
		} else if (!i) {
			/* What is refused is the first one. */
			e->state = EXTENT_NONE;
			list_splice_tail_init(&e->waiting, &refused);
		} else if (list_empty(&e->waiting)) {
			e->state = EXTENT_NONE;
		} else {
			list_add_tail(&e->node, &q->asked);
		}
	}
	list_for_each_entry_safe_reverse(io, next, &granted, node)
		list_move(&io->node, &q->lists[hermit_remote_list_of(io)]);
	list_for_each_entry(io, &refused, node)
		q->errors++;
	if (error == -ENOSPC) {
		q->was_full = true;
		q->full_at = jiffies;
	}
	spin_unlock_irqrestore(&q->lock, flags);

	list_for_each_entry_safe(io, next, &refused, node) {
		list_del(&io->node);
		/* What is stored there cannot be lacking space. */
		hermit_remote_complete(io, io->op == HERMIT_IO_WRITE &&
				 error == -ENOSPC ? -ENOSPC : -EIO);
	}
}

static void extent_spare(struct hermit_rdma_queue *q,
			 struct hermit_rdma_extent *e)
{
	if (e->state != EXTENT_GRANTED || e->nr_stored || e->outstanding)
		return;
	e->release = true;
	extent_try_release(q, e);
}

void hermit_rdma_queue_spare(struct hermit_rdma_queue *q)
{
	for_extents(q, extent_spare);
}

bool hermit_rdma_queue_release_next(struct hermit_rdma_queue *q, u64 *extent)
{
	struct hermit_rdma_extent *e;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	e = list_first_entry_or_null(&q->emptied, struct hermit_rdma_extent,
				     node);
	if (e) {
		list_del_init(&e->node);
		e->state = EXTENT_RELEASING;
		*extent = e - q->extents;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return e;
}

void hermit_rdma_queue_release_done(struct hermit_rdma_queue *q, u64 extent)
{
	struct hermit_rdma_extent *e = &q->extents[extent];
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	e->release = false;
	e->state = EXTENT_NONE;
	if (!list_empty(&e->waiting)) {
		e->state = EXTENT_ASKED;
		list_add_tail(&e->node, &q->asked);
	}
	spin_unlock_irqrestore(&q->lock, flags);
}

bool hermit_rdma_queue_full(struct hermit_rdma_queue *q)
{
	unsigned long flags;
	bool full;

	spin_lock_irqsave(&q->lock, flags);
	if (q->was_full && time_after(jiffies, q->full_at + FULL_TIME))
		q->was_full = false;
	full = q->was_full;
	spin_unlock_irqrestore(&q->lock, flags);
	return full;
}

void hermit_rdma_queue_stats(struct hermit_rdma_queue *q,
			     struct hermit_server_stats *st)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	st->reads = q->reads;
	st->writes = q->writes;
	st->discards = q->discards;
	st->errors = q->errors;
	st->rtt_ns = q->rtt_ns;
	st->bytes_used = q->stored << PAGE_SHIFT;
	spin_unlock_irqrestore(&q->lock, flags);
}
