// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may come over an RDMA connection. As wire.c, and for the same reason
 * the only place that knows.
 */
#include "rdma.h"

static int bad(const char **why, const char *sentence)
{
	*why = sentence;
	return -EPROTO;
}

int hermit_wire_check_rdma_request(const void *data, size_t len,
				   const char **why)
{
	struct hermit_wire_rdma_request req;

	*why = "the connection request is not that of a hermit client";
	if (!data || len < sizeof(req))
		return HERMIT_REFUSE_PROTOCOL;
	memcpy(&req, data, sizeof(req));
	if (le32_to_cpu(req.magic) != HERMIT_WIRE_MAGIC)
		return HERMIT_REFUSE_PROTOCOL;
	if (le16_to_cpu(req.version) != HERMIT_WIRE_VERSION) {
		*why = "this side speaks another protocol version";
		return HERMIT_REFUSE_VERSION;
	}
	if (req.reserved || (req.role != HERMIT_RDMA_CONTROL &&
			     req.role != HERMIT_RDMA_DATA)) {
		*why = "the connection request has an unknown role";
		return HERMIT_REFUSE_PROTOCOL;
	}
	*why = NULL;
	return 0;
}

int hermit_wire_check_rdma_accept(const void *data, size_t len,
				  const char **why)
{
	struct hermit_wire_rdma_accept acc;

	if (!data || len < sizeof(acc))
		return bad(why, "the acceptance carries no data");
	memcpy(&acc, data, sizeof(acc));
	if (le32_to_cpu(acc.magic) != HERMIT_WIRE_MAGIC)
		return bad(why, "the acceptance does not begin with the magic");
	if (le16_to_cpu(acc.version) != HERMIT_WIRE_VERSION)
		return bad(why, "the acceptance is of another version");
	if (!acc.max_data)
		return bad(why, "the acceptance allows no data connection");
	return 0;
}

int hermit_wire_check_rdma_control(const struct hermit_wire_hdr *hdr,
				   u64 region_size, const char **why)
{
	u64 offset = le64_to_cpu(hdr->offset);
	u32 extent = le32_to_cpu(hdr->extent);
	u64 last;

	if (le32_to_cpu(hdr->magic) != HERMIT_WIRE_MAGIC)
		return bad(why, "the frame does not begin with the magic");
	if (hdr->reserved || hdr->checksum)
		return bad(why, "a reserved field of the header is set");
	if (hdr->status)
		return bad(why, "a request carries a status");
	if (hdr->length)
		return bad(why, "a request carries a payload");

	switch (hdr->type) {
	case HERMIT_MSG_GRANT:
	case HERMIT_MSG_RELEASE:
		break;
	case HERMIT_MSG_PING:
		if (offset % HERMIT_WIRE_PAGE || offset > region_size)
			return bad(why, "PING wants room for more than the region");
		return 0;
	case HERMIT_MSG_END:
		if (offset || extent)
			return bad(why, "END is about an offset");
		return 0;
	default:
		return bad(why, "the type is not that of a control request");
	}

	if (offset & (HERMIT_RDMA_EXTENT - 1))
		return bad(why, "the offset is not that of an extent");
	if (!extent || (extent & (HERMIT_RDMA_EXTENT - 1)))
		return bad(why, "the request is not about whole extents");
	if (extent > HERMIT_RDMA_GRANT_MAX * HERMIT_RDMA_EXTENT)
		return bad(why, "the request is about too many extents");
	/* The last one may be short: its start has to be in the region. */
	last = extent - HERMIT_RDMA_EXTENT;
	if (offset >= region_size || last >= region_size - offset)
		return bad(why, "the request reaches beyond the region");
	return 0;
}

int hermit_wire_check_rdma_reply(const struct hermit_wire_hdr *hdr,
				 const char **why)
{
	u32 length = le32_to_cpu(hdr->length);
	const u32 grant = sizeof(struct hermit_wire_grant);

	if (le32_to_cpu(hdr->magic) != HERMIT_WIRE_MAGIC)
		return bad(why, "the frame does not begin with the magic");
	if (hdr->reserved || hdr->checksum)
		return bad(why, "a reserved field of the header is set");
	if (hdr->status > HERMIT_WIRE_EINVAL)
		return bad(why, "the status is not known");

	switch (hdr->type) {
	case HERMIT_MSG_REPLY | HERMIT_MSG_GRANT:
		if (hdr->status)
			break;
		if (!length || length % grant ||
		    length / grant > HERMIT_RDMA_GRANT_MAX)
			return bad(why, "the grants have the wrong length");
		return 0;
	case HERMIT_MSG_REPLY | HERMIT_MSG_RELEASE:
	case HERMIT_MSG_REPLY | HERMIT_MSG_PING:
	case HERMIT_MSG_REPLY | HERMIT_MSG_END:
		break;
	default:
		return bad(why, "the type is not that of a control reply");
	}
	if (length)
		return bad(why, "the reply's payload has the wrong length");
	return 0;
}
