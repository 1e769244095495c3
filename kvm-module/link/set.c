// SPDX-License-Identifier: GPL-2.0-only
/*
 * A link over several others: see set.h. Its members, and how they come and go; what
 * becomes of ios is in part.c.
 */
#define pr_fmt(fmt) "hermit: " fmt

#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "core/place.h"
#include "link/part.h"
#include "link/set.h"
#include "wire/wire.h"

static struct hermit_set *to_set(struct hermit_link *link)
{
	return container_of(link, struct hermit_set, base);
}

/* Under RCU. */
static int set_poll(struct hermit_link *link)
{
	struct hermit_set *s = to_set(link);
	struct hermit_link *member;
	unsigned int i;
	int n = 0;

	for (i = 0; i < HERMIT_SET_MAX; i++) {
		member = READ_ONCE(s->members[i].link);
		if (member && member->ops->poll)
			n += member->ops->poll(member);
	}
	return n;
}

/* Under RCU. */
static void set_stats(struct hermit_link *link, struct hermit_server_stats *st)
{
	struct hermit_set *s = to_set(link);
	struct hermit_link *member;
	unsigned int i;

	for (i = 0; i < HERMIT_SET_MAX; i++) {
		member = READ_ONCE(s->members[i].link);
		if (member)
			member->ops->stats(member, &st[i]);
	}
}

/* --- what members tell --------------------------------------------------------- */

/* Who is to be asked, as it is now. Under states. */
static void set_look(struct hermit_set *s, unsigned int member)
{
	const struct hermit_set_member *m = &s->members[member];
	bool there = m->joined && hermit_link_serves(m->state);
	unsigned int bit = 1 << member;
	bool wanted = m->joined && m->state == HERMIT_SERVER_UP &&
		      !(s->leaving & bit);

	lockdep_assert_held(&s->states);
	WRITE_ONCE(s->readable, there ? s->readable | bit : s->readable & ~bit);
	WRITE_ONCE(s->writable, wanted ? s->writable | bit : s->writable & ~bit);
}

static void set_tell(struct hermit_set *s, unsigned int member)
{
	set_look(s, member);
	s->user_ops->state(s->user, member, s->members[member].state);
	if (s->readable >> member & 1)
		hermit_part_ask_again(s, 0, 0);
}

static void member_state(void *user, enum hermit_server_state state)
{
	struct hermit_set_member *m = user;
	struct hermit_set *s = m->set;

	mutex_lock(&s->states);
	m->state = state;
	/* Of one that comes, it is told when it is there; one that goes is nobody's. */
	if (m->joined)
		set_tell(s, m - s->members);
	mutex_unlock(&s->states);
}

static void member_contents_lost(void *user, u64 incarnation)
{
	struct hermit_set_member *m = user;
	struct hermit_set *s = m->set;
	unsigned int member = m - s->members;

	/*
	 * Without the mutex: it waits for the others' writes, and whoever waits for the
	 * mutex is who gives up a server that does not answer them.
	 */
	s->user_ops->contents_lost(s->user, member, incarnation);
	hermit_part_ask_again(s, 1 << member, 0);
}

static const struct hermit_link_user_ops member_user_ops = {
	.state = member_state,
	.contents_lost = member_contents_lost,
};

/* --- open and close ------------------------------------------------------------- */

static void set_close(struct hermit_link *link, bool end)
{
	struct hermit_set *s = to_set(link);
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&s->lock, flags);
	WRITE_ONCE(s->closing, true);
	spin_unlock_irqrestore(&s->lock, flags);
	hermit_part_cancel(s);
	for (i = 0; i < HERMIT_SET_MAX; i++)
		if (s->members[i].link)
			hermit_link_close(s->members[i].link, end);
	kfree(s);
}

static const struct hermit_transport_ops set_ops = {
	.scheme = "set",
	.owner = THIS_MODULE,
	.submit = hermit_part_submit,
	.submit_one = hermit_part_submit_one,
	.poll = set_poll,
	.stats = set_stats,
	.close = set_close,
};

/*
 * What @i is to keep room for: what it holds of the region is the extents of which it
 * is one of the first, and an eighth of that again for those of others, whose pages it
 * has while one is away, and until they are moved back. A write that finds no room here
 * goes to the next in order.
 */
static u64 share(const struct hermit_set *s, unsigned int among, unsigned int i)
{
	const u64 extent = 1ULL << HERMIT_EXTENT_SHIFT, region_size = s->region_size;
	u64 at, bytes = 0;

	for (at = 0; at < region_size; at += extent) {
		if (hermit_place_has(s->keys, among, s->replicas, i, at))
			bytes += min(extent, region_size - at);
		/* some 100 us */
		if (at / extent % 4096 == 4095)
			cond_resched();
	}
	bytes += bytes / 8 + extent - 1;
	bytes -= bytes & (extent - 1);
	return min(bytes, region_size);
}

/* @among: the members that there are to be, this one too. Its key is there. */
static struct hermit_link *member_open(struct hermit_set *s, unsigned int among,
				       unsigned int i, const char *server,
				       const struct hermit_link_params *params)
{
	struct hermit_link_params p = *params;
	struct hermit_link *link;

	s->members[i].set = s;
	s->members[i].state = HERMIT_SERVER_UP;
	s->members[i].need = HERMIT_NEED_ALL;
	p.unreserved = s->region_size - share(s, among, i);
	p.user_ops = &member_user_ops;
	p.user = &s->members[i];
	p.member = true;
	/* Two addresses of one server: the second is another client's, and refused. */
	p.client_id[0] += i;
	link = hermit_link_open(server, &p);
	if (!IS_ERR(link) && link->ops->synchronous) {
		hermit_link_close(link, true);
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server %s: memory of this host, which cannot be one of several servers; give tcp: or rdma: ones",
			 server);
		return ERR_PTR(-EINVAL);
	}
	return link;
}

