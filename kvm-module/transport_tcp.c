// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tcp transport: a link is a session with one hermit-memserver over a few
 * TCP connections.
 *
 *	submit() ──► queue: demand │ reads │ writes
 *			       │
 *		   ┌───────────┴────────┬── ...
 *		connection 0	    connection 1	tcp_conn.c
 *		demand, reads	    writes, discards
 *		 tx	rx	     tx     rx		threads
 *		  └─socket─┘	      └─socket─┘	tcp_sock.c
 *
 *	work item: is each connection well? else stop all of them, and
 *	connect anew with back-off: handshake.c, and then start them again
 *
 * Reads and writes have connections of their own, so that a read that a vCPU
 * waits for is never behind a batch of pages in a socket's buffer. A link with
 * one connection uses it for both.
 *
 * Epochs. Connections are replaced together. First all of them are stopped:
 * their sockets are shut down and their threads parked, so that nothing here
 * touches a page any more, and what was not completed goes back to the head of
 * the queue. Then a new epoch is opened; the server's WELCOME says that
 * nothing of the old epoch can reach the region any more (the fence). Only
 * then are the connections started, and what is queued is posted again. As
 * long as that does not succeed, nothing is completed: whose page it is
 * remains undecided, and the user keeps it.
 *
 * If the server's incarnation changed, it has lost the contents. What is
 * queued then was meant for the old one: it is completed with -ENODATA, and so
 * is all that comes until the user's contents_lost() returned.
 *
 * Who excludes whom: connections are created, started, stopped, ended and
 * destroyed by connect() before the link is known, then by the work item
 * alone (its workqueue is ordered), then by close() after it has disabled the
 * work item. Callbacks to the user come from the work item, without a lock.
 *
 * Locks, none of which is ever held across a callback or an io's done():
 *
 *	link->opening_lock	mutex: the socket that is being connected, so
 *				that close() can interrupt it
 *	  socket locks		of our own lockdep classes
 *	queue.lock		irq-safe leaf: submit() takes nothing else
 *	conn->lock		leaf: slots and counters of a connection
 */
#define pr_fmt(fmt) "hermit: " fmt

#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "handshake.h"
#include "tcp_conn.h"
#include "tcp_queue.h"
#include "tcp_sock.h"
#include "transport.h"
#include "wire/wire.h"

static unsigned int tcp_connections = 2;
module_param(tcp_connections, uint, 0644);
MODULE_PARM_DESC(tcp_connections,
		 "TCP connections of a new link, 1 to 8; one is shared by reads and writes");

static unsigned int tcp_inflight = 256;
module_param(tcp_inflight, uint, 0644);
MODULE_PARM_DESC(tcp_inflight,
		 "requests on one connection of a new link, 1 to 1024");

static unsigned int tcp_deadline_ms = 500;
module_param(tcp_deadline_ms, uint, 0644);
MODULE_PARM_DESC(tcp_deadline_ms,
		 "a server that answers nothing for so long is connected anew");

#define MAX_CONNECTIONS		8
#define CONNECT_TIMEOUT		(3 * HZ)
#define HANDSHAKE_TIMEOUT	(5 * HZ)
#define END_TIMEOUT		(2 * HZ)
#define BACKOFF_MIN_MS		50
#define BACKOFF_MAX_MS		1000
#define DEADLINE_MIN_MS		20

struct hermit_tcp_link {
	struct hermit_link base;	/* first: ops */
	struct hermit_tcp_queue queue;
	struct hermit_identity id;
	struct net *net;		/* the creator's; held */
	struct sockaddr_storage addr;
	char server[HERMIT_SERVER_LEN];	/* "tcp:ADDRESS", for messages */
	const struct hermit_link_user_ops *user_ops;
	void *user;

	struct mutex opening_lock;	/* opening, closing */
	struct socket *opening;		/* close() may shut it down */
	bool closing;

	struct workqueue_struct *wq;
	struct delayed_work work;
	bool up;			/* connections are started */
	unsigned int backoff_ms;
	u64 since;			/* time of the last change of up */
	char why[HERMIT_ERROR_LEN];	/* the last failure */

