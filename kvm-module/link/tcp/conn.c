// SPDX-License-Identifier: GPL-2.0-only
/*
 * One connection.
 *
 *	queue ─take─► sender ─sendmsg─► socket ─softirq─► receiver
 *			│				    │
 *			└─ slot: io, tag, posted ◄──by tag──┘
 *						  done()
 *
 * The sender is whoever submits, or a thread (sender.h). The receiver is called by TCP, in whatever softirq has
 * processed a segment, and copies pages from there to where they are waited for:
 * whoever waits is woken by it, and no thread in between. It runs with the socket
 * locked, so never twice at once.
 *
 * Who may complete an io (call its done(), after which its page may be freed):
 *
 *  - The receiver, when the reply has come. For a READ it is the receiver itself
 *    that wrote into the page, so nobody else does any more.
 *  - For a WRITE the sender may still be copying from the page: who comes last
 *    of sender and receiver completes the io (slot.h).
 *  - The link, with what hermit_tcp_conn_stop() gave it: the receiver is called
 *    no more and nobody sends, so neither touches a page.
 *
 * The slots' lock guards what the connection says of itself, too. It is a leaf
 * inside the socket's lock and, like that, taken with softirqs off; never held
 * across done(). The queue's lock is never taken inside it, nor the reverse.
 */
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "link/handshake.h"
#include "link/ping.h"
#include "link/tcp/conn.h"
#include "link/tcp/sender.h"
#include "link/tcp/slot.h"
#include "link/tcp/sock.h"
#include "link/transport.h"
#include "wire/wire.h"

#define FULL_TIME	HZ
/*
 * A slow server that answers is not a dead one, so the deadline counts from
 * its last answer; but not for ever.
 */
#define DEADLINES_WITH_ANSWERS 10

struct hermit_tcp_conn {
	struct hermit_tcp_sender sender;
	struct hermit_ping *ping;	/* or NULL */
	struct workqueue_struct *wq;
	struct delayed_work *event;

	/* set while nobody sends */
	struct socket *sock;		/* NULL: stopped */
	bool sums;			/* headers have checksums */

	/* the receiver's, under the socket's lock; set while there is none */
	struct hermit_tcp_receiver receiver;
	struct hermit_wire_hdr reply;
	unsigned int got;		/* bytes of it */
	struct hermit_tcp_slot *filling; /* a READ whose page is coming */
	unsigned int filled;		/* bytes of that */
	bool lost;			/* the stream makes no sense any more */

	struct hermit_tcp_slots slots;	/* its lock: all below, too */
	bool ended;			/* END was acknowledged */
	const char *broken;
	int error;
	bool was_full;
	unsigned long full_at;		/* the last -ENOSPC */
	u64 heard;			/* the last answer */
	u64 moved;			/* pages, of earlier epochs */
	u64 used;			/* bytes, says the server */
	wait_queue_head_t end_wait;
};

/* The connection is of no more use: have the link replace all of them. */
static void conn_break(struct hermit_tcp_conn *conn, const char *why, int error)
{
	spin_lock_bh(&conn->slots.lock);
	if (!conn->broken) {
		conn->error = error;
		WRITE_ONCE(conn->broken, why);
	}
	hermit_tcp_sender_halt(&conn->sender);
	spin_unlock_bh(&conn->slots.lock);
	wake_up(&conn->end_wait);
	mod_delayed_work(conn->wq, conn->event, 0);
}

static void sending_failed(struct hermit_tcp_sender *s, int error)
{
	conn_break(container_of(s, struct hermit_tcp_conn, sender), "sending failed",
		   error);
}

/* --- the receiver ---------------------------------------------------------- */

static int status_of(u8 status, u8 type)
{
	if (status == HERMIT_WIRE_OK)
		return 0;
	if (status == HERMIT_WIRE_ENOSPC && type == HERMIT_MSG_WRITE)
		return -ENOSPC;
	if (status == HERMIT_WIRE_ENOENT)
		return -ENOENT;
	if (status == HERMIT_WIRE_EBADMSG)
		return -EBADMSG;
	return -EIO;
}

