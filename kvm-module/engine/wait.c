// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting: for a read, for a word to change, for room, or just a while. And
 * since when somebody waits, which is how the watchdog finds a stall.
 */
/* psi.h needs it, and does not say so. */
#include <linux/workqueue.h>
#include <linux/psi.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>

#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/wait.h"
#include "engine/word.h"

void hermit_waiter_drop(struct hermit_waiter *w)
{
	hermit_waiter_forget(w);
	if (w->region)
		hermit_region_put(w->region);
	w->region = NULL;
	w->kind = HERMIT_WAIT_NONE;
	w->since = 0;
}

/*
 * Did the wait, now over, bring what it was for? Not if a read failed, be it
 * ours or the one that was joined: a server that answers all reads by errors is
 * a stall as much as one that answers none.
 */
static bool wait_served(struct hermit_waiter *w)
{
	switch (w->kind) {
	case HERMIT_WAIT_REQ:
		return !w->req->status;
	case HERMIT_WAIT_WORD:
		return hermit_word_state(atomic64_read(hermit_word(w->region, w->idx))) !=
		       HERMIT_REMOTE;
	default:
		return true;
	}
}

static bool wait_over(struct hermit_waiter *w)
{
	struct hermit_region *r = w->region;

	switch (w->kind) {
	case HERMIT_WAIT_REQ:
		/* Pairs with hermit_req_finish(): status and page are there. */
		return smp_load_acquire(&w->req->done);
	case HERMIT_WAIT_WORD:
		return hermit_waiter_moved(w, atomic64_read(hermit_word(r, w->idx))) ||
		       READ_ONCE(r->dead);
	case HERMIT_WAIT_ROOM:
		return hermit_room(r) > 0 || READ_ONCE(r->dead);
	case HERMIT_WAIT_MEMORY:
		return hermit_pool_free(r) || READ_ONCE(r->dead);
	default:
		return false;
	}
}

/*
 * How long before @now somebody gave up; of those who do so right now another
 * CPU's clock may be a little ahead, or they come between the clock and gave_up.
 */
static s64 waiters_rest(struct hermit_region *r, u64 now)
{
	return now - READ_ONCE(r->gave_up);
}

/*
 * A stall counts from when the first of those who wait now began. Who gives up
 * and soon waits again, as naps do and a vCPU that is kicked, did not begin anew.
 * gave_up is stored before the count falls, and read by who finds it 0: it is 0
 * only if somebody was served since. stall_since is stored before the count
 * rises, for the watchdog, which reads them in the other order: else it took the
 * time of an older wait for that of this one, and told of a stall.
 */
void hermit_waiters_enter(struct hermit_region *r)
{
	u64 now;

	if (!atomic_read(&r->waiters)) {
		smp_rmb();
		now = ktime_get_coarse_ns();
		if (waiters_rest(r, now) > NSEC_PER_SEC)
			WRITE_ONCE(r->stall_since, now);
		else
			HERMIT_MARK(waits_on);
	}
	smp_mb__before_atomic();
	atomic_inc(&r->waiters);
}

void hermit_waiters_leave(struct hermit_region *r, bool served)
{
	WRITE_ONCE(r->gave_up, served ? 0 : ktime_get_coarse_ns());
	/* gave_up before the count, see hermit_waiters_enter(). */
	smp_mb__before_atomic();
	atomic_dec(&r->waiters);
}

bool hermit_waiters_any(struct hermit_region *r)
{
	/* Who naps is back in less, see hermit_waiters_enter(). */
	return atomic_read(&r->waiters) || waiters_rest(r, ktime_get_coarse_ns()) < NSEC_PER_SEC;
}

/*
 * Does the wait say that memory is short (PSI)? A fault's does, as one for swap would:
 * for a read, for room, or for a page. Not while no server answers: who acts on memory
 * pressure, as systemd-oomd, would kill VMs for an outage. Nor the rest after an error,
 * nor pread(), by which a migration reads all that is remote.
 */
static bool wait_is_pressure(struct hermit_waiter *w)
{
	return w->since && w->kind != HERMIT_WAIT_BACKOFF &&
	       READ_ONCE(w->region->servers_up);
}

/*
 * Sleep for @timeout jiffies, but look at the link again after a nap. The task's
 * state is set. Returns what is left.
 */
static long wait_nap(struct hermit_waiter *w, long timeout)
{
	long nap = min_t(long, timeout, HERMIT_NAP), left;
	unsigned long flags;

	if (wait_is_pressure(w)) {
		psi_memstall_enter(&flags);
		left = schedule_timeout(nap);
		psi_memstall_leave(&flags);
	} else {
		left = schedule_timeout(nap);
	}
	return timeout == MAX_SCHEDULE_TIMEOUT ? timeout : timeout - (nap - left);
}

int hermit_waiter_sleep(struct hermit_waiter *w, unsigned int state, long timeout)
{
	struct hermit_region *r = w->region;
	wait_queue_head_t *wq = NULL;
	atomic_t *waiters = NULL;	/* for whom the threads work */
	DEFINE_WAIT(wait);
	bool over = false;
	int ret = 0;

	w->began = local_clock();
	w->ended = w->began;
	switch (w->kind) {
	case HERMIT_WAIT_NONE:
		return 0;
	case HERMIT_WAIT_REQ:
		wq = &w->req->wq;
		break;
	case HERMIT_WAIT_WORD:
		wq = hermit_word_wq(r, w->idx);
		timeout = min_t(long, timeout, HERMIT_NAP);
		break;
	case HERMIT_WAIT_ROOM:
	case HERMIT_WAIT_MEMORY:
		wq = &r->room_wq;
		timeout = min_t(long, timeout, HERMIT_NAP);
		waiters = w->kind == HERMIT_WAIT_ROOM ? &r->room_waiters :
							&r->memory_waiters;
		hermit_count(r, HERMIT_C_ROOM_WAITS, 1);
		break;
	case HERMIT_WAIT_BACKOFF:
		timeout = min_t(long, timeout, HERMIT_BACKOFF);
		break;
	}

	hermit_waiters_enter(r);
	if (waiters) {
		atomic_inc(waiters);
		hermit_threads_kick(r);
	}
	for (;;) {
		if (wq)
			prepare_to_wait(wq, &wait, state);
		else
			set_current_state(state);
		over = wait_over(w);
		if (over)
			break;
		if (signal_pending_state(state, current)) {
			HERMIT_MARK(wait_interrupted);
			ret = -EINTR;
			break;
		}
		if (!timeout) {
			/* Only a read is waited for to its end. */
			ret = w->kind == HERMIT_WAIT_REQ ? -ETIME : 0;
			break;
		}
		timeout = wait_nap(w, timeout);
	}
	if (wq)
		finish_wait(wq, &wait);
	else
		__set_current_state(TASK_RUNNING);
	if (waiters)
		atomic_dec(waiters);
	over = over && wait_served(w);
	/* Reads tell of themselves when they come. */
	if (over && w->kind != HERMIT_WAIT_REQ)
		WRITE_ONCE(r->progress, ktime_get_coarse_ns());
	hermit_waiters_leave(r, over);
	w->ended = local_clock();
	if (w->kind == HERMIT_WAIT_REQ && !ret)
		hermit_latency_parked(&r->latency,
				   hermit_ns(w->req->finished, w->ended));
	hermit_count(r, HERMIT_C_STALL_NS, hermit_ns(w->began, w->ended));
	return ret;
}
