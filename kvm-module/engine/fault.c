// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault engine: what stands between a guest or host access and its page.
 *
 * hermit_fault_get() answers at once where it can: the page is local, can be
 * rescued from an eviction, or is made of zeros. Else hermit_fault_prepare()
 * posts the read and says what to wait for, and the caller waits where it may.
 *
 * Eager fetch (the paper, section 4.3): a guest's fault posts its read without
 * looking whether another one does the same. The word it read before posting
 * is what its final compare-exchange expects, so that exactly one of several
 * installs its page, and one that began before the page came home and left
 * again installs nothing (the generation differs). Host faults, which may be
 * interrupted and come again, go through FETCHING: one read, joined by all.
 */
#include <linux/highmem.h>
#include <linux/sched/clock.h>

#include "engine/copy.h"
#include "engine/fault.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/trace.h"
#include "engine/wait.h"
#include "engine/word.h"

/* How often a race for a word is tried again before the caller is asked to. */
#define FAULT_TRIES	16

void hermit_fault_account(struct hermit_region *r, u64 idx, u64 ns)
{
	this_cpu_inc(r->stats->hist[min_t(unsigned int, ns ? ilog2(ns) : 0,
					  HERMIT_HIST_BUCKETS - 1)]);
	trace_hermit_fault(r, idx, ns);
}

/*
 * Install @page, just read, if the word is still what it was when the read was
 * posted. The page is the word's from then on, or goes back to the pool.
 */
static __always_inline bool fault_install(struct hermit_region *r, u64 idx,
					  u64 expected, struct page *page,
					  u64 flags)
{
	atomic64_t *word = hermit_word(r, idx);
	u64 new;

	if (!hermit_word_next(expected, HERMIT_EV_INSTALL_READ,
			      page_to_pfn(page), hermit_stamp_now(), &new)) {
		hermit_page_publish(r, page, idx);
		if (atomic64_cmpxchg(word, expected, new | flags) == expected) {
			hermit_count(r, HERMIT_C_LOCAL, 1);
			hermit_count(r, HERMIT_C_REMOTE, -1);
			hermit_holders_home(r, idx);
			return true;
		}
	}
	HERMIT_MARK(read_too_late);
	hermit_count(r, HERMIT_C_CONFLICTS, 1);
	hermit_page_put(r, page);
	return false;
}

/*
 * A page that is fetched by demand was evicted too early if fewer evictions
 * than pages are free now have passed since its own: see core/sched.h.
 */
static __always_inline void fault_count_fetch(struct hermit_region *r, u64 w)
{
	u64 away = (atomic64_read(&r->generation) - hermit_word_value(w)) &
		   HERMIT_W_VALUE_MASK;
	long room = hermit_room(r);

	hermit_count(r, HERMIT_C_FETCHES, 1);
	hermit_count(r, HERMIT_C_AWAY, away);
	if (room > 0 && away < room)
		hermit_count(r, HERMIT_C_EARLY, 1);
}

/* A read of the page failed: whoever wants it next waits a little first. */
static void fault_read_failed(struct hermit_region *r, u64 idx)
{
	hermit_count(r, HERMIT_C_READ_ERRORS, 1);
	WRITE_ONCE(r->read_backoff[idx % HERMIT_PAGE_HASH],
		   jiffies + HERMIT_BACKOFF);
}

/*
 * The server does not have the page. Now the word is another one, so nobody rests
 * before he asks again: the page is lost, or the read came too late.
 */
static noinline void fault_not_stored(struct hermit_region *r, u64 idx, u64 word,
				      struct page *page)
{
	hermit_count(r, hermit_copy_missing(r, idx, word) ?
		     HERMIT_C_READ_ERRORS : HERMIT_C_CONFLICTS, 1);
	hermit_page_put(r, page);
}

