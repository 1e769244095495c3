/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TRANSPORT_H
#define HERMIT_TRANSPORT_H
/*
 * A transport moves pages between one region and one server. It knows this
 * header, wire/ and uapi/, and never a region: the region is the link's user
 * and is reached through struct hermit_link_user_ops.
 *
 * The life of a link, and what excludes what:
 *
 *	connect()	may sleep (seconds); process context. Once.
 *	submit()	any number at once, from any context that may not sleep
 *			(page faults under kvm->srcu, from inside another
 *			socket's sendmsg; reclaim). Never sleeps, never fails:
 *			every io is completed by its done(), perhaps before
 *			submit() returns, which takes as long as sending what
 *			was submitted, and a softirq besides, if this is a
 *			task with softirqs on. A synchronous transport asks for
 *			task context with softirqs on.
 *	poll()		optional; any number at once, not sleeping.
 *	stats()		any number at once.
 *	close()		may sleep; after the last submit(). Tells the server
 *			that the region ends (its memory is freed) if @end.
 *			When it returns every io has been completed and no
 *			callback runs any more.
 *
 * Losing the server is the transport's business, not its user's: ios stay
 * queued while it reconnects with back-off, and reads and writes are posted
 * again once the old connection is fenced (the server confirms, in the
 * handshake of the new epoch, that nothing of the old one can land any more).
 * An io completes with an error only if the server refused it (-ENOSPC: a
 * write beyond its capacity; -EIO), if the server does not have the page of a read
 * (-ENOENT: in this incarnation no write of it was completed with 0 that no discard
 * came behind, or the server lost it), if the server lost all contents (-ENODATA,
 * reads and writes of the old incarnation), if the page of a write was another one
 * when it arrived (-EBADMSG: it was damaged on its way, or changed while it was sent;
 * not stored), or at close (-ECANCELED). A server that
 * is too old to say -ENOENT sends zeros. What a seal (seal.h) makes of it more is said
 * there: -ENOMEM of a write, -EKEYREJECTED of a read.
 *
 * A member of a set (set.h) has no patience, since there are others: from the moment
 * it loses its server until it posts again every io completes at once with -ENOLINK,
 * first those that are queued, and an io that is not answered for the deadline is
 * reason enough to think so, whatever else the server says. That is so while
 * contents_lost() runs, too, instead of -ENODATA.
 */
#include <linux/types.h>
#include <linux/list.h>
#include "uapi/hermit.h"

struct hermit_link;
struct hermit_transport_ops;
struct hermit_set_io;
struct page;

enum hermit_io_op {
	HERMIT_IO_READ,
	HERMIT_IO_WRITE,
	HERMIT_IO_DISCARD,
};

/*
 * One request. The submitter owns the memory; between submit() and done() the
 * transport owns every field, and @page may not be freed. A WRITE sends the
 * page as it is at some moment or moments between the two: the contents may
 * change meanwhile (the page was rescued), and then whatever arrives is never
 * read. A READ fills the whole page or fails; after a failure the contents
 * are undefined. The page is not touched after done() began.
 */
struct hermit_io {
	struct list_head node;		/* transport's */
	struct page *page;		/* READ, WRITE: one page */
	u64 offset;			/* bytes in the region, page-aligned */
	/* PAGE_SIZE; DISCARD: a multiple, at most HERMIT_WIRE_DISCARD_MAX */
	u32 length;
	u8 op;				/* enum hermit_io_op */
	bool demand;			/* a READ that somebody waits for: goes first */
	int status;			/* out: 0 or negative errno */
	u32 tag;			/* transport's */
	u32 crc;			/* WRITE: core/crc.h's of the page, as it is now */
	/*
	 * Of a set alone; a bit for each member. READ: in, who has the page, and whose
	 * answer was of no use, so they are not asked; out, who answered. WRITE: in, who
	 * has this very page and is not to be sent it; out, who has it by this.
	 */
	u8 members;
	u8 wrong;
	u8 server;			/* READ: the number of a member */
	bool same;			/* WRITE: of what was written before, as it was */
	struct hermit_set_io *set;	/* a set's: room for its part; see set.h */
	u64 posted;			/* transport's: ktime_get_ns() of the post */
	/*
	 * Called exactly once, in task or softirq context, perhaps from inside
	 * submit(). Must not sleep, and must not take a lock that is held
	 * around submit(). May free the io; may call submit().
	 */
	void (*done)(struct hermit_io *io);
	/* A seal's alone (seal.h): the link; and of the submitter, while the io is below it. */
	struct {
		struct hermit_link *link;
		struct page *plain;
		void (*done)(struct hermit_io *io);
	} seal;
};

