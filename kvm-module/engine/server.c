// SPDX-License-Identifier: GPL-2.0-only
/* The servers of a region: see server.h. */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "engine/drain.h"
#include "engine/event.h"
#include "engine/mark.h"
#include "engine/mover.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/server.h"
#include "engine/sweep.h"
#include "engine/threads.h"
#include "engine/word.h"
#include "link/seal.h"
#include "link/set.h"
#include "wire/wire.h"

/* --- what links tell ---------------------------------------------------------------- */

enum hermit_server_state hermit_server_shown(struct hermit_region *r,
					     unsigned int server,
					     enum hermit_server_state state)
{
	u8 bit = 1U << server;

	bool leaves = READ_ONCE(r->servers_leaving) & bit;

	if (!hermit_link_serves(state) || (!leaves && state != HERMIT_SERVER_DRAINING))
		return state;
	if (leaves && READ_ONCE(r->servers_drained) & bit)
		return HERMIT_SERVER_DRAINED;
	return READ_ONCE(r->servers_stuck) & bit ? HERMIT_SERVER_STUCK :
						   HERMIT_SERVER_DRAINING;
}

static void server_tell(struct hermit_region *r, unsigned int server,
			enum hermit_server_state state)
{
	WRITE_ONCE(r->server_since[server], ktime_get_ns());
	hermit_event(r, HERMIT_EVENT_SERVER_STATE, server,
		     hermit_server_shown(r, server, state));
}

/* One at a time; beside server_contents_lost(), but not of the same one. */
static void server_state(void *user, unsigned int server,
			 enum hermit_server_state state)
{
	struct hermit_region *r = user;
	u8 bit = 1U << server, up = r->servers_up & ~bit,
	   writable = r->servers_writable & ~bit;

	HERMIT_MARK(server_state_told);
	WRITE_ONCE(r->server_states[server], state);
	server_tell(r, server, state);
	if (hermit_link_serves(state))
		up |= bit;
	if (state == HERMIT_SERVER_UP)
		writable |= bit;
	WRITE_ONCE(r->servers_up, up);
	WRITE_ONCE(r->servers_writable, writable);
	/* Room waiters and reclaim may go on. */
	WRITE_ONCE(r->write_backoff, jiffies);
	hermit_mover_again(r);
	wake_up_all(&r->room_wq);
	hermit_threads_kick(r);
	/* It may be drained, or not any more. */
	schedule_delayed_work(&r->server_work, 0);
}

static void server_contents_lost(void *user, unsigned int server, u64 incarnation)
{
	struct hermit_region *r = user;
	u64 lost = hermit_sweep(r, server);

	pr_warn("%s: %s came back without its contents: %llu pages lost\n",
		r->name, r->servers[server], lost);
}

static const struct hermit_set_user_ops set_user_ops = {
	.state = server_state,
	.contents_lost = server_contents_lost,
};

/* The only one. */
static void link_state(void *user, enum hermit_server_state state)
{
	server_state(user, 0, state);
}

static void link_contents_lost(void *user, u64 incarnation)
{
	server_contents_lost(user, 0, incarnation);
}

static const struct hermit_link_user_ops link_user_ops = {
	.state = link_state,
	.contents_lost = link_contents_lost,
};

/* --- open and close ------------------------------------------------------------------- */

static bool wants_a_set(const struct hermit_create *c)
{
	return c->nr_servers > 1 ||
	       (c->nr_servers && c->replicas && strncmp(c->servers[0], "local:", 6));
}

void hermit_server_init(struct hermit_region *r, const struct hermit_create *c,
			const u8 *client_id)
{
	unsigned int i;

	memcpy(r->client_id, client_id, sizeof(r->client_id));
	r->nr_servers = max(c->nr_servers, 1U);
	for (i = 0; i < c->nr_servers; i++)
		strscpy(r->servers[i], c->servers[i]);
	if (!c->nr_servers)
		strscpy(r->servers[0], "local:");
	if (wants_a_set(c))
		r->replicas = c->replicas ?: HERMIT_DEFAULT_REPLICAS;
	/* Links begin so. */
	r->servers_up = r->servers_writable = (1U << r->nr_servers) - 1;
	for (i = 0; i < r->nr_servers; i++) {
		r->server_states[i] = HERMIT_SERVER_UP;
		r->server_since[i] = ktime_get_ns();
	}
}

