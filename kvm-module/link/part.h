/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PART_H
#define HERMIT_PART_H
/*
 * The ios of a set, each divided among members (part.c); who the members are, and how
 * they come and go, is set.c's. Of the two alone.
 *
 * Why a member may go while ios are under way. Whoever submits to one found its bit in
 * `readable` or `writable`, in the same RCU section as the submission: those of the
 * engine are in one, and so is what follows a part that failed. So who takes the bits
 * off and waits for a grace period has a member that nobody submits to any more; what
 * it was asked before it completes when it is closed, with -ECANCELED, which is -ENOLINK
 * to the parts as long as the set goes on: others are asked instead. Its link
 * is NULL before another grace period, after which nobody polls it or asks for its
 * statistics. It is the other way round with one that comes: key and link first, then a
 * grace period, then the bits.
 *
 * A read that names a member that is gone finds it out when there is nobody else to ask:
 * `present` says who is there at all.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "link/set.h"

struct hermit_set_member {
	struct hermit_set *set;
	struct hermit_link *link;	/* under RCU; NULL: nobody has this number */
	enum hermit_server_state state;	/* as it told; under states, with the next */
	bool joined;			/* it is told of, and may be asked */
	u32 need;			/* by hermit_set_need() */
};

struct hermit_set {
	struct hermit_link base;	/* first: ops */
	unsigned int replicas;
	u64 region_size;
	u64 keys[HERMIT_SET_MAX];
	struct hermit_set_member members[HERMIT_SET_MAX];
	const struct hermit_set_user_ops *user_ops;
	void *user;

	struct mutex states;		/* told one at a time; the next three are written under it */
	u8 readable, writable;		/* members: that serve reads, and that get pages */
	u8 leaving;			/* those that are to become empty */

	spinlock_t lock;		/* softirqs complete reads: irqsave; a leaf */
	struct list_head waiting;	/* reads, for one of their members to be UP */
	unsigned long ups;		/* times that one was; changes under the lock */
	u8 present;			/* members that there are; under the lock */
	bool closing;			/* set under the lock */
};

/* As the operations of a transport (transport.h); the caller is under RCU. */
void hermit_part_submit(struct hermit_link *link, struct list_head *ios);
void hermit_part_submit_one(struct hermit_link *link, struct hermit_io *io);
/*
 * Reads that wait are asked from the start. A member is there again; or those of @lost
 * have not what they had; or those of @gone, who are no members any more. Any context.
 */
void hermit_part_ask_again(struct hermit_set *s, unsigned int lost, unsigned int gone);
/* All that wait are done, with -ECANCELED. After s->closing is set. Sleeps. */
void hermit_part_cancel(struct hermit_set *s);

#endif /* HERMIT_PART_H */
