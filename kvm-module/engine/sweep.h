/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_SWEEP_H
#define HERMIT_SWEEP_H
/* What becomes of pages whose only copy the server does not have any more. */
#include <linux/types.h>

struct hermit_region;

/*
 * @server has none of what it acknowledged before. Returns how many pages are lost,
 * those that nobody else has. With several servers it waits for all writes that are
 * out, of which none may go to this one. Takes sweep_lock for
 * writing; sleeps.
 */
u64 hermit_sweep(struct hermit_region *r, unsigned int server);
/*
 * From now on those of @leaving, a bit for each, leave, and no others: pages that too few
 * have are counted anew. With several servers; no write that is submitted from
 * now on goes to one of them. As above; under change_lock.
 */
void hermit_sweep_leaving(struct hermit_region *r, u8 leaving);
/*
 * Take @server, which leaves, off all masks, as above, unless pages need it
 * (holder.h): returns how many do, and then nothing happened. @force: none does. How many
 * are lost is in @lost: none without @force. Under change_lock.
 */
u64 hermit_sweep_drop(struct hermit_region *r, unsigned int server, bool force,
		      u64 *lost);
/*
 * The copy of the one page is gone: it is lost, unless the word is not @expected,
 * REMOTE or FETCHING, any more. False then, and it is another's affair. Any context.
 */
bool hermit_lose(struct hermit_region *r, u64 idx, u64 expected);

#endif /* HERMIT_SWEEP_H */
