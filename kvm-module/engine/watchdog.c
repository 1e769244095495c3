// SPDX-License-Identifier: GPL-2.0-only
/* Tell of stalls, and of a limit that is not reached. */
#include <linux/ktime.h>

#include "engine/event.h"
#include "engine/limit.h"
#include "engine/region.h"
#include "engine/watchdog.h"

/* A limit that is not reached after so long is an event. */
#define UNREACHABLE_NS	(5ULL * NSEC_PER_SEC)

/* Ten times a second: has somebody waited too long for anything to happen? */
void hermit_watchdog(struct work_struct *work)
{
	struct hermit_region *r = container_of(to_delayed_work(work),
					       struct hermit_region, watchdog);
	u64 now = ktime_get_ns(), since, ms;
	long used = atomic_long_read(&r->used), limit = READ_ONCE(r->limit);

	since = max(READ_ONCE(r->stall_since), READ_ONCE(r->progress));
	ms = div_u64(now > since ? now - since : 0, NSEC_PER_MSEC);
	if (atomic_read(&r->waiters) && now > since &&
	    now - since > r->fault_timeout) {
		if (!r->stalled) {
			r->stalled = true;
			r->stall_begun = since;
			hermit_event(r, HERMIT_EVENT_STALL_BEGIN, ms, 0);
		}
	} else if (r->stalled) {
		r->stalled = false;
		hermit_event(r, HERMIT_EVENT_STALL_END,
			     div_u64(now - r->stall_begun, NSEC_PER_MSEC), 0);
	}

	if (used <= limit) {
		r->unreachable = false;
	} else if (!r->unreachable &&
		   now - READ_ONCE(r->limit_set) > UNREACHABLE_NS) {
		r->unreachable = true;
		hermit_event(r, HERMIT_EVENT_LIMIT_UNREACHABLE,
			     (u64)used << PAGE_SHIFT, (u64)limit << PAGE_SHIFT);
	}
	hermit_limit_tick(r);
	queue_delayed_work(system_wq, &r->watchdog, HZ / 10);
}