static void server_params(struct hermit_region *r, struct hermit_link_params *p,
			  const u8 *key, u32 key_len, char *error)
{
	*p = (struct hermit_link_params){
		.name = r->name,
		.region_size = r->npages << PAGE_SHIFT,
		.key = key,
		.key_len = key_len,
		.user_ops = &link_user_ops,
		.user = r,
		.error = error,
	};
	memcpy(p->uuid, r->uuid, sizeof(p->uuid));
	memcpy(p->client_id, r->client_id, sizeof(p->client_id));
}

static struct hermit_seal_slot server_seal_slot(void *user, u64 idx)
{
	return hermit_word_seal(user, idx);
}

/* A seal over @link, which is closed if that fails. */
static struct hermit_link *server_seal(struct hermit_region *r,
				       struct hermit_link *link, char *error)
{
	struct hermit_seal_params p = {
		.below = link,
		.slot = server_seal_slot,
		.user = r,
		.error = error,
	};
	struct hermit_link *seal;

	memcpy(p.uuid, r->uuid, sizeof(p.uuid));
	seal = hermit_seal_over(&p);
	if (IS_ERR(seal))
		hermit_link_close(link, true);
	return seal;
}

int hermit_server_connect(struct hermit_region *r, struct hermit_create *c)
{
	struct hermit_link_params params;
	struct hermit_link *link;

	/* Of several the set refuses it. */
	if (r->seals && !strncmp(r->servers[0], "local:", 6)) {
		snprintf(c->error, sizeof(c->error),
			 "server %s: memory of this host, where sealed pages do not get smaller; leave out seal, or give tcp: or rdma: servers",
			 r->servers[0]);
		return -EINVAL;
	}
	server_params(r, &params, c->key, c->key_len, c->error);
	link = r->replicas ?
	       hermit_set_open(r->servers, r->nr_servers, r->replicas,
			       &set_user_ops, &params) :
	       hermit_link_open(r->servers[0], &params);
	if (!IS_ERR(link) && r->seals)
		link = server_seal(r, link, c->error);
	if (IS_ERR(link))
		return PTR_ERR(link);
	r->link = link;
	r->sync = link->ops->synchronous;
	if (r->sync)
		hermit_pool_reserve(r);
	return 0;
}

void hermit_server_close(struct hermit_region *r)
{
	/* Whoever comes behind this finds the region dead. */
	mutex_lock(&r->change_lock);
	if (r->link)
		hermit_link_close(r->link, true);
	r->link = NULL;
	mutex_unlock(&r->change_lock);
	/* Nobody tells of states any more. */
	cancel_delayed_work_sync(&r->server_work);
}

/* --- changes: all of it under change_lock ----------------------------------------------- */

/* Who has the name @address; "": nobody has the number. -1: there is none. */
static int server_find(struct hermit_region *r, const char *address)
{
	int i;

	for (i = 0; i < HERMIT_MAX_SERVERS; i++)
		if (!strcmp(r->servers[i], address))
			return i;
	return -1;
}

static void server_name(struct hermit_region *r, unsigned int server,
			const char *address)
{
	unsigned int i;

	spin_lock(&r->servers_lock);
	strscpy(r->servers[server], address);
	for (i = HERMIT_MAX_SERVERS; i > 1 && !r->servers[i - 1][0]; i--)
		;
	r->nr_servers = i;
	spin_unlock(&r->servers_lock);
}

