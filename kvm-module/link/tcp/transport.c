// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tcp transport: a link is a session with one hermit-memserver over a few
 * TCP connections.
 *
 *	submit() ──► queue: demand │ reads │ writes
 *			       │
 *		   ┌───────────┴────────┬── ...
 *		connection 0	    connection 1	conn.c
 *		demand, reads	    writes, discards
 *		 who submits,	     sender thread	sender.c
 *		 sender thread		   │
 *		     socket		 socket		sock.c
 *		   receiver	       receiver		in softirqs
 *
 *	work item: is each connection well? else stop all of them, and
 *	connect anew with back-off				remote.c
 *
 * Reads and writes have connections of their own, so that a read that a vCPU
 * waits for is never behind a batch of pages in a socket's buffer. A link with
 * one connection uses it for both.
 *
 * remote.h says how epochs follow each other and who excludes whom. Stopping
 * ends the receivers and the senders: then nothing here touches a
 * page any more, and what was not completed goes back to the head of the queue.
 * The server's WELCOME for the first connection of an epoch is the fence.
 *
 * Locks, none of which is ever held across a callback or an io's done(), but the
 * socket's, which a sender and stopping take besides. submit() takes all but the
 * first when it sends: the queue's and the slots' by themselves, then the socket's
 * spinlock, if nobody owns the socket. So a done() that is called with that held may
 * submit: it is in a softirq, or the socket has an owner, and then the thread sends.
 *
 *	link->opening_lock	mutex: the socket that is being connected, so
 *				that close() can interrupt it
 *	  socket locks		of our own lockdep classes
 *	queue.lock		irq-safe leaf
 *	slots.lock		leaf, softirqs off: slots and counters of a
 *				connection; inside its socket's lock
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/slab.h>

#include "link/handshake.h"
#include "link/remote.h"
#include "link/tcp/conn.h"
#include "link/tcp/queue.h"
#include "link/tcp/sender.h"
#include "link/tcp/slot.h"
#include "link/tcp/sock.h"
#include "link/transport.h"
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

struct hermit_tcp_link {
	struct hermit_remote remote;	/* first: ops */
	struct hermit_tcp_queue queue;

	struct mutex opening_lock;	/* opening */
	struct socket *opening;		/* close() may shut it down */

	struct socket *socks[MAX_CONNECTIONS]; /* between open and start */
	unsigned int nr_socks;
	u8 page[HERMIT_WIRE_PAGE];	/* goes over each that is opened */

	unsigned int nr_conns;
	struct hermit_tcp_conn *conns[] __counted_by(nr_conns);
};

static struct hermit_tcp_link *to_tcp(struct hermit_remote *remote)
{
	return container_of(remote, struct hermit_tcp_link, remote);
}

static struct hermit_tcp_link *link_to_tcp(struct hermit_link *link)
{
	return container_of(link, struct hermit_tcp_link, remote.base);
}

/* --- connecting ------------------------------------------------------------ */

/* From here close() may interrupt what is done with @sock; NULL ends that. */
static int set_opening(struct hermit_tcp_link *link, struct socket *sock)
{
	int ret = 0;

	mutex_lock(&link->opening_lock);
	link->opening = sock;
	if (READ_ONCE(link->remote.closing))
		ret = -ECANCELED;
	mutex_unlock(&link->opening_lock);
	return ret;
}

