// SPDX-License-Identifier: GPL-2.0-only
/* The client's side of the handshake. */
#include <crypto/hash.h>
#include <crypto/utils.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/random.h>

#include "link/handshake.h"
#include "uapi/hermit.h"
#include "wire/wire.h"

#define OUR_CAPS	(HERMIT_CAP_DISCARD | HERMIT_CAP_MULTICONN | \
			 HERMIT_CAP_ENOENT | HERMIT_CAP_NOTICE | HERMIT_CAP_ROOM)
#define STREAM_CAPS	HERMIT_CAP_CHECKSUM

/*
 * Everything one handshake sends and gets. On the stack: it is made when memory is
 * short, and a region whose END cannot be said stays at the server.
 */
struct handshake {
	struct hermit_channel *ch;
	unsigned long deadline;		/* jiffies */
	char *why;
	struct hermit_wire_hdr hdr;
	struct hermit_wire_hello hello;
	struct hermit_wire_challenge challenge;
	struct hermit_wire_auth_more auth;	/* AUTH is its beginning */
	struct hermit_wire_welcome welcome;
	struct hermit_wire_refuse refuse;
};

int hermit_identity_init(struct hermit_identity *id, const u8 *key,
			 u32 key_len)
{
	int ret;

	while (!memchr_inv(id->client_id, 0, sizeof(id->client_id)))
		get_random_bytes(id->client_id, sizeof(id->client_id));

	id->hmac = NULL;
	if (!key_len)
		return 0;
	id->hmac = crypto_alloc_shash("hmac(sha256)", 0, 0);
	if (IS_ERR(id->hmac)) {
		ret = PTR_ERR(id->hmac);
		id->hmac = NULL;
		return ret;
	}
	ret = crypto_shash_setkey(id->hmac, key, key_len);
	if (ret)
		hermit_identity_destroy(id);
	return ret;
}

void hermit_identity_destroy(struct hermit_identity *id)
{
	crypto_free_shash(id->hmac);	/* NULL is fine; the key is wiped */
	id->hmac = NULL;
}

/*
 * @letter is 'S' for what the server proves, 'C' for the client, who may have @more
 * to say.
 */
static int compute_mac(struct crypto_shash *tfm, char letter,
		       const struct hermit_wire_hello *hello,
		       const struct hermit_wire_challenge *challenge,
		       const struct hermit_wire_auth_more *more, u8 *mac)
{
	SHASH_DESC_ON_STACK(desc, tfm);
	struct hermit_wire_challenge blank = *challenge;
	int ret;

	memset(blank.mac, 0, sizeof(blank.mac));
	desc->tfm = tfm;
	ret = crypto_shash_init(desc);
	if (!ret)
		ret = crypto_shash_update(desc, &letter, 1);
	if (!ret)
		ret = crypto_shash_update(desc, (const u8 *)hello,
					  sizeof(*hello));
	if (!ret)
		ret = crypto_shash_update(desc, (const u8 *)&blank,
					  sizeof(blank));
	if (!ret && more)
		ret = crypto_shash_update(desc, (const u8 *)more + sizeof(more->mac),
					  sizeof(*more) - sizeof(more->mac));
	if (!ret)
		ret = crypto_shash_final(desc, mac);
	shash_desc_zero(desc);
	return ret;
}

static int say(struct handshake *h, int err, const char *sentence)
{
	strscpy(h->why, sentence, HERMIT_ERROR_LEN);
	return err;
}

/* The connection broke, or nothing came in time. */
static int say_io(struct handshake *h, int err)
{
	switch (err) {
	case -EAGAIN:
		return say(h, -ETIMEDOUT,
			   "it accepted the connection but does not answer; is it a hermit-memserver?");
	case -ECONNRESET:
	case -EPIPE:
		return say(h, -ECONNRESET,
			   "it closed the connection during the handshake; is it a hermit-memserver?");
	case -EINTR:
	case -ERESTARTSYS:
		return say(h, -EINTR, "interrupted by a signal");
	}
	snprintf(h->why, HERMIT_ERROR_LEN,
		 "the connection failed during the handshake (error %d)", -err);
	return hermit_failed_here(err);
}

static int say_protocol(struct handshake *h, const char *sentence)
{
	snprintf(h->why, HERMIT_ERROR_LEN,
		 "it does not speak the hermit protocol: %s", sentence);
	return -EPROTO;
}

