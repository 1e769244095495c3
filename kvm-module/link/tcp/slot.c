// SPDX-License-Identifier: GPL-2.0-only
/* The requests that are on a connection: see slot.h. */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "link/tcp/slot.h"
#include "link/transport.h"
#include "wire/wire.h"

int hermit_tcp_slots_init(struct hermit_tcp_slots *t, unsigned int nr)
{
	spin_lock_init(&t->lock);
	t->nr = nr;
	t->slots = kvcalloc(nr, sizeof(*t->slots), GFP_KERNEL);
	t->free = kvcalloc(nr, sizeof(*t->free), GFP_KERNEL);
	return t->slots && t->free ? 0 : -ENOMEM;
}

void hermit_tcp_slots_destroy(struct hermit_tcp_slots *t)
{
	kvfree(t->free);
	kvfree(t->slots);
}

void hermit_tcp_slots_start(struct hermit_tcp_slots *t, unsigned int limit,
			    bool reserve)
{
	unsigned int i;

	lockdep_assert_held(&t->lock);
	t->limit = min(t->nr, limit);
	t->reserve = reserve ? t->limit / 8 : 0;
	t->nr_free = t->limit;
	for (i = 0; i < t->limit; i++) {
		t->free[i] = i;
		t->slots[i].type = 0;
		t->slots[i].io = NULL;
		/* Keep the use count: old tags do not come back soon. */
		t->slots[i].tag = (t->slots[i].tag &
				   ~(HERMIT_TCP_MAX_INFLIGHT - 1)) | i;
	}
	t->starved = false;
}

void hermit_tcp_slots_stop(struct hermit_tcp_slots *t, struct list_head *ios)
{
	unsigned int i;

	lockdep_assert_held(&t->lock);
	for (i = 0; i < t->limit; i++) {
		struct hermit_tcp_slot *s = &t->slots[i];

		/* Also what was answered while sending: it is asked again. */
		if (s->type && s->io)
			list_add_tail(&s->io->node, ios);
		s->type = 0;
		s->io = NULL;
	}
	t->nr_free = t->limit;
}

unsigned int hermit_tcp_slots_left(struct hermit_tcp_slots *t)
{
	lockdep_assert_held(&t->lock);
	t->starved = t->nr_free <= t->reserve;
	return t->nr_free;
}

u64 hermit_tcp_slots_oldest(struct hermit_tcp_slots *t, u64 now)
{
	u64 oldest = now;
	unsigned int i;

	lockdep_assert_held(&t->lock);
	if (t->nr_free < t->limit)
		for (i = 0; i < t->limit; i++)
			if (t->slots[i].type)
				oldest = min(oldest, t->slots[i].posted);
	return oldest;
}

struct hermit_tcp_slot *hermit_tcp_slot_get(struct hermit_tcp_slots *t, u8 type,
					    struct hermit_io *io)
{
	struct hermit_tcp_slot *s;

	lockdep_assert_held(&t->lock);
	s = &t->slots[t->free[--t->nr_free]];
	s->tag += HERMIT_TCP_MAX_INFLIGHT;
	s->type = type;
	s->io = io;
	s->sending = type == HERMIT_MSG_WRITE;
	s->answered = false;
	s->posted = ktime_get_ns();
	return s;
}

struct hermit_tcp_slot *hermit_tcp_slot_find(struct hermit_tcp_slots *t, u32 tag,
					     u8 type)
{
	u32 index = tag % HERMIT_TCP_MAX_INFLIGHT;
	struct hermit_tcp_slot *s;

	lockdep_assert_held(&t->lock);
	if (index >= t->limit)
		return NULL;
	s = &t->slots[index];
	if (!s->type || s->tag != tag || s->answered ||
	    (s->type | HERMIT_MSG_REPLY) != type)
		return NULL;
	return s;
}

static void count(struct hermit_tcp_slots *t, const struct hermit_tcp_slot *s,
		  int status, u64 now)
{
	if (status) {
		t->errors++;
		return;
	}
	switch (s->type) {
	case HERMIT_MSG_READ:
		t->reads++;
		/* Smoothed as TCP does it: an eighth of the news. */
		if (t->rtt_ns)
			t->rtt_ns += ((s64)(now - s->posted) -
				      (s64)t->rtt_ns) / 8;
		else
			t->rtt_ns = now - s->posted;
		break;
	case HERMIT_MSG_WRITE:
		t->writes++;
		break;
	case HERMIT_MSG_DISCARD:
		t->discarded++;
		break;
	}
}

/*
 * The request is over on both sides: free the slot and complete the io. The
 * slot may be in use again as soon as the lock is dropped.
 */
static void complete_io(struct hermit_tcp_slots *t, struct hermit_tcp_slot *s,
			int status)
	__releases(&t->lock)
{
	struct hermit_io *io = s->io;
	bool wake = t->starved;

	lockdep_assert_held(&t->lock);
	s->type = 0;
	s->io = NULL;
	t->free[t->nr_free++] = s - t->slots;
	t->starved = false;
	spin_unlock_bh(&t->lock);
	if (wake)
		wake_up_process(t->sender);
	if (io) {
		io->status = status;
		io->done(io);
	}
}

void hermit_tcp_slot_sent(struct hermit_tcp_slots *t, unsigned int index)
{
	struct hermit_tcp_slot *s = &t->slots[index];

	spin_lock_bh(&t->lock);
	s->sending = false;
	if (s->answered)
		complete_io(t, s, s->status);
	else
		spin_unlock_bh(&t->lock);
}

void hermit_tcp_slot_answered(struct hermit_tcp_slots *t,
			      struct hermit_tcp_slot *s, int status, u64 now)
	__releases(&t->lock)
{
	lockdep_assert_held(&t->lock);
	count(t, s, status, now);
	if (s->sending) {
		s->answered = true;
		s->status = status;
		spin_unlock_bh(&t->lock);
	} else {
		complete_io(t, s, status);
	}
}