	/* written by the work item, read by stats() */
	enum hermit_server_state state;
	u64 epoch;
	u64 incarnation;
	u64 reconnects;

	unsigned int nr_conns;
	struct hermit_tcp_conn *conns[] __counted_by(nr_conns);
};

static struct hermit_tcp_link *to_tcp(struct hermit_link *link)
{
	return container_of(link, struct hermit_tcp_link, base);
}

/* --- connecting ------------------------------------------------------------ */

/* From here close() may interrupt what is done with @sock; NULL ends that. */
static int set_opening(struct hermit_tcp_link *link, struct socket *sock)
{
	int ret = 0;

	mutex_lock(&link->opening_lock);
	link->opening = sock;
	if (link->closing)
		ret = -ECANCELED;
	mutex_unlock(&link->opening_lock);
	return ret;
}

static void say_connect(struct hermit_tcp_link *link, int err)
{
	switch (err) {
	case -ECONNREFUSED:
		strscpy(link->why, "connection refused: no hermit-memserver listens there");
		break;
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ENETDOWN:
		strscpy(link->why, "unreachable: no route to that address");
		break;
	case -ETIMEDOUT:
		strscpy(link->why, "unreachable: no answer to the connection request");
		break;
	case -EAFNOSUPPORT:
		strscpy(link->why, "this kernel has no such address family");
		break;
	case -EINTR:
	case -ERESTARTSYS:
		strscpy(link->why, "interrupted by a signal");
		break;
	default:
		snprintf(link->why, sizeof(link->why),
			 "cannot connect (error %d)", -err);
	}
}

struct tcp_channel {
	struct hermit_channel base;
	struct socket *sock;
};

static int channel_send(struct hermit_channel *ch, const void *buf, size_t len)
{
	struct tcp_channel *tcp = container_of(ch, struct tcp_channel, base);

	return hermit_tcp_sock_send(tcp->sock, buf, len);
}

static int channel_recv(struct hermit_channel *ch, void *buf, size_t len,
			long timeout)
{
	struct tcp_channel *tcp = container_of(ch, struct tcp_channel, base);

	hermit_tcp_sock_set_timeout(tcp->sock, timeout);
	return hermit_tcp_sock_recv(tcp->sock, buf, len);
}

static int shake_hands(struct hermit_tcp_link *link, struct socket *sock,
		       u64 epoch, struct hermit_session *session)
{
	struct tcp_channel ch = {
		.base = { .send = channel_send, .recv = channel_recv },
		.sock = sock,
	};
	int ret;

	hermit_tcp_sock_set_timeout(sock, HANDSHAKE_TIMEOUT);
	ret = hermit_handshake(&ch.base, &link->id, epoch, HANDSHAKE_TIMEOUT,
			       session, link->why);
	hermit_tcp_sock_set_timeout(sock, MAX_SCHEDULE_TIMEOUT);
	return ret;
}

/* A connected socket that shook hands; with @epoch 0 in a new epoch. */
static struct socket *open_one(struct hermit_tcp_link *link, u64 epoch,
			       struct hermit_session *session)
{
	struct socket *sock;
	int ret;

	sock = hermit_tcp_sock_create(link->net, link->addr.ss_family);
	if (IS_ERR(sock)) {
		say_connect(link, PTR_ERR(sock));
		return sock;
	}
	ret = set_opening(link, sock);
	if (!ret) {
		ret = hermit_tcp_sock_connect(sock, &link->addr,
					      CONNECT_TIMEOUT);
		if (ret)
			say_connect(link, ret);
	}
	if (!ret)
		ret = shake_hands(link, sock, epoch, session);
	set_opening(link, NULL);
	if (ret) {
		hermit_tcp_sock_release(sock);
		return ERR_PTR(ret);
	}
	return sock;
}

static unsigned int lists_of(unsigned int index, unsigned int nr)
{
	if (nr == 1)
		return HERMIT_TCP_ALL_LISTS;
	if (index % 2)
		return BIT(HERMIT_TCP_WRITES);
	return BIT(HERMIT_TCP_DEMAND) | BIT(HERMIT_TCP_READS);
}