static void server_leaves(struct hermit_region *r, unsigned int server, bool leaves)
{
	u8 bit = 1U << server;

	hermit_set_leave(hermit_server_set(r), server, leaves);
	hermit_sweep_leaving(r, leaves ? r->servers_leaving | bit :
					 r->servers_leaving & ~bit);
	spin_lock(&r->servers_lock);
	WRITE_ONCE(r->servers_drained, r->servers_drained & ~bit);
	/* No pass that began before this says that it is drained. */
	hermit_mover_again(r);
	spin_unlock(&r->servers_lock);
	WRITE_ONCE(r->servers_stuck, r->servers_stuck & ~bit);
	if (leaves)
		hermit_drain_begins(r);
	/* Of one that is not there it is told when it is. */
	if (READ_ONCE(r->servers_up) & bit)
		server_tell(r, server, READ_ONCE(r->server_states[server]));
	schedule_delayed_work(&r->server_work, 0);
}

static int server_drain(struct hermit_region *r, struct hermit_server_change *c)
{
	u8 bit = 1U << c->server;
	int ret;

	r->servers_kept &= ~bit;
	if (r->servers_leaving & bit)
		return 0;
	if (!(READ_ONCE(r->servers_writable) & ~(r->servers_leaving | bit))) {
		HERMIT_MARK(drain_is_refused);
		snprintf(c->error, sizeof(c->error),
			 "server %s: no other server of this VM is up and has room, so nobody could take its pages; add one, or see to the others",
			 c->address);
		return -ENOSPC;
	}
	ret = hermit_drain_fits(r, c->server, c->error);
	if (ret)
		return ret;
	HERMIT_MARK(server_drains);
	server_leaves(r, c->server, true);
	return 0;
}

static void server_stays(struct hermit_region *r, unsigned int server)
{
	server_leaves(r, server, false);
	r->servers_asked &= ~(1U << server);
	hermit_set_share(hermit_server_set(r), r->servers_leaving);
	wake_up_all(&r->room_wq);
	hermit_threads_kick(r);
}

static int server_undrain(struct hermit_region *r, struct hermit_server_change *c)
{
	u8 bit = 1U << c->server;

	/* Whatever its own operator wants. */
	if (READ_ONCE(r->server_states[c->server]) == HERMIT_SERVER_DRAINING)
		r->servers_kept |= bit;
	if (r->servers_leaving & bit)
		server_stays(r, c->server);
	return 0;
}

/* Those that there are beside it, and that do not leave. */
static u8 server_others(struct hermit_region *r, unsigned int server, bool leaving)
{
	unsigned int i;
	u8 others = 0;

	for (i = 0; i < HERMIT_MAX_SERVERS; i++)
		if (i != server && r->servers[i][0])
			others |= 1U << i;
	return leaving ? others : others & ~r->servers_leaving;
}

static int server_drop(struct hermit_region *r, struct hermit_server_change *c)
{
	bool force = c->flags & HERMIT_SERVER_FORCE;
	u64 needed, lost;

	if (!server_others(r, c->server, true)) {
		snprintf(c->error, sizeof(c->error),
			 "server %s: this VM has no other one; add one, and drain this one first",
			 c->address);
		return -EINVAL;
	}
	/* No page could leave this host any more. */
	if (!server_others(r, c->server, false)) {
		HERMIT_MARK(drop_leaves_none);
		snprintf(c->error, sizeof(c->error),
			 "server %s: all others of this VM leave it, too, and get no page; add one or undrain one of them first",
			 c->address);
		return -EINVAL;
	}
	if (!(r->servers_leaving >> c->server & 1)) {
		if (!force) {
			snprintf(c->error, sizeof(c->error),
				 "server %s: it is not drained; drain it first, or pages that nobody else has would be lost",
				 c->address);
			return -EBUSY;
		}
		server_leaves(r, c->server, true);
	}
	needed = hermit_sweep_drop(r, c->server, force, &lost);
	c->pages = needed + lost;
	if (needed) {
		HERMIT_MARK(drop_is_refused);
		snprintf(c->error, sizeof(c->error),
			 "server %s: %llu pages are not on enough others yet; wait until it is drained",
			 c->address, needed);
		return -EBUSY;
	}
	HERMIT_MARK(server_is_dropped);
	if (lost)
		pr_warn("%s: server %s is dropped by force, and %llu pages with it that nobody else had\n",
			r->name, c->address, lost);
	hermit_set_drop(hermit_server_set(r), c->server);
	/* No mask has it, nor will. */
	spin_lock(&r->servers_lock);
	WRITE_ONCE(r->servers_leaving, r->servers_leaving & ~(1U << c->server));
	WRITE_ONCE(r->servers_drained, r->servers_drained & ~(1U << c->server));
	spin_unlock(&r->servers_lock);
	WRITE_ONCE(r->servers_stuck, r->servers_stuck & ~(1U << c->server));
	r->servers_asked &= ~(1U << c->server);
	r->servers_kept &= ~(1U << c->server);
	server_name(r, c->server, "");
	return 0;
}

