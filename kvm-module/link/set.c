// SPDX-License-Identifier: GPL-2.0-only
/*
 * A link over several others: see set.h.
 *
 * Parts are done in any context, inside of a member's submit() too, and may be the
 * last to be done of their io: after that the io, and all that is kept of it, is gone.
 *
 * Who submits a part to a member outside of submit(), to follow one that failed, does
 * it under RCU and after a look at s->closing; close() sets that, waits for a grace
 * period, and only then closes the members.
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
#include "link/set.h"

static_assert(HERMIT_SET_MAX <= HERMIT_PLACES, "each member has a place");

struct set_member {
	struct hermit_set *set;
	struct hermit_link *link;
};

struct hermit_set {
	struct hermit_link base;	/* first: ops */
	unsigned int nr, replicas;
	u64 keys[HERMIT_SET_MAX];
	struct set_member members[HERMIT_SET_MAX];
	const struct hermit_set_user_ops *user_ops;
	void *user;

	struct mutex states;		/* told one at a time; the next two are written under it */
	u8 readable, writable;		/* members: that serve reads, and that are UP */

	spinlock_t lock;		/* softirqs complete reads: irqsave; a leaf */
	struct list_head waiting;	/* reads, for one of their members to be UP */
	unsigned long ups;		/* times that one was; changes under the lock */
	bool closing;			/* set under the lock */
};

static struct hermit_set *to_set(struct hermit_link *link)
{
	return container_of(link, struct hermit_set, base);
}

static void part_done(struct hermit_io *io);

static struct hermit_io *part_of(struct hermit_io *whole, unsigned int member)
{
	struct hermit_set_part *p = &whole->set->parts[member];

	p->whole = whole;
	p->io.op = whole->op;
	p->io.page = whole->page;
	p->io.offset = whole->offset;
	p->io.length = whole->length;
	p->io.demand = whole->demand;
	p->io.crc = whole->crc;
	p->io.done = part_done;
	return &p->io;
}

static void whole_done(struct hermit_io *whole, int status)
{
	whole->status = status;
	whole->done(whole);
}

/* For a part that is to follow another. The caller is under RCU. */
static void submit_part(struct hermit_set *s, struct hermit_io *whole,
			unsigned int member)
{
	struct hermit_link *link = s->members[member].link;

	link->ops->submit_one(link, part_of(whole, member));
}

/* Sets @bit; true if it was not set. */
static bool claim(atomic_t *v, int bit)
{
	int was = atomic_read(v);

	do {
		if (was & bit)
			return false;
	} while (!atomic_try_cmpxchg(v, &was, was | bit));
	return true;
}

/* --- reads ------------------------------------------------------------------ */

static void read_begin(struct hermit_set *s, struct hermit_io *whole)
{
	struct hermit_set_io *w = whole->set;

	w->ups = READ_ONCE(s->ups);
	atomic_set(&w->asked, whole->wrong);
	w->failed = whole->wrong;
	w->missing = 0;
}

/*
 * Nobody else can be asked now: the read waits (0), or is to be asked once more from
 * the start since somebody came back (-EAGAIN). Or it is over.
 */
static int read_wait(struct hermit_set *s, struct hermit_io *whole)
{
	struct hermit_set_io *w = whole->set;
	unsigned long flags;
	int ret = -EAGAIN;

	if (!whole->members)
		return -ENODATA;
	if (w->missing == whole->members)
		return -ENOENT;
	/* Somebody has it perhaps, but who is there does not give it. */
	if (w->missing || w->failed)
		return -EIO;
	spin_lock_irqsave(&s->lock, flags);
	if (s->closing) {
		ret = -ECANCELED;
	} else if (s->ups == w->ups) {
		list_add_tail(&whole->node, &s->waiting);
		ret = 0;
	}
	spin_unlock_irqrestore(&s->lock, flags);
	return ret;
}

/* Whom to ask next; -1 if the io waits, or is done. */
static int read_next(struct hermit_set *s, struct hermit_io *whole)
{
	struct hermit_set_io *w = whole->set;
	int asked, member, ret;

	for (;;) {
		asked = atomic_read(&w->asked);
		member = hermit_place(s->keys, s->nr, whole->offset,
				      READ_ONCE(s->readable) & whole->members & ~asked);
		if (member >= 0) {
			atomic_set(&w->asked, asked | 1 << member);
			whole->server = member;
			return member;
		}
		ret = read_wait(s, whole);
		if (!ret)
			return -1;
		if (ret != -EAGAIN)
			break;
		read_begin(s, whole);
	}
	whole_done(whole, ret);
	return -1;
}

static void read_again(struct hermit_set *s, struct hermit_io *whole)
{
	int member;

	rcu_read_lock();
	if (READ_ONCE(s->closing)) {
		rcu_read_unlock();
		whole_done(whole, -ECANCELED);
		return;
	}
	member = read_next(s, whole);
	if (member >= 0)
		submit_part(s, whole, member);
	rcu_read_unlock();
}

