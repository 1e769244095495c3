// SPDX-License-Identifier: GPL-2.0-only
/* Have the pages of a server that leaves where to go? See drain.h. */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "engine/drain.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/server.h"
#include "engine/stats.h"
#include "engine/word.h"
#include "link/set.h"
#include "wire/wire.h"

/* PINGs go once a second, and one may be on its way. */
#define ROOM_WAIT	(4 * HZ)
/* Longer than the mover rests after a pass in vain. */
#define DRAIN_STUCK	(15 * HZ)
#define CHOICES		(1 << HERMIT_MAX_SERVERS)

static bool is_away(u64 w)
{
	enum hermit_state s = hermit_word_state(w);

	return s == HERMIT_REMOTE || s == HERMIT_FETCHING;
}

/*
 * In pages[S]: copies that are to be made, each on one of the servers S of @to, of pages
 * that @server has. What servers have already is taken from @rooms.
 */
static void count_pages(struct hermit_region *r, unsigned int server, u8 to, u64 *pages,
			u64 *rooms)
{
	unsigned int i;
	atomic64_t *word;
	u8 have, others;
	u64 idx;

	for (idx = 0; idx < r->npages; idx++) {
		if (!(idx % HERMIT_CHUNK_PAGES))
			cond_resched();
		word = hermit_word(r, idx);
		if (!word) {
			idx |= HERMIT_CHUNK_PAGES - 1;
			continue;
		}
		have = hermit_holders(r, idx);
		for (i = 0; have >> i; i++)
			if (have >> i & 1 && rooms[i] < HERMIT_ROOM_AWAITED)
				rooms[i] -= min_t(u64, rooms[i], PAGE_SIZE);
		if (!is_away(atomic64_read(word)))
			continue;
		others = to & ~have;
		if (!(have >> server & 1) || !others)
			continue;
		have &= ~(READ_ONCE(r->servers_leaving) | 1U << server) &
			READ_ONCE(r->servers_up);
		if (hweight8(have) < r->replicas)
			pages[others] += min_t(unsigned int, r->replicas - hweight8(have),
					       hweight8(others));
	}
}

/* The choice of servers that has the least room for what has to go there; 0: all fits. */
static u8 worst_choice(u8 to, const u64 *pages, const u64 *rooms, u64 *need, u64 *room)
{
	u64 most = 0, wanted, there;
	unsigned int choice, s;
	u8 worst = 0;

	for (choice = 1; choice < CHOICES; choice++) {
		if (choice & ~to)
			continue;
		wanted = there = 0;
		for (s = 1; s <= choice; s++)
			if (!(s & ~choice))
				wanted += pages[s] << PAGE_SHIFT;
		for (s = 0; s < HERMIT_MAX_SERVERS; s++)
			if (choice >> s & 1)
				there = rooms[s] >= HERMIT_ROOM_AWAITED ?
					HERMIT_ROOM_UNKNOWN :
					max(there, there + rooms[s]);
		if (there >= wanted || wanted - there <= most)
			continue;
		most = wanted - there;
		worst = choice;
		*need = wanted;
		*room = there;
	}
	return worst;
}

/* Who is there, and does not want to be empty; full or not: it has the room that it says. */
static u8 to_servers(struct hermit_region *r)
{
	unsigned int i;
	u8 to = 0, state;

	for (i = 0; i < HERMIT_MAX_SERVERS; i++) {
		state = READ_ONCE(r->server_states[i]);
		if (r->servers[i][0] && (state == HERMIT_SERVER_UP ||
					 state == HERMIT_SERVER_FULL))
			to |= 1U << i;
	}
	return to;
}

/* Told what to keep, how much do they have? -EINTR, or 0. */
static int ask(struct hermit_region *r, u8 leaving, u64 *rooms)
{
	unsigned long until = jiffies + ROOM_WAIT;

	hermit_set_share(hermit_server_set(r), leaving);
	while (!hermit_set_rooms(hermit_server_set(r), rooms) && time_before(jiffies, until)) {
		if (signal_pending(current) || READ_ONCE(r->dead))
			return -EINTR;
		schedule_timeout_interruptible(HZ / 50);
	}
	return 0;
}

int hermit_drain_fits(struct hermit_region *r, unsigned int server, char *error)
{
	u8 leaving = r->servers_leaving | 1U << server, to, worst;
	u64 rooms[HERMIT_SET_MAX], need = 0, room = 0;
	u64 *pages;
	int ret;

	pages = kcalloc(CHOICES, sizeof(*pages), GFP_KERNEL);
	if (!pages) {
		snprintf(error, HERMIT_ERROR_LEN,
			 "server %s: this host has no memory to see whether others have room; free some",
			 r->servers[server]);
		return -ENOMEM;
	}
	ret = ask(r, leaving, rooms);
	if (ret)
		goto out;
	to = to_servers(r) & ~leaving;
	count_pages(r, server, to, pages, rooms);
	worst = worst_choice(to, pages, rooms, &need, &room);
	if (worst) {
		HERMIT_MARK(drain_finds_no_room);
		snprintf(error, HERMIT_ERROR_LEN,
			 "server %s: %llu bytes of its pages would have to go to %u other%s, and there is room for %llu; add a server, or give them more",
			 r->servers[server], need, hweight8(worst),
			 hweight8(worst) > 1 ? "s" : "", room);
		ret = -ENOSPC;
	}
out:
	if (ret)
		hermit_set_share(hermit_server_set(r), r->servers_leaving);
	kfree(pages);
	return ret;
}

void hermit_drain_begins(struct hermit_region *r)
{
	struct hermit_drain *d = &r->drain;

	d->at = jiffies;
	d->few = hermit_stat(r, HERMIT_C_SHORT);
	d->moved = hermit_stat(r, HERMIT_C_MOVED);
}

u8 hermit_drain_stuck(struct hermit_region *r)
{
	u8 on_their_way = r->servers_leaving & ~READ_ONCE(r->servers_drained);
	struct hermit_drain *d = &r->drain;

	if (!on_their_way || hermit_stat(r, HERMIT_C_MOVED) != d->moved ||
	    hermit_stat(r, HERMIT_C_SHORT) < d->few) {
		hermit_drain_begins(r);
		return 0;
	}
	return time_after(jiffies, d->at + DRAIN_STUCK) ? on_their_way : 0;
}

u32 hermit_drain_need(struct hermit_region *r, unsigned int server)
{
	u32 stuck = READ_ONCE(r->servers_stuck) >> server & 1 ? HERMIT_NEED_STUCK : 0;

	if (!(r->servers_leaving >> server & 1))
		return HERMIT_NEED_ALL | stuck;
	if (READ_ONCE(r->servers_drained) >> server & 1)
		return HERMIT_NEED_NONE;
	/* All that are short, of which it has some: no fewer than are to be moved. */
	return (HERMIT_NEED_NONE + clamp(hermit_stat(r, HERMIT_C_SHORT), 1L,
					 (long)HERMIT_NEED_PAGES - HERMIT_NEED_NONE)) | stuck;
}
