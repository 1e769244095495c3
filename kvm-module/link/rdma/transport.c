// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rdma transport: a link is a session with one hermit-memserver, a control
 * connection and some data connections. wire/rdma.h is the protocol.
 *
 *	submit() ──► queue: demand │ reads │ writes	queue.c
 *			       │   ios of extents that are not granted wait
 *		   ┌───────────┴───────┬── ...
 *		data 0		    data 1		data.c
 *		  └─ a queue pair each: READ, WRITE; the submitter posts
 *
 *	work item: is each connection well? else stop all of them, and connect
 *	anew with back-off				remote.c
 *	Asks for extents, releases them, pings: one call at a time over the
 *	control connection				ctl.c, cm.c
 *
 * The submitting task posts to the queue pair of its processor; a completion
 * posts what is queued for lack of room. No thread is between a fault and the
 * device, and submit() may be called from inside another socket's sendmsg():
 * posting takes locks of this link and of the queue pair only.
 *
 * remote.h says how epochs follow each other and who excludes whom. The control
 * connection's end is the epoch's. Stopping drains the queue pairs, so that the
 * device touches no page of ours any more, and what was not completed goes back
 * to the head of the queue. Before its WELCOME to a new epoch the server has
 * destroyed the old one's queue pairs and registrations (the fence), so that
 * nothing of it can land late. Extents are granted anew, with new keys, and only
 * then posted to.
 *
 * Locks, none of which is ever held across a callback or an io's done():
 *
 *	data->lock		irq-safe: slots of a queue pair, and posting
 *	  queue.lock		irq-safe leaf
 *	ctl->lock		leaf: what was received
 */
#define pr_fmt(fmt) "hermit: " fmt

#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "link/handshake.h"
#include "link/rdma/ctl.h"
#include "link/rdma/data.h"
#include "link/rdma/queue.h"
#include "link/remote.h"
#include "link/transport.h"
#include "wire/rdma.h"

static unsigned int rdma_queue_pairs;
module_param(rdma_queue_pairs, uint, 0644);
MODULE_PARM_DESC(rdma_queue_pairs,
		 "data connections of a new link, 1 to 64; 0: one per CPU, at most 16");

static unsigned int rdma_depth = 128;
module_param(rdma_depth, uint, 0644);
MODULE_PARM_DESC(rdma_depth,
		 "requests on one data connection of a new link, 1 to 1024");

static unsigned int rdma_grant_ahead = 4;
module_param(rdma_grant_ahead, uint, 0644);
MODULE_PARM_DESC(rdma_grant_ahead,
		 "extents of 2 MiB to ask the server for at a time, 1 to 16");

static unsigned int rdma_deadline_ms = 500;
module_param(rdma_deadline_ms, uint, 0644);
MODULE_PARM_DESC(rdma_deadline_ms,
		 "a server that answers nothing for so long is connected anew");

#define MAX_DATA		64
#define AUTO_DATA		16
#define OPEN_TRIES		3
/* The connection manager itself would try for a minute. */
#define CONNECT_TIMEOUT		(3 * HZ)
#define HANDSHAKE_TIMEOUT	(5 * HZ)
#define END_TIMEOUT		(2 * HZ)
/*
 * A server's process may stand still while its device goes on, and a grant
 * allocates, clears and pins memory: this is not the deadline of a page.
 */
#define CALL_TIMEOUT		(5 * HZ)
#define PING_INTERVAL		HZ

struct hermit_rdma_link {
	struct hermit_remote remote;	/* first: ops */
	struct hermit_rdma_env env;
	struct hermit_rdma_queue queue;
	struct hermit_rdma_ctl ctl;
	unsigned long ping_at;

	unsigned int nr_opened;		/* between open and start */
	unsigned int nr_open;		/* READ_ONCE; 0 while down */

	unsigned int nr_data;
	struct hermit_rdma_data *data[] __counted_by(nr_data);
};

static struct hermit_rdma_link *to_rdma(struct hermit_remote *remote)
{
	return container_of(remote, struct hermit_rdma_link, remote);
}

static struct hermit_rdma_link *link_to_rdma(struct hermit_link *link)
{
	return container_of(link, struct hermit_rdma_link, remote.base);
}

static void kick_env(struct hermit_rdma_env *env)
{
	hermit_remote_kick(&container_of(env, struct hermit_rdma_link,
					 env)->remote);
}

static void kick_queue(struct hermit_rdma_queue *q)
{
	hermit_remote_kick(&container_of(q, struct hermit_rdma_link,
					 queue)->remote);
}

/* --- connecting ------------------------------------------------------------ */

static void stop_data(struct hermit_rdma_link *link)
{
	unsigned int i;

	WRITE_ONCE(link->nr_open, 0);
	/* Until nobody polls. */
	synchronize_rcu();
	for (i = 0; i < link->nr_data; i++)
		hermit_rdma_data_stop(link->data[i]);
}

