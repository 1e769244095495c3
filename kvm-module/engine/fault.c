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
 *
 * The request, not the waiter, owns the page it fills: an interrupted waiter
 * drops its reference, and the request installs when it completes.
 */
#include <linux/hash.h>
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "engine/region.h"
#include "kvm/provider.h"
#include "engine/trace.h"

/* How often a race for a word is tried again before the caller is asked to. */
#define FAULT_TRIES	16
/* No sleep on a word or for room is longer: a lost wake-up costs this. */
#define FAULT_NAP	(HZ / 10)

static struct kmem_cache *req_cache;
static mempool_t *req_pool;

int hermit_req_init(void)
{
	req_cache = KMEM_CACHE(hermit_req, 0);
	if (!req_cache)
		return -ENOMEM;
	/* Reclaim posts writes while the host is short of memory. */
	req_pool = mempool_create_slab_pool(HERMIT_MAX_WRITES, req_cache);
	if (!req_pool) {
		kmem_cache_destroy(req_cache);
		return -ENOMEM;
	}
	return 0;
}

void hermit_req_exit(void)
{
	mempool_destroy(req_pool);
	kmem_cache_destroy(req_cache);
}

/* One reference, the wire's. */
struct hermit_req *hermit_req_alloc(struct hermit_region *r, gfp_t gfp)
{
	struct hermit_req *req = mempool_alloc(req_pool, gfp);

	if (!req)
		return NULL;
	memset(req, 0, sizeof(*req));
	kref_init(&req->ref);
	init_waitqueue_head(&req->wq);
	req->region = r;
	hermit_region_get(r);
	return req;
}

static void req_release(struct kref *ref)
{
	struct hermit_req *req = container_of(ref, struct hermit_req, ref);
	struct hermit_region *r = req->region;

	if (req->io.page)
		hermit_page_put(r, req->io.page);
	mempool_free(req, req_pool);
	hermit_region_put(r);
}

void hermit_req_put(struct hermit_req *req)
{
	kref_put(&req->ref, req_release);
}

/* The wire is done with it: wake the waiters, drop the wire's reference. */
void hermit_req_finish(struct hermit_req *req)
{
	struct hermit_region *r = req->region;

	req->status = req->io.status;
	smp_store_release(&req->done, true);
	if (wq_has_sleeper(&req->wq))
		wake_up_all(&req->wq);
	atomic_dec(&r->requests);
	hermit_req_put(req);
}

int hermit_req_submit(struct hermit_region *r, struct hermit_req *req)
{
	/*
	 * The end of the region sets dead, then waits for an RCU grace period
	 * and closes the link: nothing is submitted to a closed link.
	 */
	rcu_read_lock();
	if (unlikely(READ_ONCE(r->dead))) {
		rcu_read_unlock();
		return -EFAULT;
	}
	atomic_inc(&r->requests);
	r->link->ops->submit_one(r->link, &req->io);
	rcu_read_unlock();
	return 0;
}

void hermit_req_poll(struct hermit_region *r)
{
	int (*poll)(struct hermit_link *link) = r->link->ops->poll;

	if (!poll)
		return;
	rcu_read_lock();
	if (likely(!READ_ONCE(r->dead)))
		poll(r->link);
	rcu_read_unlock();
}

void hermit_req_submit_list(struct hermit_region *r, struct list_head *ios)
{
	struct hermit_io *io, *next;

	list_for_each_entry(io, ios, node)
		atomic_inc(&r->requests);
	rcu_read_lock();
	if (likely(!READ_ONCE(r->dead))) {
		r->link->ops->submit(r->link, ios);
		rcu_read_unlock();
		return;
	}
	rcu_read_unlock();
	list_for_each_entry_safe(io, next, ios, node) {
		list_del_init(&io->node);
		io->status = -ECANCELED;
		io->done(io);
	}
}

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
static bool fault_install(struct hermit_region *r, u64 idx, u64 expected,
			  struct page *page, u64 flags)
{
	atomic64_t *word = hermit_word(r, idx);
	u64 new;

