// SPDX-License-Identifier: GPL-2.0-only
/* A link to a server that may go away: see remote.h. */
#define pr_fmt(fmt) "hermit: " fmt

#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/nsproxy.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "core/retry.h"
#include "link/remote.h"

#define DEADLINE_MIN_MS		20
#define BARREN_EPOCHS		3
/* A link that nobody needs a page of is well if it lasts so long. */
#define BARREN_NS		(10ULL * NSEC_PER_SEC)

/* --- ios that wait ---------------------------------------------------------- */

enum hermit_remote_list hermit_remote_list_of(const struct hermit_io *io)
{
	if (io->op != HERMIT_IO_READ)
		return HERMIT_REMOTE_WRITES;
	return io->demand ? HERMIT_REMOTE_DEMAND : HERMIT_REMOTE_READS;
}

void hermit_remote_complete(struct hermit_io *io, int status)
{
	/* What a server lost is discarded too. */
	if (io->op == HERMIT_IO_DISCARD && status == -ENODATA)
		status = 0;
	io->status = status;
	io->done(io);
}

void hermit_remote_complete_list(struct list_head *ios, int status)
{
	struct hermit_io *io, *next;

	/* done() may free the io, and may submit others to another list. */
	list_for_each_entry_safe(io, next, ios, node) {
		list_del(&io->node);
		hermit_remote_complete(io, status);
	}
}

/* --- the work item --------------------------------------------------------- */

void hermit_remote_kick(struct hermit_remote *r)
{
	mod_delayed_work(r->wq, &r->work, 0);
}

static void set_up(struct hermit_remote *r, bool up)
{
	r->up = up;
	r->since = ktime_get_ns();
}

/* The fence is complete: post what is queued in the new epoch. */
static void start(struct hermit_remote *r, const struct hermit_session *session)
{
	WRITE_ONCE(r->epoch, session->epoch);
	WRITE_ONCE(r->incarnation, session->incarnation);
	set_up(r, true);
	hermit_ping_start(&r->ping, session->caps);
	if (r->member)
		r->ops->refuse(r, 0);
	r->ops->start(r, session);
}

static void report(struct hermit_remote *r, enum hermit_server_state state)
{
	if (r->state == state)
		return;
	WRITE_ONCE(r->state, state);
	if (r->user_ops->state)
		r->user_ops->state(r->user, state);
}

/* What the old incarnation had is gone. */
static void lose_contents(struct hermit_remote *r, u64 incarnation)
{
	pr_warn("%s: server %s came back without its contents\n",
		r->id.name, r->server);
	/* A member's have been refused since it was stopped. */
	if (!r->member)
		r->ops->refuse(r, -ENODATA);
	if (r->ops->lose)
		r->ops->lose(r);
	if (r->user_ops->contents_lost)
		r->user_ops->contents_lost(r->user, incarnation);
	if (!r->member)
		r->ops->refuse(r, 0);
}

/* After a try in vain: the longer the server is away, the longer. */
static void back_off(struct hermit_remote *r)
{
	u64 away = div_u64(ktime_get_ns() - r->since, NSEC_PER_MSEC);

	r->backoff_ms = hermit_retry_next(r->backoff_ms, away);
}

/*
 * A switch that is back brings all regions of many hosts to one server at one
 * moment: each waits between half of its back-off and the whole.
 */
static unsigned long next_try(const struct hermit_remote *r)
{
	return msecs_to_jiffies(r->backoff_ms -
				get_random_u32_below(r->backoff_ms / 2 + 1));
}

static void disconnect(struct hermit_remote *r)
{
	/* A server that takes connections but does no work is not hurried. */
	if (ktime_get_ns() - r->since > HERMIT_RETRY_MAX_MS * NSEC_PER_MSEC)
		r->backoff_ms = 0;
	else
		r->backoff_ms = hermit_retry_next(r->backoff_ms, U64_MAX);
	r->ops->stop(r);
	if (r->member)
		r->ops->refuse(r, -ENOLINK);
	set_up(r, false);
	report(r, HERMIT_SERVER_RECONNECTING);
}