static int server_add(struct hermit_region *r, struct hermit_server_change *c)
{
	struct hermit_link_params params;
	int server = server_find(r, ""), ret;

	if (server < 0) {
		snprintf(c->error, sizeof(c->error),
			 "server %s: this VM has %u, and there may be no more; drain and drop one first",
			 c->address, HERMIT_MAX_SERVERS);
		return -ENOSPC;
	}
	c->server = server;
	server_params(r, &params, c->key, c->key_len, c->error);
	server_name(r, server, c->address);
	ret = hermit_set_add(hermit_server_set(r), server, c->address, &params);
	if (ret) {
		server_name(r, server, "");
		return ret;
	}
	HERMIT_MARK(server_is_added);
	hermit_set_share(hermit_server_set(r), r->servers_leaving);
	return 0;
}

static int server_change(struct hermit_region *r, struct hermit_server_change *c)
{
	int server = c->address[0] ? server_find(r, c->address) : -1;
	bool adds = c->op == HERMIT_SERVER_ADD;

	if (!r->replicas) {
		snprintf(c->error, sizeof(c->error),
			 "server %s: the VM was started with one server, not with a set that could change; give it replicas=1 at its next start",
			 c->address);
		return -EOPNOTSUPP;
	}
	if (!c->address[0] || (c->flags & ~HERMIT_SERVER_FORCE) ||
	    (c->flags && c->op != HERMIT_SERVER_DROP) || c->key_len > HERMIT_KEY_LEN ||
	    (c->key_len && !adds)) {
		strscpy(c->error, "change of a server: it needs an address, only a drop has flags, and only a new server a key of at most 64 bytes");
		return -EINVAL;
	}
	if (adds && server >= 0) {
		snprintf(c->error, sizeof(c->error),
			 "server %s: this VM has it already; two copies on one server are as good as one",
			 c->address);
		return -EEXIST;
	}
	if (!adds && server < 0) {
		snprintf(c->error, sizeof(c->error),
			 "server %s: this VM has no such server", c->address);
		return -ENOENT;
	}
	c->server = server;
	switch (c->op) {
	case HERMIT_SERVER_ADD:
		return server_add(r, c);
	case HERMIT_SERVER_DROP:
		return server_drop(r, c);
	case HERMIT_SERVER_DRAIN:
		return server_drain(r, c);
	case HERMIT_SERVER_UNDRAIN:
		return server_undrain(r, c);
	}
	snprintf(c->error, sizeof(c->error),
		 "server %s: change %u is not known; use a matching hermit.ko",
		 c->address, c->op);
	return -EINVAL;
}

/* --- what servers' own operators want: under change_lock, too ----------------------- */

/* A server that is back is not drained any more only if it has not said so again by then. */
#define STAYS_NS	(5ULL * NSEC_PER_SEC)
/* Others may have room now. */
#define ASK_AGAIN	(10 * HZ)