static int receive(struct handshake *h, void *buf, size_t len)
{
	long left = h->deadline - jiffies;

	/* 1: take what is there already, wait no more. */
	return h->ch->recv(h->ch, buf, len, max(left, 1L));
}

static int send(struct handshake *h, u8 type, const void *payload, u32 len)
{
	int ret;

	hermit_wire_fill(&h->hdr, type, 0, 0, 0, len);
	ret = h->ch->send(h->ch, &h->hdr, sizeof(h->hdr));
	if (!ret)
		ret = h->ch->send(h->ch, payload, len);
	/*
	 * A server that refuses at once and closes may make a later send fail:
	 * look for its sentence first.
	 */
	if (ret == -EPIPE || ret == -ECONNRESET)
		ret = 0;
	return ret ? say_io(h, ret) : 0;
}

/* Server's text goes to the log and to terminals: nothing but ASCII. */
static void make_printable(char *text)
{
	char *start = text, *to = text;

	for (; *text; text++) {
		if (isascii(*text) && isprint(*text))
			*to++ = *text;
		else if (to == start || to[-1] != ' ')
			*to++ = ' ';
	}
	*to = '\0';
}

int hermit_refused(struct hermit_wire_refuse *refuse, char *why)
{
	u32 code = le32_to_cpu(refuse->code);

	refuse->text[sizeof(refuse->text) - 1] = '\0';
	make_printable(refuse->text);
	snprintf(why, HERMIT_ERROR_LEN, "it refuses us (%s): %s",
		 hermit_wire_refusal_name(code), refuse->text);

	switch (code) {
	case HERMIT_REFUSE_VERSION:
		return -EPROTONOSUPPORT;
	case HERMIT_REFUSE_KEY:
		return -EKEYREJECTED;
	case HERMIT_REFUSE_BUSY:
		return -EBUSY;
	case HERMIT_REFUSE_CAPACITY:
		return -ENOSPC;
	case HERMIT_REFUSE_SIZE:
		return -EINVAL;
	case HERMIT_REFUSE_EPOCH:
		return -ESTALE;
	case HERMIT_REFUSE_DRAINING:
		return -ESHUTDOWN;
	default:
		return -EPROTO;
	}
}

/* Receive a frame of @type, or the REFUSE that may come instead of any. */
static int expect(struct handshake *h, u8 type, void *payload, u32 len)
{
	const char *why;
	int ret;

	ret = receive(h, &h->hdr, sizeof(h->hdr));
	if (ret)
		return say_io(h, ret);
	if (h->hdr.type == HERMIT_MSG_REFUSE) {
		type = HERMIT_MSG_REFUSE;
		payload = &h->refuse;
		len = sizeof(h->refuse);
	}
	if (hermit_wire_check_handshake(&h->hdr, type, &why))
		return say_protocol(h, why);
	ret = receive(h, payload, len);
	if (ret)
		return say_io(h, ret);
	return type == HERMIT_MSG_REFUSE ? hermit_refused(&h->refuse, h->why) : 0;
}

/* Say which key we have, of the many that a server may have. */
static int tag_hello(struct handshake *h, struct crypto_shash *hmac)
{
	u8 *tag = h->hello.nonce + sizeof(h->hello.nonce) - HERMIT_WIRE_TAG_LEN;
	u8 mac[HERMIT_WIRE_MAC_LEN];
	int ret;

	if (!hmac)
		return 0;
	memset(tag, 0, HERMIT_WIRE_TAG_LEN);
	/* No challenge came yet: it is zeros. */
	ret = compute_mac(hmac, 'K', &h->hello, &h->challenge, NULL, mac);
	if (ret)
		snprintf(h->why, HERMIT_ERROR_LEN,
			 "cannot compute the HMAC (error %d)", -ret);
	else
		memcpy(tag, mac, HERMIT_WIRE_TAG_LEN);
	return ret;
}

/*
 * Check that the server knows our key, and make the proof that we know it, with
 * @more in it or not.
 */
