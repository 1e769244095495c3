// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As test-wire.c, for what comes over RDMA: a frame for each rule that breaks
 * it and nothing else, and frames at its edge.
 */
#include "wire/rdma.h"

#include "../core/check.h"

#define EXT	((u64)HERMIT_RDMA_EXTENT)
#define SIZE	(64 * EXT - 4096)	/* the last extent is short */
#define MAX	(HERMIT_RDMA_GRANT_MAX * HERMIT_RDMA_EXTENT)

static void check_says(const char *name, int ret, int expected, const char *why,
		       const char *sentence)
{
	CHECK(ret == expected, "%s: returned %d", name, ret);
	if (expected)
		CHECK(why && !strcmp(why, sentence), "%s: says '%s', not '%s'",
		      name, why ? why : "(nothing)", sentence);
}

/* The call first: it sets why. */
#define SAYS(name, call, expected, sentence) do {			\
	int _ret = (call);						\
									\
	check_says(name, _ret, expected, why, sentence);		\
} while (0)

struct control_case {
	const char *name;
	const char *why;	/* NULL: passes */
	u8 type;
	u8 status;
	u64 offset;
	u32 extent;
	u32 length;
	u64 size;		/* 0: SIZE */
};

static const struct control_case controls[] = {
	{ "grant", NULL, HERMIT_MSG_GRANT, 0, 0, EXT, 0, 0 },
	{ "grant of the short one", NULL, HERMIT_MSG_GRANT, 0, 63 * EXT, EXT, 0, 0 },
	{ "longest grant", NULL, HERMIT_MSG_GRANT, 0, 48 * EXT, MAX, 0, 0 },
	{ "grant in a region of a page", NULL, HERMIT_MSG_GRANT, 0, 0, EXT, 0, 4096 },
	{ "release", NULL, HERMIT_MSG_RELEASE, 0, EXT, EXT, 0, 0 },
	{ "ping", NULL, HERMIT_MSG_PING, 0, 0, 0, 0, 0 },
	{ "end", NULL, HERMIT_MSG_END, 0, 0, 0, 0, 0 },
	{ "largest region", NULL, HERMIT_MSG_GRANT, 0, -EXT, EXT, 0, ~0ULL - 4095 },

	{ "status", "a request carries a status", HERMIT_MSG_GRANT, 1, 0, EXT, 0, 0 },
	{ "payload", "a request carries a payload", HERMIT_MSG_GRANT, 0, 0, EXT, 1, 0 },
	{ "read", "the type is not that of a control request", HERMIT_MSG_READ, 0, 0, 4096, 0, 0 },
	{ "discard", "the type is not that of a control request", HERMIT_MSG_DISCARD, 0, 0, EXT, 0, 0 },
	{ "a reply", "the type is not that of a control request",
	  HERMIT_MSG_GRANT | HERMIT_MSG_REPLY, 0, 0, EXT, 0, 0 },
	{ "ping that wants room", NULL, HERMIT_MSG_PING, 0, EXT, 1, 0, 0 },
	{ "ping that wants too much", "PING wants room for more than the region",
	  HERMIT_MSG_PING, 0, 65 * EXT, 0, 0, 0 },
	{ "ping that wants half a page", "PING wants room for more than the region",
	  HERMIT_MSG_PING, 0, 2048, 0, 0, 0 },
	{ "end with extent", "END is about an offset", HERMIT_MSG_END, 0, 0, EXT, 0, 0 },
	{ "unaligned", "the offset is not that of an extent", HERMIT_MSG_GRANT, 0, 4096, EXT, 0, 0 },
	{ "nothing", "the request is not about whole extents", HERMIT_MSG_GRANT, 0, 0, 0, 0, 0 },
	{ "half", "the request is not about whole extents", HERMIT_MSG_RELEASE, 0, 0, EXT / 2, 0, 0 },
	{ "too long", "the request is about too many extents", HERMIT_MSG_GRANT, 0, 0, MAX + EXT, 0, 0 },
	{ "beyond", "the request reaches beyond the region", HERMIT_MSG_GRANT, 0, 64 * EXT, EXT, 0, 0 },
	{ "end beyond", "the request reaches beyond the region", HERMIT_MSG_GRANT, 0, 63 * EXT, 2 * EXT, 0, 0 },
	{ "end beyond, exactly", "the request reaches beyond the region",
	  HERMIT_MSG_GRANT, 0, 63 * EXT, 2 * EXT, 0, 64 * EXT },
	{ "far beyond", "the request reaches beyond the region", HERMIT_MSG_RELEASE, 0, -EXT, EXT, 0, 0 },
};

