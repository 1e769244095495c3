// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tell of stalls, and of a limit that is not reached: the owner by events, and
 * the guest, whose own watchdogs would take a stall for a lockup.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>

#include "engine/event.h"
#include "engine/limit.h"
#include "engine/mark.h"
#include "engine/mover.h"
#include "engine/region.h"
#include "engine/wait.h"
#include "engine/watchdog.h"
#include "kvm/mmu.h"

/* A limit that is not reached after so long is an event. */
#define UNREACHABLE_NS	(5ULL * NSEC_PER_SEC)

/*
 * A guest hears of a wait that is longer than TELL_AFTER_NS, every TELL_EVERY
 * jiffies: five seconds is well below what any watchdog allows (Linux: RCU 21 s,
 * soft lockup 20 s).
 */
#define TELL_AFTER_NS	(1ULL * NSEC_PER_SEC)
#define TELL_EVERY	(4 * HZ)

/*
 * All vCPUs of the VM, not those that wait: others look at them. Once more at
 * the end, for who has run since it was last told. Without KVM's hook, in stock
 * mode, there is no telling.
 */
static void tell_guest(struct hermit_region *r, bool waits)
{
	if (waits ? r->told && time_before(jiffies, r->told_at + TELL_EVERY) :
		    !r->told)
		return;
	r->told = waits;
	r->told_at = jiffies;
	hermit_mmu_stopped(r);
}

/* Ten times a second: has somebody waited too long for anything to happen? */
void hermit_watchdog(struct work_struct *work)
{
	struct hermit_region *r = container_of(to_delayed_work(work),
					       struct hermit_region, watchdog);
	u64 now = ktime_get_ns(), since, waited;
	bool waits = hermit_waiters_any(r);
	long used = atomic_long_read(&r->used), limit = READ_ONCE(r->limit);

	/* The count first, see hermit_waiters_enter(). */
	smp_rmb();
	since = max(READ_ONCE(r->stall_since), READ_ONCE(r->progress));
	waited = waits && now > since ? now - since : 0;
	tell_guest(r, waited > TELL_AFTER_NS);
	if (waited <= r->fault_timeout) {
		if (r->stalled) {
			r->stalled = false;
			HERMIT_MARK(stall_ends);
			hermit_event(r, HERMIT_EVENT_STALL_END,
				     div_u64(now - r->stall_begun, NSEC_PER_MSEC), 0);
		}
	} else if (!r->stalled && atomic_read(&r->waiters)) {
		/* Who just gave up, as a VM that was paused, begins none. */
		r->stalled = true;
		HERMIT_MARK(stall_begins);
		r->stall_begun = since;
		hermit_event(r, HERMIT_EVENT_STALL_BEGIN,
			     div_u64(waited, NSEC_PER_MSEC), 0);
	}

	if (used <= limit) {
		r->unreachable = false;
	} else if (!r->unreachable &&
		   now - READ_ONCE(r->limit_set) > UNREACHABLE_NS) {
		r->unreachable = true;
		HERMIT_MARK(limit_unreachable);
		hermit_event(r, HERMIT_EVENT_LIMIT_UNREACHABLE,
			     (u64)used << PAGE_SHIFT, (u64)limit << PAGE_SHIFT);
	}
	hermit_limit_tick(r);
	hermit_mover_look(r);
	schedule_delayed_work(&r->watchdog, HZ / 10);
}
