/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel makes of a server's bytes: link/handshake.c and the frames
 * of link/tcp/conn.c, unchanged, against shim/kernel.h. The input is a script
 * (enum step), with what a server answers and in what pieces it arrives:
 * right, changed in one place, or any bytes at all.
 *
 * An io completes once, with a status that transport.h knows, and not after
 * it was given back; a READ that was answered as the protocol says has its
 * page; what the client sends follows the protocol; no lock is held around
 * done(). ASan watches that nobody touches the page of an io that is over: it
 * is freed then.
 */
#include <glib.h>

#include "shim/kernel.h"

#include "fuzz.h"
#include "fuzz-key.h"
#include "link/handshake.h"
#include "link/tcp/conn.h"
#include "link/tcp/queue.h"
#include "link/tcp/sender.h"
#include "link/tcp/sock.h"
#include "link/transport.h"
#include "uapi/hermit.h"
#include "wire/wire.h"

#define REGION_SIZE	(1024 * PAGE_SIZE)
#define SLOTS		64
#define IOS_MAX		256
#define READ_LISTS	(BIT(HERMIT_REMOTE_DEMAND) | BIT(HERMIT_REMOTE_READS))

enum flag {
	KEYED = 1,		/* the client has a key */
	PROVE = 2,		/* and the server's MAC is right */
	JOIN = 4,
	SHAKE = 8,		/* the handshake is in the input, else granted */
	CLOSES = 16,		/* at its end; else it falls silent */
	PATH = 32,		/* and a page that proves the path */
	ENDS = 64,		/* or the region's end, and no more */
	STREAM = 128,		/* the channel is one of bytes */
};

/* Among the capabilities, in a script: the connection is one of reads alone. */
#define READS_ALONE	0x80

enum step {
	READ,			/* page */
	DEMAND,			/* page: a READ that somebody waits for */
	WRITE,			/* page */
	DISCARD,		/* page, pages */
	SEND,			/* 0: as it is; 1: fails; 2: answered meanwhile */
	ANSWER,			/* which, status, piece */
	BEND,			/* which, status, piece, byte of the header, xor */
	RAW,			/* length, bytes */
	CLOSE,
	LATER,			/* jiffies */
	RESTART,
	END,
	NR_STEPS,
};

struct input {
	const u8 *at, *end;
};

/* One run. */
static struct {
	struct input in;
	u8 flags;

	struct hermit_tcp_queue queue;
	struct delayed_work event;
	struct hermit_tcp_conn *conn;
	struct hermit_ping ping;
	struct hermit_tcp_receiver *receiver;
	struct hermit_session session;
	unsigned int submitted, completed;

	/* what the client sent and nobody answered: the frames' headers */
	struct hermit_wire_hdr asked[IOS_MAX];
	unsigned int nr_asked;
	u32 payload_left;
	u8 partial[sizeof(struct hermit_wire_hdr)];
	unsigned int nr_partial;
	u8 send_mode;
	unsigned int lists;
	/*
	 * Of a connection of reads alone, who submits sends: in a softirq, not at all;
	 * else so many 256ths of it, or with an error.
	 */
	u8 here;
	unsigned int sent_here;
	int expected;		/* the status of the READ that is answered; or 1 */
	bool bent;		/* something came that no server sends */
	bool draining;		/* the server has said so, and may */

	/* the handshake */
	struct hermit_wire_hello hello;
	struct hermit_wire_challenge challenge;
	struct hermit_wire_auth_more auth;	/* AUTH is its beginning */
	struct hermit_wire_hdr sent, received;
	unsigned int nr_sends;
	bool failed_here;	/* the channel did, with a refusal's number */
} run;

static u8 next(void)
{
	return run.in.at < run.in.end ? *run.in.at++ : 0;
}

/* What every byte of a page of the server's is. */
static u8 contents(u64 offset)
{
	return 1 + offset / PAGE_SIZE % 255;
}

/* What an io says of the page that is written there. */
static u32 crc_of(u64 offset)
{
	return 0x9e3779b9u * (u32)(offset / PAGE_SIZE + 1);
}

/* --- the server ------------------------------------------------------------ */

