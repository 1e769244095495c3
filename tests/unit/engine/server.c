// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Links and their servers. Requests are carried out in any order, and done in
 * softirqs: nothing of the engine may count on more. With several servers the links
 * are members of a set, and have no patience, and come and go. A read may be answered with
 * what is not the page, and the server may lose one page, or have it wrong for good.
 * What would prove nothing, and is not done: a request that is completed twice or not
 * at all (the contract of link/transport.h).
 */
#include "cipher.h"

#include "core/crc.h"
#include "engine/holder.h"
#include "engine/report.h"
#include "engine/server.h"
#include "engine/word.h"
#include "link/part.h"

struct server_page {
	bool present, spoilt, forgotten;
	/*
	 * What is there is what was noted when it was sent, and not what a page became that
	 * was rescued while it was: of that nobody knows a copy, and its owner, who
	 * wrote to it, has it dirty.
	 */
	bool noted;
	bool acked;			/* and was acknowledged, or the same before */
	u64 data[PAGE_WORDS];
	u64 old[PAGE_WORDS];		/* what it was before */
};

static struct server {
	struct server_page pages[WORLD_PAGES];
	int outstanding;
	bool closing, losing;		/* losing: or away */
	bool gone;			/* losing, and what is out fails */
	bool wiped;			/* and nobody knows yet */
	bool busy;			/* one of several: its link tells of changes */
	bool forced;			/* it is dropped with what only it has */
	bool leaves;			/* its drain was asked for, and has begun */
	struct list_head held;		/* while it is losing, and the only one */
	const struct hermit_link_user_ops *user_ops;
	void *user;
} servers[WORLD_SERVERS];
static u64 keep;			/* see server_keep(); or no page */
static struct reply *kept;
static bool all_were_there;		/* since the walk began */
static struct page *pool[2 * WORLD_PAGES]; /* as "local:" has: pages of this host */
static unsigned int stored, pooled;	/* in so many of them */

struct link {
	struct hermit_link link;
	struct server *server;
};

/* An answer on its way. */
struct reply {
	struct server *server;
	struct hermit_io *io;
};

