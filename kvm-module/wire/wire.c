// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a frame may look like. Everything that comes from the network passes
 * one of these checks before anything acts on it; nothing else in the project
 * interprets a header. Compiled into hermit.ko and into userland.
 */
#include "../core/crc.h"
#include "wire.h"

static int bad(const char **why, const char *sentence)
{
	*why = sentence;
	return -EPROTO;
}

static int check_common(const struct hermit_wire_hdr *hdr, const char **why)
{
	if (le32_to_cpu(hdr->magic) != HERMIT_WIRE_MAGIC)
		return bad(why, "the frame does not begin with the magic");
	if (hdr->reserved || hdr->checksum)
		return bad(why, "a reserved field of the header is set");
	return 0;
}

/* The last word without the checksum. */
static u32 header_crc(const struct hermit_wire_hdr *hdr)
{
	u64 words[sizeof(*hdr) / sizeof(u64)];

	memcpy(words, hdr, sizeof(words));
	words[3] = le64_to_cpu(words[3]) & 0xffffffff;
	words[3] = cpu_to_le64(words[3]);
	return hermit_crc_words(words, sizeof(words) / sizeof(words[0]));
}

void hermit_wire_sum(struct hermit_wire_hdr *hdr, u32 page_crc)
{
	if (hdr->type == HERMIT_MSG_WRITE)
		hdr->extent = cpu_to_le32(page_crc);
	hdr->checksum = cpu_to_le32(header_crc(hdr));
}

int hermit_wire_check_sum(struct hermit_wire_hdr *hdr, u32 *page_crc,
			  const char **why)
{
	if (le32_to_cpu(hdr->checksum) != header_crc(hdr))
		return bad(why, "the header is not what its checksum says");
	hdr->checksum = 0;
	*page_crc = 0;
	if (hdr->type == HERMIT_MSG_WRITE) {
		*page_crc = le32_to_cpu(hdr->extent);
		hdr->extent = 0;
	}
	return 0;
}

/* @offset and @bytes come from the peer: their sum may wrap. */
static bool in_region(u64 offset, u64 bytes, u64 region_size)
{
	return offset <= region_size && bytes <= region_size - offset;
}

static bool page_aligned(u64 v)
{
	return !(v & (HERMIT_WIRE_PAGE - 1));
}

int hermit_wire_check_request(const struct hermit_wire_hdr *hdr,
			      u64 region_size, const char **why)
{
	u64 offset = le64_to_cpu(hdr->offset);
	u32 extent = le32_to_cpu(hdr->extent);
	u32 length = le32_to_cpu(hdr->length);
	int ret;

	ret = check_common(hdr, why);
	if (ret)
		return ret;
	if (hdr->status)
		return bad(why, "a request carries a status");

	switch (hdr->type) {
	case HERMIT_MSG_READ:
		if (length)
			return bad(why, "READ carries a payload");
		if (extent != HERMIT_WIRE_PAGE)
			return bad(why, "READ is not about one page");
		break;
	case HERMIT_MSG_WRITE:
		if (length != HERMIT_WIRE_PAGE)
			return bad(why, "WRITE does not carry one page");
		if (extent)
			return bad(why, "WRITE has an extent");
		extent = length;
		break;
	case HERMIT_MSG_DISCARD:
		if (length)
			return bad(why, "DISCARD carries a payload");
		if (!extent || !page_aligned(extent))
			return bad(why, "DISCARD is not about whole pages");
		if (extent > HERMIT_WIRE_DISCARD_MAX)
			return bad(why, "DISCARD is longer than allowed");
		break;
	case HERMIT_MSG_PING:
		if (length)
			return bad(why, "PING carries a payload");
		if (!page_aligned(offset) || offset > region_size)
			return bad(why, "PING wants room for more than the region");
		return 0;
	case HERMIT_MSG_END:
		if (offset || extent || length)
			return bad(why, "END is about an offset");
		return 0;
	default:
		return bad(why, "the type is not that of a request");
	}

	if (!page_aligned(offset))
		return bad(why, "the offset is not that of a page");
	if (!in_region(offset, extent, region_size))
		return bad(why, "the request reaches beyond the region");
	return 0;
}

int hermit_wire_check_reply(const struct hermit_wire_hdr *hdr, const char **why)
{
	u32 length = le32_to_cpu(hdr->length);
	u32 expected = 0;
	int ret;

	ret = check_common(hdr, why);
	if (ret)
		return ret;
	switch (hdr->status) {
	case HERMIT_WIRE_OK:
	case HERMIT_WIRE_EIO:
	case HERMIT_WIRE_ENOSPC:
	case HERMIT_WIRE_EINVAL:
		break;
	case HERMIT_WIRE_EBADMSG:
		if (hdr->type == (HERMIT_MSG_REPLY | HERMIT_MSG_WRITE))
			break;
		return bad(why, "what is not a WRITE is answered as damaged");
	case HERMIT_WIRE_ENOENT:
		if (hdr->type == (HERMIT_MSG_REPLY | HERMIT_MSG_READ))
			break;
		return bad(why, "what is not a READ is answered as not stored");
	default:
		return bad(why, "the status is not known");
	}

	switch (hdr->type) {
	case HERMIT_MSG_REPLY | HERMIT_MSG_READ:
		if (hdr->status == HERMIT_WIRE_OK ||
		    hdr->status == HERMIT_WIRE_ENOENT)
			expected = HERMIT_WIRE_PAGE;
		break;
	case HERMIT_MSG_REPLY | HERMIT_MSG_WRITE:
	case HERMIT_MSG_REPLY | HERMIT_MSG_DISCARD:
	case HERMIT_MSG_REPLY | HERMIT_MSG_PING:
	case HERMIT_MSG_REPLY | HERMIT_MSG_END:
		break;
	default:
		return bad(why, "the type is not that of a reply");
	}
	if (length != expected)
		return bad(why, "the reply's payload has the wrong length");
	return 0;
}