static void rdma_stop(struct hermit_remote *remote)
{
	struct hermit_rdma_link *link = to_rdma(remote);

	stop_data(link);
	hermit_rdma_ctl_close(&link->ctl);
	hermit_rdma_queue_reset(&link->queue);
}

static int open_data(struct hermit_rdma_link *link,
		     const struct hermit_session *session)
{
	struct hermit_remote *remote = &link->remote;
	unsigned int nr, i;
	int ret;

	nr = min3(link->nr_data, session->max_connections,
		  (unsigned int)le16_to_cpu(link->ctl.cm.accept.max_data));
	for (i = 0; i < nr; i++) {
		ret = hermit_rdma_data_open(link->data[i], &link->ctl,
					    session->max_inflight);
		if (!ret)
			continue;
		if (!i)
			return ret;
		/* A device may have few queue pairs: one is enough. */
		pr_info_ratelimited("%s: server %s: %u of %u data connections: %s\n",
				    remote->id.name, remote->server, i, nr,
				    remote->why);
		break;
	}
	link->nr_opened = i;
	return 0;
}

static int open_once(struct hermit_rdma_link *link,
		     struct hermit_session *session)
{
	int ret;

	ret = hermit_rdma_ctl_open(&link->ctl, &link->env);
	if (ret)
		return ret;
	ret = hermit_handshake(&link->ctl.channel, &link->remote.id, 0,
			       hermit_remote_patience(&link->remote,
						      HANDSHAKE_TIMEOUT),
			       session, link->remote.why);
	if (!ret)
		ret = open_data(link, session);
	if (ret) {
		if (READ_ONCE(link->ctl.cm.changed))
			ret = -EAGAIN;
		rdma_stop(&link->remote);
	}
	return ret;
}

static int rdma_open(struct hermit_remote *remote,
		     struct hermit_session *session)
{
	struct hermit_rdma_link *link = to_rdma(remote);
	unsigned int i;
	int ret;

	link->env.connect_timeout = hermit_remote_patience(remote,
							   CONNECT_TIMEOUT);
	/* A neighbour's entry that is renewed meanwhile is no answer of the server. */
	for (i = 0; i < OPEN_TRIES; i++) {
		ret = open_once(link, session);
		if (ret != -EAGAIN)
			break;
	}
	return ret;
}

static void rdma_start(struct hermit_remote *remote,
		       const struct hermit_session *session)
{
	struct hermit_rdma_link *link = to_rdma(remote);
	unsigned int i;

	link->ping_at = jiffies + PING_INTERVAL;
	/* Pairs with rdma_poll(), which uses what open made. */
	smp_store_release(&link->nr_open, link->nr_opened);
	for (i = 0; i < link->nr_opened; i++)
		hermit_rdma_data_start(link->data[i]);
}

/* --- while it is up --------------------------------------------------------- */

static void pump_all(struct hermit_rdma_link *link)
{
	unsigned int i;

	for (i = 0; i < link->nr_open; i++)
		hermit_rdma_data_pump(link->data[i]);
}

static int call(struct hermit_rdma_link *link, u8 type, u64 offset, u32 extent,
		struct hermit_wire_hdr *reply, void *payload, size_t max)
{
	return hermit_rdma_ctl_call(&link->ctl, type, offset, extent,
				    hermit_remote_patience(&link->remote, CALL_TIMEOUT),
				    reply, payload, max);
}

static int grant(struct hermit_rdma_link *link)
{
	unsigned int max = clamp(READ_ONCE(rdma_grant_ahead), 1U,
				 HERMIT_RDMA_GRANT_MAX);
	struct hermit_wire_grant grants[HERMIT_RDMA_GRANT_MAX];
	struct hermit_wire_hdr reply;
	unsigned int asked, n = 0;
	u64 first;
	bool full = false;
	int ret, error;

	/* Not ahead of need when there is not enough for the need. */
	if (hermit_rdma_queue_full(&link->queue))
		max = 1;
	while (!READ_ONCE(link->env.abort) &&
	       (asked = hermit_rdma_queue_grant_next(&link->queue, max,
						     &first))) {
		ret = call(link, HERMIT_MSG_GRANT,
			   first << HERMIT_RDMA_EXTENT_SHIFT,
			   asked << HERMIT_RDMA_EXTENT_SHIFT, &reply, grants,
			   asked * sizeof(grants[0]));
		/* Not answered: close_epoch() puts them right. */
		if (ret)
			return ret;
		n = 0;
		error = 0;
		if (reply.status == HERMIT_WIRE_ENOSPC)
			error = -ENOSPC;
		else if (reply.status)
			error = -EIO;
		else
			n = le32_to_cpu(reply.length) / sizeof(grants[0]);
		hermit_rdma_queue_grant_done(&link->queue, first, asked, n,
					     grants, error);
		full |= error == -ENOSPC;
		pump_all(link);
	}
	if (full)
		hermit_rdma_queue_spare(&link->queue);
	return 0;
}

