// SPDX-License-Identifier: GPL-2.0-only
/*
 * One connection.
 *
 *	queue ─take─► sender ─sendmsg─► socket ─softirq─► receiver
 *			│				    │
 *			└─ slot: io, tag, posted ◄──by tag──┘
 *						  done()
 *
 * The sender is a thread. The receiver is called by TCP, in whatever softirq has
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
 *    no more and the thread is parked, so neither touches a page.
 *
 * The slots' lock guards what the connection says of itself, too. It is a leaf
 * inside the socket's lock and, like that, taken with softirqs off; never held
 * across done(). The queue's lock is never taken inside it, nor the reverse.
 */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/sched/mm.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "link/handshake.h"
#include "link/tcp/conn.h"
#include "link/tcp/queue.h"
#include "link/tcp/slot.h"
#include "link/tcp/sock.h"
#include "link/transport.h"
#include "wire/wire.h"

/* Requests in one sendmsg(); as many as reclaim evicts at once. */
#define BATCH		32
#define PING_INTERVAL	HZ
#define FULL_TIME	HZ
/*
 * A slow server that answers is not a dead one, so the deadline counts from
 * its last answer; but not for ever.
 */
#define DEADLINES_WITH_ANSWERS 10

struct hermit_tcp_conn {
	struct hermit_tcp_sender sender;
	struct hermit_tcp_queue *queue;
	struct workqueue_struct *wq;
	struct delayed_work *event;
	struct task_struct *tx;

	/* set while the thread is parked */
	struct socket *sock;		/* NULL: stopped */
	unsigned int lists;
	bool discards;			/* the server knows them */
	bool sums;			/* headers and WRITEs have checksums */
	bool notices;			/* answers to PING have them */

	/* the sender's */
	struct hermit_wire_hdr hdrs[BATCH] __aligned(32); /* none in two pages */
	struct bio_vec vecs[2 * BATCH];
	u16 batch[BATCH];		/* slots of WRITEs in this sendmsg() */
	unsigned long ping_at;

	/* the receiver's, under the socket's lock; set while there is none */
	struct hermit_tcp_receiver receiver;
	struct hermit_wire_hdr reply;
	unsigned int got;		/* bytes of it */
	struct hermit_tcp_slot *filling; /* a READ whose page is coming */
	unsigned int filled;		/* bytes of that */
	bool lost;			/* the stream makes no sense any more */

	struct hermit_tcp_slots slots;	/* its lock: all below, too */
	bool end;			/* END is to be sent */
	bool ended;			/* and was acknowledged */
	const char *broken;
	int error;
	bool was_full;
	unsigned long full_at;		/* the last -ENOSPC */
	u64 heard;			/* the last answer */
	u64 moved;			/* pages, of earlier epochs */
	u64 used;			/* bytes, says the server */
	bool draining;			/* it is, it says */
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
	spin_unlock_bh(&conn->slots.lock);
	wake_up(&conn->end_wait);
	mod_delayed_work(conn->wq, conn->event, 0);
}

/* --- the sender ------------------------------------------------------------ */

static const u8 request_type[] = {
	[HERMIT_IO_READ] = HERMIT_MSG_READ,
	[HERMIT_IO_WRITE] = HERMIT_MSG_WRITE,
	[HERMIT_IO_DISCARD] = HERMIT_MSG_DISCARD,
};

struct frames {
	unsigned int nr;		/* headers */
	unsigned int nr_vecs;
	unsigned int nr_writes;
	size_t bytes;
};

static void add_bytes(struct hermit_tcp_conn *conn, struct frames *f,
		      struct page *page, unsigned int offset, size_t len)
{
	struct bio_vec *last = f->nr_vecs ? &conn->vecs[f->nr_vecs - 1] : NULL;

	/* Headers without a payload between them are one piece. */
	if (last && last->bv_page == page &&
	    last->bv_offset + last->bv_len == offset)
		last->bv_len += len;
	else
		bvec_set_page(&conn->vecs[f->nr_vecs++], page, len, offset);
	f->bytes += len;
}

/*
 * Give the request a slot and append its frame. Once it has a slot the io may
 * be completed, since a server may guess the tag and answer at once: only a
 * WRITE's is still ours then, until writes_sent().
 */