int hermit_wire_check_handshake(const struct hermit_wire_hdr *hdr, u8 type,
				const char **why)
{
	u32 expected = 0;
	int ret;

	ret = check_common(hdr, why);
	if (ret)
		return ret;
	if (hdr->type != type)
		return bad(why, "another step of the handshake was due");
	if (hdr->status)
		return bad(why, "a handshake frame carries a status");

	switch (type) {
	case HERMIT_MSG_HELLO:
		expected = sizeof(struct hermit_wire_hello);
		break;
	case HERMIT_MSG_CHALLENGE:
		expected = sizeof(struct hermit_wire_challenge);
		break;
	case HERMIT_MSG_AUTH:
		expected = sizeof(struct hermit_wire_auth);
		break;
	case HERMIT_MSG_AUTH_MORE:
		expected = sizeof(struct hermit_wire_auth_more);
		break;
	case HERMIT_MSG_WELCOME:
		expected = sizeof(struct hermit_wire_welcome);
		break;
	case HERMIT_MSG_REFUSE:
		expected = sizeof(struct hermit_wire_refuse);
		break;
	default:
		return bad(why, "the type is not that of a handshake");
	}
	if (le32_to_cpu(hdr->length) != expected)
		return bad(why, "a handshake frame has the wrong length");
	return 0;
}

void hermit_wire_fill(struct hermit_wire_hdr *hdr, u8 type, u32 tag, u64 offset,
		      u32 extent, u32 length)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->magic = cpu_to_le32(HERMIT_WIRE_MAGIC);
	hdr->type = type;
	hdr->tag = cpu_to_le32(tag);
	hdr->length = cpu_to_le32(length);
	hdr->offset = cpu_to_le64(offset);
	hdr->extent = cpu_to_le32(extent);
}

static bool all_zero(const u8 *p, size_t len)
{
	while (len--)
		if (*p++)
			return false;
	return true;
}

static int refuse(const char **why, enum hermit_wire_refusal code,
		  const char *sentence)
{
	*why = sentence;
	return code;
}

int hermit_wire_check_hello(const struct hermit_wire_hello *hello, u16 *version,
			    const char **why)
{
	u16 min = le16_to_cpu(hello->version_min);
	u16 max = le16_to_cpu(hello->version_max);
	u32 flags = le32_to_cpu(hello->flags);
	u64 size = le64_to_cpu(hello->region_size);
	bool open = flags & HERMIT_HELLO_OPEN;

	/* First: what another version means by the rest is not known here. */
	if (min > HERMIT_WIRE_VERSION)
		return refuse(why, HERMIT_REFUSE_VERSION,
			      "this side speaks only older protocol versions");
	if (max < HERMIT_WIRE_VERSION)
		return refuse(why, HERMIT_REFUSE_VERSION,
			      "this side speaks only newer protocol versions");
	*version = HERMIT_WIRE_VERSION;

	if ((flags & ~HERMIT_HELLO_OPEN) || hello->reserved)
		return refuse(why, HERMIT_REFUSE_PROTOCOL,
			      "HELLO sets a reserved flag or field");
	if (hello->name[sizeof(hello->name) - 1])
		return refuse(why, HERMIT_REFUSE_PROTOCOL,
			      "the name in HELLO does not end");
	if (all_zero(hello->uuid, sizeof(hello->uuid)) ||
	    all_zero(hello->client_id, sizeof(hello->client_id)))
		return refuse(why, HERMIT_REFUSE_PROTOCOL,
			      "the region or the client in HELLO is all zeros");
	if (!size || !page_aligned(size))
		return refuse(why, HERMIT_REFUSE_SIZE,
			      "the region's size is not that of whole pages");
	if (open && hello->epoch)
		return refuse(why, HERMIT_REFUSE_PROTOCOL,
			      "HELLO opens and names an epoch");
	if (!open && !hello->epoch)
		return refuse(why, HERMIT_REFUSE_EPOCH,
			      "HELLO joins and names no epoch");
	return 0;
}

int hermit_wire_check_auth_more(const struct hermit_wire_auth_more *more,
				const struct hermit_wire_hello *hello,
				const char **why)
{
	u64 unreserved = le64_to_cpu(more->unreserved);

	if (more->reserved[0] || more->reserved[1] || more->reserved[2])
		return refuse(why, HERMIT_REFUSE_PROTOCOL,
			      "AUTH_MORE sets a reserved field");
	if (!page_aligned(unreserved) ||
	    unreserved > le64_to_cpu(hello->region_size))
		return refuse(why, HERMIT_REFUSE_SIZE,
			      "what is unreserved is not pages of the region");
	return 0;
}

const char *hermit_wire_refusal_name(u32 code)
{
	switch (code) {
	case HERMIT_REFUSE_VERSION:
		return "version";
	case HERMIT_REFUSE_KEY:
		return "key";
	case HERMIT_REFUSE_BUSY:
		return "busy";
	case HERMIT_REFUSE_CAPACITY:
		return "capacity";
	case HERMIT_REFUSE_SIZE:
		return "size";
	case HERMIT_REFUSE_EPOCH:
		return "epoch";
	case HERMIT_REFUSE_DRAINING:
		return "draining";
	case HERMIT_REFUSE_PROTOCOL:
		return "protocol";
	default:
		return "unknown";
	}
}