/* @len bytes arrive, in pieces of @piece; what is not taken never is. */
static void arrive(const void *data, size_t len, unsigned int piece)
{
	const u8 *at = data;

	if (!piece)
		piece = len;
	while (run.receiver && len) {
		struct sk_buff skb = { .data = at, .len = min((size_t)piece, len) };
		size_t taken = run.receiver->data(run.receiver, &skb, 0, skb.len);

		shim_require(taken <= skb.len && !shim_locks);
		if (taken < skb.len)
			break;
		at += taken;
		len -= taken;
	}
}

static void answer(unsigned int which, u8 status, unsigned int piece, u8 byte,
		   u8 xor)
{
	static u8 frame[sizeof(struct hermit_wire_hdr) + PAGE_SIZE];
	unsigned int completed = run.completed;
	struct hermit_wire_hdr *asked, hdr;
	size_t len = sizeof(hdr);
	bool page;

	if (!run.nr_asked)
		return;
	which %= run.nr_asked;
	asked = &run.asked[which];
	/* "No space" is for a WRITE, "not stored" for a READ. */
	if (status == HERMIT_WIRE_ENOSPC && asked->type == HERMIT_MSG_READ)
		status = HERMIT_WIRE_ENOENT;
	else if (asked->type != HERMIT_MSG_WRITE &&
		 (status == HERMIT_WIRE_ENOSPC || status == HERMIT_WIRE_EBADMSG))
		status = HERMIT_WIRE_EIO;
	page = asked->type == HERMIT_MSG_READ &&
	       (!status || status == HERMIT_WIRE_ENOENT);
	hermit_wire_fill(&hdr, asked->type | HERMIT_MSG_REPLY,
			 le32_to_cpu(asked->tag), le64_to_cpu(asked->offset),
			 le32_to_cpu(asked->extent), page ? PAGE_SIZE : 0);
	hdr.status = status;
	/* To any client: one that did not ask for them takes no notice. */
	if (asked->type == HERMIT_MSG_PING)
		hdr.extent = cpu_to_le32(piece);
	if (run.receiver && hdr.type == (HERMIT_MSG_REPLY | HERMIT_MSG_PING) && !status)
		run.draining = run.session.caps & HERMIT_CAP_NOTICE &&
			       piece & HERMIT_NOTICE_DRAINING;
	if (run.session.caps & HERMIT_CAP_CHECKSUM)
		hermit_wire_sum(&hdr, 0);
	*asked = run.asked[--run.nr_asked];
	memcpy(frame, &hdr, sizeof(hdr));
	if (page) {
		memset(frame + len, contents(le64_to_cpu(hdr.offset)), PAGE_SIZE);
		len += PAGE_SIZE;
	}
	frame[byte % sizeof(hdr)] ^= xor;
	run.bent |= xor != 0;
	if (hdr.type == (HERMIT_MSG_REPLY | HERMIT_MSG_READ))
		run.expected = !status ? 0 :
			       status == HERMIT_WIRE_ENOENT ? -ENOENT : -EIO;
	arrive(frame, len, piece);
	run.expected = 1;
	/* Nothing is done for a header that is damaged. */
	if (xor && run.session.caps & HERMIT_CAP_CHECKSUM)
		shim_require(run.completed == completed);
	if (run.receiver && !run.bent && hdr.type == (HERMIT_MSG_REPLY | HERMIT_MSG_READ))
		shim_require(run.completed == completed + 1);
}

/* The client's stream: requests by the protocol, and nothing else. */
static void take_sent(const u8 *data, size_t len)
{
	struct hermit_wire_hdr hdr;
	const char *why;
	size_t n;

	while (len) {
		if (run.payload_left) {
			n = min((size_t)run.payload_left, len);
			run.payload_left -= n;
			data += n;
			len -= n;
			continue;
		}
		n = min(sizeof(hdr) - run.nr_partial, len);
		memcpy(run.partial + run.nr_partial, data, n);
		run.nr_partial += n;
		data += n;
		len -= n;
		if (run.nr_partial < sizeof(hdr))
			return;
		run.nr_partial = 0;
		memcpy(&hdr, run.partial, sizeof(hdr));
		if (run.session.caps & HERMIT_CAP_CHECKSUM) {
			u32 crc;

			shim_require(!hermit_wire_check_sum(&hdr, &crc, &why));
			shim_require(hdr.type != HERMIT_MSG_WRITE ||
				     crc == crc_of(le64_to_cpu(hdr.offset)));
		}
		shim_require(!hermit_wire_check_request(&hdr, REGION_SIZE, &why));
		shim_require(hdr.type != HERMIT_MSG_DISCARD ||
			     run.session.caps & HERMIT_CAP_DISCARD);
		run.payload_left = le32_to_cpu(hdr.length);
		if (run.nr_asked < IOS_MAX)
			run.asked[run.nr_asked++] = hdr;
	}
}