static void not_back(struct hermit_remote *r, int err)
{
	if (!hermit_refused_for_good(err)) {
		if (err == -EMSGSIZE && !r->narrow)
			pr_warn("%s: server %s: %s\n", r->id.name, r->server,
				r->why);
		r->narrow |= err == -EMSGSIZE;
		report(r, HERMIT_SERVER_RECONNECTING);
		back_off(r);
		return;
	}
	if (r->state != HERMIT_SERVER_FAILED)
		pr_err("%s: server %s: %s; trying again each second\n",
		       r->id.name, r->server, r->why);
	report(r, HERMIT_SERVER_FAILED);
	r->backoff_ms = HERMIT_RETRY_MAX_MS;
}

static void reconnect(struct hermit_remote *r)
{
	u64 down_since = r->since;
	struct hermit_session session;
	unsigned int noreclaim;
	int ret;

	/* Reclaim may be waiting for this: do not wait for reclaim. */
	noreclaim = memalloc_noreclaim_save();
	ret = r->ops->open(r, &session);
	memalloc_noreclaim_restore(noreclaim);
	if (ret) {
		not_back(r, ret);
		return;
	}
	r->narrow = false;

	if (session.incarnation != r->incarnation)
		lose_contents(r, session.incarnation);
	start(r, &session);
	WRITE_ONCE(r->reconnects, r->reconnects + 1);
	if (r->barren >= BARREN_EPOCHS)
		return;
	pr_info_ratelimited("%s: server %s is back after %llu ms\n",
			    r->id.name, r->server,
			    div_u64(r->since - down_since, NSEC_PER_MSEC));
	report(r, HERMIT_SERVER_UP);
}

static unsigned int deadline_ms(const struct hermit_remote *r)
{
	return max(READ_ONCE(*r->ops->deadline_ms), DEADLINE_MIN_MS);
}

u64 hermit_remote_deadline_ns(const struct hermit_remote *r)
{
	return (u64)deadline_ms(r) * NSEC_PER_MSEC;
}

long hermit_remote_patience(const struct hermit_remote *r, long least)
{
	return max(least, (long)msecs_to_jiffies(deadline_ms(r)));
}

/* Who is draining is expected to have no room: that is no news. */
static enum hermit_server_state state_of(const struct hermit_remote *r,
					 const struct hermit_remote_check *check)
{
	if (READ_ONCE(r->ping.draining))
		return HERMIT_SERVER_DRAINING;
	return check->full ? HERMIT_SERVER_FULL : HERMIT_SERVER_UP;
}

static void check(struct hermit_remote *r)
{
	struct hermit_remote_check check = { .impatient = r->member };

	r->ops->check(r, hermit_remote_deadline_ns(r), &check);
	if (check.moved || ktime_get_ns() - r->since > BARREN_NS)
		r->barren = 0;
	if (!check.broken) {
		if (r->barren < BARREN_EPOCHS)
			report(r, state_of(r, &check));
		return;
	}
	if (!check.moved && ++r->barren == BARREN_EPOCHS)
		pr_warn("%s: server %s: no page came through %u connections, the last one: %s; the next ones are not told of until one does\n",
			r->id.name, r->server, BARREN_EPOCHS, check.broken);
	else if (!READ_ONCE(r->closing) && r->barren < BARREN_EPOCHS)
		pr_warn_ratelimited("%s: server %s: %s (%d); connecting anew\n",
				    r->id.name, r->server, check.broken,
				    check.error);
	disconnect(r);
}

static void remote_work(struct work_struct *work)
{
	struct hermit_remote *r =
		container_of(work, struct hermit_remote, work.work);

	if (r->up)
		check(r);
	else
		reconnect(r);

	if (r->up)
		/* Sooner if somebody has asked for it meanwhile. */
		queue_delayed_work(r->wq, &r->work,
				   msecs_to_jiffies(deadline_ms(r) / 4));
	else
		/* What they asked for when they were stopped is no news. */
		mod_delayed_work(r->wq, &r->work, next_try(r));
}

/* --- connect and close ------------------------------------------------------ */