static void answered(struct hermit_tcp_conn *conn, struct hermit_tcp_slot *s)
{
	int status = status_of(conn->reply.status, s->type);
	bool news = false;

	spin_lock_bh(&conn->slots.lock);
	conn->heard = ktime_get_ns();
	if (status == -ENOSPC) {
		news = !conn->was_full;
		conn->was_full = true;
		conn->full_at = jiffies;
	}
	if (s->type == HERMIT_MSG_PING && !status) {
		conn->used = le64_to_cpu(conn->reply.offset);
		news = conn->ping && hermit_ping_answered(conn->ping, &conn->reply);
	}
	if (s->type == HERMIT_MSG_END && !status) {
		WRITE_ONCE(conn->ended, true);
		wake_up(&conn->end_wait);
	}
	hermit_tcp_slot_answered(&conn->slots, s, status, conn->heard);
	if (news)
		mod_delayed_work(conn->wq, conn->event, 0);
}

/* A reply's header is here. */
static void reply_begins(struct hermit_tcp_conn *conn)
{
	struct hermit_wire_hdr *hdr = &conn->reply;
	const char *why;
	struct hermit_tcp_slot *s;
	u32 crc;

	if ((conn->sums && hermit_wire_check_sum(hdr, &crc, &why)) ||
	    hermit_wire_check_reply(hdr, &why))
		goto lost;
	spin_lock_bh(&conn->slots.lock);
	s = hermit_tcp_slot_find(&conn->slots, le32_to_cpu(hdr->tag),
				 hdr->type);
	spin_unlock_bh(&conn->slots.lock);
	if (!s) {
		why = "the server answered what was not asked";
		goto lost;
	}
	/*
	 * Only the receiver has a slot answered, or the link once there is none: the
	 * io stays till then, and its page while it is filled. A request whose offset
	 * was damaged on its way was done to another page, and is to be done again.
	 */
	if (s->io && le64_to_cpu(hdr->offset) != s->io->offset) {
		why = "the server answered for another page";
		goto lost;
	}
	if (!hdr->length) {
		answered(conn, s);
		return;
	}
	conn->filling = s;
	conn->filled = 0;
	return;

lost:
	conn->lost = true;
	conn_break(conn, why, -EPROTO);
}

/* Copy what of @len bytes still belongs to a buffer of @size; returns how many. */
static size_t take(struct sk_buff *skb, unsigned int offset, size_t len,
		   void *buf, unsigned int *have, size_t size)
{
	size_t n = min(len, size - *have);

	/* Cannot fail: the bytes are there. */
	skb_copy_bits(skb, offset, buf + *have, n);
	*have += n;
	return n;
}

static size_t receive(struct hermit_tcp_receiver *r, struct sk_buff *skb,
		      unsigned int offset, size_t len)
{
	struct hermit_tcp_conn *conn =
		container_of(r, struct hermit_tcp_conn, receiver);
	size_t taken = 0;

	while (taken < len && !conn->lost) {
		struct hermit_tcp_slot *s = conn->filling;

		if (s) {
			void *page = kmap_local_page(s->io->page);

			taken += take(skb, offset + taken, len - taken, page,
				      &conn->filled, PAGE_SIZE);
			kunmap_local(page);
			if (conn->filled == PAGE_SIZE) {
				conn->filling = NULL;
				answered(conn, s);
			}
			continue;
		}
		taken += take(skb, offset + taken, len - taken, &conn->reply,
			      &conn->got, sizeof(conn->reply));
		if (conn->got == sizeof(conn->reply)) {
			conn->got = 0;
			reply_begins(conn);
		}
	}
	return taken;
}

static void receiver_end(struct hermit_tcp_receiver *r, int error)
{
	struct hermit_tcp_conn *conn =
		container_of(r, struct hermit_tcp_conn, receiver);

	conn_break(conn, error == -ECONNRESET ?
		   "the server closed the connection" : "receiving failed",
		   error);
}

/* --- what the link calls --------------------------------------------------- */

struct hermit_tcp_conn *hermit_tcp_conn_create(struct hermit_tcp_queue *queue,
					       struct workqueue_struct *wq,
					       struct delayed_work *event,
					       struct hermit_ping *ping,
					       unsigned int slots,
					       const char *name,
					       unsigned int index)
{
	struct hermit_tcp_conn *conn;
	int ret;

	/* kmalloc: the headers in it are sent by page and offset. */
	conn = kzalloc(sizeof(*conn), GFP_KERNEL);
	if (!conn)
		return ERR_PTR(-ENOMEM);
	ret = hermit_tcp_slots_init(&conn->slots, slots);
	if (ret)
		goto err_free;
	conn->ping = ping;
	conn->wq = wq;
	conn->event = event;
	init_waitqueue_head(&conn->end_wait);
	conn->receiver.data = receive;
	conn->receiver.end = receiver_end;
	conn->sender.failed = sending_failed;
	ret = hermit_tcp_sender_init(&conn->sender, queue, &conn->slots, ping, name,
				     index);
	if (ret)
		goto err_free;
	return conn;

err_free:
	hermit_tcp_slots_destroy(&conn->slots);
	kfree(conn);
	return ERR_PTR(ret);
}