/* --- sock.h ---------------------------------------------------------------- */

int hermit_tcp_sock_send_vec(struct socket *sock, const struct bio_vec *vec,
			     unsigned int nr, size_t len, size_t offset)
{
	unsigned int i;

	shim_require(!shim_locks && !shim_softirq && offset <= len);
	for (i = 0; i < nr; i++) {
		size_t skip = min(offset, (size_t)vec[i].bv_len);

		take_sent((u8 *)vec[i].bv_page + vec[i].bv_offset + skip,
			  vec[i].bv_len - skip);
		offset -= skip;
		len -= vec[i].bv_len;
		/* A server that does not wait for the payload. */
		if (run.send_mode == 2)
			answer(run.nr_asked - 1, i % 2 ? HERMIT_WIRE_ENOSPC : 0, 0, 0, 0);
	}
	shim_require(!len);
	return run.send_mode == 1 ? -EPIPE : 0;
}

int hermit_tcp_sock_send_now(struct socket *sock, const struct bio_vec *vec,
			     unsigned int nr, size_t len)
{
	size_t left = run.here < 0xc0 ? len * run.here / 0xbf : len, n;
	unsigned int i;

	shim_require(!shim_locks && shim_softirq && len);
	shim_require(!(run.lists & BIT(HERMIT_REMOTE_WRITES)));
	if (run.here == 0xff)
		return -EPIPE;
	len = left;
	for (i = 0; i < nr && left; i++, left -= n) {
		n = min(left, (size_t)vec[i].bv_len);
		take_sent((u8 *)vec[i].bv_page + vec[i].bv_offset, n);
	}
	run.sent_here += len != 0;
	return len;
}

void hermit_tcp_sock_start_receiver(struct socket *sock,
				    struct hermit_tcp_receiver *r)
{
	run.receiver = r;
}

void hermit_tcp_sock_stop_receiver(struct socket *sock,
				   struct hermit_tcp_receiver *r)
{
	shim_require(run.receiver == r);
	run.receiver = NULL;
}

void hermit_tcp_sock_settle(struct socket *sock)
{
}

void hermit_tcp_sock_release(struct socket *sock)
{
	shim_require(!run.receiver);
}

int kernel_sock_shutdown(struct socket *sock, int how)
{
	return 0;
}

/* --- remote.h -------------------------------------------------------------- */

enum hermit_remote_list hermit_remote_list_of(const struct hermit_io *io)
{
	if (io->op != HERMIT_IO_READ)
		return HERMIT_REMOTE_WRITES;
	return io->demand ? HERMIT_REMOTE_DEMAND : HERMIT_REMOTE_READS;
}

void hermit_remote_complete(struct hermit_io *io, int status)
{
	io->status = status;
	io->done(io);
}

void hermit_remote_complete_list(struct list_head *ios, int status)
{
	struct hermit_io *io, *n;

	list_for_each_entry_safe(io, n, ios, node) {
		list_del(&io->node);
		hermit_remote_complete(io, status);
	}
}

/* --- the user -------------------------------------------------------------- */

static void io_done(struct hermit_io *io)
{
	const u8 *page = (u8 *)io->page;
	unsigned int i;

	shim_require(!shim_locks);
	switch (io->status) {
	case 0:
	case -EIO:
	case -ECANCELED:
		break;
	case -EBADMSG:
		shim_require(io->op == HERMIT_IO_WRITE);
		break;
	case -ENOENT:
		shim_require(io->op == HERMIT_IO_READ);
		break;
	default:
		shim_require(io->status == -ENOSPC && io->op == HERMIT_IO_WRITE);
	}
	if (io->op == HERMIT_IO_READ && run.expected <= 0 && !run.bent)
		shim_require(io->status == run.expected);
	if (io->op == HERMIT_IO_READ && !io->status && !run.bent)
		for (i = 0; i < PAGE_SIZE; i++)
			shim_require(page[i] == contents(io->offset));
	run.completed++;
	free(io->page);
	free(io);
}

