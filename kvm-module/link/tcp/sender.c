// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending: see sender.h.
 *
 * A page by itself is what this is made for: the vCPU that wants it sends 32 bytes and
 * sleeps, and no other thread of this host runs until the page is here. Batches of
 * pages that leave go by the thread, since copying them takes a while, and so that
 * reclaim goes on meanwhile.
 */
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>

#include "link/handshake.h"
#include "link/ping.h"
#include "link/tcp/sender.h"
#include "link/tcp/slot.h"
#include "link/tcp/sock.h"
#include "link/transport.h"

#define PING_INTERVAL	HZ
/* A task sends for others, too, who came while it was at it; but so often at most. */
#define TURNS		4

enum { FREE, SENDING, AND_WANTED };

/* --- turns ------------------------------------------------------------------- */

static bool turn_begin(struct hermit_tcp_sender *s)
{
	return atomic_cmpxchg(&s->sending, FREE, SENDING) == FREE;
}

static void turn_end(struct hermit_tcp_sender *s)
{
	/* Full barrier: who finds it FREE sees what was done. */
	if (atomic_xchg(&s->sending, FREE) == AND_WANTED)
		wake_up_process(s->taker.task);
}

/* The thread's; false: it is woken when it may try again. Its state is set. */
static bool turn_begin_or_wait(struct hermit_tcp_sender *s)
{
	for (;;) {
		if (turn_begin(s))
			return true;
		if (atomic_cmpxchg(&s->sending, SENDING, AND_WANTED) != FREE)
			return false;
	}
}

/* --- frames ------------------------------------------------------------------ */

static const u8 request_type[] = {
	[HERMIT_IO_READ] = HERMIT_MSG_READ,
	[HERMIT_IO_WRITE] = HERMIT_MSG_WRITE,
	[HERMIT_IO_DISCARD] = HERMIT_MSG_DISCARD,
};

static void add_bytes(struct hermit_tcp_sender *s, struct page *page,
		      unsigned int offset, size_t len)
{
	struct bio_vec *last = s->nr_vecs ? &s->vecs[s->nr_vecs - 1] : NULL;

	/* Headers without a payload between them are one piece. */
	if (last && last->bv_page == page &&
	    last->bv_offset + last->bv_len == offset)
		last->bv_len += len;
	else
		bvec_set_page(&s->vecs[s->nr_vecs++], page, len, offset);
	s->bytes += len;
}

/*
 * Give the request a slot and append its frame. Once it has a slot the io may
 * be completed, since a server may guess the tag and answer at once: only a
 * WRITE's is still ours then, until frames_gone().
 */
static void add_frame(struct hermit_tcp_sender *s, u8 type, struct hermit_io *io)
{
	struct hermit_wire_hdr *hdr = &s->hdrs[s->nr_hdrs++];
	bool write = type == HERMIT_MSG_WRITE;
	/* Another one's by then, but for a WRITE. */
	u32 crc = write ? io->crc : 0;
	struct hermit_tcp_slot *slot;
	unsigned int index;

	hermit_wire_fill(hdr, type, 0, io ? io->offset : 0,
			 io && !write ? io->length : 0,
			 write ? PAGE_SIZE : 0);
	if (type == HERMIT_MSG_PING && s->ping)
		hermit_ping_fill(s->ping, hdr);

	spin_lock_bh(&s->slots->lock);
	slot = hermit_tcp_slot_get(s->slots, type, io);
	hdr->tag = cpu_to_le32(slot->tag);
	index = slot - s->slots->slots;
	if (io) {
		io->tag = slot->tag;
		io->posted = slot->posted;
	}
	spin_unlock_bh(&s->slots->lock);

	if (s->sums)
		hermit_wire_sum(hdr, crc);
	add_bytes(s, virt_to_page(hdr), offset_in_page(hdr), sizeof(*hdr));
	if (write) {
		s->writes[s->nr_writes++] = index;
		add_bytes(s, io->page, 0, PAGE_SIZE);
	}
}

/* Free slots; if there are few, the next reply wakes the thread. */
static unsigned int slots_left(struct hermit_tcp_sender *s, bool *end)
{
	unsigned int n;

	spin_lock_bh(&s->slots->lock);
	n = hermit_tcp_slots_left(s->slots);
	*end = s->end && n;
	if (*end)
		s->end = false;
	spin_unlock_bh(&s->slots->lock);
	return n;
}

/*
 * Take what is to be sent, if nothing is left of before. True if there was something,
 * perhaps without a frame; else the taker is idle, or waits for a slot, and the next
 * reply wakes the thread.
 */
static bool gather(struct hermit_tcp_sender *s)
{
	unsigned int wants = s->lists;
	struct hermit_io *io, *next;
	unsigned int room, taken;
	LIST_HEAD(ios);
	bool end;

	if (s->sent < s->bytes)
		return true;
	s->nr_hdrs = s->nr_vecs = s->nr_writes = 0;
	s->bytes = s->sent = 0;
	room = slots_left(s, &end);
	if (!room)
		return false;
	if (end) {
		add_frame(s, HERMIT_MSG_END, NULL);
		return true;
	}
	if (time_after_eq(jiffies, s->ping_at)) {
		s->ping_at = jiffies + PING_INTERVAL;
		add_frame(s, HERMIT_MSG_PING, NULL);
		room--;
	}

	/* Writes must not keep the last slots from a read that is waited for. */
	if (room <= s->slots->reserve)
		wants &= BIT(HERMIT_REMOTE_DEMAND);
	taken = hermit_tcp_queue_take(s->queue, &s->taker, wants,
				      min(room, HERMIT_TCP_BATCH - s->nr_hdrs), &ios);
	list_for_each_entry_safe(io, next, &ios, node) {
		list_del(&io->node);
		if (io->op == HERMIT_IO_DISCARD && !s->discards) {
			/* Nothing will be read from there: it may stay. */
			io->status = 0;
			io->done(io);
			continue;
		}
		add_frame(s, request_type[io->op], io);
	}
	return taken || s->nr_hdrs;
}