static int prove(struct handshake *h, struct crypto_shash *hmac, bool more)
{
	bool keyed = h->challenge.keyed;
	u8 mac[HERMIT_WIRE_MAC_LEN];
	int ret;

	if (keyed && !hmac)
		return say(h, -EKEYREJECTED,
			   "it requires a key, and none is configured here");
	if (!keyed && hmac)
		return say(h, -EKEYREJECTED,
			   "it has no key, and one is configured here: it may be an impostor");
	if (!hmac)
		return 0;

	ret = compute_mac(hmac, 'S', &h->hello, &h->challenge, NULL, mac);
	if (!ret && crypto_memneq(mac, h->challenge.mac, sizeof(mac)))
		return say(h, -EKEYREJECTED, "its key differs from ours");
	if (!ret)
		ret = compute_mac(hmac, 'C', &h->hello, &h->challenge,
				  more ? &h->auth : NULL, h->auth.mac);
	if (ret)
		snprintf(h->why, HERMIT_ERROR_LEN,
			 "cannot compute the HMAC (error %d)", -ret);
	return ret;
}

static int shake(struct handshake *h, const struct hermit_identity *id,
		 u64 epoch, struct hermit_session *session)
{
	u64 unreserved = READ_ONCE(id->unreserved);
	u64 caps = OUR_CAPS | (h->ch->stream ? STREAM_CAPS : 0) |
		   (unreserved ? HERMIT_CAP_UNRESERVED : 0);
	struct hermit_wire_hello *hello = &h->hello;
	bool more;
	int ret;

	hello->version_min = cpu_to_le16(HERMIT_WIRE_VERSION);
	hello->version_max = cpu_to_le16(HERMIT_WIRE_VERSION);
	hello->flags = cpu_to_le32(epoch ? 0 : HERMIT_HELLO_OPEN);
	hello->caps = cpu_to_le64(caps);
	memcpy(hello->uuid, id->uuid, sizeof(hello->uuid));
	memcpy(hello->client_id, id->client_id, sizeof(hello->client_id));
	hello->region_size = cpu_to_le64(id->region_size);
	hello->epoch = cpu_to_le64(epoch);
	get_random_bytes(hello->nonce, sizeof(hello->nonce));
	strscpy_pad(hello->name, id->name);

	ret = tag_hello(h, id->hmac);
	if (ret)
		return ret;
	ret = send(h, HERMIT_MSG_HELLO, hello, sizeof(*hello));
	if (ret)
		return ret;
	ret = expect(h, HERMIT_MSG_CHALLENGE, &h->challenge,
		     sizeof(h->challenge));
	if (ret)
		return ret;
	if (le16_to_cpu(h->challenge.version) != HERMIT_WIRE_VERSION) {
		snprintf(h->why, HERMIT_ERROR_LEN,
			 "it speaks version %u of the protocol, this module version %u",
			 le16_to_cpu(h->challenge.version),
			 HERMIT_WIRE_VERSION);
		return -EPROTONOSUPPORT;
	}

	/* A server that knows nothing of it reserves the whole region. */
	more = le64_to_cpu(h->challenge.caps) & caps & HERMIT_CAP_UNRESERVED;
	if (more)
		h->auth.unreserved = cpu_to_le64(unreserved);
	ret = prove(h, id->hmac, more);
	if (ret)
		return ret;
	ret = send(h, more ? HERMIT_MSG_AUTH_MORE : HERMIT_MSG_AUTH, &h->auth,
		   more ? sizeof(h->auth) : sizeof(struct hermit_wire_auth));
	if (ret)
		return ret;
	ret = expect(h, HERMIT_MSG_WELCOME, &h->welcome, sizeof(h->welcome));
	if (ret)
		return ret;

	session->incarnation = le64_to_cpu(h->welcome.incarnation);
	session->epoch = le64_to_cpu(h->welcome.epoch);
	session->used = le64_to_cpu(h->welcome.used);
	session->caps = le64_to_cpu(h->challenge.caps) & caps;
	session->max_connections = le32_to_cpu(h->welcome.max_connections);
	session->max_inflight = le32_to_cpu(h->welcome.max_inflight);
	if (!session->incarnation || !session->epoch ||
	    !session->max_connections || !session->max_inflight)
		return say_protocol(h, "WELCOME grants nothing");
	if (epoch && epoch != session->epoch)
		return say_protocol(h, "WELCOME names another epoch");
	return 0;
}

