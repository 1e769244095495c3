/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_HOLDER_H
#define HERMIT_HOLDER_H
/*
 * Who has a page's remote copy, of several servers (link/set.h): those that have
 * acknowledged this very contents, a bit for each, beside the CRC (copy.h). With one
 * server it is none of them.
 *
 *  - The owner of EVICTING clears it when it notes the CRC; not of a page that is sent
 *    once more as it is, since too few have it. The completion behind W sets
 *    those that acknowledged, before the word can be REMOTE, or have C. Nobody else
 *    adds one.
 *  - The sweep (sweep.h) takes a server off that lost its contents, with no batch of
 *    reclaim under way and no write out. So it meets no completion that adds what it
 *    takes, and no drop of a page for a copy that goes.
 *  - What a server has that leaves (server.h) is a copy to read from, and none that counts.
 *  - With C and no server a page is dirty, or its word has W: no word is REMOTE that
 *    nobody has, and what is dropped has as many copies as there can be.
 */
#include <linux/types.h>

#include "engine/region.h"

/* In what is kept beside the word; with one bit that is not a server's. */
#define HERMIT_HOLDERS_SHIFT	56
#define HERMIT_HOLDERS_MASK	(~0ULL << HERMIT_HOLDERS_SHIFT)

/* @servers have acknowledged page @idx; by the completion behind W. Any context. */
void hermit_holders_add(struct hermit_region *r, u64 idx, u8 servers);
/* Who has it, if the word is what it was before this; of several servers. Any context. */
u8 hermit_holders(struct hermit_region *r, u64 idx);
/*
 * How many pages are away that fewer servers have than there are to be replicas is
 * counted (HERMIT_C_SHORT), and each says whether it is among them. Whoever makes the
 * word REMOTE looks before that, and again if it did not become so; whoever makes it
 * something else says so after that. The sweep looks once more at the word, too, after
 * it has counted a page: so one of the two sees the other. Nothing with one server. Any
 * context.
 */
void hermit_holders_count(struct hermit_region *r, u64 idx, bool away);
static inline void hermit_holders_away(struct hermit_region *r, u64 idx)
{
	if (unlikely(r->replicas))
		hermit_holders_count(r, idx, true);
}
static inline void hermit_holders_home(struct hermit_region *r, u64 idx)
{
	if (unlikely(r->replicas))
		hermit_holders_count(r, idx, false);
}
/* @server has lost it; by the sweep. True if that was the last one. */
bool hermit_holders_drop(struct hermit_region *r, u64 idx, unsigned int server);
/*
 * Fewer servers that are there have the page, which has C, than could have it: so it is
 * to be sent rather than dropped, by the owner of EVICTING; or to be moved, if it is
 * away. Never with one server.
 */
bool hermit_holders_fewer(struct hermit_region *r, u64 idx);
static inline bool hermit_holders_are_few(struct hermit_region *r, u64 idx)
{
	return unlikely(r->replicas) && hermit_holders_fewer(r, idx);
}

/*
 * Those servers that leave and have the page, which is away, if it is not on as many
 * others that are there as it could be; or on none. Any context.
 */
u8 hermit_holders_needed(struct hermit_region *r, u64 idx);

#endif /* HERMIT_HOLDER_H */
