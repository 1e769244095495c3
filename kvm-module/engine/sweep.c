// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server lost its contents: what was only there is LOST, and what is here, and was
 * only there, has no copy any more. Or it lost one page.
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

/* Fewer have the page than before. Nothing leaves meanwhile, but it may come back. */
static void sweep_thins(struct hermit_region *r, u64 idx, const atomic64_t *word)
{
	if (!is_away(word))
		return;
	hermit_holders_away(r, idx);
	if (!is_away(word))
		hermit_holders_home(r, idx);
}

u64 hermit_sweep(struct hermit_region *r, unsigned int server)
{
	u64 idx, old, new, lost = 0, lowest = 0;
	atomic64_t *word;

	down_write(&r->sweep_lock);
	/*
	 * This server's acknowledgment of a write is noted once the others' are there:
	 * until then it is in no mask, and would be when this has passed by.
	 */
	if (r->replicas)
		wait_event(r->write_wq, !atomic_read(&r->writes));
	for (idx = 0; idx < r->npages; idx++) {
		if (!(idx % HERMIT_CHUNK_PAGES))
			cond_resched();
		word = hermit_word(r, idx);
		if (!word) {
			idx |= HERMIT_CHUNK_PAGES - 1;
			continue;
		}
		if (r->replicas && !hermit_holders_drop(r, idx, server)) {
			sweep_thins(r, idx, word);
			continue;
		}
		if (hermit_word_apply(word, HERMIT_EV_LOSE, 0, &old, &new) ||
		    hermit_word_state(new) != HERMIT_LOST ||
		    hermit_word_state(old) == HERMIT_LOST)
			continue;
		if (!lost++)
			lowest = idx;
		HERMIT_MARK(page_lost);
		hermit_holders_home(r, idx);
		hermit_word_wake(r, idx);
	}
	up_write(&r->sweep_lock);
	hermit_count(r, HERMIT_C_REMOTE, -(long)lost);
	hermit_count(r, HERMIT_C_LOST, lost);
	if (lost)
		hermit_event(r, HERMIT_EVENT_PAGES_LOST, lost, lowest);
	return lost;
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
