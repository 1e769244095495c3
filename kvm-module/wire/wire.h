/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_WIRE_H
#define HERMIT_WIRE_H
/*
 * The protocol between hermit.ko and hermit-memserver over a byte stream.
 * Little-endian, every frame a 32-byte header and `length` bytes of payload.
 *
 * Handshake, on every connection:
 *
 *	client				server
 *	HELLO		->			version range, capabilities, who,
 *						which region, client nonce
 *			<-	CHALLENGE	chosen version, capabilities, server
 *						nonce, HMAC(key, "S" ..) if keyed
 *	AUTH		->			HMAC(key, "C" ..), zeros without key;
 *						or AUTH_MORE, with what more it wants
 *			<-	WELCOME		incarnation, epoch, limits
 *			<-	REFUSE		instead of any of the server's, with
 *						a code and one sentence; then closed
 *
 * The HMAC is SHA-256 over one letter ("S" or "C"), then the whole HELLO
 * payload, then the whole CHALLENGE payload with its mac field zero. Client
 * and server must both have a key, or neither: else REFUSE(KEY).
 *
 * Which key: a server may have many. The last 8 bytes of HELLO's nonce are a tag
 * that says which one the client has: the first 8 of the HMAC over "K", HELLO
 * with those 8 bytes zero, and a CHALLENGE of zeros. A client without a key, or
 * from before the tag, has random bytes there; a server from before it, or with
 * one key, takes it for random.
 *
 * AUTH_MORE is AUTH of a client that wants more than HELLO can say. It is due in
 * place of AUTH if both sides have HERMIT_CAP_UNRESERVED, which a client has only
 * if it sends one. Its HMAC is over what follows the mac, too, behind CHALLENGE.
 *
 * Room, if both sides have HERMIT_CAP_ROOM. A PING's offset is how many bytes of the
 * region the server is to keep room for from now on, 0: as many as before. It does so as
 * far as it has them, and of what it kept before it keeps no less than is in use. Its
 * extent is what the region still needs of the server (HERMIT_NEED_*). The upper
 * bits of its answer's extent are the room that there is now for all of the region's pages
 * together, stored ones among them, old and new: what is kept for this region, and what
 * nobody has where the capacity is overcommitted.
 * A client without the capability has zeros in its PINGs, and is told none.
 *
 * What is reserved. A server keeps as much of its capacity for a region as the
 * region has bytes, so that a write finds room; but for `unreserved` bytes of it,
 * for which there is room or not (HERMIT_WIRE_ENOSPC) when they are written. Of a
 * set of servers each holds a share of the region, and its client has only that
 * reserved. What the first OPEN of a region says holds until its end, or until
 * a PING says otherwise.
 *
 * Sessions. A session is one client (client_id, random per region instance;
 * who is interrupted and begins again has the same) using one region (uuid). HELLO with HERMIT_HELLO_OPEN begins a new *epoch*:
 * the server first shuts every connection of the region's older epochs and
 * waits until none of their requests can touch the memory any more (the
 * fence), then answers WELCOME with the new epoch. HELLO without OPEN joins a
 * further connection to the epoch it names; a wrong epoch is REFUSE(EPOCH).
 * A fence that takes seconds is REFUSE(BUSY), come again; and of a client's
 * OPENs that wait for one the newest goes on, the others are REFUSE(EPOCH).
 * A region with a live connection of another client_id, or whose memory was
 * left behind by another client_id, is REFUSE(BUSY): an operator's `forget`
 * frees it, or a rule of his about takeovers, which never inherit. The *incarnation* is random, chosen when the region's memory is
 * created, and changes only when its contents are gone.
 *
 * After WELCOME: requests from the client, replies from the server in any
 * order, matched by tag. offset and length are bytes in the region, multiples
 * of 4096. READ is about one page, in extent; its reply carries the page if
 * status is 0. WRITE carries one page and has no extent. DISCARD has one of
 * any number of pages up to the maximum, and may be sent only if both sides
 * have the capability. PING is answered with the bytes of this region that are
 * now stored in offset, and, if both sides have the capability, with what the
 * server has to tell its clients in extent (HERMIT_NOTICE_*, a bit that is not
 * known means nothing): clients ping every second, so that nothing has to come
 * unasked; every other reply repeats offset and extent of its
 * request. With HERMIT_CAP_ROOM the two say more to each other by it, see "Room". END ends the region, is acknowledged once nobody can read anything
 * of it any more, and closes the session with all its connections.
 *
 * A page that was never written, or was discarded, is not stored: a READ of it is
 * answered HERMIT_WIRE_ENOENT if both sides have the capability, else OK; with a
 * page of zeros both times, so that a READ fills the path whatever is stored. The
 * number differs from OK in four bits: one that was damaged on the way does not
 * become the other.
 *
 * Checksums, if both sides have the capability and over a byte stream: each header
 * after WELCOME has the CRC-32C of its other 28 bytes, and a WRITE's extent is that
 * of its page. TCP's own sum misses damage, and what a network card or a switch does
 * to a packet comes before or after it. A header that is damaged ends the connection:
 * whose it was is not known. A page that is not what its CRC says is not stored, and
 * answered HERMIT_WIRE_EBADMSG: it was damaged, or changed while it was sent. The page
 * of a READ has no checksum; who sent it there has kept one.
 * Over RDMA the device does that: each packet has a CRC-32 of all that is not changed on
 * its way, from one device's memory to the other's, and one that is damaged is sent
 * again. What happens to a page beyond that only the client's own checksum shows, since
 * the server does not see it.
 *
 * The server acknowledges a WRITE only once the page is stored in memory that
 * it has. A frame that breaks a rule closes the connection.
 */
