// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rdma transport: a link is a session with one hermit-memserver, a control
 * connection and some data connections. wire/rdma.h is the protocol.
 *
 *	submit() ──► queue: demand │ reads │ writes	rdma_queue.c
 *			       │   ios of extents that are not granted wait
 *		   ┌───────────┴───────┬── ...
 *		data 0		    data 1		rdma_data.c
 *		  └─ a queue pair each: READ, WRITE; the submitter posts
 *
 *	work item: is each connection well? else stop all of them, and connect
 *	anew with back-off. Asks for extents, releases them, pings: one call
 *	at a time over the control connection		rdma_ctl.c, rdma_cm.c
 *
 * The submitting task posts to the queue pair of its processor; a completion
 * posts what is queued for lack of room. No thread is between a fault and the
 * device, and submit() may be called from inside another socket's sendmsg():
 * posting takes locks of this link and of the queue pair only.
 *
 * Epochs, as for tcp. The control connection's end is the epoch's. First the
 * queue pairs are drained, so that the device touches no page of ours any more,
 * and what was not completed goes back to the head of the queue. Then a new
 * epoch is opened: before its WELCOME the server has destroyed the old one's
 * queue pairs and registrations (the fence), so that nothing of it can land
 * late. Extents are granted anew, with new keys, and only then posted to. As
 * long as that does not succeed, nothing is completed.
 *
 * If the incarnation changed, the server has lost the contents: what is queued
 * is completed with -ENODATA, and so is all that comes until contents_lost()
 * returned.
 *
 * Who excludes whom: connections are opened, started and stopped by connect()
 * before the link is known, then by the work item alone (its workqueue is
 * ordered), then by close() after it has disabled the work item. Callbacks to
 * the user come from the work item, without a lock.
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
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "handshake.h"
#include "rdma_ctl.h"
#include "rdma_data.h"
#include "rdma_queue.h"
#include "transport.h"
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
#define RESOLVE_TRIES		3
#define HANDSHAKE_TIMEOUT	(5 * HZ)
#define END_TIMEOUT		(2 * HZ)
/*
 * A server's process may stand still while its device goes on, and a grant
 * allocates, clears and pins memory: this is not the deadline of a page.
 */
#define CALL_TIMEOUT		(5 * HZ)
#define PING_INTERVAL		HZ
#define BACKOFF_MIN_MS		50
#define BACKOFF_MAX_MS		1000
#define DEADLINE_MIN_MS		20

struct hermit_rdma_link {
	struct hermit_link base;	/* first: ops */
	struct hermit_rdma_env env;
	struct hermit_rdma_queue queue;
	struct hermit_rdma_ctl ctl;
	struct hermit_identity id;
	struct net *net;		/* the creator's; held */
	struct sockaddr_storage addr;
	char server[HERMIT_SERVER_LEN];	/* "rdma:ADDRESS", for messages */
	const struct hermit_link_user_ops *user_ops;
	void *user;

	struct workqueue_struct *wq;
	struct delayed_work work;
	bool up;			/* connections are started */
	unsigned int backoff_ms;
	u64 since;			/* time of the last change of up */
	unsigned long ping_at;
	char why[HERMIT_ERROR_LEN];	/* the last failure */

	/* written by the work item, read by stats() and submit() */
	enum hermit_server_state state;
	u64 epoch;
	u64 incarnation;
	u64 reconnects;
	unsigned int nr_open;		/* data connections; 0 while down */

	unsigned int nr_data;
	struct hermit_rdma_data *data[] __counted_by(nr_data);
};

static struct hermit_rdma_link *to_rdma(struct hermit_link *link)
{
	return container_of(link, struct hermit_rdma_link, base);
}

static void kick_env(struct hermit_rdma_env *env)
{
	struct hermit_rdma_link *link =
		container_of(env, struct hermit_rdma_link, env);

	mod_delayed_work(link->wq, &link->work, 0);
}

static void kick_queue(struct hermit_rdma_queue *q)
{
	struct hermit_rdma_link *link =
		container_of(q, struct hermit_rdma_link, queue);

	mod_delayed_work(link->wq, &link->work, 0);
}

/* --- connecting ------------------------------------------------------------ */

/* Nothing here touches a page of an io afterwards. */
static void close_epoch(struct hermit_rdma_link *link)
{
	unsigned int i;

	WRITE_ONCE(link->nr_open, 0);
	for (i = 0; i < link->nr_data; i++)
		hermit_rdma_data_stop(link->data[i]);
	hermit_rdma_ctl_close(&link->ctl);
	hermit_rdma_queue_reset(&link->queue);
	link->up = false;
	link->since = ktime_get_ns();
}