static void submit(u8 op, bool demand, u32 length)
{
	struct hermit_io *io = shim_alloc(sizeof(*io));
	unsigned int n = next() % (REGION_SIZE / PAGE_SIZE), sent;
	struct hermit_tcp_takers takers;
	void *page = NULL;
	bool reads;

	if (run.submitted == IOS_MAX) {
		free(io);
		return;
	}
	if (op != HERMIT_IO_DISCARD && posix_memalign(&page, PAGE_SIZE, PAGE_SIZE))
		abort();
	if (page)
		memset(page, 0, PAGE_SIZE);
	io->page = page;
	io->op = op;
	io->demand = demand;
	io->offset = n * PAGE_SIZE;
	io->crc = crc_of(io->offset);
	io->length = min((u64)length, REGION_SIZE - io->offset);
	io->done = io_done;
	run.submitted++;
	sent = run.sent_here;
	reads = run.lists == READ_LISTS && op == HERMIT_IO_READ;
	if (reads)
		run.here = next();
	shim_softirq = reads && run.here == 0xfe;
	hermit_tcp_queue_add_one(&run.queue, io, &takers);
	while (takers.nr)
		hermit_tcp_sender_kick(hermit_tcp_sender_of(takers.taker[--takers.nr]));
	shim_softirq = false;
	if (!reads || run.here == 0xfe)
		shim_require(run.sent_here == sent);
}

/* --- the handshake --------------------------------------------------------- */

/* A header as one without checksums would be. */
static struct hermit_wire_hdr plain(const struct hermit_wire_hdr *sent)
{
	struct hermit_wire_hdr hdr = *sent;
	const char *why;
	u32 crc;

	shim_require(!(run.session.caps & HERMIT_CAP_CHECKSUM) ||
		     !hermit_wire_check_sum(&hdr, &crc, &why));
	return hdr;
}

/* All at once, no more than a page or than may be asked, and nothing is changed. */
static void path_sent(const struct hermit_wire_hdr *hdr, size_t len)
{
	const char *why;
	size_t i;

	shim_require(run.nr_sends == 5 && run.flags & PATH);
	shim_require(len && len <= PAGE_SIZE && len % sizeof(*hdr) == 0);
	shim_require(len / sizeof(*hdr) <= run.session.max_inflight);
	for (i = 0; i < len / sizeof(*hdr); i++) {
		struct hermit_wire_hdr request = plain(&hdr[i]);

		shim_require(!hermit_wire_check_request(&request, REGION_SIZE, &why));
		shim_require(hdr[i].type == (i ? HERMIT_MSG_PING : HERMIT_MSG_READ));
	}
}

/* Once, and nothing else. */
static void end_sent(const struct hermit_wire_hdr *hdr, size_t len)
{
	struct hermit_wire_hdr request = plain(hdr);
	const char *why;

	shim_require(run.nr_sends == 5 && len == sizeof(*hdr));
	shim_require(!hermit_wire_check_request(&request, REGION_SIZE, &why));
	shim_require(hdr->type == HERMIT_MSG_END);
}

/* Who has a key has half of the region reserved. */
static bool wants_share(void)
{
	return run.flags & KEYED;
}

/* Of what was sent as AUTH or AUTH_MORE. */
static bool auth_proves(void)
{
	u8 mac[HERMIT_WIRE_MAC_LEN];
	const char *why;

	if (run.sent.type == HERMIT_MSG_AUTH)
		return !memcmp(run.auth.mac, run.challenge.mac, sizeof(mac));
	hermit_key_mac_more(fuzz_key(), &run.hello, &run.challenge, &run.auth, mac);
	return !memcmp(run.auth.mac, mac, sizeof(mac)) &&
	       le64_to_cpu(run.auth.unreserved) == REGION_SIZE / 2 &&
	       !hermit_wire_check_auth_more(&run.auth, &run.hello, &why);
}

static int channel_send(struct hermit_channel *ch, const void *buf, size_t len)
{
	/* A header, a payload, a header, ... */
	switch (run.nr_sends++) {
	case 0:
	case 2:
		shim_require(len == sizeof(run.sent));
		memcpy(&run.sent, buf, len);
		break;
	case 1:
		shim_require(len == sizeof(run.hello) && run.sent.type == HERMIT_MSG_HELLO);
		memcpy(&run.hello, buf, len);
		break;
	case 3:
		if (wants_share() && le64_to_cpu(run.challenge.caps) & HERMIT_CAP_UNRESERVED)
			shim_require(len == sizeof(run.auth) &&
				     run.sent.type == HERMIT_MSG_AUTH_MORE);
		else
			shim_require(len == sizeof(run.auth.mac) &&
				     run.sent.type == HERMIT_MSG_AUTH);
		memcpy(&run.auth, buf, len);
		break;
	default:
		if (run.flags & ENDS)
			end_sent(buf, len);
		else
			path_sent(buf, len);
	}
	return 0;
}