#include "../core/env.h"

#define HERMIT_WIRE_MAGIC	0x4d4d5248u	/* "HRMM" */
#define HERMIT_WIRE_VERSION	1
#define HERMIT_WIRE_PAGE	4096
#define HERMIT_WIRE_MAC_LEN	32
#define HERMIT_WIRE_NONCE_LEN	32
#define HERMIT_WIRE_TAG_LEN	8	/* the end of HELLO's nonce */
#define HERMIT_WIRE_PORT	7471
#define HERMIT_WIRE_DISCARD_MAX	(1u << 30)	/* bytes in one DISCARD */

enum hermit_wire_type {
	HERMIT_MSG_HELLO = 1,
	HERMIT_MSG_CHALLENGE = 2,
	HERMIT_MSG_AUTH = 3,
	HERMIT_MSG_WELCOME = 4,
	HERMIT_MSG_REFUSE = 5,
	HERMIT_MSG_AUTH_MORE = 6,
	HERMIT_MSG_READ = 16,
	HERMIT_MSG_WRITE = 17,
	HERMIT_MSG_DISCARD = 18,
	HERMIT_MSG_PING = 19,
	HERMIT_MSG_END = 20,
	HERMIT_MSG_REPLY = 0x80,	/* or-ed to the request's type */
};

enum hermit_wire_status {
	HERMIT_WIRE_OK = 0,
	HERMIT_WIRE_EIO = 1,
	HERMIT_WIRE_ENOSPC = 2,		/* no memory for this page; not stored */
	HERMIT_WIRE_EINVAL = 3,
	HERMIT_WIRE_EBADMSG = 4,	/* WRITE: another page; not stored */
	HERMIT_WIRE_ENOENT = 0xf0,	/* READ: the page is not stored */
};

enum hermit_wire_refusal {
	HERMIT_REFUSE_VERSION = 1,
	HERMIT_REFUSE_KEY = 2,
	HERMIT_REFUSE_BUSY = 3,
	HERMIT_REFUSE_CAPACITY = 4,
	HERMIT_REFUSE_SIZE = 5,		/* differs from the region's, or not valid */
	HERMIT_REFUSE_EPOCH = 6,
	HERMIT_REFUSE_DRAINING = 7,	/* shutting down: try again later */
	HERMIT_REFUSE_PROTOCOL = 8,
};

/* Capability bits. Both sides use the intersection; unknown ones are ignored. */
#define HERMIT_CAP_DISCARD	(1ULL << 0)
#define HERMIT_CAP_MULTICONN	(1ULL << 1)
#define HERMIT_CAP_ENOENT	(1ULL << 2)
#define HERMIT_CAP_CHECKSUM	(1ULL << 3)
#define HERMIT_CAP_NOTICE	(1ULL << 4)
#define HERMIT_CAP_UNRESERVED	(1ULL << 5)
#define HERMIT_CAP_ROOM		(1ULL << 6)

#define HERMIT_NOTICE_DRAINING	(1u << 0)	/* it is to become empty */
#define HERMIT_NOTICE_BITS	8
/* Above them, with HERMIT_CAP_ROOM: room, in so many bytes; the highest value: or more. */
#define HERMIT_ROOM_SHIFT	21
#define HERMIT_ROOM_MAX		((1u << (32 - HERMIT_NOTICE_BITS)) - 1)

/* A PING's extent, with HERMIT_CAP_ROOM: */
#define HERMIT_NEED_UNSAID	0u		/* as before, if that was not long ago */
#define HERMIT_NEED_ALL		1u		/* the client does not leave this server */
#define HERMIT_NEED_NONE	2u		/* it does, and all its pages are on others */
/* It does, and so many pages more than NONE are not, or as many as there are at most. */
#define HERMIT_NEED_PAGES	0x7fffffffu
#define HERMIT_NEED_STUCK	(1u << 31)	/* and it gets no further: nobody has room */

#define HERMIT_HELLO_OPEN	(1u << 0)

