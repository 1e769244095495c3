/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_REMOTE_H
#define HERMIT_REMOTE_H
/*
 * A link to a server that may go away and come back: what all transports that
 * have a server share. Whether it is up, when to try again, and what to tell
 * the user is decided in remote.c; how to connect and what a connection is,
 * by the transport's struct hermit_remote_ops.
 *
 * Epochs. All connections of a link are replaced together:
 *
 *	       connect()			      check: broken
 *	───► open, start ───► UP ─────────────────────────────────► stop
 *				▲					  │
 *				└──── start ◄── open ◄── back-off ◄───────┘
 *				    fenced   new epoch  again if it failed
 *
 * After stop() nothing here touches a page of an io, and what was not completed
 * is queued. Before open() returns the server has made sure that nothing of an
 * older epoch can reach the region any more (the fence). Only then does start()
 * post what is queued. As long as that does not succeed, nothing is completed:
 * whose page it is remains undecided, and the user keeps it.
 *
 * If the incarnation changed, the server has lost the contents: what is queued
 * is completed with -ENODATA, and so is all that comes until the user's
 * contents_lost() returned.
 *
 * A member of a set does not queue what comes while it is not UP, but refuses it:
 * from stop() until just before start(), in all of the above.
 *
 * A server that takes connections may still not do what they are for. Once that
 * is so of BARREN_EPOCHS in a row, it is said once, and the link counts as
 * reconnecting until a page has moved, or nothing went wrong for a while.
 *
 * Who excludes whom: all operations are called by connect() before the link is
 * known, then by the work item alone (its workqueue is ordered), then by close()
 * after it has disabled the work item; but interrupt(), which is called by
 * close() while the work item may run any other. Callbacks to the user come
 * from the work item, without a lock.
 */
#include <linux/socket.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "link/handshake.h"
#include "link/ping.h"
#include "link/transport.h"

struct hermit_remote;
struct net;

struct hermit_remote_check {
	bool impatient;			/* in: an io's deadline counts from its post */
	const char *broken;		/* why it is of no more use, or NULL */
	int error;			/* a number that belongs to it, or 0 */
	bool full;			/* -ENOSPC within the last second */
	bool moved;			/* a page came or went since start() */
};

/* Process context; all but refuse may sleep. */
struct hermit_remote_ops {
	const struct hermit_transport_ops *transport;
	unsigned int *deadline_ms;	/* module parameter */

	/* Queues and connections, none of them open. 0 or -ENOMEM. */
	int (*create)(struct hermit_remote *r);
	/* All of them, also those of a create() that failed; not @r itself. */
	void (*destroy)(struct hermit_remote *r);
	/*
	 * A new epoch with all its connections, which do nothing yet. 0, or a
	 * negative errno with r->why, and nothing is open.
	 */
	int (*open)(struct hermit_remote *r, struct hermit_session *session);
	/* Post what is queued, and from now on what comes. */
	void (*start)(struct hermit_remote *r,
		      const struct hermit_session *session);
	/* Put back what was not completed; also if nothing is open. */
	void (*stop)(struct hermit_remote *r);
	/* Broken, too, if a request waits longer than @deadline_ns. */
	void (*check)(struct hermit_remote *r, u64 deadline_ns,
		      struct hermit_remote_check *check);
	/*
	 * From now on complete every io at once with @status, discards with 0
	 * if it is -ENODATA; and first those that are queued. 0: queue again.
	 */
	void (*refuse)(struct hermit_remote *r, int status);
	/* Optional: forget what the server had. All was refused before. */
	void (*lose)(struct hermit_remote *r);

	/* r->closing was set: what waits for the server is to return. */
	void (*interrupt)(struct hermit_remote *r);
	/* Optional: have nothing outstanding when the region is ended. */
	void (*quiesce)(struct hermit_remote *r);
	/* Tell the server that the region ends; true if it said so. */
	bool (*end)(struct hermit_remote *r);
};

/* Embedded at the start of the transport's own link. */
struct hermit_remote {
	struct hermit_link base;	/* first: ops */
	const struct hermit_remote_ops *ops;
	struct hermit_identity id;
	struct hermit_ping ping;	/* for the transport to send, and its answers */
	struct net *net;		/* the creator's; held */
	struct sockaddr_storage addr;
	char server[HERMIT_SERVER_LEN];	/* "SCHEME:ADDRESS", for messages */
	const struct hermit_link_user_ops *user_ops;
	void *user;

	struct workqueue_struct *wq;
	struct delayed_work work;
	bool up;			/* connections are started */
	bool closing;
	bool member;			/* of a set: refuses while it is not up */
	bool narrow;			/* no page comes through, as was said */
	unsigned int barren;		/* epochs in a row that moved no page */
	unsigned int backoff_ms;
	u64 since;			/* time of the last change of up */
	char why[HERMIT_ERROR_LEN];	/* the last failure */

	/* written by the work item, read by stats() */
	enum hermit_server_state state;
	u64 epoch;
	u64 incarnation;
	u64 reconnects;
};

/*
 * connect() and close() of a transport. @r begins the transport's zeroed link,
 * or is NULL if there was no memory for one; it is freed by close, and if this
 * fails.
 */
struct hermit_link *hermit_remote_connect(struct hermit_remote *r,
					  const struct hermit_remote_ops *ops,
					  const struct hermit_link_params *params);
void hermit_remote_close(struct hermit_remote *r, bool end);

/* There is something for check() to tell. Any context but interrupts. */
void hermit_remote_kick(struct hermit_remote *r);

/* How long a request may wait for an answer, for check(). */
u64 hermit_remote_deadline_ns(const struct hermit_remote *r);

/*
 * For connecting, shaking hands and ending, which may take longer than a page:
 * @least jiffies, or the deadline if that is more. Who expects a slow server
 * says so once.
 */
long hermit_remote_patience(const struct hermit_remote *r, long least);

/* say() and room() of a transport whose PINGs are r->ping's. */
void hermit_remote_say(struct hermit_link *link, u64 reserve, u32 need);
u64 hermit_remote_room(struct hermit_link *link);

/* Clear @st and fill in what is known here. */
void hermit_remote_stats(struct hermit_remote *r,
			 struct hermit_server_stats *st);

/* --- ios that wait: for the transports' queues ------------------------------ */

/* In the order in which they are taken. */
enum hermit_remote_list {
	HERMIT_REMOTE_DEMAND,		/* reads that somebody waits for */
	HERMIT_REMOTE_READS,
	HERMIT_REMOTE_WRITES,		/* and discards */
	HERMIT_REMOTE_NR_LISTS
};

enum hermit_remote_list hermit_remote_list_of(const struct hermit_io *io);

/* Complete one, or all of @ios: discards with 0 if @status is -ENODATA. */
void hermit_remote_complete(struct hermit_io *io, int status);
void hermit_remote_complete_list(struct list_head *ios, int status);

#endif /* HERMIT_REMOTE_H */