/* Completion of a read, by demand or ahead; task or softirq. */
static void fault_read_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);
	struct hermit_region *r = req->region;
	struct page *page = io->page;
	u64 new;

	req->finished = local_clock();
	if (unlikely(PageHWPoison(page)))
		io->status = io->status ?: -EHWPOISON;
	if (!io->status)
		io->status = hermit_copy_check(r, req->idx, req->word, page,
					       io->server,
					       hermit_req_has_others(io));
	else
		io->status = hermit_copy_refused(r, req->idx, req->word, page,
						 io->status, io->server,
						 hermit_req_has_others(io));
	if (unlikely(io->status == -EBADMSG) && hermit_req_ask_others(r, req))
		return;
	hermit_count(r, HERMIT_C_INFLIGHT, -1);
	io->page = NULL;
	if (!io->status) {
		fault_install(r, req->idx, req->word, page,
			      req->prefetch ? HERMIT_W_PREFETCHED : 0);
		WRITE_ONCE(r->progress, ktime_get_coarse_ns());
		if (!req->prefetch)
			hermit_latency_answer(&r->latency,
					 hermit_ns(req->posted, req->finished));
	} else if (io->status == -ENOENT) {
		fault_not_stored(r, req->idx, req->word, page);
	} else {
		HERMIT_MARK(read_failed);
		/* Before the word changes: then others may want to read it. */
		fault_read_failed(r, req->idx);
		hermit_page_put(r, page);
		/* A new generation: the failed read may still be somewhere. */
		if (hermit_word_state(req->word) == HERMIT_FETCHING &&
		    !hermit_word_next(req->word, HERMIT_EV_FETCH_FAIL,
				      hermit_next_generation(r), 0, &new))
			atomic64_cmpxchg(hermit_word(r, req->idx), req->word,
					 new);
	}
	hermit_word_wake(r, req->idx);
	hermit_req_finish(req);
}

struct sync_io {
	struct hermit_io io;
	bool done;
};

static void fault_sync_done(struct hermit_io *io)
{
	container_of(io, struct sync_io, io)->done = true;
}

/*
 * A link that completes reads inside submit: fetch and install on the spot. 0:
 * the word has changed, by us or by somebody who was faster, or the page is lost. -EIO: the read
 * failed, or the region has ended; else why there is no page.
 */
static int fault_fetch_sync(struct hermit_region *r, u64 idx, u64 w)
{
	struct sync_io s = {};
	struct page *page = hermit_page_get(r);
	u64 since;

	if (IS_ERR(page))
		return PTR_ERR(page);
	since = local_clock();
	s.io.op = HERMIT_IO_READ;
	s.io.page = page;
	s.io.offset = idx << PAGE_SHIFT;
	s.io.length = PAGE_SIZE;
	s.io.demand = true;
	s.io.done = fault_sync_done;
	rcu_read_lock();
	if (unlikely(READ_ONCE(r->dead)))
		s.io.status = -EFAULT;
	else
		r->link->ops->submit_one(r->link, &s.io);
	rcu_read_unlock();
	fault_count_fetch(r, w);
	if (s.io.status == -ENOENT) {
		fault_not_stored(r, idx, w, page);
		return 0;
	}
	if (s.io.status || WARN_ON_ONCE(!s.done) ||
	    hermit_copy_check(r, idx, w, page, 0, false)) {
		fault_read_failed(r, idx);
		hermit_page_put(r, page);
		return -EIO;
	}
	fault_install(r, idx, w, page, 0);
	hermit_fault_account(r, idx, hermit_ns(since, local_clock()));
	return 0;
}

/*
 * First touch. 0: the word has changed, by us or by somebody who was faster; the
 * caller looks at it again. Else why there is no page.
 */
static int fault_install_zero(struct hermit_region *r, u64 idx,
			      atomic64_t *word)
{
	struct page *page = hermit_page_get(r);
	u64 old, new;

	if (IS_ERR(page))
		return PTR_ERR(page);
	if (!hermit_page_is_zeroed(page))
		clear_highpage(page);
	hermit_page_publish(r, page, idx);
	if (hermit_word_apply(word, HERMIT_EV_INSTALL_ZERO, page_to_pfn(page),
			      &old, &new)) {
		HERMIT_MARK(touched_twice);
		hermit_page_put(r, page);
		return 0;
	}
	hermit_count(r, HERMIT_C_LOCAL, 1);
	hermit_count(r, HERMIT_C_FIRST_TOUCH, 1);
	trace_hermit_first_touch(r, idx);
	return 0;
}

static __always_inline bool same_page(u64 a, u64 b)
{
	return hermit_word_value(a) == hermit_word_value(b) &&
	       (hermit_word_state(a) == HERMIT_LOCAL ||
		hermit_word_state(a) == HERMIT_EVICTING);
}

/*
 * The first access to a page that was read ahead. It is fresh from now on. If
 * the word changes meanwhile, a hit is not counted, and no more.
 */