static int release(struct hermit_rdma_link *link)
{
	struct hermit_wire_hdr reply;
	u64 extent;
	int ret;

	while (!READ_ONCE(link->env.abort) &&
	       hermit_rdma_queue_release_next(&link->queue, &extent)) {
		ret = call(link, HERMIT_MSG_RELEASE,
			   extent << HERMIT_RDMA_EXTENT_SHIFT,
			   HERMIT_RDMA_EXTENT, &reply, NULL, 0);
		/* If it could not, it still has the memory: no harm. */
		if (ret)
			return ret;
		hermit_rdma_queue_release_done(&link->queue, extent);
	}
	return 0;
}

/* What there is to say to the server. 0, or the connection is of no use. */
static int talk(struct hermit_rdma_link *link)
{
	struct hermit_wire_hdr reply, ping = {};
	int ret;

	ret = release(link);
	if (!ret)
		ret = grant(link);
	if (!ret && time_after_eq(jiffies, link->ping_at)) {
		link->ping_at = jiffies + PING_INTERVAL;
		hermit_ping_fill(&link->remote.ping, &ping);
		ret = call(link, HERMIT_MSG_PING, le64_to_cpu(ping.offset),
			   le32_to_cpu(ping.extent), &reply, NULL, 0);
		/* check() says what is new. */
		if (!ret && !reply.status)
			hermit_ping_answered(&link->remote.ping, &reply);
	}
	return ret;
}

static void check_data(struct hermit_rdma_link *link, u64 deadline_ns,
		       struct hermit_remote_check *check)
{
	unsigned int i;

	for (i = 0; !check->broken && i < link->nr_open; i++)
		hermit_rdma_data_check(link->data[i], deadline_ns, check);
}

static bool in_trouble(struct hermit_rdma_env *env)
{
	struct hermit_rdma_link *link =
		container_of(env, struct hermit_rdma_link, env);
	struct hermit_remote_check check = { .impatient = link->remote.member };

	check_data(link, hermit_remote_deadline_ns(&link->remote), &check);
	return check.broken;
}

static void rdma_check(struct hermit_remote *remote, u64 deadline_ns,
		       struct hermit_remote_check *check)
{
	struct hermit_rdma_link *link = to_rdma(remote);
	int error = 0;

	/* Not counted: connections agree on an MTU of their own. */
	check->moved = true;
	check_data(link, deadline_ns, check);
	if (!check->broken && !READ_ONCE(link->ctl.cm.lost)) {
		error = talk(link);
		/* It may have ended for that. */
		if (error)
			check_data(link, deadline_ns, check);
	}
	if (!check->broken)
		check->broken = hermit_rdma_cm_lost(&link->ctl.cm);
	if (!check->broken && error) {
		check->broken = "no answer to a control request";
		check->error = error;
	}
	if (check->broken)
		return;
	/* Some may have been kept from the device for lack of DMA addresses. */
	pump_all(link);
	check->full = hermit_rdma_queue_full(&link->queue);
}

/* --- what else remote.c calls ------------------------------------------------ */

static int rdma_create(struct hermit_remote *remote)
{
	struct hermit_rdma_link *link = to_rdma(remote);
	unsigned int depth = clamp(READ_ONCE(rdma_depth), 1U,
				   HERMIT_RDMA_MAX_DEPTH);
	unsigned int i;
	int ret;

	link->env.net = remote->net;
	link->env.addr = &remote->addr;
	link->env.why = remote->why;
	link->env.kick = kick_env;
	link->env.in_trouble = in_trouble;
	init_waitqueue_head(&link->env.wait);
	ret = hermit_rdma_queue_init(&link->queue, remote->id.region_size);
	if (ret)
		return ret;
	link->queue.kick = kick_queue;
	for (i = 0; i < link->nr_data; i++) {
		link->data[i] = hermit_rdma_data_create(&link->env,
							&link->queue, depth, i);
		if (!link->data[i])
			return -ENOMEM;
	}
	return 0;
}

static void rdma_destroy(struct hermit_remote *remote)
{
	struct hermit_rdma_link *link = to_rdma(remote);
	unsigned int i;

	for (i = 0; i < link->nr_data && link->data[i]; i++)
		hermit_rdma_data_destroy(link->data[i]);
	hermit_rdma_queue_destroy(&link->queue);
}

static void rdma_refuse(struct hermit_remote *remote, int status)
{
	hermit_rdma_queue_refuse(&to_rdma(remote)->queue, status);
}