static void read_done(struct hermit_set *s, struct hermit_io *whole,
		      unsigned int member, int status)
{
	struct hermit_set_io *w = whole->set;

	switch (status) {
	case 0:
	case -ECANCELED:
		whole_done(whole, status);
		return;
	case -ENOENT:
		w->missing |= 1 << member;
		break;
	case -ENOLINK:
		break;
	default:
		w->failed |= 1 << member;
	}
	read_again(s, whole);
}

/* --- writes and discards ----------------------------------------------------- */

/* The next that is to have it, of whom nobody was asked yet; or -1. */
static int write_next(struct hermit_set *s, struct hermit_io *whole)
{
	struct hermit_set_io *w = whole->set;
	int member;

	do {
		member = hermit_place(s->keys, s->nr, whole->offset,
				      READ_ONCE(s->writable) & ~atomic_read(&w->asked));
	} while (member >= 0 && !claim(&w->asked, 1 << member));
	return member;
}

/* Another one gets it, instead of one that refused it. */
static bool write_elsewhere(struct hermit_set *s, struct hermit_io *whole)
{
	int member = -1;

	rcu_read_lock();
	if (!READ_ONCE(s->closing))
		member = write_next(s, whole);
	if (member >= 0)
		submit_part(s, whole, member);
	rcu_read_unlock();
	return member >= 0;
}

static void one_less(struct hermit_io *whole)
{
	struct hermit_set_io *w = whole->set;

	if (!atomic_dec_and_test(&w->left))
		return;
	if (whole->op == HERMIT_IO_WRITE) {
		whole->members = atomic_read(&w->acked);
		whole_done(whole, whole->members ? 0 : w->error);
		return;
	}
	whole_done(whole, w->error);
}

static void part_done(struct hermit_io *io)
{
	struct hermit_set_part *p = container_of(io, struct hermit_set_part, io);
	struct hermit_io *whole = p->whole;
	struct hermit_set_io *w = whole->set;
	unsigned int member = p - w->parts;
	int status = io->status;

	if (whole->op == HERMIT_IO_READ) {
		read_done(w->set, whole, member, status);
		return;
	}
	if (whole->op == HERMIT_IO_DISCARD) {
		/* What went away has nothing that anybody asks for. */
		if (status && status != -ENOLINK)
			WRITE_ONCE(w->error, status);
	} else if (!status) {
		claim(&w->acked, 1 << member);
	} else {
		WRITE_ONCE(w->error, status);
		/* Damaged, or changed, on its way: the next one would have it otherwise. */
		if (status != -EBADMSG && write_elsewhere(w->set, whole))
			return;
	}
	one_less(whole);
}

/* --- the link ----------------------------------------------------------------- */

/* To each member what is to go there in @to; what nobody takes is done. */
static void set_divide(struct hermit_set *s, struct hermit_io *whole,
		       struct list_head *to)
{
	struct hermit_set_io *w = whole->set;
	unsigned int n = 0, most, have, members = 0;
	int member;

	w->set = s;
	if (whole->op == HERMIT_IO_READ) {
		read_begin(s, whole);
		member = read_next(s, whole);
		if (member >= 0)
			list_add_tail(&part_of(whole, member)->node, &to[member]);
		return;
	}
	atomic_set(&w->asked, 0);
	atomic_set(&w->acked, 0);
	if (whole->op == HERMIT_IO_WRITE) {
		w->error = -ENOLINK;
		atomic_set(&w->asked, whole->members);
		have = hweight8(whole->members & READ_ONCE(s->readable));
		most = s->replicas - min(have, s->replicas);
		for (; n < most && (member = write_next(s, whole)) >= 0; n++)
			members |= 1 << member;
	} else {
		w->error = 0;
		members = READ_ONCE(s->readable);
		n = hweight8(members);
	}
	if (!n) {
		whole_done(whole, w->error);
		return;
	}
	atomic_set(&w->left, n);
	for (member = 0; member < s->nr; member++)
		if (members >> member & 1)
			list_add_tail(&part_of(whole, member)->node, &to[member]);
}

static void set_submit(struct hermit_link *link, struct list_head *ios)
{
	struct list_head to[HERMIT_SET_MAX];
	struct hermit_set *s = to_set(link);
	struct hermit_link *member;
	struct hermit_io *io;
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		INIT_LIST_HEAD(&to[i]);
	while (!list_empty(ios)) {
		io = list_first_entry(ios, struct hermit_io, node);
		list_del_init(&io->node);
		set_divide(s, io, to);
	}
	for (i = 0; i < s->nr; i++) {
		member = s->members[i].link;
		if (!list_empty(&to[i]))
			member->ops->submit(member, &to[i]);
	}
}

static void set_submit_one(struct hermit_link *link, struct hermit_io *io)
{
	struct hermit_set *s = to_set(link);
	LIST_HEAD(ios);
	int member;

	if (io->op != HERMIT_IO_READ) {
		list_add_tail(&io->node, &ios);
		set_submit(link, &ios);
		return;
	}
	io->set->set = s;
	read_begin(s, io);
	member = read_next(s, io);
	if (member >= 0)
		submit_part(s, io, member);
}