/*
 * Open a new epoch with all its sockets. Returns how many; or a negative
 * errno, with link->why.
 */
static int open_epoch(struct hermit_tcp_link *link, struct socket **socks,
		      struct hermit_session *session)
{
	unsigned int nr, i;
	int ret;

	socks[0] = open_one(link, 0, session);
	if (IS_ERR(socks[0]))
		return PTR_ERR(socks[0]);

	nr = 1;
	if (session->caps & HERMIT_CAP_MULTICONN)
		nr = min(link->nr_conns, session->max_connections);
	for (i = 1; i < nr; i++) {
		struct hermit_session joined;

		socks[i] = open_one(link, session->epoch, &joined);
		if (IS_ERR(socks[i])) {
			ret = PTR_ERR(socks[i]);
			goto err_release;
		}
	}
	return nr;

err_release:
	while (i--)
		hermit_tcp_sock_release(socks[i]);
	return ret;
}

/* The fence is complete: post what is queued in the new epoch. */
static void start_conns(struct hermit_tcp_link *link, struct socket **socks,
			unsigned int nr,
			const struct hermit_session *session)
{
	unsigned int i;

	WRITE_ONCE(link->epoch, session->epoch);
	WRITE_ONCE(link->incarnation, session->incarnation);
	for (i = 0; i < nr; i++)
		hermit_tcp_conn_start(link->conns[i], socks[i],
				      lists_of(i, nr), session);
	link->up = true;
	link->since = ktime_get_ns();
}

/* Nothing here touches a page of @ios, or of any queued io, afterwards. */
static void stop_conns(struct hermit_tcp_link *link, struct list_head *ios)
{
	unsigned int i;

	for (i = 0; i < link->nr_conns; i++)
		hermit_tcp_conn_stop(link->conns[i], ios);
	link->up = false;
	link->since = ktime_get_ns();
}

/* --- the work item --------------------------------------------------------- */

static void report(struct hermit_tcp_link *link, enum hermit_server_state state)
{
	if (link->state == state)
		return;
	WRITE_ONCE(link->state, state);
	if (link->user_ops->state)
		link->user_ops->state(link->user, state);
}

/* What the old incarnation had is gone. */
static void lose_contents(struct hermit_tcp_link *link, u64 incarnation)
{
	pr_warn("%s: server %s came back without its contents\n",
		link->id.name, link->server);
	hermit_tcp_queue_refuse(&link->queue, -ENODATA);
	if (link->user_ops->contents_lost)
		link->user_ops->contents_lost(link->user, incarnation);
	hermit_tcp_queue_refuse(&link->queue, 0);
}

static void back_off(struct hermit_tcp_link *link)
{
	link->backoff_ms = clamp(2 * link->backoff_ms, BACKOFF_MIN_MS,
				 BACKOFF_MAX_MS);
}

static void disconnect(struct hermit_tcp_link *link)
{
	LIST_HEAD(ios);

	/* A server that takes connections but does no work is not hurried. */
	if (ktime_get_ns() - link->since > BACKOFF_MAX_MS * NSEC_PER_MSEC)
		link->backoff_ms = 0;
	else
		back_off(link);
	stop_conns(link, &ios);
	hermit_tcp_queue_return(&link->queue, &ios);
	report(link, HERMIT_SERVER_RECONNECTING);
}

static void reconnect(struct hermit_tcp_link *link)
{
	u64 down_since = link->since;
	struct socket *socks[MAX_CONNECTIONS];
	struct hermit_session session;
	unsigned int noreclaim;
	int ret;

	/* Reclaim may be waiting for this: do not wait for reclaim. */
	noreclaim = memalloc_noreclaim_save();
	ret = open_epoch(link, socks, &session);
	memalloc_noreclaim_restore(noreclaim);

	if (ret < 0) {
		bool refused = hermit_refused_for_good(ret);

		if (refused && link->state != HERMIT_SERVER_FAILED)
			pr_err("%s: server %s: %s; trying again each second\n",
			       link->id.name, link->server, link->why);
		report(link, refused ? HERMIT_SERVER_FAILED :
				       HERMIT_SERVER_RECONNECTING);
		if (refused)
			link->backoff_ms = BACKOFF_MAX_MS;
		else
			back_off(link);
		return;
	}

	if (session.incarnation != link->incarnation)
		lose_contents(link, session.incarnation);
	start_conns(link, socks, ret, &session);
	WRITE_ONCE(link->reconnects, link->reconnects + 1);
	pr_info_ratelimited("%s: server %s is back after %llu ms\n",
			    link->id.name, link->server,
			    div_u64(link->since - down_since, NSEC_PER_MSEC));
	report(link, HERMIT_SERVER_UP);
}

