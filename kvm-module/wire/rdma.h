/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_WIRE_RDMA_H
#define HERMIT_WIRE_RDMA_H
/*
 * The protocol over RDMA: pages move by one-sided READ and WRITE, everything
 * else is the protocol of wire.h in SENDs.
 *
 *	client				server
 *	control connection	---►	a protection domain of its own
 *	   ◄ token (accept's private data)
 *	handshake of wire.h	◄──►	as over a byte stream
 *	data connection, token	---►	in the same protection domain
 *	   ..				as many as the client wants and may have
 *	GRANT			---►	memory for extents, registered
 *	   ◄ address and rkey of each
 *	READ, WRITE of pages	---►	nobody: the device does it
 *	RELEASE			---►	registration and memory gone
 *
 * A session has one control connection, and its epoch is the life of that: an
 * epoch has its own protection domain, and so its own rkeys. To fence an epoch
 * is to destroy its data connections and registrations. Only then does the
 * server answer the HELLO of the next one with WELCOME.
 *
 * The control connection carries a stream of bytes, cut into messages of at
 * most HERMIT_RDMA_MESSAGE, by requests and replies as in wire.h; one request
 * at a time. HELLO opens always, never joins. The requests are GRANT, RELEASE,
 * PING and END; PING has to come every second, since a server that hears
 * nothing for half a minute closes the connection.
 *
 * Extents are HERMIT_RDMA_EXTENT of the region, from an offset that is a
 * multiple of it; the last may be short. GRANT names a run of them. Its reply
 * carries a struct hermit_wire_grant for each, or for the first few, at least
 * one: then the rest is not to be had now. A page of an extent reads as zeros
 * until it is written. GRANT of what is granted repeats it. RELEASE ends
 * grants and frees the memory: the client sends it when it has nothing
 * outstanding to the extents, and will not read them before a new GRANT.
 */
#include "wire.h"

#define HERMIT_RDMA_EXTENT_SHIFT 21
#define HERMIT_RDMA_EXTENT	(1u << HERMIT_RDMA_EXTENT_SHIFT)
#define HERMIT_RDMA_GRANT_MAX	16	/* extents in one GRANT or RELEASE */
#define HERMIT_RDMA_MESSAGE	512
#define HERMIT_RDMA_RECEIVES	16	/* posted by either side, at least */
#define HERMIT_RDMA_TOKEN_LEN	32

enum hermit_wire_rdma_type {
	HERMIT_MSG_GRANT = 32,
	HERMIT_MSG_RELEASE = 33,
};

enum hermit_wire_rdma_role {
	HERMIT_RDMA_CONTROL = 1,
	HERMIT_RDMA_DATA = 2,
};

/*
 * Private data of a connection request. 56 bytes of it reach the other side,
 * perhaps with padding after ours. A rejection carries a struct
 * hermit_wire_refuse.
 */
struct hermit_wire_rdma_request {
	__le32 magic;
	__le16 version;
	u8 role;		/* enum hermit_wire_rdma_role */
	u8 reserved;
	u8 token[HERMIT_RDMA_TOKEN_LEN];	/* DATA; else zeros */
};

/* Private data of the acceptance. */
struct hermit_wire_rdma_accept {
	__le32 magic;
	__le16 version;
	__le16 max_data;	/* data connections; at least 1 */
	u8 token[HERMIT_RDMA_TOKEN_LEN];	/* of CONTROL; else zeros */
};

struct hermit_wire_grant {
	__le64 address;		/* of the extent's first byte */
	__le32 rkey;
	__le32 reserved;
};

_Static_assert(sizeof(struct hermit_wire_rdma_request) == 40, "rdma request");
_Static_assert(sizeof(struct hermit_wire_rdma_accept) == 40, "rdma accept");
_Static_assert(sizeof(struct hermit_wire_grant) == 16, "rdma grant");
_Static_assert(sizeof(struct hermit_wire_hdr) +
	       HERMIT_RDMA_GRANT_MAX * sizeof(struct hermit_wire_grant) <=
	       HERMIT_RDMA_MESSAGE, "rdma message");

/*
 * Check the private data of a connection request. Returns 0, or the code to
 * refuse with (enum hermit_wire_refusal) and *@why.
 */
int hermit_wire_check_rdma_request(const void *data, size_t len,
				   const char **why);

/* The same of an acceptance: 0, or -EPROTO and *@why. */
int hermit_wire_check_rdma_accept(const void *data, size_t len,
				  const char **why);

/* hermit_wire_check_request() and .._reply(), for the control connection. */
int hermit_wire_check_rdma_control(const struct hermit_wire_hdr *hdr,
				   u64 region_size, const char **why);
int hermit_wire_check_rdma_reply(const struct hermit_wire_hdr *hdr,
				 const char **why);

#endif /* HERMIT_WIRE_RDMA_H */