static void rdma_lose(struct hermit_remote *remote)
{
	hermit_rdma_queue_lose(&to_rdma(remote)->queue);
}

static void rdma_interrupt(struct hermit_remote *remote)
{
	struct hermit_rdma_link *link = to_rdma(remote);

	WRITE_ONCE(link->env.abort, true);
	wake_up_all(&link->env.wait);
}

/* Nothing may be outstanding when the server lets go of the memory. */
static void rdma_quiesce(struct hermit_remote *remote)
{
	struct hermit_rdma_link *link = to_rdma(remote);

	WRITE_ONCE(link->env.abort, false);
	stop_data(link);
}

static bool rdma_end(struct hermit_remote *remote)
{
	struct hermit_rdma_link *link = to_rdma(remote);
	struct hermit_wire_hdr reply;

	/* Whoever closes may be dying of a signal: the server has to know. */
	link->env.deaf = true;
	link->env.in_trouble = NULL;
	return !hermit_rdma_ctl_call(&link->ctl, HERMIT_MSG_END, 0, 0,
				     hermit_remote_patience(remote, END_TIMEOUT),
				     &reply, NULL, 0);
}

static const struct hermit_remote_ops remote_ops = {
	.transport = &hermit_transport_rdma,
	.deadline_ms = &rdma_deadline_ms,
	.create = rdma_create,
	.destroy = rdma_destroy,
	.open = rdma_open,
	.start = rdma_start,
	.stop = rdma_stop,
	.check = rdma_check,
	.refuse = rdma_refuse,
	.lose = rdma_lose,
	.interrupt = rdma_interrupt,
	.quiesce = rdma_quiesce,
	.end = rdma_end,
};

/* --- transport ops --------------------------------------------------------- */

static unsigned int wanted_data(void)
{
	unsigned int nr = READ_ONCE(rdma_queue_pairs);

	return nr ? min(nr, MAX_DATA) : min(num_online_cpus(), AUTO_DATA);
}

static struct hermit_link *rdma_connect_link(const struct hermit_link_params *params)
{
	unsigned int nr = wanted_data();
	struct hermit_rdma_link *link;

	link = kzalloc(struct_size(link, data, nr), GFP_KERNEL);
	if (link)
		link->nr_data = nr;
	return hermit_remote_connect(link ? &link->remote : NULL, &remote_ops,
				     params);
}

static void rdma_submit(struct hermit_link *base, struct list_head *ios)
{
	struct hermit_rdma_link *link = link_to_rdma(base);
	unsigned int nr;

	hermit_rdma_queue_add(&link->queue, ios);
	nr = READ_ONCE(link->nr_open);
	/*
	 * If the one is not started any more, or yet: whoever starts the first
	 * one posts what is queued by then.
	 */
	if (nr && !hermit_rdma_data_pump(link->data[raw_smp_processor_id() % nr]))
		hermit_rdma_data_pump(link->data[0]);
}

static void rdma_submit_one(struct hermit_link *base, struct hermit_io *io)
{
	LIST_HEAD(ios);

	list_add(&io->node, &ios);
	rdma_submit(base, &ios);
}

/*
 * What the caller posted is on the queue pair of its processor, most likely.
 * Under RCU: stop_data() clears nr_open and waits for a grace period before it
 * stops the first one.
 */
static int rdma_poll(struct hermit_link *base)
{
	struct hermit_rdma_link *link = link_to_rdma(base);
	unsigned int nr;
	int n = 0;

	rcu_read_lock();
	nr = smp_load_acquire(&link->nr_open);
	if (nr)
		n = hermit_rdma_data_poll(link->data[raw_smp_processor_id() % nr]);
	rcu_read_unlock();
	return n;
}

static void rdma_stats(struct hermit_link *base, struct hermit_server_stats *st)
{
	struct hermit_rdma_link *link = link_to_rdma(base);
	unsigned int i;

	hermit_remote_stats(&link->remote, st);
	hermit_rdma_queue_stats(&link->queue, st);
	for (i = 0; i < link->nr_data; i++)
		hermit_rdma_data_stats(link->data[i], st);
}

/*
 * Bounded also when the server is silent: opening is interrupted, a call that
 * is under way and END wait for a few seconds, draining for the local device.
 */
static void rdma_close(struct hermit_link *base, bool end)
{
	hermit_remote_close(&link_to_rdma(base)->remote, end);
}

const struct hermit_transport_ops hermit_transport_rdma = {
	.scheme = "rdma",
	.owner = THIS_MODULE,
	.connect = rdma_connect_link,
	.submit = rdma_submit,
	.submit_one = rdma_submit_one,
	.poll = rdma_poll,
	.stats = rdma_stats,
	.close = rdma_close,
	.say = hermit_remote_say,
	.room = hermit_remote_room,
};