static void init(struct hermit_remote *r, const struct hermit_remote_ops *ops,
		 const struct hermit_link_params *params)
{
	r->base.ops = ops->transport;
	r->ops = ops;
	r->user_ops = params->user_ops;
	r->user = params->user;
	r->member = params->member;
	r->state = HERMIT_SERVER_UP;
	r->net = get_net(current->nsproxy->net_ns);
	INIT_DELAYED_WORK(&r->work, remote_work);
	snprintf(r->server, sizeof(r->server), "%s:%s", ops->transport->scheme,
		 params->address);
	strscpy(r->id.name, params->name);
	memcpy(r->id.uuid, params->uuid, sizeof(r->id.uuid));
	memcpy(r->id.client_id, params->client_id, sizeof(r->id.client_id));
	r->id.region_size = params->region_size;
	r->id.unreserved = params->unreserved;
}

struct hermit_link *hermit_remote_connect(struct hermit_remote *r,
					  const struct hermit_remote_ops *ops,
					  const struct hermit_link_params *params)
{
	struct hermit_session session;
	int ret;

	if (!r) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server %s:%s: out of memory", ops->transport->scheme,
			 params->address);
		return ERR_PTR(-ENOMEM);
	}
	init(r, ops, params);

	ret = hermit_link_parse_address(r->net, params->address, &r->addr);
	if (ret) {
		strscpy(r->why, HERMIT_NOT_AN_ADDRESS);
		goto err_free;
	}
	ret = hermit_identity_init(&r->id, params->key, params->key_len);
	if (ret) {
		snprintf(r->why, sizeof(r->why),
			 "cannot use the key: no hmac(sha256) in this kernel? (error %d)",
			 -ret);
		goto err_free;
	}
	strscpy(r->why, "out of memory");
	ret = -ENOMEM;
	r->wq = alloc_ordered_workqueue("hermit_link/%s", WQ_MEM_RECLAIM,
					r->id.name);
	if (!r->wq)
		goto err_identity;
	/* Until it is up the work item has nothing to do. */
	disable_delayed_work(&r->work);
	ret = ops->create(r);
	if (ret)
		goto err_destroy;
	ret = ops->open(r, &session);
	if (ret)
		goto err_destroy;
	start(r, &session);
	enable_delayed_work(&r->work);
	queue_delayed_work(r->wq, &r->work, 0);
	return &r->base;

err_destroy:
	ops->destroy(r);
	destroy_workqueue(r->wq);
err_identity:
	hermit_identity_destroy(&r->id);
err_free:
	snprintf(params->error, HERMIT_ERROR_LEN, "server %s: %s", r->server,
		 r->why);
	put_net(r->net);
	kfree(r);
	return ERR_PTR(ret);
}

void hermit_remote_close(struct hermit_remote *r, bool end)
{
	WRITE_ONCE(r->closing, true);
	r->ops->interrupt(r);
	/* A connection that breaks from here on queues nothing. */
	disable_delayed_work_sync(&r->work);

	if (r->ops->quiesce)
		r->ops->quiesce(r);
	r->ops->refuse(r, -ECANCELED);
	if (end && !r->up)
		pr_warn("%s: server %s cannot be told that the region ends: it keeps its memory until told to forget it\n",
			r->id.name, r->server);
	else if (end && !r->ops->end(r))
		pr_warn("%s: server %s did not confirm that it freed the region's memory\n",
			r->id.name, r->server);
	r->ops->stop(r);
	/* What stop() put back. */
	r->ops->refuse(r, -ECANCELED);

	r->ops->destroy(r);
	destroy_workqueue(r->wq);
	hermit_identity_destroy(&r->id);
	put_net(r->net);
	kfree(r);
}

void hermit_remote_say(struct hermit_link *link, u64 reserve, u32 need)
{
	struct hermit_remote *r = container_of(link, struct hermit_remote, base);

	/* If it comes back with nothing it keeps as much. */
	if (reserve)
		WRITE_ONCE(r->id.unreserved, r->id.region_size -
			   min(reserve, r->id.region_size));
	hermit_ping_say(&r->ping, reserve, need);
}

u64 hermit_remote_room(struct hermit_link *link)
{
	return hermit_ping_room(&container_of(link, struct hermit_remote, base)->ping);
}

void hermit_remote_stats(struct hermit_remote *r,
			 struct hermit_server_stats *st)
{
	memset(st, 0, sizeof(*st));
	strscpy(st->address, r->server);
	st->state = READ_ONCE(r->state);
	st->epoch = READ_ONCE(r->epoch);
	st->incarnation = READ_ONCE(r->incarnation);
	st->reconnects = READ_ONCE(r->reconnects);
}