/*
 * Open a new epoch with all its connections. Returns the number of data
 * connections; or a negative errno, with link->why.
 */
static int open_epoch(struct hermit_rdma_link *link,
		      struct hermit_session *session)
{
	unsigned int nr, i;
	int ret;

	/* A neighbour's entry that is renewed meanwhile is no answer of the server. */
	for (i = 0; i < RESOLVE_TRIES; i++) {
		ret = hermit_rdma_ctl_open(&link->ctl, &link->env);
		if (ret != -EAGAIN)
			break;
	}
	if (ret)
		return ret;
	ret = hermit_handshake(&link->ctl.channel, &link->id, 0,
			       HANDSHAKE_TIMEOUT, session, link->why);
	if (ret)
		goto err_close;

	nr = min3(link->nr_data, session->max_connections,
		  (unsigned int)le16_to_cpu(link->ctl.cm.accept.max_data));
	for (i = 0; i < nr; i++) {
		ret = hermit_rdma_data_open(link->data[i], &link->ctl,
					    session->max_inflight);
		/* A device may have few queue pairs: one is enough. */
		if (ret && i) {
			pr_info_ratelimited("%s: server %s: %u of %u data connections: %s\n",
					    link->id.name, link->server, i, nr,
					    link->why);
			break;
		}
		if (ret)
			goto err_close;
	}
	return i;

err_close:
	close_epoch(link);
	return ret;
}

/* The fence is complete: post what is queued in the new epoch. */
static void start_epoch(struct hermit_rdma_link *link, unsigned int nr,
			const struct hermit_session *session)
{
	unsigned int i;

	WRITE_ONCE(link->epoch, session->epoch);
	WRITE_ONCE(link->incarnation, session->incarnation);
	link->up = true;
	link->since = ktime_get_ns();
	link->ping_at = jiffies + PING_INTERVAL;
	WRITE_ONCE(link->nr_open, nr);
	for (i = 0; i < nr; i++)
		hermit_rdma_data_start(link->data[i]);
}

/* --- the work item --------------------------------------------------------- */

static void report(struct hermit_rdma_link *link, enum hermit_server_state state)
{
	if (link->state == state)
		return;
	WRITE_ONCE(link->state, state);
	if (link->user_ops->state)
		link->user_ops->state(link->user, state);
}

/* What the old incarnation had is gone. */
static void lose_contents(struct hermit_rdma_link *link, u64 incarnation)
{
	pr_warn("%s: server %s came back without its contents\n",
		link->id.name, link->server);
	hermit_rdma_queue_refuse(&link->queue, -ENODATA);
	hermit_rdma_queue_lose(&link->queue);
	if (link->user_ops->contents_lost)
		link->user_ops->contents_lost(link->user, incarnation);
	hermit_rdma_queue_refuse(&link->queue, 0);
}

static void back_off(struct hermit_rdma_link *link)
{
	link->backoff_ms = clamp(2 * link->backoff_ms, BACKOFF_MIN_MS,
				 BACKOFF_MAX_MS);
}

static void disconnect(struct hermit_rdma_link *link)
{
	/* A server that takes connections but does no work is not hurried. */
	if (ktime_get_ns() - link->since > BACKOFF_MAX_MS * NSEC_PER_MSEC)
		link->backoff_ms = 0;
	else
		back_off(link);
	close_epoch(link);
	report(link, HERMIT_SERVER_RECONNECTING);
}

static void reconnect(struct hermit_rdma_link *link)
{
	u64 down_since = link->since;
	struct hermit_session session;
	unsigned int noreclaim;
	int ret;

	/* Reclaim may be waiting for this: do not wait for reclaim. */
	noreclaim = memalloc_noreclaim_save();
	ret = open_epoch(link, &session);
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
		/* The time of the loss, not that of the last attempt. */
		link->since = down_since;
		return;
	}

	if (session.incarnation != link->incarnation)
		lose_contents(link, session.incarnation);
	start_epoch(link, ret, &session);
	WRITE_ONCE(link->reconnects, link->reconnects + 1);
	pr_info_ratelimited("%s: server %s is back after %llu ms\n",
			    link->id.name, link->server,
			    div_u64(link->since - down_since, NSEC_PER_MSEC));
	report(link, HERMIT_SERVER_UP);
}

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
				    CALL_TIMEOUT, reply, payload, max);
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
	struct hermit_wire_hdr reply;
	int ret;

	ret = release(link);
	if (!ret)
		ret = grant(link);
	if (!ret && time_after_eq(jiffies, link->ping_at)) {
		link->ping_at = jiffies + PING_INTERVAL;
		ret = call(link, HERMIT_MSG_PING, 0, 0, &reply, NULL, 0);
	}
	return ret;
}