/*
 * What the transport tells its user. Task context, may sleep, serialised; may
 * submit(), may not close(). A link begins UP, and state() tells changes only.
 * FULL: a write was refused for lack of space within the last second. After a
 * second without one it is UP again, whether there is space or not: only
 * another write can tell. DRAINING: as FULL, as long as the server says so, and
 * told in place of it; nothing new is wanted there.
 */
struct hermit_link_user_ops {
	void (*state)(void *user, enum hermit_server_state state);
	/*
	 * The server came back without our pages. Every io posted to the old
	 * incarnation has been completed with -ENODATA; none is posted to the
	 * new one until this returns.
	 */
	void (*contents_lost)(void *user, u64 incarnation);
};

struct hermit_link_params {
	const char *address;		/* what follows "scheme:" */
	const char *name;		/* of the region, for messages */
	u8 uuid[16];
	u8 client_id[16];		/* all zeros: any */
	u64 region_size;
	u64 unreserved;			/* of it: the server keeps no room for it; pages */
	const u8 *key;
	u32 key_len;
	const struct hermit_link_user_ops *user_ops;
	void *user;
	char *error;			/* HERMIT_ERROR_LEN; one sentence on failure */
	bool member;			/* of a set: see above */
};

/* What is there can be read; writes may be refused. */
static inline bool hermit_link_serves(enum hermit_server_state state)
{
	return state == HERMIT_SERVER_UP || state == HERMIT_SERVER_FULL ||
	       state == HERMIT_SERVER_DRAINING;
}

/* Embedded at the start of the transport's own link. */
struct hermit_link {
	const struct hermit_transport_ops *ops;
};

struct hermit_transport_ops {
	const char *scheme;		/* "tcp", "rdma", "local" */
	struct module *owner;
	bool synchronous;		/* submit() of a read always completes it */
	struct hermit_link *(*connect)(const struct hermit_link_params *params);
	void (*submit)(struct hermit_link *link, struct list_head *ios);
	void (*submit_one)(struct hermit_link *link, struct hermit_io *io);
	/* Reap completions; returns how many. NULL: completions come by themselves. */
	int (*poll)(struct hermit_link *link);
	/* A set's: of each member. */
	void (*stats)(struct hermit_link *link, struct hermit_server_stats *st);
	void (*close)(struct hermit_link *link, bool end);
	/*
	 * Optional, both or none: between connect() and close(), any number at once, not
	 * sleeping. say() is what the server is told within about a second, and in every
	 * epoch: how many bytes of the region it is to keep room for (0: no other
	 * number), and what the region needs of it (HERMIT_NEED_* of wire.h). room() is
	 * how many bytes it has then, for all pages together, also those that it has; or
	 * one of those below.
	 */
	void (*say)(struct hermit_link *link, u64 reserve, u32 need);
	u64 (*room)(struct hermit_link *link);
};

#define HERMIT_ROOM_UNKNOWN	(~0ULL)		/* it does not tell, or has any amount */
#define HERMIT_ROOM_AWAITED	(~0ULL - 1)	/* no answer yet since the last number */

struct net;
struct sockaddr_storage;

/* "A.B.C.D:PORT" or "[IPV6]:PORT" as an address in @net; -EINVAL: none. */
int hermit_link_parse_address(struct net *net, const char *address,
			      struct sockaddr_storage *addr);
#define HERMIT_NOT_AN_ADDRESS \
	"not an address: give A.B.C.D:PORT or [IPV6]:PORT, in numbers"

/* Registry, in transport.c. Process context. */
int hermit_transport_register(const struct hermit_transport_ops *ops);
void hermit_transport_unregister(const struct hermit_transport_ops *ops);
/*
 * Connect to "scheme:address". The link holds a reference to the transport's
 * module until hermit_link_close(). ERR_PTR with params->error filled.
 */
struct hermit_link *hermit_link_open(const char *server,
				     struct hermit_link_params *params);
void hermit_link_close(struct hermit_link *link, bool end);

extern const struct hermit_transport_ops hermit_transport_local;
extern const struct hermit_transport_ops hermit_transport_tcp;
extern const struct hermit_transport_ops hermit_transport_rdma; /* hermit-rdma.ko's */

#endif /* HERMIT_TRANSPORT_H */
