// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every rule of the codec has a frame here that breaks it and nothing else,
 * beside the frames at the edge of the rule that must pass. A rule is known by
 * its sentence, so that a frame refused for another reason does not count.
 */
#include "wire/wire.h"

#include "../core/check.h"

#define PAGE	HERMIT_WIRE_PAGE
#define SIZE	(64ULL * PAGE)

#define MAGIC	"the frame does not begin with the magic"
#define RESERVED "a reserved field of the header is set"

struct frame_case {
	const char *name;
	const char *why;	/* NULL: passes */
	u8 type;
	u8 status;
	u64 offset;
	u32 extent;
	u32 length;
	u64 size;		/* 0: SIZE */
};

static void check_result(const char *name, int ret, const char *why,
			 const char *expected)
{
	if (!expected) {
		CHECK(!ret, "%s: %s", name, why);
		return;
	}
	CHECK(ret == -EPROTO, "%s: returned %d", name, ret);
	CHECK(why && !strcmp(why, expected), "%s: says '%s', not '%s'", name,
	      why ? why : "(nothing)", expected);
}

static const struct frame_case requests[] = {
	{ "read", NULL, HERMIT_MSG_READ, 0, 0, PAGE, 0 },
	{ "read of the last page", NULL, HERMIT_MSG_READ, 0, SIZE - PAGE, PAGE, 0 },
	{ "write", NULL, HERMIT_MSG_WRITE, 0, PAGE, 0, PAGE },
	{ "write of the last page", NULL, HERMIT_MSG_WRITE, 0, SIZE - PAGE, 0, PAGE },
	{ "discard", NULL, HERMIT_MSG_DISCARD, 0, PAGE, PAGE, 0 },
	{ "discard of all", NULL, HERMIT_MSG_DISCARD, 0, 0, SIZE, 0 },
	{ "longest discard", NULL, HERMIT_MSG_DISCARD, 0, 0,
	  HERMIT_WIRE_DISCARD_MAX, 0, 1ULL << 40 },
	{ "ping", NULL, HERMIT_MSG_PING, 0, 0, 0, 0 },
	{ "end", NULL, HERMIT_MSG_END, 0, 0, 0, 0 },
	{ "largest region", NULL, HERMIT_MSG_WRITE, 0, ~0ULL - 2 * PAGE + 1, 0,
	  PAGE, ~0ULL - PAGE + 1 },

	{ "status", "a request carries a status", HERMIT_MSG_READ,
	  HERMIT_WIRE_EIO, 0, PAGE, 0 },
	{ "read with payload", "READ carries a payload", HERMIT_MSG_READ, 0, 0,
	  PAGE, PAGE },
	{ "read of nothing", "READ is not about one page", HERMIT_MSG_READ, 0,
	  0, 0, 0 },
	{ "read of two", "READ is not about one page", HERMIT_MSG_READ, 0, 0,
	  2 * PAGE, 0 },
	{ "read of a part", "READ is not about one page", HERMIT_MSG_READ, 0,
	  0, 512, 0 },
	{ "empty write", "WRITE does not carry one page", HERMIT_MSG_WRITE, 0,
	  0, 0, 0 },
	{ "short write", "WRITE does not carry one page", HERMIT_MSG_WRITE, 0,
	  0, 0, PAGE - 1 },
	{ "long write", "WRITE does not carry one page", HERMIT_MSG_WRITE, 0,
	  0, 0, 2 * PAGE },
	{ "huge write", "WRITE does not carry one page", HERMIT_MSG_WRITE, 0,
	  0, 0, ~0U },
	{ "write with extent", "WRITE has an extent", HERMIT_MSG_WRITE, 0, 0,
	  PAGE, PAGE },
	{ "discard with payload", "DISCARD carries a payload",
	  HERMIT_MSG_DISCARD, 0, 0, PAGE, 8 },
	{ "discard of nothing", "DISCARD is not about whole pages",
	  HERMIT_MSG_DISCARD, 0, 0, 0, 0 },
	{ "discard of a part", "DISCARD is not about whole pages",
	  HERMIT_MSG_DISCARD, 0, 0, PAGE + 1, 0 },
	{ "too long a discard", "DISCARD is longer than allowed",
	  HERMIT_MSG_DISCARD, 0, 0, HERMIT_WIRE_DISCARD_MAX + PAGE, 0,
	  1ULL << 40 },
	{ "ping that wants room for all", NULL, HERMIT_MSG_PING, 0, SIZE, 1, 0 },
	{ "ping that wants too much", "PING wants room for more than the region",
	  HERMIT_MSG_PING, 0, SIZE + PAGE, 0, 0 },
	{ "ping that wants half a page", "PING wants room for more than the region",
	  HERMIT_MSG_PING, 0, PAGE / 2, 0, 0 },
	{ "ping with payload", "PING carries a payload",
	  HERMIT_MSG_PING, 0, 0, 0, 8 },
	{ "end with offset", "END is about an offset", HERMIT_MSG_END,
	  0, PAGE, 0, 0 },
	{ "read within a page", "the offset is not that of a page",
	  HERMIT_MSG_READ, 0, 1, PAGE, 0 },
	{ "write within a page", "the offset is not that of a page",
	  HERMIT_MSG_WRITE, 0, PAGE / 2, 0, PAGE },
	{ "discard within a page", "the offset is not that of a page",
	  HERMIT_MSG_DISCARD, 0, PAGE - 1, PAGE, 0 },
	{ "read at the end", "the request reaches beyond the region",
	  HERMIT_MSG_READ, 0, SIZE, PAGE, 0 },
	{ "write at the end", "the request reaches beyond the region",
	  HERMIT_MSG_WRITE, 0, SIZE, 0, PAGE },
	{ "read far beyond", "the request reaches beyond the region",
	  HERMIT_MSG_READ, 0, 1ULL << 60, PAGE, 0 },
	{ "sum that wraps", "the request reaches beyond the region",
	  HERMIT_MSG_WRITE, 0, ~0ULL - PAGE + 1, 0, PAGE },
	{ "discard over the end", "the request reaches beyond the region",
	  HERMIT_MSG_DISCARD, 0, SIZE - PAGE, 2 * PAGE, 0 },
	{ "discard that wraps", "the request reaches beyond the region",
	  HERMIT_MSG_DISCARD, 0, ~0ULL - PAGE + 1, 2 * PAGE, 0 },
	{ "handshake's type", "the type is not that of a request",
	  HERMIT_MSG_HELLO, 0, 0, 0, 0 },
	{ "reply's type", "the type is not that of a request",
	  HERMIT_MSG_REPLY | HERMIT_MSG_READ, 0, 0, PAGE, 0 },
	{ "type 0", "the type is not that of a request", 0, 0, 0, 0, 0 },
	{ "type 255", "the type is not that of a request", 255, 0, 0, 0, 0 },
};