static void check_data(struct hermit_rdma_link *link,
		       struct hermit_rdma_data_check *check)
{
	u64 deadline_ns = (u64)max(READ_ONCE(rdma_deadline_ms),
				   DEADLINE_MIN_MS) * NSEC_PER_MSEC;
	unsigned int i;

	memset(check, 0, sizeof(*check));
	for (i = 0; !check->broken && i < link->nr_open; i++)
		hermit_rdma_data_check(link->data[i], deadline_ns, check);
}

static bool in_trouble(struct hermit_rdma_env *env)
{
	struct hermit_rdma_data_check check;

	check_data(container_of(env, struct hermit_rdma_link, env), &check);
	return check.broken;
}

/* True if every connection is well. */
static bool check_connections(struct hermit_rdma_link *link)
{
	struct hermit_rdma_data_check check;
	int error = 0;

	check_data(link, &check);
	if (!check.broken && !READ_ONCE(link->ctl.cm.lost)) {
		error = talk(link);
		/* It may have ended for that. */
		if (error)
			check_data(link, &check);
	}
	if (!check.broken && READ_ONCE(link->ctl.cm.lost))
		check.broken = "the server closed the connection";
	if (!check.broken && error) {
		check.broken = "no answer to a control request";
		check.error = error;
	}
	if (check.broken) {
		if (!READ_ONCE(link->env.abort))
			pr_warn_ratelimited("%s: server %s: %s (%d); connecting anew\n",
					    link->id.name, link->server,
					    check.broken, check.error);
		return false;
	}
	/* Some may have been kept from the device for lack of DMA addresses. */
	pump_all(link);
	report(link, hermit_rdma_queue_full(&link->queue) ?
		     HERMIT_SERVER_FULL : HERMIT_SERVER_UP);
	return true;
}

static void link_work(struct work_struct *work)
{
	struct hermit_rdma_link *link =
		container_of(work, struct hermit_rdma_link, work.work);
	unsigned int deadline_ms = max(READ_ONCE(rdma_deadline_ms),
				       DEADLINE_MIN_MS);

	if (!link->up)
		reconnect(link);
	else if (!check_connections(link))
		disconnect(link);

	if (link->up)
		/* Sooner if somebody has asked for it meanwhile. */
		queue_delayed_work(link->wq, &link->work,
				   msecs_to_jiffies(deadline_ms / 4));
	else
		/* What they asked for when they were stopped is no news. */
		mod_delayed_work(link->wq, &link->work,
				 msecs_to_jiffies(link->backoff_ms));
}

/* --- transport ops --------------------------------------------------------- */

static int create_data(struct hermit_rdma_link *link)
{
	unsigned int depth = clamp(READ_ONCE(rdma_depth), 1U,
				   HERMIT_RDMA_MAX_DEPTH);
	unsigned int i;

	for (i = 0; i < link->nr_data; i++) {
		link->data[i] = hermit_rdma_data_create(&link->env,
							&link->queue, depth, i);
		if (!link->data[i])
			return -ENOMEM;
	}
	return 0;
}

static void destroy_data(struct hermit_rdma_link *link)
{
	unsigned int i;

	for (i = 0; i < link->nr_data && link->data[i]; i++)
		hermit_rdma_data_destroy(link->data[i]);
}

static unsigned int wanted_data(void)
{
	unsigned int nr = READ_ONCE(rdma_queue_pairs);

	return nr ? min(nr, MAX_DATA) : min(num_online_cpus(), AUTO_DATA);
}

static void link_init(struct hermit_rdma_link *link,
		      const struct hermit_link_params *params)
{
	link->base.ops = &hermit_transport_rdma;
	link->user_ops = params->user_ops;
	link->user = params->user;
	link->state = HERMIT_SERVER_UP;
	link->net = get_net(current->nsproxy->net_ns);
	link->env.net = link->net;
	link->env.addr = &link->addr;
	link->env.why = link->why;
	link->env.kick = kick_env;
	link->env.in_trouble = in_trouble;
	init_waitqueue_head(&link->env.wait);
	INIT_DELAYED_WORK(&link->work, link_work);
	snprintf(link->server, sizeof(link->server), "rdma:%s",
		 params->address);
	strscpy(link->id.name, params->name);
	memcpy(link->id.uuid, params->uuid, sizeof(link->id.uuid));
	link->id.region_size = params->region_size;
}