struct hermit_wire_hdr {
	__le32 magic;
	u8 type;		/* enum hermit_wire_type */
	u8 status;		/* replies: enum hermit_wire_status */
	__le16 reserved;
	__le32 tag;
	__le32 length;		/* of the payload that follows */
	__le64 offset;
	__le32 extent;		/* bytes that READ and DISCARD are about */
	__le32 checksum;	/* 0 without HERMIT_CAP_CHECKSUM */
};

struct hermit_wire_hello {
	__le16 version_min;
	__le16 version_max;
	__le32 flags;		/* HERMIT_HELLO_* */
	__le64 caps;
	u8 uuid[16];
	u8 client_id[16];
	__le64 region_size;
	__le64 epoch;		/* to join; 0 with OPEN */
	__le64 reserved;
	u8 nonce[HERMIT_WIRE_NONCE_LEN];
	char name[64];		/* for the server's log; NUL-terminated */
};

struct hermit_wire_challenge {
	__le16 version;
	__le16 keyed;		/* 1: the server has a key, mac is valid */
	__le32 reserved;
	__le64 caps;
	u8 nonce[HERMIT_WIRE_NONCE_LEN];
	u8 mac[HERMIT_WIRE_MAC_LEN];
};

struct hermit_wire_auth {
	u8 mac[HERMIT_WIRE_MAC_LEN];
};

struct hermit_wire_auth_more {
	u8 mac[HERMIT_WIRE_MAC_LEN];
	__le64 unreserved;	/* bytes of the region; JOIN: of no account */
	__le64 reserved[3];
};

struct hermit_wire_welcome {
	__le64 incarnation;	/* never 0 */
	__le64 epoch;		/* never 0 */
	__le64 capacity;	/* bytes the server has in all */
	__le64 used;		/* bytes of this region now stored */
	__le32 max_connections;	/* per session */
	__le32 max_inflight;	/* requests per connection */
};

struct hermit_wire_refuse {
	__le32 code;		/* enum hermit_wire_refusal */
	__le32 reserved;
	char text[120];		/* one sentence; NUL-terminated */
};

_Static_assert(sizeof(struct hermit_wire_hdr) == 32, "wire header");
_Static_assert(sizeof(struct hermit_wire_hello) == 168, "wire hello");
_Static_assert(sizeof(struct hermit_wire_challenge) == 80, "wire challenge");
_Static_assert(sizeof(struct hermit_wire_auth) == 32, "wire auth");
_Static_assert(sizeof(struct hermit_wire_auth_more) == 64, "wire auth more");
_Static_assert(sizeof(struct hermit_wire_welcome) == 40, "wire welcome");
_Static_assert(sizeof(struct hermit_wire_refuse) == 128, "wire refuse");

/*
 * With HERMIT_CAP_CHECKSUM, for a header that is filled and aligned to 8: put the
 * checksums in, of which @page_crc is a WRITE's. To be the last thing done to it.
 */
void hermit_wire_sum(struct hermit_wire_hdr *hdr, u32 page_crc);
/*
 * The same on the other side, before anything else: check that of the header, and
 * take both out, so that the header is as without them. 0 and for a WRITE *@page_crc,
 * which is to be compared; or -EPROTO and *@why.
 */
int hermit_wire_check_sum(struct hermit_wire_hdr *hdr, u32 *page_crc,
			  const char **why);

/*
 * Check a request header as the server gets it, before anything acts on it:
 * magic, reserved fields, type, and that offset, extent and length are what
 * the type allows within a region of @region_size bytes. Returns 0, or
 * -EPROTO (close the connection) with *@why a sentence.
 */
int hermit_wire_check_request(const struct hermit_wire_hdr *hdr,
			      u64 region_size, const char **why);

/* The same for a reply as the client gets it; the caller matches the tag. */
int hermit_wire_check_reply(const struct hermit_wire_hdr *hdr,
			    const char **why);

/*
 * The same for a frame of the handshake, of the @type that is due. The client
 * calls it for REFUSE if the server sent that instead.
 */
int hermit_wire_check_handshake(const struct hermit_wire_hdr *hdr, u8 type,
				const char **why);

/* Fill a header. */
void hermit_wire_fill(struct hermit_wire_hdr *hdr, u8 type, u32 tag,
		      u64 offset, u32 extent, u32 length);

/*
 * Check a HELLO payload. Returns 0 with *@version the version to use, or the
 * code to refuse with (enum hermit_wire_refusal) and *@why.
 */
int hermit_wire_check_hello(const struct hermit_wire_hello *hello,
			    u16 *version, const char **why);

/* The same for AUTH_MORE after a HELLO that passed; 0 or the code. */
int hermit_wire_check_auth_more(const struct hermit_wire_auth_more *more,
				const struct hermit_wire_hello *hello,
				const char **why);

const char *hermit_wire_refusal_name(u32 code);

#endif /* HERMIT_WIRE_H */