static void test_controls(void)
{
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		const struct control_case *c = &controls[i];
		struct hermit_wire_hdr hdr;
		const char *why = NULL;
		int ret;

		hermit_wire_fill(&hdr, c->type, 7, c->offset, c->extent, c->length);
		hdr.status = c->status;
		ret = hermit_wire_check_rdma_control(&hdr, c->size ? c->size : SIZE, &why);
		check_says(c->name, ret, c->why ? -EPROTO : 0, why, c->why);
	}
}

static void test_reply(const char *name, u8 type, u8 status, u32 length,
		       const char *sentence)
{
	struct hermit_wire_hdr hdr;
	const char *why = NULL;

	hermit_wire_fill(&hdr, type, 7, 0, 0, length);
	hdr.status = status;
	SAYS(name, hermit_wire_check_rdma_reply(&hdr, &why),
	     sentence ? -EPROTO : 0, sentence);
}

static void test_replies(void)
{
	const u8 r = HERMIT_MSG_REPLY;

	test_reply("one grant", r | HERMIT_MSG_GRANT, 0, 16, NULL);
	test_reply("most grants", r | HERMIT_MSG_GRANT, 0, 16 * HERMIT_RDMA_GRANT_MAX, NULL);
	test_reply("refused grant", r | HERMIT_MSG_GRANT, HERMIT_WIRE_ENOSPC, 0, NULL);
	test_reply("release", r | HERMIT_MSG_RELEASE, 0, 0, NULL);
	test_reply("ping", r | HERMIT_MSG_PING, 0, 0, NULL);
	test_reply("end", r | HERMIT_MSG_END, 0, 0, NULL);
	test_reply("the last status", r | HERMIT_MSG_RELEASE, HERMIT_WIRE_EINVAL, 0, NULL);

	test_reply("no grant", r | HERMIT_MSG_GRANT, 0, 0, "the grants have the wrong length");
	test_reply("half a grant", r | HERMIT_MSG_GRANT, 0, 8, "the grants have the wrong length");
	test_reply("too many grants", r | HERMIT_MSG_GRANT, 0, 16 * HERMIT_RDMA_GRANT_MAX + 16,
		   "the grants have the wrong length");
	test_reply("refused and granted", r | HERMIT_MSG_GRANT, 1, 16, "the reply's payload has the wrong length");
	test_reply("ping with payload", r | HERMIT_MSG_PING, 0, 16, "the reply's payload has the wrong length");
	test_reply("one status more", r | HERMIT_MSG_PING, HERMIT_WIRE_EINVAL + 1, 0,
		   "the status is not known");
	test_reply("a request", HERMIT_MSG_GRANT, 0, 16, "the type is not that of a control reply");
	test_reply("a page", r | HERMIT_MSG_READ, 0, 4096, "the type is not that of a control reply");
}

