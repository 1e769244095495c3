// SPDX-License-Identifier: GPL-2.0-only
/* What the owner of a region is told: a ring that it reads. */
#include <linux/ktime.h>

#include "engine/event.h"
#include "engine/region.h"

/* Any context. The oldest record goes when nobody reads. */
void hermit_event(struct hermit_region *r, u32 type, u64 arg0, u64 arg1)
{
	struct hermit_events *e = &r->events;
	unsigned long flags;

	spin_lock_irqsave(&e->lock, flags);
	if (e->head - e->tail == HERMIT_EVENTS)
		e->tail++;
	e->ring[e->head++ % HERMIT_EVENTS] = (struct hermit_event_record) {
		.type = type,
		.time_ns = ktime_get_ns(),
		.arg0 = arg0,
		.arg1 = arg1,
	};
	spin_unlock_irqrestore(&e->lock, flags);
	wake_up_interruptible(&e->wq);
}
