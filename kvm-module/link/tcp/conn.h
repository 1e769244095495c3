/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TCP_CONN_H
#define HERMIT_TCP_CONN_H
/*
 * One connection of a link: a socket, the requests that are on it, and what sends
 * them (sender.h), with a thread. That lives as long as the connection object and is
 * parked while that has no socket, so that reconnecting needs no new task when memory
 * is short. Replies are taken in the softirq that brings them.
 *
 * create, start, stop, end and destroy exclude each other (the link calls
 * them from its work item, and after that is gone); check and stats may be
 * called at any time in between. All are process context; all but check and
 * stats may sleep.
 */
#include <linux/list.h>
#include <linux/types.h>

struct delayed_work;
struct hermit_server_stats;
struct hermit_ping;
struct hermit_tcp_conn;
struct hermit_remote_check;
struct hermit_tcp_queue;
struct hermit_session;
struct socket;
struct workqueue_struct;

/*
 * It takes ios from @queue, has at most @slots on the wire, and queues @event
 * on @wq when check() has something to tell. Its PINGs are @ping's; NULL: they say
 * nothing. ERR_PTR on failure.
 */
struct hermit_tcp_conn *hermit_tcp_conn_create(struct hermit_tcp_queue *queue,
					       struct workqueue_struct *wq,
					       struct delayed_work *event,
					       struct hermit_ping *ping,
					       unsigned int slots,
					       const char *name,
					       unsigned int index);
/* Must be stopped. */
void hermit_tcp_conn_destroy(struct hermit_tcp_conn *conn);

/*
 * Serve ios of the lists in mask @lists on @sock, whose handshake gave
 * @session. The connection owns the socket now.
 */
void hermit_tcp_conn_start(struct hermit_tcp_conn *conn, struct socket *sock,
			   unsigned int lists,
			   const struct hermit_session *session);

/*
 * Close the socket and stop sending; without a socket, nothing. Requests
 * that were not completed are added to @ios: nobody uses their pages.
 * Bounded whatever the server does.
 */
void hermit_tcp_conn_stop(struct hermit_tcp_conn *conn, struct list_head *ios);

/* Tell the server that the region ends; true if it said so within @timeout. */
bool hermit_tcp_conn_end(struct hermit_tcp_conn *conn, long timeout);

/* How is it? Broken, too, if a request waits longer than @deadline_ns. */
void hermit_tcp_conn_check(struct hermit_tcp_conn *conn, u64 deadline_ns,
			   struct hermit_remote_check *check);

/* Add the counters to @st; rtt_ns becomes the larger of both. */
void hermit_tcp_conn_stats(struct hermit_tcp_conn *conn,
			   struct hermit_server_stats *st);

#endif /* HERMIT_TCP_CONN_H */