void hermit_tcp_conn_destroy(struct hermit_tcp_conn *conn)
{
	WARN_ON_ONCE(conn->sock);
	hermit_tcp_sender_destroy(&conn->sender);
	hermit_tcp_slots_destroy(&conn->slots);
	kfree(conn);
}

void hermit_tcp_conn_start(struct hermit_tcp_conn *conn, struct socket *sock,
			   unsigned int lists,
			   const struct hermit_session *session)
{
	conn->sums = session->caps & HERMIT_CAP_CHECKSUM;

	spin_lock_bh(&conn->slots.lock);
	conn->sock = sock;
	hermit_tcp_slots_start(&conn->slots, session->max_inflight,
			       lists & BIT(HERMIT_REMOTE_DEMAND));
	conn->ended = false;
	conn->broken = NULL;
	conn->error = 0;
	conn->was_full = false;
	conn->heard = ktime_get_ns();
	conn->moved = conn->slots.reads + conn->slots.writes;
	conn->used = session->used;
	spin_unlock_bh(&conn->slots.lock);

	conn->got = 0;
	conn->filling = NULL;
	conn->lost = false;
	hermit_tcp_sock_start_receiver(sock, &conn->receiver);
	hermit_tcp_sender_start(&conn->sender, sock, lists, session);
}

void hermit_tcp_conn_stop(struct hermit_tcp_conn *conn, struct list_head *ios)
{
	struct socket *sock = conn->sock;

	if (!sock)
		return;
	hermit_tcp_sock_stop_receiver(sock, &conn->receiver);
	/* Ends sendmsg() for good, so that the sender stops. */
	kernel_sock_shutdown(sock, SHUT_RDWR);
	hermit_tcp_sender_stop(&conn->sender);

	spin_lock_bh(&conn->slots.lock);
	hermit_tcp_slots_stop(&conn->slots, ios);
	conn->broken = NULL;
	conn->was_full = false;
	conn->sock = NULL;
	spin_unlock_bh(&conn->slots.lock);
	hermit_tcp_sock_release(sock);
}

bool hermit_tcp_conn_end(struct hermit_tcp_conn *conn, long timeout)
{
	if (!conn->sock)
		return false;
	hermit_tcp_sender_end(&conn->sender);
	wait_event_timeout(conn->end_wait, READ_ONCE(conn->ended) ||
			   READ_ONCE(conn->broken), timeout);
	/* A server that answers and closes at once may be told of in reverse. */
	hermit_tcp_sock_settle(conn->sock);
	return READ_ONCE(conn->ended);
}

void hermit_tcp_conn_check(struct hermit_tcp_conn *conn, u64 deadline_ns,
			   struct hermit_remote_check *check)
{
	u64 now, oldest, since;

	spin_lock_bh(&conn->slots.lock);
	if (!check->broken) {
		check->broken = conn->broken;
		check->error = conn->error;
	}
	check->moved |= conn->slots.reads + conn->slots.writes != conn->moved;
	if (conn->was_full && time_after(jiffies, conn->full_at + FULL_TIME))
		conn->was_full = false;
	check->full |= conn->was_full;

	now = ktime_get_ns();
	oldest = hermit_tcp_slots_oldest(&conn->slots, now);
	since = check->impatient ? oldest : max(oldest, conn->heard);
	if (!check->broken &&
	    (now - since > deadline_ns ||
	     now - oldest > DEADLINES_WITH_ANSWERS * deadline_ns))
		check->broken = "no answer within the deadline";
	spin_unlock_bh(&conn->slots.lock);
}

void hermit_tcp_conn_stats(struct hermit_tcp_conn *conn,
			   struct hermit_server_stats *st)
{
	spin_lock_bh(&conn->slots.lock);
	st->reads += conn->slots.reads;
	st->writes += conn->slots.writes;
	st->discards += conn->slots.discarded;
	st->errors += conn->slots.errors;
	st->rtt_ns = max(st->rtt_ns, conn->slots.rtt_ns);
	if (conn->sock) {
		st->connections++;
		st->inflight += conn->slots.limit - conn->slots.nr_free;
		st->bytes_used = max(st->bytes_used, conn->used);
	}
	spin_unlock_bh(&conn->slots.lock);
}
