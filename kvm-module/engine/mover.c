// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that too few servers have are read from one, and written to others: mover.h.
 *
 * A pass is one look at all page words, in steps: each takes up what has been read, and
 * posts the next reads. After a pass that moved something there is another one at once;
 * after one in vain the next one comes later and later. Nobody has to wake the mover for
 * each page: as long as some are counted as too few, there are passes.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/sched.h>

#include "engine/copy.h"
#include "engine/event.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/mover.h"
#include "engine/peek.h"
#include "engine/pool.h"
#include "engine/reclaim.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/word.h"

/* Between two passes in vain. */
#define REST_MIN	(HZ / 10)
#define REST_MAX	(10 * HZ)
/* Chunks in a step: a terabyte takes seconds. */
#define STEP_CHUNKS	1024

/* --- what has been read ------------------------------------------------------- */

/* The page of @req is the word's from now on, and on its way; false: too late. */
static bool move_begin(struct hermit_region *r, struct hermit_req *req)
{
	struct page *page = req->io.page;
	u64 w;

	if (hermit_word_next(req->word, HERMIT_EV_INSTALL_READ, page_to_pfn(page),
			     hermit_stamp_now(), &w) ||
	    hermit_word_next(w, HERMIT_EV_EVICT_BEGIN, 0, 0, &w) ||
	    hermit_word_next(w, HERMIT_EV_EVICT_WRITE, 0, 0, &w))
		return false;
	hermit_page_publish(r, page, req->idx);
	if (atomic64_cmpxchg(hermit_word(r, req->idx), req->word, w) != req->word) {
		HERMIT_MARK(moved_too_late);
		return false;
	}
	hermit_count(r, HERMIT_C_LOCAL, 1);
	hermit_count(r, HERMIT_C_REMOTE, -1);
	hermit_holders_home(r, req->idx);
	/* As it was read, so as it was sent. */
	req->moved = true;
	req->io.op = HERMIT_IO_WRITE;
	req->io.status = 0;
	req->io.crc = hermit_copy_noted(r, req->idx);
	req->io.same = true;
	req->io.members = hermit_holders(r, req->idx);
	req->io.done = hermit_write_done;
	return true;
}

/* Take up what has been read; how much has not. */
static long mover_write(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;
	struct hermit_req *req;
	LIST_HEAD(writes);
	long n = 0, left = 0;
	unsigned int i;

	down_read(&r->sweep_lock);
	for (i = 0; i < HERMIT_MOVE_PAGES; i++) {
		req = m->reads[i];
		if (!req)
			continue;
		/* Acquire pairs with hermit_req_finish(). */
		if (!smp_load_acquire(&req->done)) {
			/* Who had it is away: it waits for him, for itself. */
			if (hermit_holders(r, req->idx) & READ_ONCE(r->servers_up)) {
				left++;
				continue;
			}
			HERMIT_MARK(move_let_go);
		} else if (!req->status && move_begin(r, req)) {
			list_add_tail(&req->io.node, &writes);
			m->reads[i] = NULL;
			n++;
			continue;
		}
		m->reads[i] = NULL;
		hermit_req_put(req);
	}
	atomic_add(n, &r->writes);
	if (n)
		hermit_req_submit_list(r, &writes);
	up_read(&r->sweep_lock);
	return left;
}

/* --- what is to be read ------------------------------------------------------- */

/* So many pages may be read now. */
static long mover_window(struct hermit_region *r)
{
	long n = HERMIT_MOVE_PAGES;

	if (atomic_read(&r->room_waiters) || atomic_read(&r->memory_waiters) ||
	    atomic_read(&r->writes) > HERMIT_MAX_WRITES / 4 ||
	    time_before(jiffies, READ_ONCE(r->mover.backoff)))
		return 0;
	if (atomic_read(&r->waiters))
		n /= 8;
	return min(n, hermit_room(r) / 2);
}

/*
 * Servers that leave and that the page needs; also if it is on its way from or to them,
 * since nobody knows yet how that ends.
 */
static u8 needed_by(struct hermit_region *r, u64 idx, u64 w)
{
	switch (hermit_word_state(w)) {
	case HERMIT_REMOTE:
	case HERMIT_FETCHING:
	case HERMIT_EVICTING:
		return hermit_holders_needed(r, idx);
	default:
		return 0;
	}
}

static bool is_to_move(struct hermit_region *r, u64 idx, u64 w)
{
	return hermit_word_state(w) == HERMIT_REMOTE &&
	       hermit_holders_fewer(r, idx) &&
	       (hermit_holders(r, idx) & READ_ONCE(r->servers_up));
}

