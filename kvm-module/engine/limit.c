// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limit that is kept.
 *
 * The operator's limit is what a VM may have. A host, or the VM's cgroup, may
 * have less: then an allocation fails, or the group is above memory.high. What
 * follows is a cap on the limit, so that all that goes by a limit (charges,
 * reclaim, the scheduler's marks) needs to know one number only:
 *
 *	limit_now = min(limit, cap), and at least the floor
 *
 *	squeeze		cap = used - what is asked for
 *	tick		nothing was asked for a while: the cap rises by 1/64 of
 *			the limit, and is gone when it reaches it
 *
 * A host without memory shows when it refuses some to a reclaim thread, which may
 * wait for it. A group must not come so far: what QEMU itself needs is not refused
 * by a full group but ends in a kill, and above memory.high it is throttled. So a
 * part of the group is left to the others in it, before each charge. Its page
 * cache counts as free: the kernel reclaims that by itself.
 *
 * limit_now has one writer, limit_apply().
 */
#include <linux/jiffies.h>
#include <linux/sched.h>

#include "engine/limit.h"
#include "engine/region.h"
#include "engine/threads.h"

#define NO_CAP		LONG_MAX
/* The least step up, so that a small VM gets on as well; down, for what is no page. */
#define STEP_MIN	64L
/* What a group keeps for others; batches and fills under way take some of it. */
#define GROUP_SHIFT	6
#define GROUP_MIN	512L
#define GROUP_MAX	8192L

void hermit_limit_init(struct hermit_region *r, long limit)
{
	spin_lock_init(&r->limit_lock);
	r->limit = limit;
	r->limit_now = limit;
	r->limit_cap = NO_CAP;
}

/* Returns what limit_now was. */
static long limit_apply(struct hermit_region *r)
{
	long limit = READ_ONCE(r->limit), was = r->limit_now;

	lockdep_assert_held(&r->limit_lock);
	if (r->limit_cap >= limit)
		r->limit_cap = NO_CAP;
	WRITE_ONCE(r->limit_now, min(limit, max(r->limit_cap, r->floor)));
	return was;
}

/* After a change, without the lock: who waits for room, and who makes it. */
static void limit_tell(struct hermit_region *r, long was)
{
	long now = READ_ONCE(r->limit_now);

	if (now > was)
		wake_up_all(&r->room_wq);
	else if (now < was)
		hermit_threads_kick(r);
}

void hermit_limit_set(struct hermit_region *r, long limit)
{
	long was;

	spin_lock(&r->limit_lock);
	WRITE_ONCE(r->limit_set, ktime_get_ns());
	WRITE_ONCE(r->unreachable, false);
	WRITE_ONCE(r->used_max, 0);
	WRITE_ONCE(r->limit, limit);
	was = limit_apply(r);
	spin_unlock(&r->limit_lock);
	limit_tell(r, was);
}

void hermit_limit_squeeze(struct hermit_region *r, long pages, unsigned long hold)
{
	unsigned long until = jiffies + hold;
	long was;

	spin_lock(&r->limit_lock);
	/* Below what is used, not below what others asked for already. */
	r->limit_cap = min(r->limit_now, atomic_long_read(&r->used) - pages);
	if (time_after(until, r->limit_hold))
		r->limit_hold = until;
	was = limit_apply(r);
	spin_unlock(&r->limit_lock);
	limit_tell(r, was);
}

static long group_reserve(struct hermit_region *r)
{
	return clamp(READ_ONCE(r->limit) >> GROUP_SHIFT, GROUP_MIN, GROUP_MAX);
}

void hermit_limit_look(struct hermit_region *r)
{
	long reserve = group_reserve(r);
	long room = hermit_group_room(r->memcg, reserve);

	if (room < reserve)
		hermit_limit_squeeze(r, reserve - room, HZ);
}

long hermit_limit_lacks(struct hermit_region *r)
{
	long least = min(r->limit, r->floor) + group_reserve(r);

	return max(least - hermit_group_room(r->memcg, least), 0L);
}

void hermit_limit_refused(struct hermit_region *r)
{
	hermit_limit_squeeze(r, STEP_MIN, HZ);
}

void hermit_limit_tick(struct hermit_region *r)
{
	long step = max(READ_ONCE(r->limit) >> 6, STEP_MIN), was;

	hermit_limit_look(r);
	if (READ_ONCE(r->limit_cap) == NO_CAP ||
	    hermit_group_room(r->memcg, LONG_MAX) < group_reserve(r) + step)
		return;
	spin_lock(&r->limit_lock);
	if (r->limit_cap != NO_CAP && time_after(jiffies, r->limit_hold))
		r->limit_cap = max(r->limit_cap, r->floor) + step;
	was = limit_apply(r);
	spin_unlock(&r->limit_lock);
	limit_tell(r, was);
}