void server_init(void)
{
	int i;

	memset(servers, 0, sizeof(servers));
	for (i = 0; i < WORLD_SERVERS; i++) {
		INIT_LIST_HEAD(&servers[i].held);
		servers[i].closing = true;
	}
	keep = WORLD_PAGES;
	kept = NULL;
	all_were_there = true;
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
 * Bits that do not change the CRC of what they are changed in, nor of what it is
 * decrypted to: the polynomial itself.
 */
#define SAME_CRC	(1ull | 0x82f63b78ull << 1)

/* By somebody who knows what is looked at. */
static void forge(u64 *data)
{
	data[0] ^= SAME_CRC << fiber_random(64 - 32);
	data[fiber_random(PAGE_WORDS)] ^= SAME_CRC << fiber_random(64 - 32);
}

/*
 * What comes is not the page: zeros, as of a server that does not have it, what it
 * was once, another page, or one bit is not what it was, where readers look or not.
 * Or, if it is sealed, many, and the CRC is right.
 */
static void lie(struct server_page *pages, u64 idx, u64 *data)
{
	static const u64 zeros[PAGE_WORDS];
	struct server_page *s = &pages[idx];
	const u64 *other[] = { zeros, s->old,
			       pages[fiber_random(WORLD_PAGES)].data };
	u64 kind = fiber_random(4), where[] = { 0, PAGE_WORDS - 1,
						fiber_random(PAGE_WORDS) };

	world.lies++;
	world.lied++;
	if (world.sealed && fiber_once_in(3)) {
		memcpy(data, s->data, PAGE_SIZE);
		forge(data);
		return;
	}
	if (kind < ARRAY_SIZE(other) &&
	    memcmp(other[kind], s->data, PAGE_SIZE)) {
		memcpy(data, other[kind], PAGE_SIZE);
		return;
	}
	memcpy(data, s->data, PAGE_SIZE);
	data[where[fiber_random(ARRAY_SIZE(where))]] ^= 1ull << fiber_random(64);
}

/* So many pages may be lost of it. */
static void forget(struct server_page *s)
{
	s->present = false;
	s->forgotten = true;
	world.forgot++;
	world.lost = true;
}

static void spoil(struct server_page *s)
{
	s->data[fiber_random(PAGE_WORDS)] ^= 1ull << fiber_random(64);
	s->spoilt = true;
	world.spoilt++;
	world.lost = true;
}

void server_forget(u64 idx)
{
	forget(&servers[0].pages[idx]);
}

void server_spoil(u64 idx)
{
	spoil(&servers[0].pages[idx]);
}

static void fail_page(struct server_page *s)
{
	if (happens(world.faults.forgets))
		forget(s);
	else if (!s->spoilt && happens(world.faults.spoils))
		spoil(s);
}

static void take(struct server_page *s, const u64 *data)
{
	s->acked &= s->present && !memcmp(s->data, data, PAGE_SIZE);
	memcpy(s->old, s->data, PAGE_SIZE);
	memcpy(s->data, data, PAGE_SIZE);
	s->present = s->noted = true;
	s->spoilt = s->forgotten = false;
}

static void carry_out(struct server_page *pages, struct hermit_io *io)
{
	u64 idx = io->offset >> PAGE_SHIFT, i, *data;
	struct server_page *s = &pages[idx];

	switch (io->op) {
	case HERMIT_IO_READ:
		world.reads++;
		data = io->page->data;
		memset(data, 0x5a, PAGE_SIZE);
		if (s->present)
			fail_page(s);
		/* Perhaps discarded since it was posted. */
		if (!s->present) {
			io->status = -ENOENT;
			break;
		}
		fiber_point();
		if (happens(world.faults.lies)) {
			lie(pages, idx, data);
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
		/* It did not change on the way. */
		if (world.sealed)
			cipher_leaves(s->data, idx);
		s->acked &= s->present && !memcmp(s->data, s->old, PAGE_SIZE);
		s->present = true;
		s->noted = hermit_crc_page(s->data) == io->crc;
		break;
	default:
		world.discards++;
		for (i = 0; i < io->length >> PAGE_SHIFT; i++) {
			pool_grow(-(int)pages[idx + i].present);
			pages[idx + i].present = pages[idx + i].spoilt =
				pages[idx + i].acked = false;
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

/* Who has this number; NULL: nobody. */
static struct server *server_at(unsigned int nr)
{
	const char *colon = strchr(world.r->servers[nr], ':');

	return colon ? &servers[colon[1] - '0'] : NULL;
}

/* Is it what the page was last written, as it may be installed? */
static bool holds(const struct server_page *s, u64 idx)
{
	u64 version = oracle_version(idx);

	if (!s->present)
		return false;
	if (world.sealed)
		return cipher_holds(s->data, idx, *hermit_word_seal(world.r, idx).number,
				    version);
	return s->data[0] == version && s->data[PAGE_WORDS - 1] == version;
}

/*
 * Of several servers. Who is said to have the current contents of a page that is away
 * has them, and no page is lost that one has acknowledged and has still.
 */
static void check_page(u64 idx)
{
	struct hermit_chunk *c = world.r->chunks[idx / HERMIT_CHUNK_PAGES];
	u64 word, who, version = oracle_version(idx);
	struct server_page *s;
	struct server *server;
	unsigned int i;
	bool has, told;

	if (world.servers < 2 || !c || oracle_discarding(idx) || world.r->dead)
		return;
	word = c->words[idx % HERMIT_CHUNK_PAGES].counter;
	who = ((u64)c->copies[idx % HERMIT_CHUNK_PAGES].counter >>
	       HERMIT_HOLDERS_SHIFT) % (1 << WORLD_SERVERS);
	if (hermit_word_state(word) != HERMIT_REMOTE &&
	    hermit_word_state(word) != HERMIT_FETCHING &&
	    hermit_word_state(word) != HERMIT_LOST)
		return;
	for (i = 0; i < HERMIT_MAX_SERVERS; i++) {
		server = server_at(i);
		if (!server && who >> i & 1)
			fiber_fail("page %llu is said to be on server %u, which is no more",
				   idx, i);
		if (!server)
			continue;
		s = &server->pages[idx];
		has = holds(s, idx);
		/* It forgot the page perhaps, and got it anew by a write that failed. */
		told = has && s->acked;
		if (server->wiped || server->forced || s->forgotten || s->spoilt)
			continue;
		if (hermit_word_state(word) == HERMIT_LOST) {
			if (told && !world.poisons)
				fiber_fail("page %llu is lost, and server %u has it",
					   idx, i);
		} else if (who >> i & 1 && !has) {
			fiber_fail("page %llu is said to be on server %u, which does not have version %llu",
				   idx, i, version);
		}
	}
	if (hermit_word_state(word) == HERMIT_LOST)
		return;
	if (!who)
		fiber_fail("page %llu is away, and nobody has it", idx);
	if (all_were_there && !world.faults.write_fails &&
	    hweight8(who) != world.r->replicas)
		fiber_fail("page %llu is on %u servers, of %u", idx, hweight8(who),
			   world.r->replicas);
}

/* No read waits for a server that is no more: nobody would ever end it. */
static void check_waiting(void)
{
	struct hermit_set *s;
	struct hermit_io *io;

	if (!world.r->replicas || world.r->dead || !world.r->link)
		return;
	s = container_of(hermit_server_set(world.r), struct hermit_set, base);
	list_for_each_entry(io, &s->waiting, node)
		if (!(io->members & s->present))
			fiber_fail("page %llu waits for servers %#x, which are no more",
				   io->offset >> PAGE_SHIFT, io->members);
}

void server_check(void)
{
	u64 i;

	check_waiting();
	for (i = 0; i < world.r->npages; i++)
		check_page(i);
}

static void answer(void *arg)
{
	struct reply *reply = arg;
	struct hermit_io *io = reply->io;
	struct server *server = reply->server;
	struct server_page *pages = server->pages;
	bool set = world.servers > 1;
	u64 idx = io->offset >> PAGE_SHIFT;
	/* What was not to be asked for is no page that this server lost. */
	bool unasked = !set && io->status == -ENOENT && !pages[idx].forgotten &&
		       !world.poisons && !is_lost(idx);

	free(reply);
	fiber_point();
	if (set && server->gone)
		io->status = -ENOLINK;
	else if (io->op == HERMIT_IO_WRITE && !io->status)
		pages[idx].acked |= pages[idx].noted;
	io->done(io);
	check_page(idx);
	if (unasked && is_lost(idx))
		fiber_fail("page %llu is lost, which the server never had or was told to discard",
			   idx);
	server->outstanding--;
}

/* As by "local:": a read is done when submit() returns. */
static bool at_once(const struct hermit_io *io)
{
	return world.sync && io->op == HERMIT_IO_READ;
}

static void complete_io(void *arg)
{
	struct reply *reply = arg;
	struct hermit_io *io = reply->io;
	struct server *s = reply->server;
	struct faults *f = &world.faults;

	io->status = 0;
	if (s->closing && fiber_once_in(2))
		io->status = -ECANCELED;
	else if (s->gone)
		io->status = world.servers > 1 ? -ENOLINK : -ENODATA;
	else if (io->op == HERMIT_IO_READ && happens(f->read_fails))
		io->status = -EIO;
	else if (io->op != HERMIT_IO_READ && happens(f->write_fails))
		io->status = io->op == HERMIT_IO_WRITE ? -ENOSPC : -EIO;
	/* What failed may have been carried out, or not. */
	if (!io->status || (io->op == HERMIT_IO_WRITE && fiber_once_in(2)))
		carry_out(s->pages, io);
	/* Done is done, and the answer is on its way for a while. */
	if (io->op == HERMIT_IO_READ && io->offset >> PAGE_SHIFT == keep) {
		keep = WORLD_PAGES;
		kept = reply;
	} else if (!at_once(io) && happens(f->late) && !happens(f->inside))
		fiber_start("answer", answer, reply, true, some_delay());
	else
		answer(reply);
}

static void post(struct server *s, struct hermit_io *io)
{
	struct reply *reply = malloc(sizeof(*reply));
	u64 delay = fiber_random(4) ? fiber_random(20000) : 0;

	*reply = (struct reply){ s, io };
	s->outstanding++;
	if (at_once(io) || happens(world.faults.inside)) {
		complete_io(reply);
		return;
	}
	if (happens(world.faults.late))
		delay = some_delay();
	fiber_start(io->op == HERMIT_IO_READ ? "read" :
		    io->op == HERMIT_IO_WRITE ? "write" : "discard",
		    complete_io, reply, true, delay);
}

static void submit_one(struct hermit_link *link, struct hermit_io *io)
{
	struct server *s = container_of(link, struct link, link)->server;

	fiber_point();
	if (s->closing)
		fiber_fail("a request to a closed link");
	if (s->leaves && io->op == HERMIT_IO_WRITE)
		fiber_fail("a page is written to a server that leaves");
	if (world.sealed && io->op == HERMIT_IO_WRITE)
		cipher_leaves(io->page->data, io->offset >> PAGE_SHIFT);
	if (!s->losing) {
		post(s, io);
	} else if (world.servers > 1) {
		io->status = -ENOLINK;
		io->done(io);
	} else {
		list_add_tail(&io->node, &s->held);
	}
}

static void submit(struct hermit_link *link, struct list_head *ios)
{
	struct hermit_io *io;
	u64 n;

	/* What is for the next member waits so long: it may be dropped meanwhile. */
	if (world.faults.comes && fiber_once_in(4))
		for (n = fiber_random(50); n; n--)
			fiber_yield();
	while (!list_empty(ios)) {
		io = list_first_entry(ios, struct hermit_io, node);
		list_del_init(&io->node);
		submit_one(link, io);
	}
}

static void post_held(struct server *s)
{
	struct hermit_io *io;

	while (!list_empty(&s->held)) {
		io = list_first_entry(&s->held, struct hermit_io, node);
		list_del_init(&io->node);
		post(s, io);
	}
}

/* As the contract of contents_lost() says: none is out, none is posted. */
static void lose(struct server *s)
{
	world.lost = world.lost_all = s->losing = s->gone = true;
	while (s->outstanding)
		fiber_sleep(fiber_now() + 1000);
	s->wiped = true;
	memset(s->pages, 0, sizeof(s->pages));
	world.losses++;
	s->user_ops->contents_lost(s->user, 2);
	s->wiped = false;
	server_check();
}

void server_lose(void)
{
	struct server *s = &servers[0];

	if (s->closing || world.r->dead)
		return;
	lose(s);
	s->gone = false;
	post_held(s);
	s->losing = false;
}

static void stay_away(u64 ns)
{
	u64 until = fiber_now() + ns;

	while (fiber_now() < until && !world.r->dead)
		fiber_sleep(min(until, fiber_now() + 10000000));
}

/* Reconnecting: what is submitted meanwhile is posted then. */
void server_away(u64 ns)
{
	struct server *s = &servers[0];

	if (s->closing || s->losing || world.r->dead)
		return;
	s->losing = true;
	s->user_ops->state(s->user, HERMIT_SERVER_RECONNECTING);
	stay_away(ns);
	s->user_ops->state(s->user, HERMIT_SERVER_UP);
	post_held(s);
	s->losing = false;
}

/* One of several: what is out fails, and what comes, until it is back. */
void server_one_away(unsigned int i, u64 ns, bool loses)
{
	struct server *s = &servers[i];

	if (s->closing || s->busy || world.r->dead)
		return;
	s->busy = true;
	all_were_there = false;
	s->losing = s->gone = true;
	while (s->outstanding)
		fiber_sleep(fiber_now() + 1000);
	s->user_ops->state(s->user, HERMIT_SERVER_RECONNECTING);
	stay_away(ns);
	if (loses)
		lose(s);
	s->gone = s->losing = false;
	s->user_ops->state(s->user, HERMIT_SERVER_UP);
	s->busy = false;
}

static int change(unsigned int op, unsigned int i, bool force)
{
	struct hermit_server_change c = { .op = op };
	int ret;

	all_were_there = false;
	if (force) {
		c.flags = HERMIT_SERVER_FORCE;
		world.lost = world.lost_all = servers[i].forced = true;
	}
	if (op == HERMIT_SERVER_UNDRAIN)
		servers[i].leaves = false;
	sprintf(c.address, "sim:%u", i);
	ret = hermit_server_change(world.r, &c);
	if (!ret && op == HERMIT_SERVER_DRAIN)
		servers[i].leaves = true;
	if (!ret && op == HERMIT_SERVER_DROP && !force && c.pages)
		fiber_fail("server %u was drained, and %llu pages are lost without it",
			   i, c.pages);
	if (ret && !c.error[0])
		fiber_fail("server %u: change %u is refused, %d, and nobody says why",
			   i, op, ret);
	if (ret && force)
		servers[i].forced = false;
	return ret;
}

static bool is_drained(unsigned int i)
{
	struct hermit_stats st;
	unsigned int nr;

	hermit_report_fill(world.r, &st);
	for (nr = 0; nr < st.nr_servers; nr++)
		if (st.servers[nr].state == HERMIT_SERVER_DRAINED &&
		    server_at(nr) == &servers[i])
			return true;
	return false;
}

/* Its own operator drains it for a while. */
static void drain_from_there(struct server *s)
{
	if (s->closing || s->busy || world.r->dead)
		return;
	s->busy = true;
	all_were_there = false;
	s->user_ops->state(s->user, HERMIT_SERVER_DRAINING);
	stay_away(fiber_random(NSEC_PER_SEC / 2));
	s->user_ops->state(s->user, HERMIT_SERVER_UP);
	s->busy = false;
}

void server_come_and_go(void)
{
	unsigned int i = fiber_random(WORLD_SERVERS);
	u64 until = fiber_now() + (fiber_random(2) ? NSEC_PER_SEC / 2 : 0);

	switch (fiber_random(8)) {
	case 6:
	case 7:
		drain_from_there(&servers[i]);
		break;
	case 0:
		change(HERMIT_SERVER_UNDRAIN, i, false);
		break;
	case 1:
		change(HERMIT_SERVER_ADD, i, false);
		break;
	case 2:
		change(HERMIT_SERVER_DROP, i, fiber_once_in(4));
		break;
	case 3:
		change(HERMIT_SERVER_DRAIN, i, false);
		break;
	default:
		if (change(HERMIT_SERVER_DRAIN, i, false))
			break;
		while (!is_drained(i) && fiber_now() < until && !world.r->dead)
			fiber_sleep(fiber_now() + 10 * NSEC_PER_MSEC);
		/* Or before it is. */
		change(HERMIT_SERVER_DROP, i, false);
	}
	server_check();
}

void server_all_come(void)
{
	unsigned int i;

	for (i = 0; i < WORLD_SERVERS && !world.r->dead; i++) {
		while (change(HERMIT_SERVER_ADD, i, false) == -ENOMEM)
			fiber_sleep(fiber_now() + NSEC_PER_MSEC);
		change(HERMIT_SERVER_UNDRAIN, i, false);
	}
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

	list_for_each_entry(io, &servers[0].held, node)
		n += io->op == HERMIT_IO_READ && io->offset >> PAGE_SHIFT == idx;
	return n;
}

static struct hermit_link *server_connect(const struct hermit_link_params *params)
{
	struct link *l = kzalloc(sizeof(*l), GFP_KERNEL);
	struct server *s = &servers[*params->address ? *params->address - '0' : 0];

	if (!l)
		return ERR_PTR(-ENOMEM);
	l->server = s;
	s->user_ops = params->user_ops;
	s->user = params->user;
	s->closing = s->losing = s->gone = s->forced = s->leaves = false;
	return &l->link;
}

static void server_close(struct hermit_link *link, bool end)
{
	struct link *l = container_of(link, struct link, link);
	struct server *s = l->server;

	might_sleep();
	while (s->losing || s->busy)
		fiber_sleep(fiber_now() + 1000);
	s->closing = true;
	while (s->outstanding)
		fiber_sleep(fiber_now() + 1000);
	pool_grow(-(int)stored);
	/* The region's memory is free. */
	if (world.servers > 1)
		memset(s->pages, 0, sizeof(s->pages));
	kfree(l);
}

/* Any amount, or little. */
static u64 server_room(struct hermit_link *link)
{
	return fiber_once_in(2) ? fiber_random(WORLD_PAGES) << PAGE_SHIFT : HERMIT_ROOM_UNKNOWN;
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
	.room = server_room,		\
	.close = server_close,		\
}
const struct hermit_transport_ops world_transport = TRANSPORT("sim", false);
const struct hermit_transport_ops world_transport_sync = TRANSPORT("simsync", true);