/* Post up to @n reads, from m->next on; how many. */
static long mover_read(struct hermit_region *r, long n)
{
	struct hermit_mover *m = &r->mover;
	u64 end = min(r->npages, m->next + STEP_CHUNKS * HERMIT_CHUNK_PAGES), w;
	struct hermit_req *req;
	atomic64_t *word;
	unsigned int i = 0;
	long posted = 0;

	for (; m->next < end; m->next++) {
		if (!(m->next % HERMIT_CHUNK_PAGES))
			cond_resched();
		word = hermit_word(r, m->next);
		if (!word) {
			m->next |= HERMIT_CHUNK_PAGES - 1;
			continue;
		}
		w = atomic64_read(word);
		m->needed |= needed_by(r, m->next, w);
		if (!is_to_move(r, m->next, w))
			continue;
		m->found = true;
		while (i < HERMIT_MOVE_PAGES && m->reads[i])
			i++;
		/* Later, from here on. */
		if (posted >= n || i == HERMIT_MOVE_PAGES)
			break;
		req = hermit_peek_begin(r, m->next, w, false);
		if (IS_ERR(req))
			break;
		m->reads[i] = req;
		posted++;
	}
	return posted;
}

/* --- passes --------------------------------------------------------------------- */

static void pass_begin(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;

	WRITE_ONCE(m->passing, true);
	/* Who changes state from now on is seen by this pass, or has another one. */
	WRITE_ONCE(m->again, false);
	m->leaving = READ_ONCE(r->servers_leaving);
	m->needed = 0;
	m->next = 0;
	m->found = false;
	m->moved = hermit_stat(r, HERMIT_C_MOVED);
}

/*
 * No page needs those any more that none did in this pass, if they leave all the time:
 * nothing that began before this can bring them any.
 */
static void pass_tells(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;
	u8 drained, changed = 0;
	unsigned int i;

	spin_lock(&r->servers_lock);
	drained = m->leaving & ~m->needed & r->servers_leaving;
	if (!READ_ONCE(m->again)) {
		changed = drained ^ r->servers_drained;
		WRITE_ONCE(r->servers_drained, drained);
	}
	spin_unlock(&r->servers_lock);
	changed &= READ_ONCE(r->servers_up);
	for (i = 0; i < HERMIT_MAX_SERVERS; i++) {
		if (!(changed >> i & 1))
			continue;
		HERMIT_MARK(drain_is_told);
		WRITE_ONCE(r->server_since[i], ktime_get_ns());
		hermit_event(r, HERMIT_EVENT_SERVER_STATE, i, drained >> i & 1 ?
			     HERMIT_SERVER_DRAINED : HERMIT_SERVER_DRAINING);
	}
}

static void pass_end(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;

	if (m->leaving)
		pass_tells(r);
	if (hermit_stat(r, HERMIT_C_MOVED) != m->moved)
		m->rest = 0;
	else
		m->rest = clamp(2 * m->rest, REST_MIN, REST_MAX);
	m->resting = jiffies + m->rest;
	/* What is above is for who sees this. */
	smp_store_release(&m->passing, false);
}

static void mover_work(struct work_struct *work)
{
	struct hermit_mover *m = container_of(to_delayed_work(work),
					      struct hermit_mover, work);
	struct hermit_region *r = container_of(m, struct hermit_region, mover);
	long left;

	if (READ_ONCE(r->dead))
		return;
	if (!m->passing)
		pass_begin(r);
	left = mover_write(r);
	left += mover_read(r, mover_window(r) - left);
	if (m->next < r->npages || left)
		schedule_delayed_work(&m->work, msecs_to_jiffies(HERMIT_MOVE_MS));
	else
		pass_end(r);
}

static void mover_tell(struct hermit_region *r, u64 few)
{
	struct hermit_mover *m = &r->mover;

	if (!!few == m->told || time_before(jiffies, m->told_at + HZ))
		return;
	HERMIT_MARK(few_copies_told);
	m->told = few;
	m->told_at = jiffies;
	hermit_event(r, HERMIT_EVENT_SHORT_COPIES, few, 0);
}

void hermit_mover_look(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;
	u64 few;

	if (!r->replicas)
		return;
	few = max(0L, hermit_stat(r, HERMIT_C_SHORT));
	mover_tell(r, few);
	/* Acquire pairs with pass_end(). */
	if (smp_load_acquire(&m->passing))
		return;
	if (READ_ONCE(m->again) ||
	    ((few || m->found || r->servers_leaving != r->servers_drained) &&
	     time_after_eq(jiffies, m->resting)))
		schedule_delayed_work(&m->work, 0);
}

void hermit_mover_again(struct hermit_region *r)
{
	WRITE_ONCE(r->mover.again, true);
}

void hermit_mover_init(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;

	INIT_DELAYED_WORK(&m->work, mover_work);
	m->backoff = m->resting = jiffies;
	m->told_at = jiffies - HZ;
}

void hermit_mover_stop(struct hermit_region *r)
{
	struct hermit_mover *m = &r->mover;
	unsigned int i;

	cancel_delayed_work_sync(&m->work);
	for (i = 0; i < HERMIT_MOVE_PAGES; i++)
		if (m->reads[i])
			hermit_req_put(m->reads[i]);
}