/* The socket has copied the pages: complete what was answered meanwhile. */
static void frames_gone(struct hermit_tcp_sender *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_writes; i++)
		hermit_tcp_slot_sent(s->slots, s->writes[i]);
}

/* --- the task that submitted --------------------------------------------------- */

/*
 * Where a task holds a spinlock, or is a softirq, the socket may be what it is in. And
 * sending pages takes longer than one that submits should.
 */
static bool may_send_here(const struct hermit_tcp_sender *s)
{
	return !in_interrupt() && !irqs_disabled() &&
	       !(s->lists & BIT(HERMIT_REMOTE_WRITES));
}

/* False if the thread has to go on. Softirqs are off: the thread cannot be kept waiting. */
static bool send_here(struct hermit_tcp_sender *s)
{
	bool through = false;
	unsigned int i;
	int ret;

	if (!turn_begin(s))
		return false;
	for (i = 0; i < TURNS && !through; i++) {
		if (READ_ONCE(s->halted) || s->sent < s->bytes)
			break;
		through = !gather(s);
		if (through || !s->bytes)
			continue;
		ret = hermit_tcp_sock_send_now(s->sock, s->vecs, s->nr_vecs, s->bytes);
		if (ret < 0) {
			s->failed(s, ret);
			break;
		}
		s->sent = ret;
	}
	turn_end(s);
	return through;
}

void hermit_tcp_sender_kick(struct hermit_tcp_sender *s)
{
	bool through = false;

	if (may_send_here(s)) {
		local_bh_disable();
		through = send_here(s);
		local_bh_enable();
	}
	if (!through)
		wake_up_process(s->taker.task);
}

/* --- the thread ---------------------------------------------------------------- */

static int sender(void *data)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct hermit_tcp_sender *s = data;
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
		/* Until the link parks us, or the turn is over. */
		if (READ_ONCE(s->halted) || !turn_begin_or_wait(s)) {
			schedule();
			continue;
		}
		if (!gather(s)) {
			wait = s->ping_at - jiffies;
			turn_end(s);
			schedule_timeout(clamp(wait, 1L, PING_INTERVAL));
			continue;
		}
		__set_current_state(TASK_RUNNING);
		ret = hermit_tcp_sock_send_vec(s->sock, s->vecs, s->nr_vecs, s->bytes,
					       s->sent);
		s->sent = s->bytes;
		if (ret)
			s->failed(s, ret);
		else
			frames_gone(s);
		turn_end(s);
	}
	__set_current_state(TASK_RUNNING);
	memalloc_noreclaim_restore(noreclaim);
	return 0;
}

/* --- what the connection calls -------------------------------------------------- */

int hermit_tcp_sender_init(struct hermit_tcp_sender *s, struct hermit_tcp_queue *queue,
			   struct hermit_tcp_slots *slots, struct hermit_ping *ping,
			   const char *name, unsigned int index)
{
	struct task_struct *task;

	s->queue = queue;
	s->slots = slots;
	s->ping = ping;
	atomic_set(&s->sending, SENDING);
	INIT_LIST_HEAD(&s->taker.node);
	task = kthread_create(sender, s, "hermit_tx/%s/%u", name, index);
	if (IS_ERR(task))
		return PTR_ERR(task);
	/* A vCPU waits for what it does. */
	set_user_nice(task, MIN_NICE);
	/* Before it runs for the first time. */
	kthread_park(task);
	s->taker.task = task;
	slots->sender = task;
	return 0;
}

void hermit_tcp_sender_destroy(struct hermit_tcp_sender *s)
{
	if (s->taker.task)
		kthread_stop(s->taker.task);
}

void hermit_tcp_sender_start(struct hermit_tcp_sender *s, struct socket *sock,
			     unsigned int lists, const struct hermit_session *session)
{
	s->sock = sock;
	s->lists = lists;
	s->discards = session->caps & HERMIT_CAP_DISCARD;
	s->sums = session->caps & HERMIT_CAP_CHECKSUM;
	s->ping_at = jiffies + PING_INTERVAL;
	s->bytes = s->sent = 0;
	s->end = false;
	s->halted = false;
	turn_end(s);
	/* It looks at the queue first, and is an idle taker after that. */
	kthread_unpark(s->taker.task);
}

void hermit_tcp_sender_stop(struct hermit_tcp_sender *s)
{
	WRITE_ONCE(s->halted, true);
	kthread_park(s->taker.task);
	/* A task is through in a moment, with softirqs off, and none begins after that. */
	while (!turn_begin(s))
		cpu_relax();
	hermit_tcp_queue_forget(s->queue, &s->taker);
	s->sock = NULL;
}

void hermit_tcp_sender_halt(struct hermit_tcp_sender *s)
{
	WRITE_ONCE(s->halted, true);
}

void hermit_tcp_sender_end(struct hermit_tcp_sender *s)
{
	spin_lock_bh(&s->slots->lock);
	s->end = true;
	spin_unlock_bh(&s->slots->lock);
	wake_up_process(s->taker.task);
}
