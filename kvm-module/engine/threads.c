// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many reclaim threads should run, and waking them. A charge or a waiter
 * that wants room calls this, far below reclaim itself: what a thread does is
 * said by who starts it.
 *
 * Threads are vhost tasks: threads of QEMU in all but files, so in its cgroup
 * and gone with it.
 */
#include <linux/types.h>
#include <linux/sched/vhost_task.h>

#include "engine/pool.h"
#include "engine/region.h"
#include "engine/threads.h"
#include "engine/trace.h"
#include "engine/unmap.h"

/*
 * How many threads should run: what the scheduler says (core/sched.h), or the
 * fixed number of the policy, below a mark of 1/32 of the limit.
 */
static unsigned int threads_wanted(struct hermit_region *r)
{
	unsigned int fixed = READ_ONCE(r->policy.threads);
	long limit = READ_ONCE(r->limit_now), room = hermit_room(r);

	if (READ_ONCE(r->dead))
		return 0;
	/* Somebody waits, or pages have to go. */
	if (room <= 0 || hermit_pool_over(r) || READ_ONCE(r->starved) ||
	    atomic_read(&r->room_waiters) || atomic_read(&r->memory_waiters))
		return fixed ?: r->nr_reclaimers;
	/*
	 * In advance nothing leaves for a server that is away: each page would be
	 * one more that cannot be read, and perhaps never again.
	 */
	if (!READ_ONCE(r->servers_up))
		return 0;
	if (fixed)
		return room < clamp(limit / 32, 2L * HERMIT_BATCH, 1024L) ? fixed : 0;
	/* More room than the limit: it was lowered since. */
	return hermit_sched_wanted(&r->sched, max(limit - room, 0L), limit,
				   READ_ONCE(r->threads_wanted));
}

static void threads_want(struct hermit_region *r, unsigned int wanted)
{
	unsigned int before = READ_ONCE(r->threads_wanted);

	if (wanted == before)
		return;
	WRITE_ONCE(r->threads_wanted, wanted);
	trace_hermit_sched(r, before, wanted);
}

void hermit_threads_kick(struct hermit_region *r)
{
	unsigned int wanted, i;

	/*
	 * The end of the region sets dead, waits for a grace period and frees
	 * the tasks: who finds it alive in here may wake them.
	 */
	rcu_read_lock();
	wanted = min(threads_wanted(r), r->nr_reclaimers);
	threads_want(r, wanted);
	/* Against hermit_threads_rest(): it sees the room we saw, or we see it idle. */
	smp_mb();
	for (i = 0; i < wanted; i++)
		if (READ_ONCE(r->reclaimers[i].idle))
			vhost_task_wake(r->reclaimers[i].task);
	rcu_read_unlock();
}

bool hermit_threads_rest(struct hermit_reclaimer *t)
{
	struct hermit_region *r = t->region;
	unsigned int wanted;

	/*
	 * Whoever takes room from now on finds us idle: no kick is lost.
	 * Against hermit_threads_kick().
	 */
	WRITE_ONCE(t->idle, true);
	smp_mb();
	wanted = threads_wanted(r);
	threads_want(r, wanted);
	if (t->index >= wanted)
		return true;
	WRITE_ONCE(t->idle, false);
	return false;
}

/* QEMU is being killed; the end of the region follows. */
static void threads_killed(void *data)
{
}

int hermit_threads_start(struct hermit_region *r, unsigned int threads,
			 bool (*fn)(void *data))
{
	unsigned int i;

	for (i = 0; i < threads; i++) {
		struct hermit_reclaimer *t = &r->reclaimers[i];
		struct vhost_task *task;

		t->region = r;
		t->index = i;
		task = vhost_task_create(fn, threads_killed, t,
					 "hermit-reclaim");
		/* -ERESTARTNOINTR with a signal: the whole create begins again. */
		if (IS_ERR(task))
			return PTR_ERR(task);
		t->task = task;
		/* Before it runs: its first look counts the threads. */
		r->nr_reclaimers = i + 1;
		vhost_task_start(task);
	}
	return 0;
}

/* Waits for the batches under way. */
void hermit_threads_stop(struct hermit_region *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_reclaimers; i++)
		vhost_task_stop(r->reclaimers[i].task);
	r->nr_reclaimers = 0;
}