static void add_frame(struct hermit_tcp_conn *conn, struct frames *f, u8 type,
		      struct hermit_io *io)
{
	struct hermit_wire_hdr *hdr = &conn->hdrs[f->nr++];
	bool write = type == HERMIT_MSG_WRITE;
	/* Another one's by then, but for a WRITE. */
	u32 crc = write ? io->crc : 0;
	unsigned int index;
	struct hermit_tcp_slot *s;

	hermit_wire_fill(hdr, type, 0, io ? io->offset : 0,
			 io && !write ? io->length : 0,
			 write ? PAGE_SIZE : 0);

	spin_lock_bh(&conn->slots.lock);
	s = hermit_tcp_slot_get(&conn->slots, type, io);
	hdr->tag = cpu_to_le32(s->tag);
	index = s - conn->slots.slots;
	if (io) {
		io->tag = s->tag;
		io->posted = s->posted;
	}
	spin_unlock_bh(&conn->slots.lock);

	if (conn->sums)
		hermit_wire_sum(hdr, crc);
	add_bytes(conn, f, virt_to_page(hdr), offset_in_page(hdr),
		  sizeof(*hdr));
	if (write) {
		conn->batch[f->nr_writes++] = index;
		add_bytes(conn, f, io->page, 0, PAGE_SIZE);
	}
}

/* Free slots; if there are few, the next reply wakes the sender. */
static unsigned int slots_left(struct hermit_tcp_conn *conn, bool *end)
{
	unsigned int n;

	spin_lock_bh(&conn->slots.lock);
	n = hermit_tcp_slots_left(&conn->slots);
	*end = conn->end && n;
	if (*end)
		conn->end = false;
	spin_unlock_bh(&conn->slots.lock);
	return n;
}

/* Take what is to be sent; the task's state is set to sleep already. */
static void gather(struct hermit_tcp_conn *conn, struct frames *f)
{
	unsigned int wants = conn->lists;
	struct hermit_io *io, *next;
	unsigned int room;
	LIST_HEAD(ios);
	bool end;

	memset(f, 0, sizeof(*f));
	room = slots_left(conn, &end);
	if (!room)
		return;
	if (end) {
		add_frame(conn, f, HERMIT_MSG_END, NULL);
		return;
	}
	if (time_after_eq(jiffies, conn->ping_at)) {
		conn->ping_at = jiffies + PING_INTERVAL;
		add_frame(conn, f, HERMIT_MSG_PING, NULL);
		room--;
	}

	/* Writes must not keep the last slots from a read that is waited for. */
	if (room <= conn->slots.reserve)
		wants &= BIT(HERMIT_REMOTE_DEMAND);
	if (!hermit_tcp_queue_take(conn->queue, &conn->sender, wants,
				   min(room, BATCH - f->nr), &ios))
		return;

	list_for_each_entry_safe(io, next, &ios, node) {
		list_del(&io->node);
		if (io->op == HERMIT_IO_DISCARD && !conn->discards) {
			/* Nothing will be read from there: it may stay. */
			io->status = 0;
			io->done(io);
			continue;
		}
		add_frame(conn, f, request_type[io->op], io);
	}
}

/* sendmsg() has copied the pages: complete what was answered meanwhile. */
static void writes_sent(struct hermit_tcp_conn *conn, const struct frames *f)
{
	unsigned int i;

	for (i = 0; i < f->nr_writes; i++)
		hermit_tcp_slot_sent(&conn->slots, conn->batch[i]);
}