/* True if every connection is well. */
static bool check_conns(struct hermit_tcp_link *link, unsigned int deadline_ms)
{
	struct hermit_tcp_conn_check check;
	bool full = false;
	unsigned int i;

	for (i = 0; i < link->nr_conns; i++) {
		hermit_tcp_conn_check(link->conns[i],
				      (u64)deadline_ms * NSEC_PER_MSEC, &check);
		if (check.broken) {
			pr_warn_ratelimited("%s: server %s: %s (%d); connecting anew\n",
					    link->id.name, link->server,
					    check.broken, check.error);
			return false;
		}
		full |= check.full;
	}
	report(link, full ? HERMIT_SERVER_FULL : HERMIT_SERVER_UP);
	return true;
}

static void link_work(struct work_struct *work)
{
	struct hermit_tcp_link *link =
		container_of(work, struct hermit_tcp_link, work.work);
	unsigned int deadline_ms = max(READ_ONCE(tcp_deadline_ms),
				       DEADLINE_MIN_MS);

	if (!link->up)
		reconnect(link);
	else if (!check_conns(link, deadline_ms))
		disconnect(link);

	if (link->up)
		/* Sooner if a connection has asked for it meanwhile. */
		queue_delayed_work(link->wq, &link->work,
				   msecs_to_jiffies(deadline_ms / 4));
	else
		/* What they asked for when they were stopped is no news. */
		mod_delayed_work(link->wq, &link->work,
				 msecs_to_jiffies(link->backoff_ms));
}

/* --- transport ops --------------------------------------------------------- */

static int create_conns(struct hermit_tcp_link *link)
{
	unsigned int slots = clamp(READ_ONCE(tcp_inflight), 1U,
				   HERMIT_TCP_MAX_INFLIGHT);
	unsigned int i;

	for (i = 0; i < link->nr_conns; i++) {
		struct hermit_tcp_conn *conn;

		conn = hermit_tcp_conn_create(&link->queue, link->wq,
					      &link->work, slots,
					      link->id.name, i);
		if (IS_ERR(conn)) {
			while (i--)
				hermit_tcp_conn_destroy(link->conns[i]);
			return PTR_ERR(conn);
		}
		link->conns[i] = conn;
	}
	return 0;
}

static struct hermit_link *tcp_connect(const struct hermit_link_params *params)
{
	unsigned int nr = clamp(READ_ONCE(tcp_connections), 1U,
				MAX_CONNECTIONS);
	struct socket *socks[MAX_CONNECTIONS];
	struct hermit_session session;
	struct hermit_tcp_link *link;
	int ret;

