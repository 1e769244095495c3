/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_ENGINE_SERVER_H
#define HERMIT_ENGINE_SERVER_H
/*
 * The servers of a region: one link, or a set of several (link/set.h), that come and go
 * while the VM runs.
 *
 * Each has a number, its bit in the masks of pages (holder.h), and a name in r->servers.
 *
 *	add:	name ─► connect ─► the set's member ─► told UP ─► wanted by pages
 *
 *	drain:	no page any more ─► leaving ─► moved from (mover.h) ─► drained
 *
 *	drop:	needed by no page, and off all masks ─► told NONE ─► link closed ─► no name
 *	       └──── one hold of sweep_lock ────┘
 *
 * Why nothing is lost:
 *
 *  - A server is made to leave in the set first, then under sweep_lock, with no write
 *    out, in r->servers_leaving. A write is counted before it is divided among servers,
 *    under the same lock. So who sees the bit set knows that the masks say all that the
 *    server will ever have.
 *  - It is dropped only while it leaves. That no page needs it, and that it is taken off all
 *    masks, is one hold of the lock: no page is dropped for its copy between. "Drained"
 *    is what the mover saw last, and is only told.
 *  - Its number is used again when its link is closed and no mask has it. What a read that
 *    is late may ask the newcomer for, it does not have, and says so (link/set.h).
 *
 * change_lock is held for all of a change, and for the close of the link at the region's
 * end: so there is a link, and nobody else closes it. What reads statistics, faults,
 * and moves pages does without it.
 *
 * A server whose own operator drains it is made to leave as well, when its link says
 * so, and is told what is needed of it (wire.h). That is done by r->server_work,
 * since it takes change_lock; once a second as long as one leaves.
 *
 * A region of one server has its link alone, without a set, so that it pays nothing for
 * one: its requests have no room for parts, and its pages no masks. It cannot have one
 * later. Who wants to add servers one day gives replicas with the first.
 */
#include "engine/region.h"
#include "link/seal.h"
#include "uapi/hermit.h"

/* What create says of servers. It is checked. @client_id: 16 bytes, as whom they know us. */
void hermit_server_init(struct hermit_region *r, const struct hermit_create *c,
			const u8 *client_id);
/* Open the link: 0, or a negative errno with c->error. Sleeps, long. */
int hermit_server_connect(struct hermit_region *r, struct hermit_create *c);
/* Close it, if there is one: every request is done then. The region is dead. Sleeps, long. */
void hermit_server_close(struct hermit_region *r);
/* What a region's seal is over, or its link: a set, if it has one. */
static inline struct hermit_link *hermit_server_set(struct hermit_region *r)
{
	return r->seals ? hermit_seal_below(r->link) : r->link;
}
/*
 * What HERMIT_CHANGE_SERVER says: 0, or a negative errno with c->error. -EINTR: by a
 * signal, and nothing happened. Sleeps, long.
 */
int hermit_server_change(struct hermit_region *r, struct hermit_server_change *c);
/* At the start of the region; nothing to undo. */
void hermit_server_work_init(struct hermit_region *r);
/* The state that is told of server @server, whose link is in @state. Any context. */
enum hermit_server_state hermit_server_shown(struct hermit_region *r,
					     unsigned int server,
					     enum hermit_server_state state);

#endif /* HERMIT_ENGINE_SERVER_H */
