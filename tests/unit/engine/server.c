// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A link and its server. Requests are carried out in any order, and done in
 * softirqs: nothing of the engine may count on more. A read may be answered with
 * what is not the page, and the server may lose one page, or have it wrong for good.
 * What would prove nothing, and is not done: a request that is completed twice or not
 * at all (the contract of link/transport.h).
 */
#include "world.h"

#include "core/crc.h"
#include "engine/word.h"

struct server_page {
	bool present, spoilt, forgotten;
	u64 data[PAGE_WORDS];
	u64 old[PAGE_WORDS];		/* what it was before */
};

static struct server_page pages[WORLD_PAGES];
static int outstanding;
static bool closing, losing;		/* losing: or away */
static bool gone;			/* losing, and what is out fails */
static struct list_head held;		/* while it is losing */
static u64 keep;			/* see server_keep(); or no page */
static struct hermit_io *kept;
static const struct hermit_link_user_ops *user_ops;
static void *user;
static struct page *pool[2 * WORLD_PAGES]; /* as "local:" has: pages of this host */
static unsigned int stored, pooled;	/* in so many of them */

struct link {
	struct hermit_link link;
};

void server_init(void)
{
	memset(pages, 0, sizeof(pages));
	outstanding = 0;
	closing = losing = gone = false;
	INIT_LIST_HEAD(&held);
	keep = WORLD_PAGES;
	kept = NULL;
	stored = pooled = 0;
}

/* Room in the pool for @n pages more, or less; false if this host has none. */
static bool pool_grow(int n)
{
	unsigned int wanted;
	struct page *page;

	if (!world.pool)
		return true;
	stored += n;
	wanted = DIV_ROUND_UP(stored, world.pool);
	while (pooled > wanted)
		put_page(pool[--pooled]);
	while (pooled < wanted) {
		page = alloc_page(GFP_NOWAIT);
		if (!page) {
			stored -= n;
			return false;
		}
		smp_mb();	/* others see pool[] at once */
		pool[pooled++] = page;
	}
	return true;
}

static bool happens(unsigned int once_in)
{
	return once_in && fiber_once_in(once_in);
}

/* The two halves of different moments. */
static void copy(u64 *to, const u64 *from)
{
	memcpy(to, from, PAGE_SIZE / 2);
	fiber_point();
	memcpy(to + PAGE_WORDS / 2, from + PAGE_WORDS / 2, PAGE_SIZE / 2);
}

/*
 * What comes is not the page: zeros, as of a server that does not have it, what it
 * was once, another page, or one bit is not what it was, where readers look or not.
 */
static void lie(u64 idx, u64 *data)
{
	static const u64 zeros[PAGE_WORDS];
	struct server_page *s = &pages[idx];
	const u64 *other[] = { zeros, s->old,
			       pages[fiber_random(WORLD_PAGES)].data };
	u64 kind = fiber_random(4), where[] = { 0, PAGE_WORDS - 1,
						fiber_random(PAGE_WORDS) };

	world.lies++;
	world.lied++;
	if (kind < ARRAY_SIZE(other) &&
	    memcmp(other[kind], s->data, PAGE_SIZE)) {
		memcpy(data, other[kind], PAGE_SIZE);
		return;
	}
	memcpy(data, s->data, PAGE_SIZE);
	data[where[fiber_random(ARRAY_SIZE(where))]] ^= 1ull << fiber_random(64);
}

/* So many pages may be lost of it. */
void server_forget(u64 idx)
{
	pages[idx].present = false;
	pages[idx].forgotten = true;
	world.forgot++;
	world.lost = true;
}

void server_spoil(u64 idx)
{
	pages[idx].data[fiber_random(PAGE_WORDS)] ^= 1ull << fiber_random(64);
	pages[idx].spoilt = true;
	world.spoilt++;
	world.lost = true;
}

static void fail_page(u64 idx)
{
	if (happens(world.faults.forgets))
		server_forget(idx);
	else if (!pages[idx].spoilt && happens(world.faults.spoils))
		server_spoil(idx);
}

