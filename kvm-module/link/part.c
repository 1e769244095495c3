// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ios of a set: see part.h, and set.h for what becomes of them.
 *
 * Parts are done in any context, inside of a member's submit() too, and may be the
 * last to be done of their io: after that the io, and all that is kept of it, is gone.
 *
 * Who submits a part to a member outside of submit(), to follow one that failed, does
 * it under RCU and after a look at s->closing; the end sets that, waits for a grace
 * period, and only then closes the members.
 */
#include <linux/bitops.h>
#include <linux/rcupdate.h>

#include "core/place.h"
#include "link/part.h"

static_assert(HERMIT_SET_MAX <= HERMIT_PLACES, "each member has a place");

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
	struct hermit_link *link = READ_ONCE(s->members[member].link);

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

	spin_lock_irqsave(&s->lock, flags);
	whole->members &= s->present;
	if (!whole->members) {
		ret = -ENODATA;
	} else if (!(whole->members & ~w->missing)) {
		ret = -ENOENT;
	} else if (w->missing || w->failed) {
		/* Somebody has it perhaps, but who is there does not give it. */
		ret = -EIO;
	} else if (s->closing) {
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
		member = hermit_place(s->keys, HERMIT_SET_MAX, whole->offset,
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
		whole_done(whole, 0);
		return;
	case -ENOENT:
		w->missing |= 1 << member;
		break;
	case -ENOLINK:
	case -ECANCELED:
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
		member = hermit_place(s->keys, HERMIT_SET_MAX, whole->offset,
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

	/* It is no member any more. */
	if (status == -ECANCELED && !READ_ONCE(w->set->closing))
		status = -ENOLINK;
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

/* --- all of them --------------------------------------------------------------- */

/* Who gets what is written to an extent: the pages of a batch are neighbours, mostly. */
struct places {
	u64 extent;
	unsigned int among, most;
	unsigned int members;		/* the answer to these */
};

static unsigned int write_first(struct hermit_set *s, struct hermit_io *whole,
				struct places *p)
{
	u64 extent = whole->offset >> HERMIT_EXTENT_SHIFT;
	unsigned int among, most, have;

	among = READ_ONCE(s->writable) & ~whole->members;
	have = hweight8(whole->members & READ_ONCE(s->readable) &
			~READ_ONCE(s->leaving));
	most = s->replicas - min(have, s->replicas);
	if (p->extent != extent || p->among != among || p->most != most)
		*p = (struct places) {
			.extent = extent,
			.among = among,
			.most = most,
			.members = hermit_place_first(s->keys, among, most,
						      whole->offset),
		};
	return p->members;
}

/* To each member what is to go there in @to; what nobody takes is done. */
static void set_divide(struct hermit_set *s, struct hermit_io *whole,
		       struct list_head *to, struct places *places)
{
	struct hermit_set_io *w = whole->set;
	unsigned int members;
	int member;

	w->set = s;
	if (whole->op == HERMIT_IO_READ) {
		read_begin(s, whole);
		member = read_next(s, whole);
		if (member >= 0)
			list_add_tail(&part_of(whole, member)->node, &to[member]);
		return;
	}
	atomic_set(&w->acked, 0);
	if (whole->op == HERMIT_IO_WRITE) {
		w->error = -ENOLINK;
		members = write_first(s, whole, places);
		atomic_set(&w->asked, whole->members | members);
	} else {
		w->error = 0;
		members = READ_ONCE(s->readable);
		atomic_set(&w->asked, 0);
	}
	if (!members) {
		whole_done(whole, w->error);
		return;
	}
	atomic_set(&w->left, hweight8(members));
	for (member = 0; members >> member; member++)
		if (members >> member & 1)
			list_add_tail(&part_of(whole, member)->node, &to[member]);
}

void hermit_part_submit(struct hermit_link *link, struct list_head *ios)
{
	struct list_head to[HERMIT_SET_MAX];
	struct places places = {};	/* of nobody, nobody is the first */
	struct hermit_set *s = to_set(link);
	struct hermit_link *member;
	struct hermit_io *io;
	unsigned int i;

	for (i = 0; i < HERMIT_SET_MAX; i++)
		INIT_LIST_HEAD(&to[i]);
	while (!list_empty(ios)) {
		io = list_first_entry(ios, struct hermit_io, node);
		list_del_init(&io->node);
		set_divide(s, io, to, &places);
	}
	for (i = 0; i < HERMIT_SET_MAX; i++) {
		if (list_empty(&to[i]))
			continue;
		member = READ_ONCE(s->members[i].link);
		member->ops->submit(member, &to[i]);
	}
}

void hermit_part_submit_one(struct hermit_link *link, struct hermit_io *io)
{
	struct hermit_set *s = to_set(link);
	LIST_HEAD(ios);
	int member;

	if (io->op != HERMIT_IO_READ) {
		list_add_tail(&io->node, &ios);
		hermit_part_submit(link, &ios);
		return;
	}
	io->set->set = s;
	read_begin(s, io);
	member = read_next(s, io);
	if (member >= 0)
		submit_part(s, io, member);
}

void hermit_part_ask_again(struct hermit_set *s, unsigned int lost, unsigned int gone)
{
	struct hermit_io *io;
	unsigned long flags;
	LIST_HEAD(ios);

	spin_lock_irqsave(&s->lock, flags);
	if (!lost)
		s->ups++;
	s->present &= ~gone;
	list_splice_tail_init(&s->waiting, &ios);
	spin_unlock_irqrestore(&s->lock, flags);
	while (!list_empty(&ios)) {
		io = list_first_entry(&ios, struct hermit_io, node);
		list_del_init(&io->node);
		io->members &= ~(lost | gone);
		read_begin(s, io);
		read_again(s, io);
	}
}

void hermit_part_cancel(struct hermit_set *s)
{
	struct hermit_io *io;
	unsigned long flags;
	LIST_HEAD(ios);

	spin_lock_irqsave(&s->lock, flags);
	list_splice_tail_init(&s->waiting, &ios);
	spin_unlock_irqrestore(&s->lock, flags);
	/* Whoever saw it open has submitted what was to follow. */
	synchronize_rcu();
	while (!list_empty(&ios)) {
		io = list_first_entry(&ios, struct hermit_io, node);
		list_del_init(&io->node);
		whole_done(io, -ECANCELED);
	}
}
