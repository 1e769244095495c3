/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TCP_SENDER_H
#define HERMIT_TCP_SENDER_H
/*
 * What sends on a connection. Ios of the queue become frames, and those go into
 * the socket: by the task that submitted, at once and from where it is, if it
 * may and the socket takes all of it; else by a thread, which may sleep.
 *
 * One of them at a time is sending: the state is `sending`, a word of three values
 * that changes by compare-exchange.
 *
 *	FREE ───► SENDING	a task, with softirqs off from before that until it
 *	  ▲	     │  ▲	is FREE again; the thread; or the link, from stop
 *	  └──────────┤	│	to start
 *		     ▼	│
 *		 AND_WANTED	the thread came meanwhile, and sleeps. Who makes
 *				it FREE wakes the thread
 *
 * Who submitted an io and is not to send it leaves it queued and wakes the thread,
 * which looks at the queue whatever woke it. A task that is sending looks at it once
 * more when it is through: what came meanwhile found no idle taker, and woke nobody.
 *
 * What did not fit into the socket (`left`), since that has no room or its owner was
 * at it, is the thread's, before all else: a frame may be half gone.
 */
#include <linux/bvec.h>
#include <linux/types.h>

#include "link/tcp/queue.h"
#include "wire/wire.h"

struct hermit_ping;
struct hermit_session;
struct hermit_tcp_slots;
struct socket;

/* Requests in one sendmsg(); as many as reclaim evicts at once. */
#define HERMIT_TCP_BATCH	32

struct hermit_tcp_sender {
	struct hermit_tcp_taker taker;
	struct hermit_tcp_queue *queue;
	struct hermit_tcp_slots *slots;
	struct hermit_ping *ping;	/* or NULL */
	/* The socket takes no more: any context but interrupts, softirqs off perhaps. */
	void (*failed)(struct hermit_tcp_sender *s, int error);

	/* set by start, while nobody sends */
	struct socket *sock;
	unsigned int lists;
	bool discards;			/* the server knows them */
	bool sums;			/* headers and WRITEs have checksums */

	atomic_t sending;
	bool halted;			/* nothing is sent until start */
	bool end;			/* END is to be sent; under the slots' lock */

	/* whose turn it is */
	unsigned long ping_at;
	unsigned int nr_hdrs, nr_vecs, nr_writes;
	size_t bytes, sent;		/* of the frames below */
	struct hermit_wire_hdr hdrs[HERMIT_TCP_BATCH] __aligned(32); /* none in two pages */
	struct bio_vec vecs[2 * HERMIT_TCP_BATCH];
	u16 writes[HERMIT_TCP_BATCH];	/* slots of WRITEs among them */
};

/*
 * In zeroed memory of kmalloc(): headers are sent by page and offset. Takes ios from
 * @queue, requests are in @slots, whose `sender` is set; its PINGs are @ping's, or say
 * nothing. Stopped, with its thread.
 * -ENOMEM; may sleep.
 */
int hermit_tcp_sender_init(struct hermit_tcp_sender *s, struct hermit_tcp_queue *queue,
			   struct hermit_tcp_slots *slots, struct hermit_ping *ping,
			   const char *name, unsigned int index);
/* Also after a failed init. Must be stopped; may sleep. */
void hermit_tcp_sender_destroy(struct hermit_tcp_sender *s);

/* Send ios of the lists in mask @lists on @sock, as @session says. May sleep. */
void hermit_tcp_sender_start(struct hermit_tcp_sender *s, struct socket *sock,
			     unsigned int lists, const struct hermit_session *session);
/*
 * The socket is shut down: when this returns nobody uses it, nor a page of an io. May
 * sleep. What was not sent is in its slot, as if it were.
 */
void hermit_tcp_sender_stop(struct hermit_tcp_sender *s);
/* The connection is of no more use: send nothing until start. Any context. */
void hermit_tcp_sender_halt(struct hermit_tcp_sender *s);

/*
 * Its taker was idle, and what it would take is queued. Any context; with no lock
 * that ->done() of an io takes, and not the socket's. Does not sleep. Ios may be done
 * when it returns.
 */
void hermit_tcp_sender_kick(struct hermit_tcp_sender *s);
/* Send END. Any context. */
void hermit_tcp_sender_end(struct hermit_tcp_sender *s);

static inline struct hermit_tcp_sender *
hermit_tcp_sender_of(struct hermit_tcp_taker *taker)
{
	return container_of(taker, struct hermit_tcp_sender, taker);
}

#endif /* HERMIT_TCP_SENDER_H */