static void take(struct server_page *s, const u64 *data)
{
	memcpy(s->old, s->data, PAGE_SIZE);
	memcpy(s->data, data, PAGE_SIZE);
	s->present = true;
	s->spoilt = s->forgotten = false;
}

static void carry_out(struct hermit_io *io)
{
	u64 idx = io->offset >> PAGE_SHIFT, i, *data;
	struct server_page *s = &pages[idx];

	switch (io->op) {
	case HERMIT_IO_READ:
		world.reads++;
		data = io->page->data;
		memset(data, 0x5a, PAGE_SIZE);
		if (s->present)
			fail_page(idx);
		/* Perhaps discarded since it was posted. */
		if (!s->present) {
			io->status = -ENOENT;
			break;
		}
		fiber_point();
		if (happens(world.faults.lies)) {
			lie(idx, data);
		} else {
			/* One that is written meanwhile comes half right. */
			world.lies += s->spoilt;
			copy(data, s->data);
		}
		break;
	case HERMIT_IO_WRITE:
		world.writes++;
		if (!s->present && !pool_grow(1)) {
			io->status = -ENOSPC;
			break;
		}
		if (world.faults.sums) {
			data = malloc(PAGE_SIZE);
			copy(data, io->page->data);
			/* It was rescued, and changed since. */
			if (hermit_crc_page(data) != io->crc)
				io->status = -EBADMSG;
			else
				take(s, data);
			free(data);
			break;
		}
		memcpy(s->old, s->data, PAGE_SIZE);
		s->spoilt = s->forgotten = false;
		copy(s->data, io->page->data);
		s->present = true;
		break;
	default:
		world.discards++;
		for (i = 0; i < io->length >> PAGE_SHIFT; i++) {
			pool_grow(-(int)pages[idx + i].present);
			pages[idx + i].present = pages[idx + i].spoilt = false;
		}
	}
}

static u64 some_delay(void)
{
	return fiber_random(1000000ull << fiber_random(10));
}

static bool is_lost(u64 idx)
{
	return hermit_word_state(hermit_word(world.r, idx)->counter) == HERMIT_LOST;
}

static void answer(void *arg)
{
	struct hermit_io *io = arg;

	u64 idx = io->offset >> PAGE_SHIFT;
	/* What was not to be asked for is no page that this server lost. */
	bool unasked = io->status == -ENOENT && !pages[idx].forgotten &&
		       !world.poisons && !is_lost(idx);

	fiber_point();
	io->done(io);
	if (unasked && is_lost(idx))
		fiber_fail("page %llu is lost, which the server never had or was told to discard",
			   idx);
	outstanding--;
}

/* As by "local:": a read is done when submit() returns. */
static bool at_once(const struct hermit_io *io)
{
	return world.sync && io->op == HERMIT_IO_READ;
}

static void complete_io(void *arg)
{
	struct hermit_io *io = arg;
	struct faults *f = &world.faults;

	io->status = 0;
	if (closing && fiber_once_in(2))
		io->status = -ECANCELED;
	else if (gone)
		io->status = -ENODATA;
	else if (io->op == HERMIT_IO_READ && happens(f->read_fails))
		io->status = -EIO;
	else if (io->op != HERMIT_IO_READ && happens(f->write_fails))
		io->status = io->op == HERMIT_IO_WRITE ? -ENOSPC : -EIO;
	/* What failed may have been carried out, or not. */
	if (!io->status || (io->op == HERMIT_IO_WRITE && fiber_once_in(2)))
		carry_out(io);
	/* Done is done, and the answer is on its way for a while. */
	if (io->op == HERMIT_IO_READ && io->offset >> PAGE_SHIFT == keep) {
		keep = WORLD_PAGES;
		kept = io;
	} else if (!at_once(io) && happens(f->late) && !happens(f->inside))
		fiber_start("answer", answer, io, true, some_delay());
	else
		answer(io);
}