	if (!hermit_word_next(expected, HERMIT_EV_INSTALL_READ,
			      page_to_pfn(page), hermit_stamp_now(), &new)) {
		hermit_page_publish(r, page, idx);
		if (atomic64_cmpxchg(word, expected, new | flags) == expected) {
			hermit_count(r, HERMIT_C_LOCAL, 1);
			hermit_count(r, HERMIT_C_REMOTE, -1);
			return true;
		}
	}
	hermit_count(r, HERMIT_C_CONFLICTS, 1);
	hermit_page_put(r, page);
	return false;
}

/*
 * A page that is fetched by demand was evicted too early if fewer evictions
 * than pages are free now have passed since its own: see core/sched.h.
 */
static void fault_count_fetch(struct hermit_region *r, u64 w)
{
	u64 away = (atomic64_read(&r->generation) - hermit_word_value(w)) &
		   HERMIT_W_VALUE_MASK;
	long room = hermit_room(r);

	hermit_count(r, HERMIT_C_FETCHES, 1);
	hermit_count(r, HERMIT_C_AWAY, away);
	if (room > 0 && away < room)
		hermit_count(r, HERMIT_C_EARLY, 1);
}

/* Completion of a read, by demand or ahead; task or softirq. */
static void fault_read_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);
	struct hermit_region *r = req->region;
	struct page *page = io->page;
	u64 new;

	req->finished = local_clock();
	hermit_count(r, HERMIT_C_INFLIGHT, -1);
	io->page = NULL;
	if (!io->status) {
		fault_install(r, req->idx, req->word, page,
			      req->prefetch ? HERMIT_W_PREFETCHED : 0);
		WRITE_ONCE(r->progress, ktime_get_coarse_ns());
		if (!req->prefetch)
			hermit_wait_done(&r->wait,
					 hermit_ns(req->posted, req->finished));
	} else {
		hermit_count(r, HERMIT_C_READ_ERRORS, 1);
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

/* A link that completes reads inside submit: fetch and install on the spot. */
static int fault_fetch_sync(struct hermit_region *r, u64 idx, u64 w)
{
	struct sync_io s = {};
	struct page *page = hermit_page_get(r);
	u64 since;

	if (!page)
		return -EAGAIN;
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
	if (s.io.status || WARN_ON_ONCE(!s.done)) {
		hermit_count(r, HERMIT_C_READ_ERRORS, 1);
		hermit_page_put(r, page);
		return -EIO;
	}
	fault_install(r, idx, w, page, 0);
	hermit_fault_account(r, idx, hermit_ns(since, local_clock()));
	return 0;
}

static int fault_install_zero(struct hermit_region *r, u64 idx,
			      atomic64_t *word)
{
	struct page *page = hermit_page_get(r);
	u64 old, new;

	if (!page)
		return -EAGAIN;
	if (!hermit_page_is_zeroed(page))
		clear_highpage(page);
	hermit_page_publish(r, page, idx);
	if (hermit_word_apply(word, HERMIT_EV_INSTALL_ZERO, page_to_pfn(page),
			      &old, &new)) {
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
 * The first access to a page that was read ahead. It is fresh from now on; a
 * lost race loses a hit.
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

int hermit_fault_get(struct hermit_region *r, u64 idx, unsigned int flags,
		     struct page **pagep)
{
	atomic64_t *word = hermit_word(r, idx);
	struct page *page;
	int tries, ret;
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
			if (hermit_word_apply(word, HERMIT_EV_RESCUE, 0, &old, &w))
				continue;
			if (old != w)
				hermit_count(r, HERMIT_C_RESCUED, 1);
			fallthrough;
		case HERMIT_LOCAL:
			page = hermit_word_page(w);
			/*
			 * The word may have moved on since it was read: the
			 * reference counts only if it still names the page. It
			 * is 0 while the evictor has it frozen.
			 */
			if (!get_page_unless_zero(page)) {
				cpu_relax();
				continue;
			}
			if (unlikely(!same_page(atomic64_read(word), w))) {
				put_page(page);
				continue;
			}
			if (unlikely(w & HERMIT_W_PREFETCHED))
				fault_touch(r, word, w);
			*pagep = page;
			return 0;
		case HERMIT_ABSENT:
			ret = fault_install_zero(r, idx, word);
			if (ret)
				return ret;
			continue;
		case HERMIT_REMOTE:
			if (!r->sync)
				return -EAGAIN;
			ret = fault_fetch_sync(r, idx, w);
			if (ret)
				return -EAGAIN;
			continue;
		case HERMIT_LOST:
			return -EHWPOISON;
		default:
			return -EAGAIN;
		}
	}
	return -EAGAIN;
}

static void fault_forget_req(struct hermit_waiter *w)
{
	if (w->req)
		hermit_req_put(w->req);
	w->req = NULL;
}

void hermit_fault_drop(struct hermit_waiter *w)
{
	fault_forget_req(w);
	if (w->region)
		hermit_region_put(w->region);
	w->region = NULL;
	w->kind = HERMIT_WAIT_NONE;
	w->since = 0;
}

/* No page to be had: because of the limit, or of the host? */
static enum hermit_wait_kind fault_no_page(struct hermit_region *r)
{
	return hermit_room(r) > 0 ? HERMIT_WAIT_BACKOFF : HERMIT_WAIT_ROOM;
}

static struct hermit_req *fault_read_alloc(struct hermit_region *r, u64 idx,
					   u64 word, struct page *page,
					   u64 now, gfp_t gfp)
{
	struct hermit_req *req = hermit_req_alloc(r, gfp);

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
	if (!page) {
		w->kind = fault_no_page(r);
		return;
	}
	req = fault_read_alloc(r, idx, expected, page, now,
			       GFP_KERNEL | __GFP_NORETRY);
	if (!req) {
		hermit_page_put(r, page);
		w->kind = HERMIT_WAIT_BACKOFF;
		return;
	}
	if ((flags & HERMIT_FAULT_HOST) || !READ_ONCE(r->policy.eager) ||
	    !hermit_trial_on(&r->eager)) {
		hermit_word_next(expected, HERMIT_EV_FETCH_BEGIN, 0, 0,
				 &fetching);
		if (atomic64_cmpxchg(word, expected, fetching) != expected) {
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
		fault_forget_req(w);
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

/* Demand faults that follow must find room: so much is not prefetched into. */
#define PREFETCH_RESERVE	HERMIT_BATCH
/* Faults of a vCPU between two looks at what became of prefetched pages. */
#define PREFETCH_JUDGE		16

void hermit_fault_prefetch(struct hermit_region *r, u64 idx,
			   struct hermit_stream *s)
{
	unsigned int n, i, max = READ_ONCE(r->policy.prefetch);
	long hits, misses;
	LIST_HEAD(ios);
	s64 stride;
	u64 now;

	if (!max)
		return;
	if (++s->faults >= PREFETCH_JUDGE) {
		/* The region's, not its own: streams share what they earn. */
		hits = hermit_stat(r, HERMIT_C_PREFETCH_HITS);
		misses = hermit_stat(r, HERMIT_C_PREFETCH_MISSES);
		hermit_prefetch_judge(&s->p, max(hits - s->hits, 0L),
				      max(misses - s->misses, 0L));
		s->hits = hits;
		s->misses = misses;
		s->faults = 0;
	}
	n = min(hermit_prefetch_fault(&s->p, idx, r->npages, &stride), max);
	if (!n)
		return;
	now = local_clock();
	for (i = 1; i <= n && hermit_room(r) > PREFETCH_RESERVE; i++) {
		u64 ahead = idx + (s64)i * stride, w, fetching;
		atomic64_t *word = hermit_word(r, ahead);
		struct hermit_req *req;
		struct page *page;

		if (!word)
			continue;
		w = atomic64_read(word);
		/* Joined by demand faults, not raced: it is theirs as well. */
		if (hermit_word_state(w) != HERMIT_REMOTE ||
		    hermit_word_next(w, HERMIT_EV_FETCH_BEGIN, 0, 0, &fetching))
			continue;
		page = hermit_page_get(r);
		if (!page)
			break;
		req = fault_read_alloc(r, ahead, fetching, page, now,
				       GFP_NOWAIT | __GFP_NOWARN);
		if (!req) {
			hermit_page_put(r, page);
			break;
		}
		if (atomic64_cmpxchg(word, w, fetching) != w) {
			hermit_req_put(req);
			continue;
		}
		req->prefetch = true;
		hermit_count(r, HERMIT_C_INFLIGHT, 1);
		hermit_count(r, HERMIT_C_PREFETCHES, 1);
		list_add_tail(&req->io.node, &ios);
	}
	if (!list_empty(&ios))
		hermit_req_submit_list(r, &ios);
}

void hermit_fault_prefetch_host(struct hermit_region *r, u64 idx)
{
	struct hermit_host_stream *h =
		&r->host[hash_32(current->pid, HERMIT_HOST_STREAMS_SHIFT)];

	if (!mutex_trylock(&h->lock))
		return;
	if (h->who != current->pid) {
		h->who = current->pid;
		hermit_prefetch_init(&h->stream.p);
	}
	hermit_fault_prefetch(r, idx, &h->stream);
	mutex_unlock(&h->lock);
}

u64 hermit_fault_spin(struct hermit_region *r)
{
	switch (READ_ONCE(r->policy.wait)) {
	case HERMIT_POLICY_WAIT_SPIN:
		return HERMIT_SPIN_MAX_NS;
	case HERMIT_POLICY_WAIT_PARK:
		return 0;
	default:
		return hermit_wait_budget(&r->wait);
	}
}

bool hermit_fault_long(struct hermit_region *r)
{
	if (time_before(jiffies, READ_ONCE(r->async_pause)))
		return false;
	switch (READ_ONCE(r->policy.async_pf)) {
	case HERMIT_POLICY_ASYNC_PF_ON:
		return true;
	case HERMIT_POLICY_ASYNC_PF_OFF:
		return false;
	default:
		return hermit_wait_long(&r->wait);
	}
}

void hermit_fault_prepare(struct hermit_region *r, u64 idx, unsigned int flags,
			  struct hermit_waiter *w)
{
	atomic64_t *word;
	bool failed = false;
	u64 now;

	w->posted = false;
	if (w->req) {
		/* Back after a signal: join the read that is out. */
		if (w->region == r && w->idx == idx &&
		    !smp_load_acquire(&w->req->done)) {
			w->kind = HERMIT_WAIT_REQ;
			return;
		}
		failed = smp_load_acquire(&w->req->done) && w->req->status;
		fault_forget_req(w);
	}
	if (w->region != r) {
		hermit_fault_drop(w);
		hermit_region_get(r);
		w->region = r;
	}
	now = local_clock();
	if (w->idx != idx || !w->since)
		w->since = now;
	w->idx = idx;
	w->kind = HERMIT_WAIT_BACKOFF;
	word = hermit_word_alloc(r, idx);
	if (!word || failed)
		return;

	w->word = atomic64_read(word);
	switch (hermit_word_state(w->word)) {
	case HERMIT_DISCARDING:
	case HERMIT_FETCHING:
		w->kind = HERMIT_WAIT_WORD;
		return;
	case HERMIT_EVICTING:
		/* A host PTE needs LOCAL; the owner leaves without I/O. */
		w->kind = flags & HERMIT_FAULT_HOST ? HERMIT_WAIT_WORD :
						      HERMIT_WAIT_NONE;
		return;
	case HERMIT_ABSENT:
		w->kind = hermit_room(r) > 0 ? HERMIT_WAIT_NONE :
					       HERMIT_WAIT_ROOM;
		return;
	case HERMIT_REMOTE:
		if (r->sync)
			w->kind = hermit_room(r) > 0 ? HERMIT_WAIT_NONE :
						       HERMIT_WAIT_ROOM;
		else
			fault_post(r, idx, word, flags, now, w);
		return;
	default:
		w->kind = HERMIT_WAIT_NONE;
		return;
	}
}

static bool wait_over(struct hermit_waiter *w)
{
	struct hermit_region *r = w->region;

	switch (w->kind) {
	case HERMIT_WAIT_REQ:
		return smp_load_acquire(&w->req->done);
	case HERMIT_WAIT_WORD:
		return atomic64_read(hermit_word(r, w->idx)) != w->word ||
		       READ_ONCE(r->dead);
	case HERMIT_WAIT_ROOM:
		return hermit_room(r) > 0 || READ_ONCE(r->dead);
	default:
		return false;
	}
}

/*
 * A stall counts from when the first of those who wait now began. Who gives up
 * and soon waits again, as naps do and a vCPU that is kicked, did not begin anew.
 * gave_up is stored before the count falls, and read by who raised it from 0: it
 * is 0 only if somebody was served since.
 */
void hermit_wait_enter(struct hermit_region *r)
{
	u64 now;

	if (atomic_inc_return(&r->waiters) != 1)
		return;
	now = ktime_get_coarse_ns();
	if (now - READ_ONCE(r->gave_up) > NSEC_PER_SEC)
		WRITE_ONCE(r->stall_since, now);
}

void hermit_wait_leave(struct hermit_region *r, bool served)
{
	WRITE_ONCE(r->gave_up, served ? 0 : ktime_get_coarse_ns());
	smp_mb__before_atomic();
	atomic_dec(&r->waiters);
}

int hermit_fault_wait(struct hermit_waiter *w, unsigned int state, long timeout)
{
	struct hermit_region *r = w->region;
	wait_queue_head_t *wq = NULL;
	DEFINE_WAIT(wait);
	bool served = false;
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
		timeout = min_t(long, timeout, FAULT_NAP);
		break;
	case HERMIT_WAIT_ROOM:
		wq = &r->room_wq;
		timeout = min_t(long, timeout, FAULT_NAP);
		hermit_count(r, HERMIT_C_ROOM_WAITS, 1);
		break;
	case HERMIT_WAIT_BACKOFF:
		timeout = min_t(long, timeout, msecs_to_jiffies(10));
		break;
	}

	hermit_wait_enter(r);
	if (w->kind == HERMIT_WAIT_ROOM) {
		atomic_inc(&r->room_waiters);
		hermit_reclaim_kick(r);
	}
	for (;;) {
		if (wq)
			prepare_to_wait(wq, &wait, state);
		else
			set_current_state(state);
		served = wait_over(w);
		if (served)
			break;
		if (signal_pending_state(state, current)) {
			ret = -EINTR;
			break;
		}
		if (!timeout) {
			/* Only a read is waited for to its end. */
			ret = w->kind == HERMIT_WAIT_REQ ? -ETIME : 0;
			break;
		}
		timeout = schedule_timeout(timeout);
	}
	if (wq)
		finish_wait(wq, &wait);
	else
		__set_current_state(TASK_RUNNING);
	if (w->kind == HERMIT_WAIT_ROOM)
		atomic_dec(&r->room_waiters);
	hermit_wait_leave(r, served);
	w->ended = local_clock();
	if (w->kind == HERMIT_WAIT_REQ && !ret)
		hermit_wait_parked(&r->wait,
				   hermit_ns(w->req->finished, w->ended));
	hermit_count(r, HERMIT_C_STALL_NS, hermit_ns(w->began, w->ended));
	return ret;
}

static void fault_peek_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);

	req->finished = local_clock();
	hermit_count(req->region, HERMIT_C_INFLIGHT, -1);
	hermit_req_finish(req);
}

int hermit_fault_peek(struct hermit_region *r, u64 idx, struct hermit_req **out)
{
	struct hermit_waiter w = { .region = r, .kind = HERMIT_WAIT_REQ };
	struct page *page = hermit_page_get(r);
	struct hermit_req *req;
	int ret;

	if (!page) {
		w.kind = fault_no_page(r);
		return hermit_fault_wait(&w, TASK_KILLABLE, FAULT_NAP) ?: -EAGAIN;
	}
	req = hermit_req_alloc(r, GFP_KERNEL);
	if (!req) {
		hermit_page_put(r, page);
		return -ENOMEM;
	}
	req->idx = idx;
	req->io.op = HERMIT_IO_READ;
	req->io.page = page;		/* freed with the request */
	req->io.offset = idx << PAGE_SHIFT;
	req->io.length = PAGE_SIZE;
	req->io.demand = true;
	req->io.done = fault_peek_done;
	kref_get(&req->ref);
	w.req = req;
	hermit_count(r, HERMIT_C_INFLIGHT, 1);
	if (hermit_req_submit(r, req)) {
		hermit_count(r, HERMIT_C_INFLIGHT, -1);
		hermit_req_put(req);
		ret = -EFAULT;
	} else {
		ret = hermit_fault_wait(&w, TASK_KILLABLE, MAX_SCHEDULE_TIMEOUT);
		if (!ret)
			ret = req->status;
	}
	if (ret)
		hermit_req_put(req);
	else
		*out = req;
	return ret;
}