static void set_say(struct hermit_set *s, unsigned int member, u64 reserve)
{
	const struct hermit_set_member *m = &s->members[member];

	if (m->link && m->link->ops->say)
		m->link->ops->say(m->link, reserve, m->need);
}

struct hermit_link *hermit_set_open(char (*servers)[HERMIT_SERVER_LEN],
				    unsigned int nr, unsigned int replicas,
				    const struct hermit_set_user_ops *user_ops,
				    const struct hermit_link_params *params)
{
	struct hermit_link *link;
	struct hermit_set *s;
	unsigned int i;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "%u servers: out of memory", nr);
		return ERR_PTR(-ENOMEM);
	}
	s->base.ops = &set_ops;
	s->replicas = replicas;
	s->region_size = params->region_size;
	for (i = 0; i < nr; i++)
		s->keys[i] = hermit_place_key(servers[i]);
	s->user_ops = user_ops;
	s->user = params->user;
	mutex_init(&s->states);
	spin_lock_init(&s->lock);
	INIT_LIST_HEAD(&s->waiting);
	/* Cannot fail: we run. For hermit_link_close(). */
	if (WARN_ON_ONCE(!try_module_get(THIS_MODULE))) {
		kfree(s);
		return ERR_PTR(-ENODEV);
	}

	/* Members tell of changes as soon as they are there. */
	s->readable = s->writable = s->present = (1 << nr) - 1;
	for (i = 0; i < nr; i++) {
		s->members[i].joined = true;
		link = member_open(s, s->present, i, servers[i], params);
		if (IS_ERR(link)) {
			hermit_link_close(&s->base, true);
			return link;
		}
		s->members[i].link = link;
		set_say(s, i, 0);
	}
	return &s->base;
}

/* --- members come and go ---------------------------------------------------------- */

void hermit_set_leave(struct hermit_link *link, unsigned int member, bool leaves)
{
	struct hermit_set *s = to_set(link);
	u8 bit = 1 << member;

	mutex_lock(&s->states);
	WRITE_ONCE(s->leaving, leaves ? s->leaving | bit : s->leaving & ~bit);
	set_look(s, member);
	mutex_unlock(&s->states);
}

void hermit_set_share(struct hermit_link *link, u8 leaving)
{
	struct hermit_set *s = to_set(link);
	unsigned int i, among = s->present & ~leaving;

	for (i = 0; i < HERMIT_SET_MAX; i++)
		if (among >> i & 1)
			set_say(s, i, share(s, among, i));
}

bool hermit_set_rooms(struct hermit_link *link, u64 *rooms)
{
	struct hermit_set *s = to_set(link);
	struct hermit_link *member;
	bool all = true;
	unsigned int i;

	for (i = 0; i < HERMIT_SET_MAX; i++) {
		member = s->members[i].link;
		rooms[i] = member && member->ops->room ? member->ops->room(member) :
							 HERMIT_ROOM_UNKNOWN;
		all &= rooms[i] != HERMIT_ROOM_AWAITED;
	}
	return all;
}

void hermit_set_need(struct hermit_link *link, unsigned int member, u32 need)
{
	struct hermit_set *s = to_set(link);

	if (s->members[member].need == need)
		return;
	s->members[member].need = need;
	set_say(s, member, 0);
}

int hermit_set_add(struct hermit_link *link, unsigned int member, const char *server,
		   const struct hermit_link_params *params)
{
	struct hermit_set *s = to_set(link);
	struct hermit_set_member *m = &s->members[member];
	struct hermit_link *l;
	unsigned long flags;

	s->keys[member] = hermit_place_key(server);
	l = member_open(s, (READ_ONCE(s->present) & ~s->leaving) | 1 << member, member,
			server, params);
	if (IS_ERR(l))
		return PTR_ERR(l);
	WRITE_ONCE(m->link, l);
	set_say(s, member, 0);
	/* Who sees a bit of it from here on sees all of it: part.h. */
	synchronize_rcu();

	mutex_lock(&s->states);
	spin_lock_irqsave(&s->lock, flags);
	s->present |= 1 << member;
	spin_unlock_irqrestore(&s->lock, flags);
	m->joined = true;
	set_tell(s, member);
	mutex_unlock(&s->states);
	return 0;
}

void hermit_set_drop(struct hermit_link *link, unsigned int member)
{
	struct hermit_set *s = to_set(link);
	struct hermit_set_member *m = &s->members[member];
	struct hermit_link *l = m->link;

	mutex_lock(&s->states);
	m->joined = false;
	set_look(s, member);
	WRITE_ONCE(s->leaving, s->leaving & ~(1 << member));
	s->user_ops->state(s->user, member, HERMIT_SERVER_NONE);
	mutex_unlock(&s->states);

	/* Whoever saw a bit of it has submitted; then, whoever saw its link is through. */
	synchronize_rcu();
	WRITE_ONCE(m->link, NULL);
	synchronize_rcu();
	/* Not under a lock: its callbacks take some, and this waits for them. */
	hermit_link_close(l, true);
	hermit_part_ask_again(s, 0, 1 << member);
}
