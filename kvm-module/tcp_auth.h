/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TCP_AUTH_H
#define HERMIT_TCP_AUTH_H
/*
 * The handshake that begins every connection (wire/wire.h says what is sent),
 * seen from the client: who it is, and that both sides know the same key.
 * Process context; may sleep.
 */
#include <linux/types.h>

struct crypto_shash;
struct socket;

/* Who connects: the same for every connection of a link. */
struct hermit_tcp_identity {
	u8 uuid[16];
	u8 client_id[16];
	u64 region_size;
	char name[64];
	struct crypto_shash *hmac;	/* holds the key; NULL: none */
};

/* What the server granted, checked. */
struct hermit_tcp_session {
	u64 incarnation;
	u64 epoch;
	u64 used;
	u64 caps;
	u32 max_connections;		/* at least 1 */
	u32 max_inflight;		/* at least 1 */
};

/* Draw the client id, and take the key if @key_len is not 0. */
int hermit_tcp_identity_init(struct hermit_tcp_identity *id, const u8 *key,
			     u32 key_len);
void hermit_tcp_identity_destroy(struct hermit_tcp_identity *id);

/*
 * Shake hands on a connected socket within @timeout jiffies: with @epoch 0
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
int hermit_tcp_handshake(struct socket *sock,
			 const struct hermit_tcp_identity *id, u64 epoch,
			 long timeout, struct hermit_tcp_session *session,
			 char *why);

/* True if @err, of the handshake, is not worth trying again soon. */
bool hermit_tcp_refused_for_good(int err);

#endif /* HERMIT_TCP_AUTH_H */