	link = kzalloc(struct_size(link, conns, nr), GFP_KERNEL);
	if (!link) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server tcp:%s: out of memory", params->address);
		return ERR_PTR(-ENOMEM);
	}
	link->base.ops = &hermit_transport_tcp;
	link->nr_conns = nr;
	link->user_ops = params->user_ops;
	link->user = params->user;
	link->state = HERMIT_SERVER_UP;
	link->net = get_net(current->nsproxy->net_ns);
	hermit_tcp_queue_init(&link->queue);
	mutex_init(&link->opening_lock);
	INIT_DELAYED_WORK(&link->work, link_work);
	snprintf(link->server, sizeof(link->server), "tcp:%s", params->address);
	strscpy(link->id.name, params->name);
	memcpy(link->id.uuid, params->uuid, sizeof(link->id.uuid));
	link->id.region_size = params->region_size;

	ret = hermit_link_parse_address(link->net, params->address,
					&link->addr);
	if (ret) {
		strscpy(link->why, HERMIT_NOT_AN_ADDRESS);
		goto err_link;
	}
	ret = hermit_identity_init(&link->id, params->key, params->key_len);
	if (ret) {
		snprintf(link->why, sizeof(link->why),
			 "cannot use the key: no hmac(sha256) in this kernel? (error %d)",
			 -ret);
		goto err_link;
	}
	strscpy(link->why, "out of memory");
	ret = -ENOMEM;
	link->wq = alloc_ordered_workqueue("hermit_link/%s", WQ_MEM_RECLAIM,
					   link->id.name);
	if (!link->wq)
		goto err_identity;
	ret = create_conns(link);
	if (ret)
		goto err_wq;

	ret = open_epoch(link, socks, &session);
	if (ret < 0)
		goto err_conns;
	start_conns(link, socks, ret, &session);
	queue_delayed_work(link->wq, &link->work, 0);
	return &link->base;

err_conns:
	while (nr--)
		hermit_tcp_conn_destroy(link->conns[nr]);
err_wq:
	destroy_workqueue(link->wq);
err_identity:
	hermit_identity_destroy(&link->id);
err_link:
	snprintf(params->error, HERMIT_ERROR_LEN, "server %s: %s",
		 link->server, link->why);
	put_net(link->net);
	kfree(link);
	return ERR_PTR(ret);
}

static void tcp_submit(struct hermit_link *base, struct list_head *ios)
{
	hermit_tcp_queue_add(&to_tcp(base)->queue, ios);
}

static void tcp_submit_one(struct hermit_link *base, struct hermit_io *io)
{
	hermit_tcp_queue_add_one(&to_tcp(base)->queue, io);
}

static void tcp_stats(struct hermit_link *base, struct hermit_server_stats *st)
{
	struct hermit_tcp_link *link = to_tcp(base);
	unsigned int i;

	memset(st, 0, sizeof(*st));
	strscpy(st->address, link->server);
	st->state = READ_ONCE(link->state);
	st->epoch = READ_ONCE(link->epoch);
	st->incarnation = READ_ONCE(link->incarnation);
	st->reconnects = READ_ONCE(link->reconnects);
	for (i = 0; i < link->nr_conns; i++)
		hermit_tcp_conn_stats(link->conns[i], st);
}

/*
 * Bounded also when the server is silent: opening a connection is
 * interrupted, END waits for two seconds, stopping waits for nobody.
 */
static void tcp_close(struct hermit_link *base, bool end)
{
	struct hermit_tcp_link *link = to_tcp(base);
	LIST_HEAD(ios);
	unsigned int i;

	mutex_lock(&link->opening_lock);
	link->closing = true;
	if (link->opening)
		kernel_sock_shutdown(link->opening, SHUT_RDWR);
	mutex_unlock(&link->opening_lock);
	/* A connection that breaks from here on queues nothing. */
	disable_delayed_work_sync(&link->work);

	hermit_tcp_queue_refuse(&link->queue, -ECANCELED);
	if (end && !link->up)
		pr_warn("%s: server %s cannot be told that the region ends: it keeps its memory until told to forget it\n",
			link->id.name, link->server);
	else if (end && !hermit_tcp_conn_end(link->conns[0], END_TIMEOUT))
		pr_warn("%s: server %s did not confirm that it freed the region's memory\n",
			link->id.name, link->server);
	stop_conns(link, &ios);
	hermit_tcp_complete(&ios, -ECANCELED);

	for (i = 0; i < link->nr_conns; i++)
		hermit_tcp_conn_destroy(link->conns[i]);
	destroy_workqueue(link->wq);
	hermit_identity_destroy(&link->id);
	put_net(link->net);
	kfree(link);
}

const struct hermit_transport_ops hermit_transport_tcp = {
	.scheme = "tcp",
	.owner = THIS_MODULE,
	.connect = tcp_connect,
	.submit = tcp_submit,
	.submit_one = tcp_submit_one,
	.stats = tcp_stats,
	.close = tcp_close,
};
