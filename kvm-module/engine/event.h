/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_EVENT_H
#define HERMIT_EVENT_H
/* Events for the owner of a region, who reads its control fd. */
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "uapi/hermit.h"

struct hermit_region;

#define HERMIT_EVENTS		64

struct hermit_events {
	spinlock_t lock;
	unsigned int head, tail;	/* free-running; empty when equal */
	struct hermit_event_record ring[HERMIT_EVENTS];
	wait_queue_head_t wq;
};

/* Any context; a leaf. The oldest record goes when nobody reads. */
void hermit_event(struct hermit_region *r, u32 type, u64 arg0, u64 arg1);

#endif /* HERMIT_EVENT_H */