static int sender(void *data)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct hermit_tcp_conn *conn = data;
	struct frames f;
	long wait;
	int ret;

	for (;;) {
		/* First, so that a wake-up from here on is not missed. */
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		if (kthread_should_park()) {
			__set_current_state(TASK_RUNNING);
			kthread_parkme();
			continue;
		}
		if (READ_ONCE(conn->broken)) {
			schedule();	/* until the link parks us */
			continue;
		}
		gather(conn, &f);
		if (!f.nr) {
			wait = conn->ping_at - jiffies;
			schedule_timeout(clamp(wait, 1L, PING_INTERVAL));
			continue;
		}
		__set_current_state(TASK_RUNNING);
		ret = hermit_tcp_sock_send_vec(conn->sock, conn->vecs,
					       f.nr_vecs, f.bytes);
		if (ret)
			conn_break(conn, "sending failed", ret);
		else
			writes_sent(conn, &f);
	}
	__set_current_state(TASK_RUNNING);
	memalloc_noreclaim_restore(noreclaim);
	return 0;
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
	bool news = false, draining;

	spin_lock_bh(&conn->slots.lock);
	conn->heard = ktime_get_ns();
	if (status == -ENOSPC) {
		news = !conn->was_full;
		conn->was_full = true;
		conn->full_at = jiffies;
	}
	if (s->type == HERMIT_MSG_PING && !status) {
		conn->used = le64_to_cpu(conn->reply.offset);
		draining = conn->notices && le32_to_cpu(conn->reply.extent) &
					    HERMIT_NOTICE_DRAINING;
		news = draining != conn->draining;
		conn->draining = draining;
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
	conn->queue = queue;
	conn->wq = wq;
	conn->event = event;
	init_waitqueue_head(&conn->end_wait);
	INIT_LIST_HEAD(&conn->sender.node);

	conn->receiver.data = receive;
	conn->receiver.end = receiver_end;

	conn->tx = kthread_create(sender, conn, "hermit_tx/%s/%u", name, index);
	if (IS_ERR(conn->tx)) {
		ret = PTR_ERR(conn->tx);
		goto err_free;
	}
	/* A vCPU waits for what it does. */
	set_user_nice(conn->tx, MIN_NICE);
	/* Before it runs for the first time. */
	kthread_park(conn->tx);
	conn->sender.task = conn->tx;
	conn->slots.sender = conn->tx;
	return conn;

err_free:
	hermit_tcp_slots_destroy(&conn->slots);
	kfree(conn);
	return ERR_PTR(ret);
}

void hermit_tcp_conn_destroy(struct hermit_tcp_conn *conn)
{
	WARN_ON_ONCE(conn->sock);
	kthread_stop(conn->tx);
	hermit_tcp_slots_destroy(&conn->slots);
	kfree(conn);
}

void hermit_tcp_conn_start(struct hermit_tcp_conn *conn, struct socket *sock,
			   unsigned int lists,
			   const struct hermit_session *session)
{
	conn->lists = lists;
	conn->discards = session->caps & HERMIT_CAP_DISCARD;
	conn->sums = session->caps & HERMIT_CAP_CHECKSUM;
	conn->notices = session->caps & HERMIT_CAP_NOTICE;
	conn->ping_at = jiffies + PING_INTERVAL;

	spin_lock_bh(&conn->slots.lock);
	conn->sock = sock;
	hermit_tcp_slots_start(&conn->slots, session->max_inflight,
			       lists & BIT(HERMIT_REMOTE_DEMAND));
	conn->end = false;
	conn->ended = false;
	conn->broken = NULL;
	conn->error = 0;
	conn->was_full = false;
	conn->heard = ktime_get_ns();
	conn->moved = conn->slots.reads + conn->slots.writes;
	conn->used = session->used;
	conn->draining = false;
	spin_unlock_bh(&conn->slots.lock);

	conn->got = 0;
	conn->filling = NULL;
	conn->lost = false;
	hermit_tcp_sock_start_receiver(sock, &conn->receiver);
	/* Everything above is seen by the thread: it is woken by this. */
	kthread_unpark(conn->tx);
}

void hermit_tcp_conn_stop(struct hermit_tcp_conn *conn, struct list_head *ios)
{
	struct socket *sock = conn->sock;

	if (!sock)
		return;
	hermit_tcp_sock_stop_receiver(sock, &conn->receiver);
	/* Ends sendmsg() for good, so that the thread parks. */
	kernel_sock_shutdown(sock, SHUT_RDWR);
	kthread_park(conn->tx);
	hermit_tcp_queue_forget(conn->queue, &conn->sender);

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
	spin_lock_bh(&conn->slots.lock);
	conn->end = true;
	spin_unlock_bh(&conn->slots.lock);
	wake_up_process(conn->tx);
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
	check->draining |= conn->draining;

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