/* A channel may fail with any number, also one that a refusal has. */
static int breaks_with(void)
{
	run.failed_here = run.flags & JOIN;
	return run.failed_here ? -EINVAL : -ECONNRESET;
}

static int channel_recv(struct hermit_channel *ch, void *buf, size_t len,
			long timeout)
{
	shim_require(timeout > 0);
	if (run.in.end - run.in.at < (ptrdiff_t)len)
		return run.flags & CLOSES ? breaks_with() : -EAGAIN;
	memcpy(buf, run.in.at, len);
	run.in.at += len;
	if (len == sizeof(run.received))
		memcpy(&run.received, buf, len);
	if (len == sizeof(run.challenge) && run.received.type == HERMIT_MSG_CHALLENGE) {
		struct hermit_wire_challenge *c = buf;

		if (run.flags & PROVE)
			hermit_key_mac(fuzz_key(), 'S', &run.hello, c, c->mac);
		run.challenge = *c;
		hermit_key_mac(fuzz_key(), 'C', &run.hello, c, run.challenge.mac);
	}
	return 0;
}

/* A sentence, for a log. */
static void check_sentence(const char *why)
{
	const char *at = memchr(why, 0, HERMIT_ERROR_LEN);

	shim_require(at && at > why);
	for (at = why; *at; at++)
		shim_require(isascii(*at) && isprint(*at));
}

/* The region is over if the server says so, and only then. */
static void end(struct hermit_channel *channel, char *why)
{
	int ret = hermit_handshake_end(channel, &run.session, 5 * HZ, why);

	shim_require(run.nr_sends == 5);
	if (!ret) {
		shim_require(run.received.type == (HERMIT_MSG_END | HERMIT_MSG_REPLY));
		shim_require(run.received.status == HERMIT_WIRE_OK);
	} else {
		shim_require(ret < 0 && ret >= -ERESTARTSYS);
		check_sentence(why);
	}
}

static bool shake(void)
{
	struct hermit_channel channel = { run.flags & STREAM, channel_send, channel_recv };
	struct hermit_identity id = {
		.region_size = REGION_SIZE,
		.unreserved = wants_share() ? REGION_SIZE / 2 : 0,
		.name = "fuzz",
	};
	char why[HERMIT_ERROR_LEN];
	u8 page[HERMIT_WIRE_PAGE];
	u64 epoch = run.flags & JOIN ? 7 : 0;
	int ret;

	memset(why, 0xee, sizeof(why));
	shim_require(!hermit_identity_init(&id, (const u8 *)FUZZ_KEY,
					   run.flags & KEYED ? strlen(FUZZ_KEY) : 0));
	ret = hermit_handshake(&channel, &id, epoch, 5 * HZ, &run.session, why);
	hermit_identity_destroy(&id);
	if (!ret && run.flags & ENDS) {
		end(&channel, why);
		return false;
	}
	if (!ret && run.flags & PATH) {
		ret = hermit_handshake_path(&channel, &run.session, page, 5 * HZ,
					    why);
		if (!ret)
			return true;
		shim_require(ret != -EMSGSIZE || strstr(why, "MTU"));
	}
	if (!ret) {
		shim_require(run.session.epoch && run.session.incarnation);
		shim_require(run.session.max_connections && run.session.max_inflight);
		shim_require(!epoch || run.session.epoch == epoch);
		shim_require(!run.challenge.keyed == !(run.flags & KEYED));
		/* It believes only who has proved it, and has proved it too. */
		if (run.flags & KEYED)
			shim_require(run.flags & PROVE && auth_proves());
		return true;
	}
	shim_require(ret < 0 && ret >= -ERESTARTSYS);
	shim_require(!run.failed_here || !hermit_refused_for_good(ret));
	check_sentence(why);
	return false;
}

/* --- the script ------------------------------------------------------------ */

static void send_all(u8 mode)
{
	run.send_mode = mode % 3;
	shim_run(shim_task);
	run.send_mode = 0;
}

void shim_wait(void)
{
	send_all(0);
	answer(run.nr_asked - 1, next() % 4, 0, 0, 0);
}

