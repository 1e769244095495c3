/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_HANDSHAKE_H
#define HERMIT_HANDSHAKE_H
/*
 * The handshake that begins every connection (wire/wire.h says what is sent),
 * seen from the client: who it is, and that both sides know the same key.
 * Process context; may sleep. Only the identity takes memory.
 */
#include <linux/types.h>

struct crypto_shash;

/* Who connects: the same for every connection of a link. */
struct hermit_identity {
	u8 uuid[16];
	u8 client_id[16];
	u64 region_size;
	u64 unreserved;			/* of it: see wire.h */
	char name[64];
	struct crypto_shash *hmac;	/* holds the key; NULL: none */
};

/* What the server granted, checked. */
struct hermit_session {
	u64 incarnation;
	u64 epoch;
	u64 used;
	u64 caps;
	u32 max_connections;		/* at least 1 */
	u32 max_inflight;		/* at least 1 */
};

/*
 * What carries the frames: a socket, or an RDMA connection. Both move exactly
 * @len bytes and return 0 or a negative errno, of which these mean something:
 * -EAGAIN after @timeout jiffies; -EPIPE or -ECONNRESET if the other side
 * closed; -EINTR, -ERESTARTSYS.
 */
struct hermit_channel {
	bool stream;			/* of bytes: HERMIT_CAP_CHECKSUM is of use */
	int (*send)(struct hermit_channel *ch, const void *buf, size_t len);
	int (*recv)(struct hermit_channel *ch, void *buf, size_t len,
		    long timeout);
};

/* Draw the client id if it is all zeros, and take the key if @key_len is not 0. */
int hermit_identity_init(struct hermit_identity *id, const u8 *key,
			 u32 key_len);
void hermit_identity_destroy(struct hermit_identity *id);

/*
 * Shake hands on a connected @channel within @timeout jiffies: with @epoch 0
 * open a new epoch, else join @epoch. When it returns 0 the server has fenced
 * every older epoch of the region. Otherwise @why (HERMIT_ERROR_LEN) says what
 * was wrong, and the errno what to do:
 *
 *	-EKEYREJECTED, -EPROTONOSUPPORT, -ENOSPC, -EINVAL, -EPROTO
 *		wrong key, version, capacity, size, or no hermit server: it
 *		will say the same again until its operator acts
 *	-EBUSY, -ESHUTDOWN, -ESTALE
 *		the region is in use, the server drains, the epoch is over: a
 *		new epoch may be granted later
 *	other	the connection failed
 */
int hermit_handshake(struct hermit_channel *channel,
		     const struct hermit_identity *id, u64 epoch,
		     long timeout, struct hermit_session *session,
		     char *why);

/*
 * After hermit_handshake(): have a page's worth of bytes come and go, in pieces
 * as large as the path pretends to pass. A path may pass the handshake and no
 * page, as one does whose narrowest hop is not told of. Changes nothing of the
 * region. 0, or an errno with @why; -EMSGSIZE if nothing came within @timeout
 * jiffies. @page: HERMIT_WIRE_PAGE bytes to do it with.
 */
int hermit_handshake_path(struct hermit_channel *channel,
			  const struct hermit_session *session, void *page,
			  long timeout, char *why);

/*
 * After hermit_handshake(): end the region, instead of anything else. 0, or an
 * errno with @why.
 */
int hermit_handshake_end(struct hermit_channel *channel,
			 const struct hermit_session *session, long timeout,
			 char *why);

struct hermit_wire_refuse;

/* The sentence and the errno for @refuse; its text is made printable. */
int hermit_refused(struct hermit_wire_refuse *refuse, char *why);

/* True if @err, of the handshake, is not worth trying again soon. */
bool hermit_refused_for_good(int err);

/*
 * @err, of this host's own stack or device: -EIO if it has one of the numbers that a
 * server's refusal has. What fails here is worth trying again, whatever its number.
 */
int hermit_failed_here(int err);

#endif /* HERMIT_HANDSHAKE_H */