static void say_connect(struct hermit_tcp_link *link, int err)
{
	switch (err) {
	case -ECONNREFUSED:
		strscpy(link->remote.why, "connection refused: no hermit-memserver listens there");
		break;
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ENETDOWN:
		strscpy(link->remote.why, "unreachable: no route to that address");
		break;
	case -ETIMEDOUT:
		strscpy(link->remote.why, "unreachable: no answer to the connection request");
		break;
	case -EAFNOSUPPORT:
		strscpy(link->remote.why, "this kernel has no such address family");
		break;
	case -EINTR:
	case -ERESTARTSYS:
		strscpy(link->remote.why, "interrupted by a signal");
		break;
	default:
		snprintf(link->remote.why, sizeof(link->remote.why),
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

#define TCP_CHANNEL(socket) {						\
	.base = { .stream = true, .send = channel_send,			\
		  .recv = channel_recv },				\
	.sock = (socket),						\
}

/* What a connection is opened for. */
enum purpose {
	TO_SERVE,
	TO_END,				/* the region, and be gone */
};

static int say_end(struct hermit_tcp_link *link, struct socket *sock,
		   const struct hermit_session *session)
{
	struct tcp_channel ch = TCP_CHANNEL(sock);
	long timeout = hermit_remote_patience(&link->remote, END_TIMEOUT);

	hermit_tcp_sock_set_timeout(sock, timeout);
	return hermit_handshake_end(&ch.base, session, timeout, link->remote.why);
}

static int shake_hands(struct hermit_tcp_link *link, struct socket *sock,
		       enum purpose purpose, u64 epoch,
		       struct hermit_session *session)
{
	struct tcp_channel ch = TCP_CHANNEL(sock);
	long timeout = hermit_remote_patience(&link->remote, HANDSHAKE_TIMEOUT);
	int ret;

	hermit_tcp_sock_set_timeout(sock, timeout);
	ret = hermit_handshake(&ch.base, &link->remote.id, epoch, timeout,
			       session, link->remote.why);
	if (!ret && purpose == TO_SERVE)
		ret = hermit_handshake_path(&ch.base, session, link->page,
					    timeout, link->remote.why);
	else if (!ret)
		ret = say_end(link, sock, session);
	hermit_tcp_sock_set_timeout(sock, MAX_SCHEDULE_TIMEOUT);
	return ret;
}

/* A connected socket that shook hands; with @epoch 0 in a new epoch. */
static struct socket *open_one(struct hermit_tcp_link *link,
			       enum purpose purpose, u64 epoch,
			       struct hermit_session *session)
{
	struct socket *sock;
	int ret;

	sock = hermit_tcp_sock_create(link->remote.net,
				      link->remote.addr.ss_family);
	if (IS_ERR(sock)) {
		say_connect(link, PTR_ERR(sock));
		return sock;
	}
	ret = set_opening(link, sock);
	if (!ret) {
		ret = hermit_tcp_sock_connect(sock, &link->remote.addr,
					      hermit_remote_patience(&link->remote,
								     CONNECT_TIMEOUT));
		if (ret)
			say_connect(link, ret);
	}
	if (!ret)
		ret = shake_hands(link, sock, purpose, epoch, session);
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
		return BIT(HERMIT_REMOTE_WRITES);
	return BIT(HERMIT_REMOTE_DEMAND) | BIT(HERMIT_REMOTE_READS);
}

/*
 * The server has a region for who will not come: have it forget that, or it keeps
 * the place against the next try, which is another client's to it. If it cannot
 * be told the operator will have to. @sock is a connection that is there, perhaps
 * with no memory left for another one; NULL: none lets a page through.
 */
static void give_up(struct hermit_tcp_link *link, struct socket *sock,
		    const struct hermit_session *session)
{
	struct hermit_session joined;
	char why[HERMIT_ERROR_LEN];

	strscpy(why, link->remote.why);
	if (sock) {
		say_end(link, sock, session);
	} else {
		sock = open_one(link, TO_END, session->epoch, &joined);
		if (!IS_ERR(sock))
			hermit_tcp_sock_release(sock);
	}
	strscpy(link->remote.why, why);
}

static int tcp_open(struct hermit_remote *remote,
		    struct hermit_session *session)
{
	struct hermit_tcp_link *link = to_tcp(remote);
	struct socket **socks = link->socks;
	unsigned int nr = 1, i;
	int ret;

	session->epoch = 0;
	socks[0] = open_one(link, TO_SERVE, 0, session);
	if (IS_ERR(socks[0])) {
		ret = PTR_ERR(socks[0]);
		i = 0;
		goto err_release;
	}

	if (session->caps & HERMIT_CAP_MULTICONN)
		nr = min(link->nr_conns, session->max_connections);
	for (i = 1; i < nr; i++) {
		struct hermit_session joined;

		socks[i] = open_one(link, TO_SERVE, session->epoch, &joined);
		if (IS_ERR(socks[i])) {
			ret = PTR_ERR(socks[i]);
			goto err_release;
		}
	}
	link->nr_socks = nr;
	return 0;

err_release:
	if (session->epoch && !remote->incarnation)
		give_up(link, i ? socks[0] : NULL, session);
	while (i--)
		hermit_tcp_sock_release(socks[i]);
	return ret;
}

/* --- what remote.c calls ---------------------------------------------------- */

static int tcp_create(struct hermit_remote *remote)
{
	struct hermit_tcp_link *link = to_tcp(remote);
	unsigned int slots = clamp(READ_ONCE(tcp_inflight), 1U,
				   HERMIT_TCP_MAX_INFLIGHT);
	unsigned int i;

	hermit_tcp_queue_init(&link->queue);
	for (i = 0; i < link->nr_conns; i++) {
		struct hermit_tcp_conn *conn;

		conn = hermit_tcp_conn_create(&link->queue, remote->wq,
					      &remote->work,
					      i ? NULL : &remote->ping, slots,
					      remote->id.name, i);
		if (IS_ERR(conn))
			return PTR_ERR(conn);
		link->conns[i] = conn;
	}
	return 0;
}

static void tcp_destroy(struct hermit_remote *remote)
{
	struct hermit_tcp_link *link = to_tcp(remote);
	unsigned int i;

	for (i = 0; i < link->nr_conns && link->conns[i]; i++)
		hermit_tcp_conn_destroy(link->conns[i]);
}

static void tcp_start(struct hermit_remote *remote,
		      const struct hermit_session *session)
{
	struct hermit_tcp_link *link = to_tcp(remote);
	unsigned int i;

	for (i = 0; i < link->nr_socks; i++)
		hermit_tcp_conn_start(link->conns[i], link->socks[i],
				      lists_of(i, link->nr_socks), session);
}

static void tcp_stop(struct hermit_remote *remote)
{
	struct hermit_tcp_link *link = to_tcp(remote);
	LIST_HEAD(ios);
	unsigned int i;

	for (i = 0; i < link->nr_conns; i++)
		hermit_tcp_conn_stop(link->conns[i], &ios);
	hermit_tcp_queue_return(&link->queue, &ios);
}

static void tcp_check(struct hermit_remote *remote, u64 deadline_ns,
		      struct hermit_remote_check *check)
{
	struct hermit_tcp_link *link = to_tcp(remote);
	unsigned int i;

	for (i = 0; i < link->nr_conns; i++)
		hermit_tcp_conn_check(link->conns[i], deadline_ns, check);
}

static void tcp_refuse(struct hermit_remote *remote, int status)
{
	hermit_tcp_queue_refuse(&to_tcp(remote)->queue, status);
}

/* What is being connected then, or later, fails. */
static void tcp_interrupt(struct hermit_remote *remote)
{
	struct hermit_tcp_link *link = to_tcp(remote);

	mutex_lock(&link->opening_lock);
	if (link->opening)
		kernel_sock_shutdown(link->opening, SHUT_RDWR);
	mutex_unlock(&link->opening_lock);
}

static bool tcp_end(struct hermit_remote *remote)
{
	return hermit_tcp_conn_end(to_tcp(remote)->conns[0],
				   hermit_remote_patience(remote, END_TIMEOUT));
}

static const struct hermit_remote_ops remote_ops = {
	.transport = &hermit_transport_tcp,
	.deadline_ms = &tcp_deadline_ms,
	.create = tcp_create,
	.destroy = tcp_destroy,
	.open = tcp_open,
	.start = tcp_start,
	.stop = tcp_stop,
	.check = tcp_check,
	.refuse = tcp_refuse,
	.interrupt = tcp_interrupt,
	.end = tcp_end,
};

/* --- transport ops --------------------------------------------------------- */

static struct hermit_link *tcp_connect(const struct hermit_link_params *params)
{
	unsigned int nr = clamp(READ_ONCE(tcp_connections), 1U,
				MAX_CONNECTIONS);
	struct hermit_tcp_link *link;

	link = kzalloc(struct_size(link, conns, nr), GFP_KERNEL);
	if (link) {
		link->nr_conns = nr;
		mutex_init(&link->opening_lock);
	}
	return hermit_remote_connect(link ? &link->remote : NULL, &remote_ops,
				     params);
}

static void kick(const struct hermit_tcp_takers *t)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++)
		hermit_tcp_sender_kick(hermit_tcp_sender_of(t->taker[i]));
}

