/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_STANDBY_H
#define HERMIT_STANDBY_H
/*
 * Standby: a page that has left keeps its contents here until its frame is needed.
 *
 * What is kept free for the next faults holds the last pages that left. To who wants
 * one of those back it is as good as local: no read, no copy. To all others it is
 * remote, and its frame is a free one:
 *
 *	word REMOTE(g)	◄── equal? ──  frame in a list of the shared pool, oldest first:
 *	      │				page->private = the word by which the page left,
 *	      ▼ one exchange		page index = which page it was
 *	word LOCAL(pfn) + C		standby[index % size] = the frame that is known
 *
 * There is no state for it in the page word. A generation is never used twice: as long
 * as the word is the very one by which the page left, nobody discarded, lost or read
 * the page, or sent another version of it. Once it is another one nothing can be done
 * with what is in the frame, and nobody who changes a word needs to look here. So
 * discards, sweeps, the mover and pread do not know of it.
 *
 *  - Lists and table are the pool's, under pool.lock. Whoever takes a frame out of
 *    them owns it; the word is exchanged between, under the lock.
 *  - A frame is free for something else only if its reference is the only one: pread
 *    may have found the page before it left, and be at copying it.
 *  - The table is mapped directly. A frame whose place another one took is found by
 *    nobody any more, and is a free one.
 *  - PG_dirty is clear: what is here is what the server has.
 *
 * For regions that are created while the module's parameter `standby` is set.
 */
#include "engine/region.h"

extern bool hermit_standby;	/* the parameter */

/* Without a link, and before the first page. 0 or -ENOMEM. Sleeps. */
int hermit_standby_init(struct hermit_region *r);
/* All frames were taken. Sleeps. */
void hermit_standby_destroy(struct hermit_region *r);
/*
 * Under pool.lock, where there is standby. @page left by the word @w, and is nobody's;
 * its index is still the page's.
 */
void hermit_standby_add(struct hermit_region *r, struct page *page, u64 w);
/* Under pool.lock: the one that left first, of this CPU's node if there is one; or NULL. */
struct page *hermit_standby_oldest(struct hermit_region *r);

bool hermit_standby_find(struct hermit_region *r, u64 idx, u64 w);
bool hermit_standby_take(struct hermit_region *r, u64 idx, u64 w);

/* Could a fault have page @idx, whose word is @w, back? A guess. Any context. */
static inline bool hermit_standby_has(struct hermit_region *r, u64 idx, u64 w)
{
	return unlikely(r->standby) && hermit_standby_find(r, idx, w);
}

/*
 * For a fault that found the page's word to be @w, REMOTE: true if the page was here,
 * and its word is LOCAL now. Task context, does not sleep.
 */
static inline bool hermit_standby_back(struct hermit_region *r, u64 idx, u64 w)
{
	return unlikely(r->standby) && hermit_standby_find(r, idx, w) &&
	       hermit_standby_take(r, idx, w);
}

#endif /* HERMIT_STANDBY_H */