/* The header's own fields, which both checks look at. */
static void test_common(void)
{
	struct hermit_wire_hdr hdr;
	const char *why = NULL;

	hermit_wire_fill(&hdr, HERMIT_MSG_PING, 1, 0, 0, 0);
	hdr.magic++;
	SAYS("magic", hermit_wire_check_rdma_control(&hdr, SIZE, &why),
	     -EPROTO, "the frame does not begin with the magic");
	SAYS("reply's magic", hermit_wire_check_rdma_reply(&hdr, &why),
	     -EPROTO, "the frame does not begin with the magic");
	hdr.magic--;
	hdr.reserved = 1;
	SAYS("reserved", hermit_wire_check_rdma_control(&hdr, SIZE, &why),
	     -EPROTO, "a reserved field of the header is set");
	hdr.reserved = 0;
	hdr.checksum = 1;
	SAYS("checksum", hermit_wire_check_rdma_reply(&hdr, &why),
	     -EPROTO, "a reserved field of the header is set");
}

static void test_request(void)
{
	const char *alien = "the connection request is not that of a hermit client";
	struct hermit_wire_rdma_request good = {
		.magic = cpu_to_le32(HERMIT_WIRE_MAGIC),
		.version = cpu_to_le16(HERMIT_WIRE_VERSION),
		.role = HERMIT_RDMA_DATA,
	}, bad;
	const char *why = NULL;

	SAYS("request", hermit_wire_check_rdma_request(&good, sizeof(good), &why), 0, NULL);
	/* The connection manager pads it. */
	SAYS("short", hermit_wire_check_rdma_request(&good, sizeof(good) - 1, &why),
	     HERMIT_REFUSE_PROTOCOL, alien);
	SAYS("none", hermit_wire_check_rdma_request(NULL, sizeof(good), &why),
	     HERMIT_REFUSE_PROTOCOL, alien);
	bad = good;
	bad.magic = 0;
	SAYS("magic", hermit_wire_check_rdma_request(&bad, sizeof(bad), &why),
	     HERMIT_REFUSE_PROTOCOL, alien);
	bad = good;
	bad.version = cpu_to_le16(HERMIT_WIRE_VERSION + 1);
	SAYS("version", hermit_wire_check_rdma_request(&bad, sizeof(bad), &why),
	     HERMIT_REFUSE_VERSION, "this side speaks another protocol version");
	bad = good;
	bad.role = 3;
	SAYS("role", hermit_wire_check_rdma_request(&bad, sizeof(bad), &why),
	     HERMIT_REFUSE_PROTOCOL, "the connection request has an unknown role");
	bad = good;
	bad.reserved = 1;
	SAYS("reserved", hermit_wire_check_rdma_request(&bad, sizeof(bad), &why),
	     HERMIT_REFUSE_PROTOCOL, "the connection request has an unknown role");
}

static void test_accept(void)
{
	struct hermit_wire_rdma_accept good = {
		.magic = cpu_to_le32(HERMIT_WIRE_MAGIC),
		.version = cpu_to_le16(HERMIT_WIRE_VERSION),
		.max_data = cpu_to_le16(1),
	}, bad;
	const char *why = NULL;

	SAYS("accept", hermit_wire_check_rdma_accept(&good, sizeof(good), &why), 0, NULL);
	SAYS("short", hermit_wire_check_rdma_accept(&good, sizeof(good) - 1, &why),
	     -EPROTO, "the acceptance carries no data");
	bad = good;
	bad.magic = 0;
	SAYS("magic", hermit_wire_check_rdma_accept(&bad, sizeof(bad), &why),
	     -EPROTO, "the acceptance does not begin with the magic");
	bad = good;
	bad.version = 0;
	SAYS("version", hermit_wire_check_rdma_accept(&bad, sizeof(bad), &why),
	     -EPROTO, "the acceptance is of another version");
	bad = good;
	bad.max_data = 0;
	SAYS("none", hermit_wire_check_rdma_accept(&bad, sizeof(bad), &why),
	     -EPROTO, "the acceptance allows no data connection");
}

int main(void)
{
	test_controls();
	test_replies();
	test_common();
	test_request();
	test_accept();
	return check_report("wire-rdma");
}
