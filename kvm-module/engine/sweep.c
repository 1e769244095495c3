// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server lost its contents, or leaves: what was only there is LOST, and what is here,
 * and was only there, has no copy any more. Or it lost one page.
 */
#include <linux/sched.h>

#include "engine/event.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/sweep.h"
#include "engine/word.h"

static bool is_away(const atomic64_t *word)
{
	enum hermit_state s = hermit_word_state(atomic64_read(word));

	return s == HERMIT_REMOTE || s == HERMIT_FETCHING;
}

/* Fewer have the page than before, or more. Nothing leaves meanwhile, but it may come back. */
static void sweep_thins(struct hermit_region *r, u64 idx, const atomic64_t *word)
{
	if (!is_away(word))
		return;
	hermit_holders_away(r, idx);
	if (!is_away(word))
		hermit_holders_home(r, idx);
}

/* The word of the first page from @idx on that was ever touched; NULL: there is none. */
static atomic64_t *sweep_from(struct hermit_region *r, u64 *idx)
{
	atomic64_t *word;

	for (; *idx < r->npages; *idx = (*idx | (HERMIT_CHUNK_PAGES - 1)) + 1) {
		if (!(*idx % HERMIT_CHUNK_PAGES))
			cond_resched();
		word = hermit_word(r, *idx);
		if (word)
			return word;
	}
	return NULL;
}

static void sweep_begin(struct hermit_region *r)
{
	down_write(&r->sweep_lock);
	/*
	 * A server's acknowledgment of a write is noted once the others' are there:
	 * until then it is in no mask, and would be when this has passed by.
	 */
	if (r->replicas)
		wait_event(r->write_wq, !atomic_read(&r->writes));
}

static u64 sweep_take(struct hermit_region *r, unsigned int server, u64 *lowest)
{
	u64 idx, old, new, lost = 0;
	atomic64_t *word;

	for (idx = 0; (word = sweep_from(r, &idx)); idx++) {
		if (r->replicas && !hermit_holders_drop(r, idx, server)) {
			sweep_thins(r, idx, word);
			continue;
		}
		if (hermit_word_apply(word, HERMIT_EV_LOSE, 0, &old, &new) ||
		    hermit_word_state(new) != HERMIT_LOST ||
		    hermit_word_state(old) == HERMIT_LOST)
			continue;
		if (!lost++)
			*lowest = idx;
		HERMIT_MARK(page_lost);
		hermit_holders_home(r, idx);
		hermit_word_wake(r, idx);
	}
	return lost;
}

static void sweep_tell(struct hermit_region *r, u64 lost, u64 lowest)
{
	hermit_count(r, HERMIT_C_REMOTE, -(long)lost);
	hermit_count(r, HERMIT_C_LOST, lost);
	if (lost)
		hermit_event(r, HERMIT_EVENT_PAGES_LOST, lost, lowest);
}

u64 hermit_sweep(struct hermit_region *r, unsigned int server)
{
	u64 lost, lowest = 0;

	sweep_begin(r);
	lost = sweep_take(r, server, &lowest);
	up_write(&r->sweep_lock);
	sweep_tell(r, lost, lowest);
	return lost;
}

void hermit_sweep_leaving(struct hermit_region *r, u8 leaving)
{
	atomic64_t *word;
	u64 idx;

	sweep_begin(r);
	WRITE_ONCE(r->servers_leaving, leaving);
	for (idx = 0; (word = sweep_from(r, &idx)); idx++)
		sweep_thins(r, idx, word);
	up_write(&r->sweep_lock);
}

/* Pages that may be away, and are not on enough others. Nothing leaves meanwhile. */
static u64 sweep_needed(struct hermit_region *r, unsigned int server)
{
	u64 idx, n = 0;

	for (idx = 0; sweep_from(r, &idx); idx++)
		if (is_away(hermit_word(r, idx)) &&
		    hermit_holders_needed(r, idx) >> server & 1)
			n++;
	return n;
}

u64 hermit_sweep_drop(struct hermit_region *r, unsigned int server, bool force,
		      u64 *lost)
{
	u64 needed = 0, lowest = 0;

	*lost = 0;
	sweep_begin(r);
	if (!force)
		needed = sweep_needed(r, server);
	if (!needed)
		*lost = sweep_take(r, server, &lowest);
	up_write(&r->sweep_lock);
	sweep_tell(r, *lost, lowest);
	return needed;
}

/*
 * No sweep_lock: that keeps reclaim from dropping a page for a copy that is gone,
 * and reclaim has nothing to do with a word that is REMOTE.
 */
bool hermit_lose(struct hermit_region *r, u64 idx, u64 expected)
{
	u64 new;

	if (hermit_word_next(expected, HERMIT_EV_LOSE, 0, 0, &new) ||
	    atomic64_cmpxchg(hermit_word(r, idx), expected, new) != expected)
		return false;
	hermit_count(r, HERMIT_C_REMOTE, -1);
	hermit_count(r, HERMIT_C_LOST, 1);
	hermit_holders_home(r, idx);
	hermit_event(r, HERMIT_EVENT_PAGES_LOST, 1, idx);
	hermit_word_wake(r, idx);
	return true;
}