static const struct frame_case replies[] = {
	{ "read", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_READ, 0, 0, PAGE, PAGE },
	{ "failed read", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_READ,
	  HERMIT_WIRE_EIO, 0, PAGE, 0 },
	{ "read of what is not stored", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_READ,
	  HERMIT_WIRE_ENOENT, 0, PAGE, PAGE },
	{ "write", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_WRITE, 0, 0, 0, 0 },
	{ "full", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_WRITE,
	  HERMIT_WIRE_ENOSPC, 0, 0, 0 },
	{ "damaged", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_WRITE,
	  HERMIT_WIRE_EBADMSG, 0, 0, 0 },
	{ "discard", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_DISCARD,
	  HERMIT_WIRE_EINVAL, 0, PAGE, 0 },
	{ "pong", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_PING, 0, 12345, 0, 0 },
	{ "end", NULL, HERMIT_MSG_REPLY | HERMIT_MSG_END, 0, 0, 0, 0 },

	{ "status", "the status is not known",
	  HERMIT_MSG_REPLY | HERMIT_MSG_READ, HERMIT_WIRE_EBADMSG + 1, 0, 0, 0 },
	{ "damaged read", "what is not a WRITE is answered as damaged",
	  HERMIT_MSG_REPLY | HERMIT_MSG_READ, HERMIT_WIRE_EBADMSG, 0, 0, 0 },
	{ "write of what is not stored",
	  "what is not a READ is answered as not stored",
	  HERMIT_MSG_REPLY | HERMIT_MSG_WRITE, HERMIT_WIRE_ENOENT, 0, 0, 0 },
	{ "request's type", "the type is not that of a reply", HERMIT_MSG_READ,
	  0, 0, PAGE, PAGE },
	{ "unknown type", "the type is not that of a reply",
	  HERMIT_MSG_REPLY | 21, 0, 0, 0, 0 },
	{ "handshake's type", "the type is not that of a reply",
	  HERMIT_MSG_WELCOME, 0, 0, 0, 40 },
	{ "read without page", "the reply's payload has the wrong length",
	  HERMIT_MSG_REPLY | HERMIT_MSG_READ, 0, 0, PAGE, 0 },
	{ "not stored, without page", "the reply's payload has the wrong length",
	  HERMIT_MSG_REPLY | HERMIT_MSG_READ, HERMIT_WIRE_ENOENT, 0, PAGE, 0 },
	{ "failed read with page", "the reply's payload has the wrong length",
	  HERMIT_MSG_REPLY | HERMIT_MSG_READ, HERMIT_WIRE_EIO, 0, PAGE, PAGE },
	{ "write with page", "the reply's payload has the wrong length",
	  HERMIT_MSG_REPLY | HERMIT_MSG_WRITE, 0, 0, 0, PAGE },
	{ "pong with page", "the reply's payload has the wrong length",
	  HERMIT_MSG_REPLY | HERMIT_MSG_PING, 0, 0, 0, PAGE },
};

