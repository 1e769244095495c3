// SPDX-License-Identifier: GPL-2.0-only
/* What PINGs say: see ping.h. */
#include "link/ping.h"

void hermit_ping_start(struct hermit_ping *p, u64 caps)
{
	WRITE_ONCE(p->notices, !!(caps & HERMIT_CAP_NOTICE));
	WRITE_ONCE(p->rooms, !!(caps & HERMIT_CAP_ROOM));
	WRITE_ONCE(p->draining, false);
	WRITE_ONCE(p->since, 0);
	WRITE_ONCE(p->sent, 0);
	WRITE_ONCE(p->heard, 0);
}

void hermit_ping_say(struct hermit_ping *p, u64 reserve, u32 need)
{
	WRITE_ONCE(p->need, need);
	if (!reserve || reserve == READ_ONCE(p->reserve))
		return;
	WRITE_ONCE(p->reserve, reserve);
	/* One that is filled now and does not have it is counted by this. */
	smp_mb();
	WRITE_ONCE(p->since, READ_ONCE(p->sent));
}

void hermit_ping_fill(struct hermit_ping *p, struct hermit_wire_hdr *hdr)
{
	if (!READ_ONCE(p->rooms))
		return;
	WRITE_ONCE(p->sent, p->sent + 1);
	/* Pairs with hermit_ping_say(). */
	smp_mb();
	hdr->offset = cpu_to_le64(READ_ONCE(p->reserve));
	hdr->extent = cpu_to_le32(READ_ONCE(p->need));
}

bool hermit_ping_answered(struct hermit_ping *p, const struct hermit_wire_hdr *reply)
{
	u32 said = le32_to_cpu(reply->extent);
	bool draining = READ_ONCE(p->notices) && said & HERMIT_NOTICE_DRAINING;
	bool news = draining != READ_ONCE(p->draining);
	u32 room = said >> HERMIT_NOTICE_BITS;

	WRITE_ONCE(p->draining, draining);
	if (READ_ONCE(p->rooms)) {
		WRITE_ONCE(p->room, room == HERMIT_ROOM_MAX ? HERMIT_ROOM_UNKNOWN :
				    (u64)room << HERMIT_ROOM_SHIFT);
		/* The room is that which this answer came with, or a later one. */
		smp_store_release(&p->heard, READ_ONCE(p->heard) + 1);
	}
	return news;
}

u64 hermit_ping_room(const struct hermit_ping *p)
{
	if (!READ_ONCE(p->rooms))
		return HERMIT_ROOM_UNKNOWN;
	/* Acquire pairs with hermit_ping_answered(). */
	if ((int)(smp_load_acquire(&p->heard) - READ_ONCE(p->since)) <= 0)
		return HERMIT_ROOM_AWAITED;
	return READ_ONCE(p->room);
}