static int set_poll(struct hermit_link *link)
{
	struct hermit_set *s = to_set(link);
	struct hermit_link *member;
	unsigned int i;
	int n = 0;

	for (i = 0; i < s->nr; i++) {
		member = s->members[i].link;
		if (member->ops->poll)
			n += member->ops->poll(member);
	}
	return n;
}

static void set_stats(struct hermit_link *link, struct hermit_server_stats *st)
{
	struct hermit_set *s = to_set(link);
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		s->members[i].link->ops->stats(s->members[i].link, &st[i]);
}

/* --- what members tell --------------------------------------------------------- */

/* Reads that wait are asked from the start, or over: nobody has what they want. */
static void wake_reads(struct hermit_set *s, unsigned int lost)
{
	struct hermit_io *io;
	unsigned long flags;
	LIST_HEAD(ios);

	spin_lock_irqsave(&s->lock, flags);
	if (!lost)
		s->ups++;
	list_splice_tail_init(&s->waiting, &ios);
	spin_unlock_irqrestore(&s->lock, flags);
	while (!list_empty(&ios)) {
		io = list_first_entry(&ios, struct hermit_io, node);
		list_del_init(&io->node);
		io->members &= ~lost;
		read_begin(s, io);
		read_again(s, io);
	}
}

static void member_state(void *user, enum hermit_server_state state)
{
	struct set_member *m = user;
	struct hermit_set *s = m->set;
	unsigned int member = m - s->members, bit = 1 << member;
	bool up = state == HERMIT_SERVER_UP, there = hermit_link_serves(state);

	mutex_lock(&s->states);
	WRITE_ONCE(s->readable, there ? s->readable | bit : s->readable & ~bit);
	WRITE_ONCE(s->writable, up ? s->writable | bit : s->writable & ~bit);
	s->user_ops->state(s->user, member, state);
	if (there)
		wake_reads(s, 0);
	mutex_unlock(&s->states);
}

static void member_contents_lost(void *user, u64 incarnation)
{
	struct set_member *m = user;
	struct hermit_set *s = m->set;
	unsigned int member = m - s->members;

	/*
	 * Without the mutex: it waits for the others' writes, and whoever waits for the
	 * mutex is who gives up a server that does not answer them.
	 */
	s->user_ops->contents_lost(s->user, member, incarnation);
	wake_reads(s, 1 << member);
}

static const struct hermit_link_user_ops member_user_ops = {
	.state = member_state,
	.contents_lost = member_contents_lost,
};

/* --- open and close ------------------------------------------------------------- */

static void set_close(struct hermit_link *link, bool end)
{
	struct hermit_set *s = to_set(link);
	struct hermit_io *io;
	unsigned long flags;
	LIST_HEAD(ios);
	unsigned int i;

	spin_lock_irqsave(&s->lock, flags);
	WRITE_ONCE(s->closing, true);
	list_splice_tail_init(&s->waiting, &ios);
	spin_unlock_irqrestore(&s->lock, flags);
	/* Whoever saw it open has submitted what was to follow. */
	synchronize_rcu();
	while (!list_empty(&ios)) {
		io = list_first_entry(&ios, struct hermit_io, node);
		list_del_init(&io->node);
		whole_done(io, -ECANCELED);
	}
	for (i = 0; i < s->nr; i++)
		hermit_link_close(s->members[i].link, end);
	kfree(s);
}

static const struct hermit_transport_ops set_ops = {
	.scheme = "set",
	.owner = THIS_MODULE,
	.submit = set_submit,
	.submit_one = set_submit_one,
	.poll = set_poll,
	.stats = set_stats,
	.close = set_close,
};

/*
 * What @i need not keep room for: what it holds of the region is the extents of which it
 * is one of the first, and an eighth of that again for those of others, whose pages it
 * has while one is away, and until they are moved back. A write that finds no room here
 * goes to the next in order.
 */
static u64 unreserved(const struct hermit_set *s, unsigned int nr, unsigned int i,
		      u64 region_size)
{
	const u64 extent = 1ULL << HERMIT_EXTENT_SHIFT;
	u64 at, share = 0;

	for (at = 0; at < region_size; at += extent) {
		if (hermit_place_has(s->keys, nr, s->replicas, i, at))
			share += min(extent, region_size - at);
		cond_resched();
	}
	share += share / 8 + extent - 1;
	share -= share & (extent - 1);
	return region_size - min(share, region_size);
}

static struct hermit_link *member_open(struct hermit_set *s, unsigned int i,
				       unsigned int nr, const char *server,
				       const struct hermit_link_params *params)
{
	struct hermit_link_params p = *params;
	struct hermit_link *link;

	s->members[i].set = s;
	p.unreserved = unreserved(s, nr, i, params->region_size);
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
	s->readable = s->writable = (1 << nr) - 1;
	while (s->nr < nr) {
		link = member_open(s, s->nr, nr, servers[s->nr], params);
		if (IS_ERR(link)) {
			hermit_link_close(&s->base, true);
			return link;
		}
		s->members[s->nr++].link = link;
	}
	return &s->base;
}