int hermit_handshake(struct hermit_channel *channel,
		     const struct hermit_identity *id, u64 epoch,
		     long timeout, struct hermit_session *session,
		     char *why)
{
	struct handshake h = {
		.ch = channel, .why = why, .deadline = jiffies + timeout,
	};
	int ret = shake(&h, id, epoch, session);

	memzero_explicit(&h, sizeof(h));
	return ret;
}

static void fill(struct hermit_wire_hdr *hdr, const struct hermit_session *session,
		 u8 type, u32 tag, u32 extent)
{
	hermit_wire_fill(hdr, type, tag, 0, extent, 0);
	if (session->caps & HERMIT_CAP_CHECKSUM)
		hermit_wire_sum(hdr, 0);
}

/* The header of an answer. */
static int receive_reply(struct handshake *h, const struct hermit_session *session)
{
	const char *why;
	u32 crc;
	int ret;

	ret = receive(h, &h->hdr, sizeof(h->hdr));
	if (ret)
		return ret == -EAGAIN ? ret : say_io(h, ret);
	if ((session->caps & HERMIT_CAP_CHECKSUM &&
	     hermit_wire_check_sum(&h->hdr, &crc, &why)) ||
	    hermit_wire_check_reply(&h->hdr, &why))
		return say_protocol(h, why);
	return 0;
}

/* What fills a page as it is sent, and is answered one by one. */
#define PATH_REQUESTS	((u32)(HERMIT_WIRE_PAGE / sizeof(struct hermit_wire_hdr)))

/*
 * One READ of a page, which brings a page here, and PINGs: together as long as a
 * page, and sent as one. Servers of any age answer, and store nothing.
 */
static int pass_page(struct handshake *h, const struct hermit_session *session,
		     void *page, unsigned int nr)
{
	struct hermit_wire_hdr *requests = page;
	u32 length, left = nr;
	int ret;

	fill(&requests[0], session, HERMIT_MSG_READ, 0, HERMIT_WIRE_PAGE);
	for (; left > 1; left--)
		fill(&requests[left - 1], session, HERMIT_MSG_PING, left - 1, 0);
	ret = h->ch->send(h->ch, requests, nr * sizeof(*requests));
	if (ret && ret != -EAGAIN)
		return say_io(h, ret);

	for (left = nr; !ret && left; left--) {
		ret = receive_reply(h, session);
		if (ret && ret != -EAGAIN)
			return ret;
		length = ret ? 0 : le32_to_cpu(h->hdr.length);
		/* An error is an answer: the page's own reads will see it. */
		if (length)
			ret = receive(h, page, length);
		if (ret && ret != -EAGAIN)
			return say_io(h, ret);
	}
	return !ret ? 0 :
	       say(h, -EMSGSIZE,
		   "it answers, but no page comes through: does every hop on the way pass packets as large as both ends send (MTU)?");
}

int hermit_handshake_path(struct hermit_channel *channel,
			  const struct hermit_session *session, void *page,
			  long timeout, char *why)
{
	struct handshake h = {
		.ch = channel, .why = why, .deadline = jiffies + timeout,
	};

	return pass_page(&h, session, page, min(PATH_REQUESTS, session->max_inflight));
}

int hermit_handshake_end(struct hermit_channel *channel,
			 const struct hermit_session *session, long timeout,
			 char *why)
{
	struct handshake h = {
		.ch = channel, .why = why, .deadline = jiffies + timeout,
	};
	int ret;

	fill(&h.hdr, session, HERMIT_MSG_END, 0, 0);
	ret = channel->send(channel, &h.hdr, sizeof(h.hdr));
	if (ret)
		return say_io(&h, ret);
	ret = receive_reply(&h, session);
	if (ret)
		return ret == -EAGAIN ? say_io(&h, ret) : ret;
	if (h.hdr.type != (HERMIT_MSG_REPLY | HERMIT_MSG_END))
		return say_protocol(&h, "it answers END as something else");
	if (h.hdr.status)
		return say(&h, -EIO, "it answers that the region was not ended");
	return 0;
}

bool hermit_refused_for_good(int err)
{
	switch (err) {
	case -EKEYREJECTED:
	case -EPROTONOSUPPORT:
	case -ENOSPC:
	case -EINVAL:
	case -EPROTO:
		return true;
	default:
		return false;
	}
}

int hermit_failed_here(int err)
{
	return hermit_refused_for_good(err) ? -EIO : err;
}