/* It is DRAINING by itself. */
static void server_is_asked_to_leave(struct hermit_region *r, unsigned int server)
{
	struct hermit_server_change c = { .server = server };
	u8 bit = 1U << server;
	int ret;

	if (time_before(jiffies, r->ask_again))
		return;
	strscpy(c.address, r->servers[server]);
	ret = server_drain(r, &c);
	if (!ret) {
		HERMIT_MARK(server_asks_to_leave);
		r->servers_asked |= bit;
		pr_warn("%s: server %s is drained by its operator: its pages go to others\n",
			r->name, c.address);
		return;
	}
	/* The region has ended. */
	if (ret == -EINTR)
		return;
	r->ask_again = jiffies + ASK_AGAIN;
	if (r->servers_stuck & bit)
		return;
	pr_warn("%s: server %s is drained by its operator, and its pages stay there: %s\n",
		r->name, c.address, c.error);
	WRITE_ONCE(r->servers_stuck, r->servers_stuck | bit);
	server_tell(r, server, READ_ONCE(r->server_states[server]));
}

static void server_look_at(struct hermit_region *r, unsigned int server, u8 stuck)
{
	enum hermit_server_state state = READ_ONCE(r->server_states[server]);
	u8 bit = 1U << server, was = r->servers_stuck;
	bool asks = state == HERMIT_SERVER_DRAINING;

	if (asks && !((r->servers_leaving | r->servers_kept) & bit)) {
		server_is_asked_to_leave(r, server);
		was = r->servers_stuck;
		stuck |= was & bit;
	}
	if (!asks && hermit_link_serves(state)) {
		r->servers_kept &= ~bit;
		if (r->servers_asked & bit &&
		    ktime_get_ns() - READ_ONCE(r->server_since[server]) > STAYS_NS)
			server_stays(r, server);
	}
	if ((stuck ^ was) & bit) {
		WRITE_ONCE(r->servers_stuck, was ^ bit);
		if (hermit_link_serves(state))
			server_tell(r, server, state);
	}
	hermit_set_need(hermit_server_set(r), server, hermit_drain_need(r, server));
}

/* A server without others: under a region's seal it is where a set would be. */
static void server_alone_says(struct hermit_region *r, bool stuck)
{
	struct hermit_link *link = hermit_server_set(r);

	if (link->ops->say)
		link->ops->say(link, 0, HERMIT_NEED_ALL |
			       (stuck ? HERMIT_NEED_STUCK : 0));
}

static void server_work(struct work_struct *work)
{
	struct hermit_region *r = container_of(to_delayed_work(work), struct hermit_region,
					       server_work);
	bool again = false;
	unsigned int i;
	u8 stuck;

	mutex_lock(&r->change_lock);
	if (READ_ONCE(r->dead) || !r->link)
		goto out;
	if (!r->replicas) {
		/* There is nobody else, whatever it is told: its operator is to know. */
		again = READ_ONCE(r->server_states[0]) == HERMIT_SERVER_DRAINING;
		server_alone_says(r, again);
		goto out;
	}
	stuck = hermit_drain_stuck(r);
	for (i = 0; i < HERMIT_MAX_SERVERS; i++) {
		if (!r->servers[i][0])
			continue;
		server_look_at(r, i, stuck);
		again |= READ_ONCE(r->server_states[i]) == HERMIT_SERVER_DRAINING;
	}
	if (again || r->servers_leaving)
		schedule_delayed_work(&r->server_work, HZ);
out:
	mutex_unlock(&r->change_lock);
}

void hermit_server_work_init(struct hermit_region *r)
{
	INIT_DELAYED_WORK(&r->server_work, server_work);
	r->ask_again = jiffies;
}

int hermit_server_change(struct hermit_region *r, struct hermit_server_change *c)
{
	int ret;

	c->pages = 0;
	ret = mutex_lock_interruptible(&r->change_lock);
	if (ret)
		return ret;
	if (READ_ONCE(r->dead)) {
		strscpy(c->error, "the VM has ended");
		ret = -ENXIO;
	} else {
		ret = server_change(r, c);
	}
	/* Who knows no better says nothing: most of them had no memory. */
	if (ret && ret != -EINTR && !c->error[0])
		snprintf(c->error, sizeof(c->error),
			 "server %s: this host has no memory, or no thread, for it (error %d); free some",
			 c->address, ret);
	mutex_unlock(&r->change_lock);
	return ret;
}
