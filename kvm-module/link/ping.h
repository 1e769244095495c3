/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_PING_H
#define HERMIT_PING_H
/*
 * What the PINGs of a link say, and what their answers say (wire.h): that the server
 * drains, how much it is to keep for the region, how much it has, and what the region
 * still needs of it. One connection of an epoch sends them, one each second, and
 * start() begins an epoch; the rest is called from any context, at any time.
 */
#include <linux/types.h>

#include "link/transport.h"
#include "wire/wire.h"

struct hermit_ping {
	bool notices, rooms;		/* both sides have the capability */
	bool draining;			/* the server does, it says */
	u64 reserve;			/* bytes to keep; 0: as it does */
	u32 need;			/* HERMIT_NEED_* */
	unsigned int sent, heard;	/* in this epoch */
	unsigned int since;		/* sent, when something else was to be said */
	u64 room;			/* by the last answer */
};

/* A new epoch, with capabilities @caps. Nothing is sent, nor was. */
void hermit_ping_start(struct hermit_ping *p, u64 caps);
/* What is to be said from now on; @reserve 0: what was. */
void hermit_ping_say(struct hermit_ping *p, u64 reserve, u32 need);
/* Put it in @hdr, which is filled and about to be sent. One at a time. */
void hermit_ping_fill(struct hermit_ping *p, struct hermit_wire_hdr *hdr);
/* The answer, without an error. True if the server begins to drain, or ends it. */
bool hermit_ping_answered(struct hermit_ping *p, const struct hermit_wire_hdr *reply);
/* As hermit_transport_ops has it. */
u64 hermit_ping_room(const struct hermit_ping *p);

#endif /* HERMIT_PING_H */
