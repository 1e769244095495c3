/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TCP_SLOT_H
#define HERMIT_TCP_SLOT_H
/*
 * The requests that are on a connection, each in a slot that its tag names.
 *
 * A slot is free, or its request is on the wire, which for a WRITE begins with
 * `sending`: sendmsg() may still be copying from the page. A server may answer
 * before it has the payload, by mistake or to be sent the contents of a page
 * that was freed. So an answer that comes while sending is kept in the slot,
 * and who comes last, the answer or the end of sendmsg(), frees the slot and
 * completes the io.
 *
 * Any context. The lock is a leaf, taken with softirqs off. The connection
 * keeps its own state under it as well, so that a reply takes it once; what
 * says "lock held" is called with it.
 */
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct hermit_io;
struct task_struct;

/* Slots, at most: as many bits of a tag name one. */
#define HERMIT_TCP_MAX_INFLIGHT	1024

struct hermit_tcp_slot {
	struct hermit_io *io;		/* NULL: PING or END */
	u64 posted;
	u32 tag;			/* use count of the slot, and its index */
	u8 type;			/* of the request; 0: the slot is free */
	bool sending;			/* the page is being copied */
	bool answered;			/* while sending, with: */
	int status;
};

struct hermit_tcp_slots {
	struct task_struct *sender;	/* woken when it is starved */
	unsigned int nr;

	/* set by start, while nobody sends or receives */
	unsigned int limit;		/* slots in use, at most */
	unsigned int reserve;		/* of them kept for demand reads */

	spinlock_t lock;		/* all below */
	struct hermit_tcp_slot *slots;
	u16 *free;			/* a stack of slot numbers */
	unsigned int nr_free;
	bool starved;			/* the sender waits for a free slot */
	u64 reads, writes, discarded, errors, rtt_ns;
};

/* @nr slots, of which none is for use before start. -ENOMEM; may sleep. */
int hermit_tcp_slots_init(struct hermit_tcp_slots *t, unsigned int nr);
/* Also after a failed init. */
void hermit_tcp_slots_destroy(struct hermit_tcp_slots *t);

/*
 * All free, up to @limit of them for use, and an eighth of those kept for demand
 * reads if @reserve. Tags of before do not come back soon. Lock held.
 */
void hermit_tcp_slots_start(struct hermit_tcp_slots *t, unsigned int limit,
			    bool reserve);
/*
 * All free; ios that were not completed are added to @ios. Nobody sends or
 * receives any more. Lock held.
 */
void hermit_tcp_slots_stop(struct hermit_tcp_slots *t, struct list_head *ios);

/* Free slots; if only the reserve is left, the next reply wakes the sender. Lock held. */
unsigned int hermit_tcp_slots_left(struct hermit_tcp_slots *t);
/* When the oldest request was posted; @now if there is none. Lock held. */
u64 hermit_tcp_slots_oldest(struct hermit_tcp_slots *t, u64 now);

/* A free one, of which there must be one, for a request of @type. Lock held. */
struct hermit_tcp_slot *hermit_tcp_slot_get(struct hermit_tcp_slots *t, u8 type,
					    struct hermit_io *io);
/* Whose request has @tag and waits for a reply of @type, or NULL. Lock held. */
struct hermit_tcp_slot *hermit_tcp_slot_find(struct hermit_tcp_slots *t, u32 tag,
					     u8 type);

/* Both may complete the io, so no lock may be held, but for answered()'s: */

/* The WRITE in slot @index was sent: nothing copies from its page any more. */
void hermit_tcp_slot_sent(struct hermit_tcp_slots *t, unsigned int index);
/*
 * The answer is @status, and for a READ its page is filled. Lock held; it is
 * released, and the slot may be in use again.
 */
void hermit_tcp_slot_answered(struct hermit_tcp_slots *t,
			      struct hermit_tcp_slot *s, int status, u64 now);

#endif /* HERMIT_TCP_SLOT_H */