static struct hermit_link *rdma_connect_link(const struct hermit_link_params *params)
{
	unsigned int nr = wanted_data();
	struct hermit_session session;
	struct hermit_rdma_link *link;
	int ret;

	link = kzalloc(struct_size(link, data, nr), GFP_KERNEL);
	if (!link) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server rdma:%s: out of memory", params->address);
		return ERR_PTR(-ENOMEM);
	}
	link->nr_data = nr;
	link_init(link, params);

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
	ret = hermit_rdma_queue_init(&link->queue, params->region_size);
	if (ret)
		goto err_identity;
	link->queue.kick = kick_queue;
	ret = -ENOMEM;
	link->wq = alloc_ordered_workqueue("hermit_link/%s", WQ_MEM_RECLAIM,
					   link->id.name);
	if (!link->wq)
		goto err_queue;
	/* Until it is up the work item has nothing to do. */
	disable_delayed_work(&link->work);
	ret = create_data(link);
	if (ret)
		goto err_data;

	ret = open_epoch(link, &session);
	if (ret < 0)
		goto err_data;
	start_epoch(link, ret, &session);
	enable_delayed_work(&link->work);
	queue_delayed_work(link->wq, &link->work, 0);
	return &link->base;

err_data:
	destroy_data(link);
	destroy_workqueue(link->wq);
err_queue:
	hermit_rdma_queue_destroy(&link->queue);
err_identity:
	hermit_identity_destroy(&link->id);
err_link:
	snprintf(params->error, HERMIT_ERROR_LEN, "server %s: %s",
		 link->server, link->why);
	put_net(link->net);
	kfree(link);
	return ERR_PTR(ret);
}

static void rdma_submit(struct hermit_link *base, struct list_head *ios)
{
	struct hermit_rdma_link *link = to_rdma(base);
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

static void rdma_stats(struct hermit_link *base, struct hermit_server_stats *st)
{
	struct hermit_rdma_link *link = to_rdma(base);
	unsigned int i;

	memset(st, 0, sizeof(*st));
	hermit_rdma_queue_stats(&link->queue, st);
	strscpy(st->address, link->server);
	st->state = READ_ONCE(link->state);
	st->epoch = READ_ONCE(link->epoch);
	st->incarnation = READ_ONCE(link->incarnation);
	st->reconnects = READ_ONCE(link->reconnects);
	st->connections = READ_ONCE(link->nr_open);
	for (i = 0; i < st->connections; i++)
		st->inflight += hermit_rdma_data_inflight(link->data[i]);
}

/*
 * Bounded also when the server is silent: opening is interrupted, a call that
 * is under way and END wait for a few seconds, draining for the local device.
 */
static void rdma_close(struct hermit_link *base, bool end)
{
	struct hermit_rdma_link *link = to_rdma(base);
	struct hermit_wire_hdr reply;
	unsigned int i;

	WRITE_ONCE(link->env.abort, true);
	wake_up_all(&link->env.wait);
	/* A connection that breaks from here on queues nothing. */
	disable_delayed_work_sync(&link->work);
	WRITE_ONCE(link->env.abort, false);

	/* Nothing may be outstanding when the server lets go of the memory. */
	WRITE_ONCE(link->nr_open, 0);
	for (i = 0; i < link->nr_data; i++)
		hermit_rdma_data_stop(link->data[i]);
	hermit_rdma_queue_refuse(&link->queue, -ECANCELED);

	/* Whoever closes may be dying of a signal: the server has to know. */
	link->env.deaf = true;
	link->env.in_trouble = NULL;
	if (end && !link->up)
		pr_warn("%s: server %s cannot be told that the region ends: it keeps its memory until told to forget it\n",
			link->id.name, link->server);
	else if (end && hermit_rdma_ctl_call(&link->ctl, HERMIT_MSG_END, 0, 0,
					     END_TIMEOUT, &reply, NULL, 0))
		pr_warn("%s: server %s did not confirm that it freed the region's memory\n",
			link->id.name, link->server);
	close_epoch(link);

	destroy_data(link);
	destroy_workqueue(link->wq);
	hermit_rdma_queue_destroy(&link->queue);
	hermit_identity_destroy(&link->id);
	put_net(link->net);
	kfree(link);
}

const struct hermit_transport_ops hermit_transport_rdma = {
	.scheme = "rdma",
	.owner = THIS_MODULE,
	.connect = rdma_connect_link,
	.submit = rdma_submit,
	.submit_one = rdma_submit_one,
	.stats = rdma_stats,
	.close = rdma_close,
};