static void step(void)
{
	struct hermit_remote_check check = { NULL };
	struct hermit_server_stats stats = { 0 };
	LIST_HEAD(ios);
	u8 which, status, piece, byte;
	size_t len;

	switch (next() % NR_STEPS) {
	case READ:
		submit(HERMIT_IO_READ, false, PAGE_SIZE);
		break;
	case DEMAND:
		submit(HERMIT_IO_READ, true, PAGE_SIZE);
		break;
	case WRITE:
		submit(HERMIT_IO_WRITE, false, PAGE_SIZE);
		break;
	case DISCARD:
		submit(HERMIT_IO_DISCARD, false, (1 + next()) * PAGE_SIZE);
		break;
	case SEND:
		send_all(next());
		break;
	case ANSWER:
		which = next();
		status = next() % 5;
		answer(which, status, next(), 0, 0);
		break;
	case BEND:
		which = next();
		status = next() % 5;
		piece = next();
		byte = next();
		answer(which, status, piece, byte, next());
		break;
	case RAW:
		len = min((size_t)next(), (size_t)(run.in.end - run.in.at));
		run.bent |= len != 0;
		arrive(run.in.at, len, 0);
		run.in.at += len;
		break;
	case CLOSE:
		if (run.receiver)
			run.receiver->end(run.receiver, -ECONNRESET);
		break;
	case LATER:
		shim_jiffies += 10 * next();
		wake_up_process(shim_task);
		break;
	case RESTART:
		hermit_tcp_conn_stop(run.conn, &ios);
		hermit_tcp_queue_return(&run.queue, &ios);
		run.nr_asked = run.nr_partial = run.payload_left = 0;
		run.draining = false;
		hermit_ping_start(&run.ping, run.session.caps);
		hermit_ping_say(&run.ping, PAGE_SIZE, HERMIT_NEED_ALL);
		hermit_tcp_conn_start(run.conn, (struct socket *)&run, run.lists,
				      &run.session);
		break;
	case END:
		hermit_tcp_conn_end(run.conn, HZ);
		break;
	}
	hermit_tcp_conn_check(run.conn, 1000000000, &check);
	hermit_tcp_conn_stats(run.conn, &stats);
	shim_require(stats.inflight <= run.session.max_inflight);
	shim_require(run.bent || run.ping.draining == run.draining);
	shim_require(!shim_locks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	LIST_HEAD(ios);

	memset(&run, 0, sizeof(run));
	run.expected = 1;
	run.lists = HERMIT_TCP_ALL_LISTS;
	run.in = (struct input){ data, data + size };
	run.flags = next();
	if (run.flags & SHAKE) {
		if (!shake())
			return 0;
	} else {
		u8 caps = next();

		if (caps & READS_ALONE)
			run.lists = READ_LISTS;
		run.session = (struct hermit_session){
			.incarnation = 1, .epoch = 1, .max_connections = 1,
			.caps = caps & (HERMIT_CAP_DISCARD | HERMIT_CAP_CHECKSUM |
					  HERMIT_CAP_NOTICE | HERMIT_CAP_ROOM),
			.max_inflight = 1 + next(),
		};
	}

	hermit_tcp_queue_init(&run.queue);
	run.conn = hermit_tcp_conn_create(&run.queue, NULL, &run.event, &run.ping,
					  SLOTS, "fuzz", 0);
	shim_require(!IS_ERR(run.conn));
	hermit_ping_start(&run.ping, run.session.caps);
	hermit_tcp_conn_start(run.conn, (struct socket *)&run, run.lists,
			      &run.session);
	while (run.in.at < run.in.end)
		step();
	hermit_tcp_conn_stop(run.conn, &ios);
	hermit_tcp_conn_destroy(run.conn);
	hermit_remote_complete_list(&ios, -ECANCELED);
	hermit_tcp_queue_refuse(&run.queue, -ECANCELED);
	shim_require(run.completed == run.submitted);
	return 0;
}

/* --- seeds ----------------------------------------------------------------- */

static size_t add(u8 *data, size_t size, u8 type, const void *payload, u32 len)
{
	struct hermit_wire_hdr hdr;

	hermit_wire_fill(&hdr, type, 0, 0, 0, len);
	memcpy(data + size, &hdr, sizeof(hdr));
	memcpy(data + size + sizeof(hdr), payload, len);
	return size + sizeof(hdr) + len;
}

static size_t seed_handshake(u8 *data, u8 flags, bool refused)
{
	struct hermit_wire_challenge challenge = {
		.version = cpu_to_le16(HERMIT_WIRE_VERSION),
		.keyed = cpu_to_le16(flags & KEYED),
		.caps = cpu_to_le64(HERMIT_CAP_DISCARD |
				    (flags & CLOSES ? HERMIT_CAP_UNRESERVED : 0) |
				    (flags & STREAM ? HERMIT_CAP_CHECKSUM : 0)),
	};
	struct hermit_wire_welcome welcome = {
		.incarnation = cpu_to_le64(5),
		.epoch = cpu_to_le64(7),
		.max_connections = cpu_to_le32(4),
		.max_inflight = cpu_to_le32(16),
	};
	struct hermit_wire_refuse refuse = {
		.code = cpu_to_le32(HERMIT_REFUSE_BUSY),
		.text = "another client is using it\x1b[31m\xff",
	};
	size_t size = 1;

	data[0] = flags | SHAKE;
	size = add(data, size, HERMIT_MSG_CHALLENGE, &challenge, sizeof(challenge));
	if (flags & PATH) {
		struct hermit_wire_hdr hdr;
		static const u8 zeros[PAGE_SIZE];
		unsigned int i;

		size = add(data, size, HERMIT_MSG_WELCOME, &welcome, sizeof(welcome));
		hermit_wire_fill(&hdr, HERMIT_MSG_READ | HERMIT_MSG_REPLY, 0, 0, 0,
				 sizeof(zeros));
		if (flags & STREAM)
			hermit_wire_sum(&hdr, 0);
		memcpy(data + size, &hdr, sizeof(hdr));
		memcpy(data + size + sizeof(hdr), zeros, sizeof(zeros));
		size += sizeof(hdr) + sizeof(zeros);
		hermit_wire_fill(&hdr, HERMIT_MSG_PING | HERMIT_MSG_REPLY, 1, 0, 0, 0);
		if (flags & STREAM)
			hermit_wire_sum(&hdr, 0);
		for (i = 1; i < 16; i++, size += sizeof(hdr))
			memcpy(data + size, &hdr, sizeof(hdr));
		return size;
	}
	return refused ? add(data, size, HERMIT_MSG_REFUSE, &refuse, sizeof(refuse)) :
			 add(data, size, HERMIT_MSG_WELCOME, &welcome, sizeof(welcome));
}

/* The answer to END: of @type with @status. */
static size_t seed_end(u8 *data, u8 flags, u8 type, u8 status)
{
	size_t size = seed_handshake(data, flags | ENDS, false);
	struct hermit_wire_hdr hdr;

	hermit_wire_fill(&hdr, type | HERMIT_MSG_REPLY, 0, 0, 0, 0);
	hdr.status = status;
	if (flags & STREAM)
		hermit_wire_sum(&hdr, 0);
	memcpy(data + size, &hdr, sizeof(hdr));
	return size + sizeof(hdr);
}

size_t fuzz_seed(unsigned int i, uint8_t *data)
{
	/* read, write, discard; answered in order, in pieces, meanwhile */
	static const u8 scripts[][64] = {
		{ READ, 1, DEMAND, 2, WRITE, 3, DISCARD, 4, 8, SEND, 0,
		  ANSWER, 0, 0, 0, ANSWER, 0, 0, 7, ANSWER, 1, 0, 31,
		  ANSWER, 0, 0, 33, END, 0 },
		{ WRITE, 1, WRITE, 2, WRITE, 3, SEND, 2, READ, 1, SEND, 2,
		  READ, 2, SEND, 0, RESTART, SEND, 0, ANSWER, 0, 0, 1 },
		{ WRITE, 9, SEND, 0, ANSWER, 0, HERMIT_WIRE_ENOSPC, 0, LATER, 200,
		  SEND, 0, READ, 5, SEND, 0, ANSWER, 0, HERMIT_WIRE_EIO, 0, READ, 6,
		  SEND, 1, RESTART, SEND, 0, CLOSE },
		{ READ, 1, READ, 2, SEND, 0, BEND, 0, 0, 0, 16, 16, READ, 3, SEND, 0 },
		{ READ, 1, SEND, 0, BEND, 0, 0, 0, 8, 4, RESTART, SEND, 0,
		  RAW, 5, 1, 2, 3, 4, 5, LATER, 250, LATER, 250 },
		/* a WRITE that is answered well, until the status is bent */
		{ WRITE, 1, SEND, 0, BEND, 0, 0, 0, 5, 1, RESTART, SEND, 0,
		  ANSWER, 0, 0, 0 },
	};
	/*
	 * Sent by who submits: whole, in part, not at all, in a softirq, and that
	 * fails. The byte behind the page is `here`.
	 */
	static const u8 here[] = {
		DEMAND, 1, 0xc0, SEND, 0, DEMAND, 2, 0xc0, ANSWER, 0, 0, 0, ANSWER, 0, 0, 0,
		DEMAND, 3, 0x40, SEND, 0, READ, 4, 0, SEND, 0, READ, 5, 0xfe, DEMAND, 6, 0xc0,
		SEND, 0, ANSWER, 3, 0, 7, ANSWER, 0, 0, 0, LATER, 200, READ, 7, 0xc0,
		ANSWER, 0, 0, 0, READ, 8, 0xff, RESTART, SEND, 0, ANSWER, 0, 0, 0,
		DEMAND, 9, 0x20, RESTART, SEND, 0, END, 0, DEMAND, 10, 0xc0,
	};
	static const u8 pings[] = { LATER, 200, SEND, 0, ANSWER, 0, 0, 255, LATER, 200,
				    SEND, 0, ANSWER, 0, 0, 254 };
	const unsigned int nr = sizeof(scripts) / sizeof(scripts[0]);
	size_t size;

	if (i < nr) {
		static const u8 head[] = { 0, 1, 15 };

		memcpy(data, head, sizeof(head));
		memcpy(data + sizeof(head), scripts[i], sizeof(scripts[i]));
		return sizeof(head) + sizeof(scripts[i]);
	}
	switch (i - nr) {
	case 0:
		return seed_handshake(data, 0, true);
	case 1:
		return seed_handshake(data, KEYED, false);
	case 2:
	case 3:
		size = seed_handshake(data, i - nr == 2 ? KEYED | PROVE : JOIN, false);
		memcpy(data + size, scripts[0], sizeof(scripts[0]));
		return size + sizeof(scripts[0]);
	case 4:
		size = seed_handshake(data, PATH, false);
		memcpy(data + size, scripts[0], sizeof(scripts[0]));
		return size + sizeof(scripts[0]);
	case 5:
		return seed_end(data, 0, HERMIT_MSG_END, HERMIT_WIRE_OK);
	case 6:
		return seed_end(data, 0, HERMIT_MSG_END, HERMIT_WIRE_EIO);
	case 7:
		return seed_end(data, 0, HERMIT_MSG_PING, HERMIT_WIRE_OK);
	case 8:
		return seed_end(data, STREAM, HERMIT_MSG_END, HERMIT_WIRE_OK);
	case 9:
		size = seed_handshake(data, PATH | STREAM, false);
		memcpy(data + size, scripts[0], sizeof(scripts[0]));
		return size + sizeof(scripts[0]);
	case 10:
	case 11:
	case 12:
	case 13:
		/* as the scripts, with checksums */
		size = 3;
		memcpy(data, (u8[]){ 0, HERMIT_CAP_DISCARD | HERMIT_CAP_CHECKSUM, 15 }, size);
		memcpy(data + size, scripts[i - nr - 8], sizeof(scripts[0]));
		return size + sizeof(scripts[0]);
	case 14:
	case 15:
		/* it drains, and then does not; with the capability, and without */
		size = 3;
		memcpy(data, (u8[]){ 0, i - nr == 14 ? HERMIT_CAP_NOTICE : 0, 15 }, size);
		memcpy(data + size, pings, sizeof(pings));
		return size + sizeof(pings);
	case 16:
		/* a server that knows of shares, to who wants one and who does not */
		return seed_handshake(data, KEYED | PROVE | CLOSES, false);
	case 17:
		return seed_handshake(data, CLOSES, false);
	case 18:
		/* broken within WELCOME */
		return seed_handshake(data, CLOSES | JOIN, false) - 8;
	case 19:
	case 20:
		/* with slots for all, and for two */
		size = 3;
		memcpy(data, (u8[]){ 0, READS_ALONE | HERMIT_CAP_CHECKSUM,
				     i - nr == 19 ? 15 : 1 }, size);
		memcpy(data + size, here, sizeof(here));
		return size + sizeof(here);
	default:
		return 0;
	}
}