static void fill_case(struct hermit_wire_hdr *hdr, const struct frame_case *c)
{
	hermit_wire_fill(hdr, c->type, 7, c->offset, c->extent, c->length);
	hdr->status = c->status;
}

static void test_requests(void)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct frame_case *c = &requests[i];
		u64 size = c->size ? c->size : SIZE;
		struct hermit_wire_hdr hdr;
		const char *why = NULL;
		int ret;

		fill_case(&hdr, c);
		ret = hermit_wire_check_request(&hdr, size, &why);
		check_result(c->name, ret, why, c->why);
	}
}

static void test_replies(void)
{
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		const struct frame_case *c = &replies[i];
		struct hermit_wire_hdr hdr;
		const char *why = NULL;
		int ret;

		fill_case(&hdr, c);
		ret = hermit_wire_check_reply(&hdr, &why);
		check_result(c->name, ret, why, c->why);
	}
}

/* What all frames have in common, broken in a good frame of each kind. */
static void test_common(void)
{
	static const struct {
		const char *why;
		size_t byte;
	} cases[] = {
		{ MAGIC, offsetof(struct hermit_wire_hdr, magic) },
		{ MAGIC, offsetof(struct hermit_wire_hdr, magic) + 3 },
		{ RESERVED, offsetof(struct hermit_wire_hdr, reserved) },
		{ RESERVED, offsetof(struct hermit_wire_hdr, reserved) + 1 },
		{ RESERVED, offsetof(struct hermit_wire_hdr, checksum) },
		{ RESERVED, offsetof(struct hermit_wire_hdr, checksum) + 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hermit_wire_hdr hdr;
		const char *why = NULL;
		int ret;

		fill_case(&hdr, &requests[0]);
		((u8 *)&hdr)[cases[i].byte] ^= 1;
		ret = hermit_wire_check_request(&hdr, SIZE, &why);
		check_result("request", ret, why, cases[i].why);

		fill_case(&hdr, &replies[0]);
		((u8 *)&hdr)[cases[i].byte] ^= 1;
		why = NULL;
		ret = hermit_wire_check_reply(&hdr, &why);
		check_result("reply", ret, why, cases[i].why);

		hermit_wire_fill(&hdr, HERMIT_MSG_AUTH, 0, 0, 0,
				 sizeof(struct hermit_wire_auth));
		((u8 *)&hdr)[cases[i].byte] ^= 1;
		why = NULL;
		ret = hermit_wire_check_handshake(&hdr, HERMIT_MSG_AUTH, &why);
		check_result("handshake", ret, why, cases[i].why);
	}
}

static void test_handshake(void)
{
	static const struct {
		u8 type;
		u32 length;
	} steps[] = {
		{ HERMIT_MSG_HELLO, 168 }, { HERMIT_MSG_CHALLENGE, 80 },
		{ HERMIT_MSG_AUTH, 32 },   { HERMIT_MSG_WELCOME, 40 },
		{ HERMIT_MSG_REFUSE, 128 }, { HERMIT_MSG_AUTH_MORE, 64 },
	};
	struct hermit_wire_hdr hdr;
	const char *why = NULL;
	int ret;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		u8 type = steps[i].type;

		hermit_wire_fill(&hdr, type, 0, 0, 0, steps[i].length);
		ret = hermit_wire_check_handshake(&hdr, type, &why);
		check_result("good step", ret, why, NULL);

		hdr.length = cpu_to_le32(steps[i].length + 1);
		ret = hermit_wire_check_handshake(&hdr, type, &why);
		check_result("long step", ret, why,
			     "a handshake frame has the wrong length");
		hdr.length = cpu_to_le32(steps[i].length - 1);
		ret = hermit_wire_check_handshake(&hdr, type, &why);
		check_result("short step", ret, why,
			     "a handshake frame has the wrong length");

		hdr.length = cpu_to_le32(steps[i].length);
		hdr.status = 1;
		ret = hermit_wire_check_handshake(&hdr, type, &why);
		check_result("step with status", ret, why,
			     "a handshake frame carries a status");
		hdr.status = 0;
		ret = hermit_wire_check_handshake(&hdr, type + 1, &why);
		check_result("another step", ret, why,
			     "another step of the handshake was due");
	}
	hermit_wire_fill(&hdr, HERMIT_MSG_READ, 0, 0, PAGE, 0);
	ret = hermit_wire_check_handshake(&hdr, HERMIT_MSG_READ, &why);
	check_result("no step", ret, why,
		     "the type is not that of a handshake");
}