static void post(struct hermit_io *io)
{
	u64 delay = fiber_random(4) ? fiber_random(20000) : 0;

	outstanding++;
	if (at_once(io) || happens(world.faults.inside)) {
		complete_io(io);
		return;
	}
	if (happens(world.faults.late))
		delay = some_delay();
	fiber_start(io->op == HERMIT_IO_READ ? "read" :
		    io->op == HERMIT_IO_WRITE ? "write" : "discard",
		    complete_io, io, true, delay);
}

static void submit_one(struct hermit_link *link, struct hermit_io *io)
{
	fiber_point();
	if (closing)
		fiber_fail("a request to a closed link");
	if (losing)
		list_add_tail(&io->node, &held);
	else
		post(io);
}

static void submit(struct hermit_link *link, struct list_head *ios)
{
	struct hermit_io *io;

	while (!list_empty(ios)) {
		io = list_first_entry(ios, struct hermit_io, node);
		list_del_init(&io->node);
		submit_one(link, io);
	}
}

static void post_held(void)
{
	struct hermit_io *io;

	while (!list_empty(&held)) {
		io = list_first_entry(&held, struct hermit_io, node);
		list_del_init(&io->node);
		post(io);
	}
}

/* As the contract of contents_lost() says: none is out, none is posted. */
void server_lose(void)
{
	if (closing || world.r->dead)
		return;
	world.lost = world.lost_all = losing = gone = true;
	while (outstanding)
		fiber_sleep(fiber_now() + 1000);
	memset(pages, 0, sizeof(pages));
	world.losses++;
	user_ops->contents_lost(user, 2);
	gone = false;
	post_held();
	losing = false;
}

/* Reconnecting: what is submitted meanwhile is posted then. */
void server_away(u64 ns)
{
	u64 until = fiber_now() + ns;

	if (closing || losing || world.r->dead)
		return;
	losing = true;
	user_ops->state(user, HERMIT_SERVER_RECONNECTING);
	while (fiber_now() < until && !world.r->dead)
		fiber_sleep(min(until, fiber_now() + 10000000));
	user_ops->state(user, HERMIT_SERVER_UP);
	post_held();
	losing = false;
}

void server_away_main(void *arg)
{
	server_away(NSEC_PER_SEC);
	world.left--;
}

void server_keep(u64 idx)
{
	keep = idx;
}

bool server_keeps(void)
{
	return kept;
}

void server_let_go(void)
{
	fiber_start("answer", answer, kept, true, 0);
	kept = NULL;
}

u64 server_held(u64 idx)
{
	struct hermit_io *io;
	u64 n = 0;

	list_for_each_entry(io, &held, node)
		n += io->op == HERMIT_IO_READ && io->offset >> PAGE_SHIFT == idx;
	return n;
}

static struct hermit_link *server_connect(const struct hermit_link_params *params)
{
	struct link *l = kzalloc(sizeof(*l), GFP_KERNEL);

	user_ops = params->user_ops;
	user = params->user;
	return l ? &l->link : ERR_PTR(-ENOMEM);
}

static void server_close(struct hermit_link *link, bool end)
{
	might_sleep();
	while (losing)
		fiber_sleep(fiber_now() + 1000);
	closing = true;
	while (outstanding)
		fiber_sleep(fiber_now() + 1000);
	pool_grow(-(int)stored);
	kfree(container_of(link, struct link, link));
}

static void server_stats(struct hermit_link *link, struct hermit_server_stats *st)
{
	st->state = HERMIT_SERVER_UP;
}

#define TRANSPORT(name, at_once) {	\
	.scheme = name,			\
	.synchronous = at_once,		\
	.connect = server_connect,	\
	.submit = submit,		\
	.submit_one = submit_one,	\
	.stats = server_stats,		\
	.close = server_close,		\
}
const struct hermit_transport_ops world_transport = TRANSPORT("sim", false);
const struct hermit_transport_ops world_transport_sync = TRANSPORT("simsync", true);