static noinline void fault_touch(struct hermit_region *r, atomic64_t *word,
				 u64 w)
{
	u64 new = hermit_word_make(hermit_word_state(w),
				   w & (HERMIT_W_FLAGS & ~HERMIT_W_PREFETCHED),
				   hermit_word_value(w), hermit_stamp_now());

	if (atomic64_cmpxchg(word, w, new) == w)
		hermit_count(r, HERMIT_C_PREFETCH_HITS, 1);
}

int hermit_fault_get(struct hermit_region *r, u64 idx, struct page **pagep)
{
	atomic64_t *word = hermit_word(r, idx);
	struct page *page;
	int tries;
	u64 w, old;

	if (unlikely(!word)) {
		word = hermit_word_alloc(r, idx);
		if (!word)
			return -EAGAIN;
	}
	for (tries = 0; tries < FAULT_TRIES; tries++) {
		if (unlikely(READ_ONCE(r->dead)))
			return -EFAULT;
		w = atomic64_read(word);
		switch (hermit_word_state(w)) {
		case HERMIT_EVICTING:
			if (unlikely(hermit_poison_seen(w)))
				return -EAGAIN;
			if (hermit_word_apply(word, HERMIT_EV_RESCUE, 0, &old, &w))
				continue;
			if (old != w) {
				HERMIT_MARK(rescued);
				hermit_count(r, HERMIT_C_RESCUED, 1);
			}
			fallthrough;
		case HERMIT_LOCAL:
			page = hermit_word_page(w);
			/*
			 * The word may have moved on since it was read: the
			 * reference counts only if it still names the page. It
			 * is 0 while the evictor has it frozen.
			 */
			if (!get_page_unless_zero(page)) {
				HERMIT_MARK(page_frozen_or_gone);
				cpu_relax();
				continue;
			}
			if (unlikely(!same_page(atomic64_read(word), w))) {
				HERMIT_MARK(page_of_a_stale_word);
				put_page(page);
				continue;
			}
			/* hermit_fault_prepare() reports it. */
			if (unlikely(PageHWPoison(page))) {
				put_page(page);
				return -EAGAIN;
			}
			if (unlikely(w & HERMIT_W_PREFETCHED))
				fault_touch(r, word, w);
			*pagep = page;
			return 0;
		case HERMIT_ABSENT:
			if (fault_install_zero(r, idx, word))
				return -EAGAIN;
			continue;
		case HERMIT_REMOTE:
			if (hermit_standby_back(r, idx, w))
				continue;
			if (!r->sync || fault_fetch_sync(r, idx, w))
				return -EAGAIN;
			continue;
		case HERMIT_LOST:
			HERMIT_MARK(lost_page_touched);
			return -EHWPOISON;
		default:
			return -EAGAIN;
		}
	}
	return -EAGAIN;
}

struct hermit_req *hermit_fault_read_alloc(struct hermit_region *r, u64 idx,
					   u64 word, struct page *page,
					   u64 now)
{
	struct hermit_req *req = hermit_req_alloc(r);

	if (!req)
		return NULL;
	req->idx = idx;
	req->word = word;
	req->posted = now;
	req->io.op = HERMIT_IO_READ;
	req->io.page = page;
	req->io.offset = idx << PAGE_SHIFT;
	req->io.length = PAGE_SIZE;
	req->io.done = fault_read_done;
	if (r->replicas)
		req->io.members = hermit_holders(r, idx);
	return req;
}