static void tcp_submit(struct hermit_link *base, struct list_head *ios)
{
	struct hermit_tcp_takers t;

	hermit_tcp_queue_add(&link_to_tcp(base)->queue, ios, &t);
	kick(&t);
}

static void tcp_submit_one(struct hermit_link *base, struct hermit_io *io)
{
	struct hermit_tcp_takers t;

	hermit_tcp_queue_add_one(&link_to_tcp(base)->queue, io, &t);
	kick(&t);
}

static void tcp_stats(struct hermit_link *base, struct hermit_server_stats *st)
{
	struct hermit_tcp_link *link = link_to_tcp(base);
	unsigned int i;

	hermit_remote_stats(&link->remote, st);
	for (i = 0; i < link->nr_conns; i++)
		hermit_tcp_conn_stats(link->conns[i], st);
}

/*
 * Bounded also when the server is silent: opening a connection is
 * interrupted, END waits for two seconds, stopping waits for nobody.
 */
static void tcp_close(struct hermit_link *base, bool end)
{
	hermit_remote_close(&link_to_tcp(base)->remote, end);
}

const struct hermit_transport_ops hermit_transport_tcp = {
	.scheme = "tcp",
	.owner = THIS_MODULE,
	.connect = tcp_connect,
	.submit = tcp_submit,
	.submit_one = tcp_submit_one,
	.stats = tcp_stats,
	.close = tcp_close,
	.say = hermit_remote_say,
	.room = hermit_remote_room,
};
