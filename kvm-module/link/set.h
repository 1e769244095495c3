/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_SET_H
#define HERMIT_SET_H
/*
 * A set is a link over others, its members: several servers, each page on as many of
 * them as there are to be replicas.
 *
 *		   io of a page ──► part ──► member 0: tcp ──► server
 *		(engine)      └───► part ──► member 2: rdma ─► server
 *
 * It keeps nothing of any page. Who has the current contents of a page is known to
 * its user, as a mask, which comes with each read and is answered to each write.
 *
 *  WRITE	goes to the first `replicas` servers in the order of the page's extent
 *		(core/place.h) that are well and have room, as it is now; to fewer if there
 *		are not so many. Who is said to have it already, and is there, is one
 *		of them, and is not sent it. Who refuses it, for lack of room or since
 *		it went away, is replaced by the next in order. Done when all of them
 *		are done, with 0 if one has it by this, and says who has. So it waits
 *		for no server longer than a member has patience.
 *  READ	asks one of those that have the page, and if that one fails the next.
 *		While none of them is there it waits until one is. -ENOENT: all of
 *		them say that they do not have it. -EIO: some were of no use, and
 *		the others are not there.
 *  DISCARD	goes to all that are there. Who is away keeps what he has, which
 *		nobody will ask him for.
 *
 * A member that leaves is well, serves reads, and gets no page. One can be added and
 * dropped at any time.
 *
 * A part ends with its member's loss of the server (transport.h), and is done only
 * once. The io is done when all its parts are, so no part has a page that is another's.
 *
 * Not here: what too few have is read, and written to others, by the set's user.
 */
#include <linux/atomic.h>

#include "link/transport.h"

#define HERMIT_SET_MAX		HERMIT_MAX_SERVERS

struct hermit_set_part {
	struct hermit_io io;
	struct hermit_io *whole;
};

/* What a set keeps of an io. The submitter has it beside the io: a set allocates nothing. */
struct hermit_set_io {
	struct hermit_set *set;
	unsigned long ups;		/* READ: s->ups when the round began */
	atomic_t left;			/* WRITE, DISCARD: parts that are not done */
	atomic_t asked, acked;		/* members */
	u8 missing, failed;		/* READ: members that answered so; wrong ones failed */
	int error;
	struct hermit_set_part parts[HERMIT_SET_MAX];	/* by member */
};

/*
 * As hermit_link_user_ops, and of which member. state() is serialised over all of
 * them, and each begins UP; contents_lost() may run beside what others tell.
 *
 * contents_lost() is called while the member refuses everything: what it has
 * acknowledged is in no answer to a write that is submitted after this began. So
 * once those that were submitted before are done, nobody names it any more but for
 * what the caller has kept.
 */
struct hermit_set_user_ops {
	void (*state)(void *user, unsigned int member,
		      enum hermit_server_state state);
	void (*contents_lost)(void *user, unsigned int member, u64 incarnation);
};

/*
 * Connect to the @nr servers, 1 to HERMIT_SET_MAX of them, none of which may be
 * synchronous, by @params, whose user_ops are not looked at. All must be there. May
 * sleep, long. ERR_PTR with params->error filled. Closed as any link.
 */
struct hermit_link *hermit_set_open(char (*servers)[HERMIT_SERVER_LEN],
				    unsigned int nr, unsigned int replicas,
				    const struct hermit_set_user_ops *user_ops,
				    const struct hermit_link_params *params);

/*
 * Members come and go while ios are under way; part.h says why that is safe. The caller
 * sees to it that one of these, or close(), is called at a time, and holds no lock
 * that the callbacks take. All sleep. A number is below HERMIT_SET_MAX.
 *
 * leave: the member gets no page from now on, though it is well, and is read as before.
 * What it was sent before is told by those writes when they are done. @leaves false: it
 * gets some again. It is told to nobody.
 */
void hermit_set_leave(struct hermit_link *link, unsigned int member, bool leaves);
/*
 * Connect to @server, as at open, as member @member, a number that nobody has; seconds.
 * 0, and state() has been called for it, first with what it is when it is there; before
 * that only contents_lost() may be. Or a negative errno with params->error filled, and
 * nothing happened.
 */
int hermit_set_add(struct hermit_link *link, unsigned int member, const char *server,
		   const struct hermit_link_params *params);
/*
 * Room. Each member keeps room for its share of the region; that is said anew, as large as
 * it has to be if the members of @leaving, a bit for each, have nothing. Who leaves,
 * or is said to here, goes on as before.
 */
void hermit_set_share(struct hermit_link *link, u8 leaving);
/* By member; of those that are none HERMIT_ROOM_UNKNOWN. False: one is AWAITED still. */
bool hermit_set_rooms(struct hermit_link *link, u64 *rooms);
/* What the region still needs of member @member: HERMIT_NEED_* of wire.h. */
void hermit_set_need(struct hermit_link *link, unsigned int member, u32 need);
/*
 * Close member @member: its server is told to free the region's memory, and its number is
 * nobody's. What is read from it is read from others. state() is called with NONE, and
 * after that nothing for it but contents_lost(); nothing when this returns. Not the
 * last one. The caller has taken it off all masks that it keeps, and nothing is
 * written to it any more: it leaves. Masks of reads that are under way may name it for
 * ever: then it is nobody, or, if the number was used again, one that does not have the
 * page and says so.
 */
void hermit_set_drop(struct hermit_link *link, unsigned int member);

#endif /* HERMIT_SET_H */
