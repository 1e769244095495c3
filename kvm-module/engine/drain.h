/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_DRAIN_H
#define HERMIT_DRAIN_H
/*
 * Whether the pages of a server that leaves (server.h) have where to go, and whether they
 * go there. All of it under change_lock.
 *
 * Before it leaves: the others are told to keep room for as large a share of the region
 * as they will have, and say how much they have. Each page that is away, and of which
 * too few others have a copy, needs room on one of those that have none. That is
 * compared for each choice of servers: what fits on no others has to fit there together.
 * What is here counts for nothing, though it may leave later, and a page alone may
 * take all of a server's extent: so this may say yes too often; and no only for want of
 * less than 2 MiB, which is what a server's answer leaves out. A server says
 * what it has room for in all; what it has is by the masks, since what else it has stored
 * are old copies, perhaps of the very pages that are to go there.
 *
 * While it leaves it may come to a stand all the same: who had room fills up, or goes
 * away. When no page was moved for DRAIN_STUCK, and some are to be, that is its state, until
 * one is again.
 */
#include <linux/types.h>

struct hermit_region;

/* Of the region's drains. */
struct hermit_drain {
	long moved, few;		/* when one was moved last */
	unsigned long at;		/* jiffies of that */
};

/*
 * May @server leave? 0; -ENOMEM, or -ENOSPC with @error, of HERMIT_ERROR_LEN, if nobody else has the
 * room; -EINTR by a signal, or as the region
 * ends; and then nothing happened. Sleeps, seconds.
 */
int hermit_drain_fits(struct hermit_region *r, unsigned int server, char *error);
/*
 * Those that leave and get no further, a bit for each; called about once a second as long
 * as some do.
 */
u8 hermit_drain_stuck(struct hermit_region *r);
/* A server begins to leave. */
void hermit_drain_begins(struct hermit_region *r);
/* What is to be said to @server of what is needed of it: HERMIT_NEED_* of wire.h. */
u32 hermit_drain_need(struct hermit_region *r, unsigned int server);

#endif /* HERMIT_DRAIN_H */