static struct hermit_wire_hello good_hello(bool open)
{
	struct hermit_wire_hello hello = {
		.version_min = cpu_to_le16(HERMIT_WIRE_VERSION),
		.version_max = cpu_to_le16(HERMIT_WIRE_VERSION),
		.flags = cpu_to_le32(open ? HERMIT_HELLO_OPEN : 0),
		.caps = cpu_to_le64(~0ULL),
		.uuid = { [15] = 1 },
		.client_id = { [0] = 1 },
		.region_size = cpu_to_le64(SIZE),
		.epoch = cpu_to_le64(open ? 0 : 3),
		.name = "ram0",
	};

	return hello;
}

static void check_hello(const char *name, const struct hermit_wire_hello *hello,
			int expected)
{
	const char *why = NULL;
	u16 version = 0;
	int ret = hermit_wire_check_hello(hello, &version, &why);

	CHECK(ret == expected, "%s: %s, not %s (%s)", name,
	      hermit_wire_refusal_name(ret), hermit_wire_refusal_name(expected),
	      why ? why : "");
	if (expected)
		CHECK(why, "%s: no sentence", name);
	else
		CHECK(version == HERMIT_WIRE_VERSION, "%s: version %u", name,
		      version);
}

static void test_hello(void)
{
	struct hermit_wire_hello h = good_hello(true);

	check_hello("open", &h, 0);
	h = good_hello(false);
	check_hello("join", &h, 0);
	h.version_min = 0;
	h.version_max = cpu_to_le16(0xffff);
	check_hello("a range around ours", &h, 0);
	memset(h.name, 'x', sizeof(h.name) - 1);
	check_hello("a long name", &h, 0);

	h = good_hello(true);
	h.version_min = cpu_to_le16(HERMIT_WIRE_VERSION + 1);
	h.version_max = cpu_to_le16(HERMIT_WIRE_VERSION + 5);
	/* Of a later version anything else may be different, and is not read. */
	h.reserved = cpu_to_le64(1);
	check_hello("only later versions", &h, HERMIT_REFUSE_VERSION);
	h = good_hello(true);
	h.version_min = 0;
	h.version_max = cpu_to_le16(HERMIT_WIRE_VERSION - 1);
	check_hello("only earlier versions", &h, HERMIT_REFUSE_VERSION);
	h = good_hello(true);
	h.version_min = cpu_to_le16(2);
	h.version_max = cpu_to_le16(0);
	check_hello("no versions at all", &h, HERMIT_REFUSE_VERSION);

	h = good_hello(true);
	h.flags |= cpu_to_le32(2);
	check_hello("an unknown flag", &h, HERMIT_REFUSE_PROTOCOL);
	h = good_hello(true);
	h.reserved = cpu_to_le64(1ULL << 63);
	check_hello("a reserved field", &h, HERMIT_REFUSE_PROTOCOL);
	h = good_hello(true);
	memset(h.name, 'x', sizeof(h.name));
	check_hello("a name without end", &h, HERMIT_REFUSE_PROTOCOL);
	h = good_hello(true);
	memset(h.uuid, 0, sizeof(h.uuid));
	check_hello("no uuid", &h, HERMIT_REFUSE_PROTOCOL);
	h = good_hello(true);
	memset(h.client_id, 0, sizeof(h.client_id));
	check_hello("no client", &h, HERMIT_REFUSE_PROTOCOL);
	h = good_hello(true);
	h.epoch = cpu_to_le64(1);
	check_hello("open with an epoch", &h, HERMIT_REFUSE_PROTOCOL);
	h = good_hello(false);
	h.epoch = 0;
	check_hello("join without an epoch", &h, HERMIT_REFUSE_EPOCH);
	h = good_hello(true);
	h.region_size = 0;
	check_hello("no size", &h, HERMIT_REFUSE_SIZE);
	h.region_size = cpu_to_le64(PAGE + 1);
	check_hello("a crooked size", &h, HERMIT_REFUSE_SIZE);
}