/* Post the read of a REMOTE page. */
static void fault_post(struct hermit_region *r, u64 idx, atomic64_t *word,
		       unsigned int flags, u64 now, struct hermit_waiter *w)
{
	struct hermit_req *req;
	struct page *page;
	u64 expected = w->word, fetching;	/* REMOTE, and its successor */

	page = hermit_page_get(r);
	if (IS_ERR(page)) {
		w->kind = hermit_wait_for(PTR_ERR(page));
		return;
	}
	req = hermit_fault_read_alloc(r, idx, expected, page, now);
	if (!req) {
		hermit_page_put(r, page);
		w->kind = HERMIT_WAIT_BACKOFF;
		return;
	}
	/* Reads that stay out for the length of an outage keep a page each. */
	if ((flags & HERMIT_FAULT_HOST) || !READ_ONCE(r->policy.eager) ||
	    !hermit_trial_on(&r->eager) || !READ_ONCE(r->servers_up)) {
		hermit_word_next(expected, HERMIT_EV_FETCH_BEGIN, 0, 0,
				 &fetching);
		if (atomic64_cmpxchg(word, expected, fetching) != expected) {
			HERMIT_MARK(read_posted_twice);
			hermit_req_put(req);	/* and its page */
			w->kind = HERMIT_WAIT_NONE;
			return;
		}
		req->word = fetching;
	}
	req->io.demand = true;
	kref_get(&req->ref);		/* the waiter's */
	w->req = req;
	w->kind = HERMIT_WAIT_REQ;
	hermit_count(r, HERMIT_C_INFLIGHT, 1);
	if (hermit_req_submit(r, req)) {
		hermit_count(r, HERMIT_C_INFLIGHT, -1);
		hermit_waiter_forget(w);
		hermit_req_put(req);
		w->kind = HERMIT_WAIT_NONE;
		return;
	}
	w->posted = true;
	/* On the way: what follows does not need the data. */
	fault_count_fetch(r, expected);
	if (READ_ONCE(r->policy.async_io))
		hermit_pool_top_up(r);
}

/* Reclaim may be faster, and tells nobody of a LOCAL page. */
static bool fault_meets_poison(struct hermit_region *r, u64 idx, u64 word)
{
	if (likely(!hermit_poison_seen(word)))
		return false;
	hermit_poison_report(r, idx);
	return true;
}

void hermit_fault_prepare(struct hermit_region *r, u64 idx, unsigned int flags,
			  struct hermit_waiter *w)
{
	atomic64_t *word;
	int ret = 0;
	u64 now, old;

	w->posted = false;
	if (w->req) {
		/*
		 * Back after a signal: join the read that is out. Acquire pairs
		 * with hermit_req_finish().
		 */
		if (w->region == r && w->idx == idx &&
		    !smp_load_acquire(&w->req->done)) {
			HERMIT_MARK(back_after_a_signal);
			w->kind = HERMIT_WAIT_REQ;
			return;
		}
		hermit_waiter_forget(w);
	}
	if (w->region != r) {
		hermit_waiter_drop(w);
		hermit_region_get(r);
		w->region = r;
	}
	now = local_clock();
	if (w->idx != idx || !w->since)
		w->since = now;
	w->idx = idx;
	w->kind = HERMIT_WAIT_BACKOFF;
	word = hermit_word_alloc(r, idx);
	if (!word) {
		/* No page helps: somebody has to give memory back. */
		WRITE_ONCE(r->starved, true);
		hermit_threads_kick(r);
		return;
	}
	w->word = atomic64_read(word);
	switch (hermit_word_state(w->word)) {
	case HERMIT_LOCAL:
		if (fault_meets_poison(r, idx, w->word))
			return;
		break;
	case HERMIT_DISCARDING:
	case HERMIT_FETCHING:
		HERMIT_MARK(waits_for_another);
		w->kind = HERMIT_WAIT_WORD;
		return;
	case HERMIT_EVICTING:
		if (fault_meets_poison(r, idx, w->word))
			return;
		/*
		 * A host PTE needs LOCAL; the owner leaves without I/O, and tells
		 * those who asked for the page.
		 */
		w->kind = (flags & HERMIT_FAULT_HOST) &&
			  !hermit_word_apply(word, HERMIT_EV_RESCUE, 0, &old,
					     &w->word) &&
			  hermit_word_state(w->word) == HERMIT_EVICTING ?
				  HERMIT_WAIT_WORD : HERMIT_WAIT_NONE;
		return;
	case HERMIT_ABSENT:
		ret = fault_install_zero(r, idx, word);
		break;
	case HERMIT_REMOTE:
		if (hermit_standby_back(r, idx, w->word))
			break;
		if (time_before(jiffies, READ_ONCE(r->read_backoff[idx % HERMIT_PAGE_HASH]))) {
			HERMIT_MARK(backs_off);
			return;
		}
		if (!r->sync) {
			fault_post(r, idx, word, flags, now, w);
			return;
		}
		ret = fault_fetch_sync(r, idx, w->word);
		break;
	default:
		break;
	}
	/*
	 * To ask again at once is right only if the word is another one now: who
	 * guesses why there was no page, and guesses wrong, asks for ever.
	 */
	w->kind = ret ? hermit_wait_for(ret) : HERMIT_WAIT_NONE;
}