/* Whatever bit is damaged is found, and what is not damaged is as it was. */
static void test_sums(void)
{
	const struct frame_case *frames[] = { requests, requests + 2, replies };

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct hermit_wire_hdr plain, summed, hdr;
		bool write = frames[i]->type == HERMIT_MSG_WRITE;
		const char *why = NULL;
		u32 crc = 1;
		int ret;

		fill_case(&plain, frames[i]);
		summed = plain;
		hermit_wire_sum(&summed, 0x12345678);
		CHECK(summed.checksum, "%s: no checksum", frames[i]->name);
		CHECK(le32_to_cpu(summed.extent) ==
		      (write ? 0x12345678 : frames[i]->extent), "%s: extent %#x",
		      frames[i]->name, le32_to_cpu(summed.extent));
		hdr = summed;
		CHECK(!hermit_wire_check_sum(&hdr, &crc, &why), "%s: %s",
		      frames[i]->name, why);
		CHECK(crc == (write ? 0x12345678 : 0), "%s: %#x is the page's CRC",
		      frames[i]->name, crc);
		CHECK(!memcmp(&hdr, &plain, sizeof(hdr)), "%s: another header",
		      frames[i]->name);
		for (unsigned int bit = 0; bit < 8 * sizeof(hdr); bit++) {
			hdr = summed;
			((u8 *)&hdr)[bit / 8] ^= 1 << bit % 8;
			ret = hermit_wire_check_sum(&hdr, &crc, &why);
			check_result(frames[i]->name, ret, why,
				     "the header is not what its checksum says");
		}
		/* As one without the capability sends it. */
		hdr = plain;
		CHECK(hermit_wire_check_sum(&hdr, &crc, &why) == -EPROTO,
		      "%s: passes without a checksum", frames[i]->name);
	}
}

static void test_fill(void)
{
	static const u8 bytes[32] = {
		0x48, 0x52, 0x4d, 0x4d, /* magic */
		17, 0, 0, 0,		/* type, status, reserved */
		4, 3, 2, 1,		/* tag */
		0, 0x10, 0, 0,		/* length */
		0, 0x20, 0, 0, 1, 0, 0, 0, /* offset */
		8, 7, 6, 5,		/* extent */
		0, 0, 0, 0,		/* checksum */
	};
	struct hermit_wire_hdr hdr;

	memset(&hdr, 0xff, sizeof(hdr));
	hermit_wire_fill(&hdr, HERMIT_MSG_WRITE, 0x01020304, 0x100002000ULL,
			 0x05060708, PAGE);
	CHECK(!memcmp(&hdr, bytes, sizeof(bytes)),
	      "a header is not on the wire as wire.h says");
}

static void test_names(void)
{
	for (u32 code = 1; code <= HERMIT_REFUSE_PROTOCOL; code++)
		CHECK(strcmp(hermit_wire_refusal_name(code), "unknown"),
		      "code %u has no name", code);
	CHECK(!strcmp(hermit_wire_refusal_name(0), "unknown"), "code 0");
	CHECK(!strcmp(hermit_wire_refusal_name(~0U), "unknown"), "code ~0");
}

static void test_auth_more(void)
{
	static const struct {
		u64 unreserved, reserved;
		u32 code;
	} cases[] = {
		{ 0, 0, 0 },
		{ 4096, 0, 0 },
		{ SIZE, 0, 0 },
		{ SIZE + 4096, 0, HERMIT_REFUSE_SIZE },
		{ 4095, 0, HERMIT_REFUSE_SIZE },
		{ ~0ULL & ~4095ULL, 0, HERMIT_REFUSE_SIZE },
		{ 4096, 1, HERMIT_REFUSE_PROTOCOL },
	};
	const struct hermit_wire_hello hello = { .region_size = cpu_to_le64(SIZE) };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int word = 0; word < 3; word++) {
			struct hermit_wire_auth_more more = {
				.unreserved = cpu_to_le64(cases[i].unreserved),
			};
			const char *why = NULL;
			u32 code;

			more.reserved[word] = cpu_to_le64(cases[i].reserved);
			code = (u32)hermit_wire_check_auth_more(&more, &hello, &why);
			CHECK(code == cases[i].code, "unreserved %#llx, word %d %#llx: code %u",
			      (unsigned long long)cases[i].unreserved, word,
			      (unsigned long long)cases[i].reserved, code);
			CHECK(!code == !why, "code %u without a sentence, or the reverse", code);
		}
}

int main(void)
{
	test_requests();
	test_replies();
	test_common();
	test_handshake();
	test_auth_more();
	test_hello();
	test_sums();
	test_fill();
	test_names();
	return check_report("wire");
}
