// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim (design, section 7). Per region up to HERMIT_MAX_THREADS vhost tasks:
 * threads of QEMU in all but files, so in its cgroup and gone with it.
 *
 * A batch:	select	clock over the page words, with EPT accessed bits
 *		unmap	EPT of all address spaces, one flush; then host PTEs
 *		decide	under a frozen reference: drop, write, forget zeros
 *		post	all writes at once; their completions free the pages
 *
 * Nobody waits for the writes: the next batch goes on, until
 * HERMIT_MAX_WRITES are out and the server does not answer.
 */
#include <linux/highmem.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/sched/vhost_task.h>

#include "engine/region.h"
#include "kvm/provider.h"
#include "engine/trace.h"

/* The most words that one step of the clock hand passes. */
#define SCAN_STEP	64
/* After so many words without a full batch, age does not protect any more. */
#define SCAN_HARD	8192
/* Give up a scan here; a region of less is scanned about twice. */
#define SCAN_MAX	65536

struct reclaim_batch {
	struct hermit_victim v[HERMIT_BATCH];
	int nr, max;
	int asked, found;	/* whose accessed bits were looked at; clear ones */
	int scanned, clean, zero;
};

/*
 * How many threads should run: what the scheduler says (core/sched.h), or the
 * fixed number of the policy, below a mark of 1/32 of the limit.
 */
static unsigned int reclaim_threads_wanted(struct hermit_region *r)
{
	unsigned int fixed = READ_ONCE(r->policy.threads);
	long limit = READ_ONCE(r->limit), room = hermit_room(r);

	if (READ_ONCE(r->dead))
		return 0;
	if (fixed)
		return room < clamp(limit / 32, 2L * HERMIT_BATCH, 1024L) ||
		       atomic_read(&r->room_waiters) ? fixed : 0;
	if (room <= 0 || atomic_read(&r->room_waiters))
		return r->nr_reclaimers;
	/* More room than the limit: it was lowered since. */
	return hermit_sched_wanted(&r->sched, max(limit - room, 0L), limit,
				   READ_ONCE(r->threads_wanted));
}

static void reclaim_want(struct hermit_region *r, unsigned int wanted)
{
	unsigned int before = READ_ONCE(r->threads_wanted);

	if (wanted == before)
		return;
	WRITE_ONCE(r->threads_wanted, wanted);
	trace_hermit_sched(r, before, wanted);
}

void hermit_reclaim_kick(struct hermit_region *r)
{
	unsigned int wanted, i;

	/*
	 * The end of the region sets dead, waits for a grace period and frees
	 * the tasks: who finds it alive in here may wake them.
	 */
	rcu_read_lock();
	wanted = min(reclaim_threads_wanted(r), r->nr_reclaimers);
	reclaim_want(r, wanted);
	/* Against reclaimer_fn(): it sees the room we saw, or we see it idle. */
	smp_mb();
	for (i = 0; i < wanted; i++)
		if (READ_ONCE(r->reclaimers[i].idle))
			vhost_task_wake(r->reclaimers[i].task);
	rcu_read_unlock();
}

static bool word_fresh(u64 w, unsigned int now)
{
	unsigned int age = (now - hermit_word_stamp(w)) & HERMIT_W_STAMP_MASK;

	return age < HERMIT_FRESH_MS / 4 + 1;
}

/*
 * How many pages to ask about next: as many as fill the batch, by what was found
 * so far in it. Looking clears the accessed bit, so who is asked about in excess
 * lives a turn longer if cold, and has his second chance wasted if hot.
 */
static int reclaim_ask(const struct reclaim_batch *b, bool hard)
{
	int room = b->max - b->nr;

	if (hard)
		return min(room, SCAN_STEP);
	return min(room * (b->asked + 1) / (b->found + 1), SCAN_STEP);
}

/*
 * One step of the clock, from page @hand % npages: make those EVICTING that were
 * not accessed since the last visit (second chance). Returns how many pages the
 * hand passed, 0 if another thread moved it meanwhile: who moves it asks about
 * those it passed, nobody else.
 */
static u64 reclaim_scan_step(struct hermit_region *r, u64 hand, bool hard,
			     struct reclaim_batch *b)
{
	DECLARE_BITMAP(accessed, SCAN_STEP) = {};
	unsigned int now = hermit_stamp_now();
	u64 start = hand % r->npages, left, passed;
	u64 idx[SCAN_STEP], w, old, new;
	int n = 0, i, ask = reclaim_ask(b, hard);
	atomic64_t *words = hermit_word(r, start);

	/* One look-up for all words of a step: it ends with the chunk. */
	left = min_t(u64, HERMIT_CHUNK_PAGES - start % HERMIT_CHUNK_PAGES,
		     r->npages - start);
	if (!words)
		return atomic64_cmpxchg(&r->hand, hand, hand + left) == hand ?
			       left : 0;

	left = min_t(u64, left, SCAN_STEP);
	for (passed = 0; passed < left && n < ask; passed++) {
		w = atomic64_read(&words[passed]);
		if ((w & (HERMIT_W_STATE | HERMIT_W_INFLIGHT)) == HERMIT_LOCAL &&
		    !word_fresh(w, now))
			idx[n++] = start + passed;
	}
	if (atomic64_cmpxchg(&r->hand, hand, hand + passed) != hand)
		return 0;
	b->scanned += passed;
	hermit_count(r, HERMIT_C_SCANNED, passed);
	if (!n)
		return passed;
	hermit_provider_age(r, idx, n, accessed);

	b->asked += n;
	for (i = 0; i < n; i++) {
		if (!hard && test_bit(i, accessed))
			continue;
		b->found++;
		if (b->nr == b->max ||
		    hermit_word_apply(hermit_word(r, idx[i]),
				      HERMIT_EV_EVICT_BEGIN, 0, &old, &new))
			continue;
		b->v[b->nr++] = (struct hermit_victim) {
			.idx = idx[i],
			.word = new,
			.page = hermit_word_page(new),
		};
	}
	return passed;
}

static void reclaim_select(struct hermit_region *r, struct reclaim_batch *b)
{
	u64 passed = 0, step;
	bool hard = false;

	while (b->nr < b->max && passed < 3 * r->npages &&
	       b->scanned < SCAN_MAX) {
		do {
			step = reclaim_scan_step(r, atomic64_read(&r->hand),
						 hard, b);
		} while (!step);
		passed += step;
		hard = b->scanned >= SCAN_HARD || passed > 2 * r->npages;
	}
}

static bool page_is_zero(struct page *page)
{
	void *p = kmap_local_page(page);
	bool zero = !memchr_inv(p, 0, PAGE_SIZE);

	kunmap_local(p);
	return zero;
}

static void reclaim_keep(struct hermit_region *r, struct hermit_victim *v)
{
	u64 old, new;

	hermit_word_apply(hermit_word(r, v->idx), HERMIT_EV_EVICT_KEEP, 0, &old,
			  &new);
	if (old & HERMIT_W_RESCUED)
		hermit_word_wake(r, v->idx);
	hermit_count(r, HERMIT_C_KEPT, 1);
}

/*
 * The victim is in no page table any more, and no new reference to it can be
 * more than a reader of a stale word that is about to drop it again. Decide
 * what becomes of it; false if it stays.
 */
static bool reclaim_decide(struct hermit_region *r, struct reclaim_batch *b,
			   struct hermit_victim *v, struct list_head *writes)
{
	atomic64_t *word = hermit_word(r, v->idx);
	struct page *page = v->page;
	struct hermit_req *req;
	enum hermit_event ev;
	u64 gen = 0, old, new;
	bool dirty;

	if (v->keep) {
		if (v->flags & HERMIT_MMU_DIRTY)
			SetPageDirty(page);
		reclaim_keep(r, v);
		return false;
	}
	/*
	 * Only our reference is left, or somebody pinned the page and may be
	 * writing to it. Harvest the dirty bit while nobody can get another
	 * one, and let go before anything is posted.
	 */
	if (!page_ref_freeze(page, 1)) {
		if (v->flags & HERMIT_MMU_DIRTY)
			SetPageDirty(page);
		hermit_count(r, HERMIT_C_PINNED, 1);
		reclaim_keep(r, v);
		return false;
	}
	dirty = TestClearPageDirty(page);
	dirty |= !!(v->flags & HERMIT_MMU_DIRTY);
	page_ref_unfreeze(page, 1);

	req = NULL;
	if (!dirty && (v->word & HERMIT_W_COPY)) {
		ev = HERMIT_EV_EVICT_DROP;
		gen = hermit_next_generation(r);
	} else if (page_is_zero(page)) {
		ev = HERMIT_EV_EVICT_ZERO;
	} else {
		ev = HERMIT_EV_EVICT_WRITE;
		if (time_after_eq(jiffies, READ_ONCE(r->write_backoff)))
			req = hermit_req_alloc(r, GFP_NOWAIT | __GFP_NOWARN);
		if (!req)
			goto keep;
		req->idx = v->idx;
		req->io.op = HERMIT_IO_WRITE;
		req->io.page = page;
		req->io.offset = v->idx << PAGE_SHIFT;
		req->io.length = PAGE_SIZE;
		req->io.done = hermit_write_done;
	}

	if (hermit_word_apply(word, ev, gen, &old, &new)) {
		/* Rescued since. */
		if (req) {
			req->io.page = NULL;
			hermit_req_put(req);
		}
		goto keep;
	}
	if (v->word & HERMIT_W_PREFETCHED)
		hermit_count(r, HERMIT_C_PREFETCH_MISSES, 1);
	switch (ev) {
	case HERMIT_EV_EVICT_DROP:
		b->clean++;
		hermit_count(r, HERMIT_C_EVICTED_CLEAN, 1);
		hermit_count(r, HERMIT_C_REMOTE, 1);
		hermit_count(r, HERMIT_C_LOCAL, -1);
		hermit_page_put(r, page);
		return true;
	case HERMIT_EV_EVICT_ZERO:
		b->zero++;
		hermit_count(r, HERMIT_C_EVICTED_ZERO, 1);
		hermit_count(r, HERMIT_C_LOCAL, -1);
		hermit_page_put(r, page);
		if (new & HERMIT_W_INFLIGHT)
			hermit_discard_copy(r, v->idx, 1);
		return true;
	default:
		list_add_tail(&req->io.node, writes);
		return true;
	}
keep:
	/* What was harvested must not be forgotten; before the word is LOCAL. */
	if (dirty)
		SetPageDirty(page);
	reclaim_keep(r, v);
	return false;
}

/* Completion of a write; task or softirq. */
void hermit_write_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);
	struct hermit_region *r = req->region;
	struct page *page = io->page;
	bool failed = io->status;
	u64 old, new, next;

	io->page = NULL;
	if (failed) {
		/*
		 * The page is still the word's, which goes back to LOCAL below,
		 * or ours: the bit does no harm then.
		 */
		SetPageDirty(page);
		hermit_count(r, HERMIT_C_WRITE_ERRORS, 1);
		WRITE_ONCE(r->write_backoff, jiffies + HZ / 20);
	} else {
		WRITE_ONCE(r->progress, ktime_get_coarse_ns());
	}
	if (WARN_ON_ONCE(hermit_word_apply(hermit_word(r, req->idx),
					   failed ? HERMIT_EV_WRITE_FAIL :
						    HERMIT_EV_WRITE_OK,
					   hermit_next_generation(r), &old,
					   &new)))
		goto out;

	if (hermit_word_state(old) == HERMIT_EVICTING) {
		if (!failed) {
			hermit_count(r, HERMIT_C_EVICTED_DIRTY, 1);
			hermit_count(r, HERMIT_C_REMOTE, 1);
			hermit_count(r, HERMIT_C_LOCAL, -1);
			hermit_page_put(r, page);
		}
	} else if ((old & HERMIT_W_FOREIGN) || !hermit_word_has_page(old)) {
		/* Discarded meanwhile: the page came to us with that. */
		hermit_page_free(r, page);
	}
	hermit_word_wake(r, req->idx);
	/*
	 * A stale copy stayed behind. Only from the very word that this
	 * completion stored: a page installed since is no discard's to take.
	 */
	if (hermit_word_state(new) == HERMIT_ABSENT && (new & HERMIT_W_COPY) &&
	    !hermit_word_next(new, HERMIT_EV_DISCARD_BEGIN, 0, 0, &next) &&
	    atomic64_cmpxchg(hermit_word(r, req->idx), new, next) == new)
		hermit_discard_copy(r, req->idx, 1);
out:
	if (atomic_dec_return(&r->writes) < HERMIT_MAX_WRITES &&
	    wq_has_sleeper(&r->write_wq))
		wake_up_all(&r->write_wq);
	hermit_req_finish(req);
}

/* One batch, begun at @begin. Returns how many pages went, or are on their way. */
static int reclaim_batch(struct hermit_region *r, u64 begin)
{
	struct reclaim_batch b = { .max = READ_ONCE(r->policy.batch) };
	struct hermit_io *io;
	LIST_HEAD(writes);
	int i, nr = 0, gone = 0;

	/* The sweep after a loss of contents sees no batch half done. */
	down_read(&r->sweep_lock);
	reclaim_select(r, &b);
	if (b.nr)
		hermit_unmap(r, b.v, b.nr, false);
	for (i = 0; i < b.nr; i++)
		gone += reclaim_decide(r, &b, &b.v[i], &writes);
	list_for_each_entry(io, &writes, node)
		nr++;
	atomic_add(nr, &r->writes);
	if (nr)
		hermit_req_submit_list(r, &writes);
	up_read(&r->sweep_lock);
	if (trace_hermit_evict_enabled())
		trace_hermit_evict(r, b.scanned, b.nr, b.clean, b.zero, nr,
				   local_clock() - begin);
	return gone;
}

static bool reclaimer_fn(void *data)
{
	struct hermit_reclaimer *t = data;
	struct hermit_region *r = t->region;
	unsigned int flags, wanted;
	u64 begin;
	int gone;

	/*
	 * vhost_task_fn() made us TASK_INTERRUPTIBLE, and whoever takes room
	 * from now on finds us idle: no kick is lost.
	 */
	WRITE_ONCE(t->idle, true);
	smp_mb();
	wanted = reclaim_threads_wanted(r);
	reclaim_want(r, wanted);
	if (t->index >= wanted) {
		hermit_tune(r);
		return false;
	}
	WRITE_ONCE(t->idle, false);
	__set_current_state(TASK_RUNNING);

	wait_event_interruptible_timeout(r->write_wq,
					 atomic_read(&r->writes) < HERMIT_MAX_WRITES ||
					 READ_ONCE(r->dead), HZ / 10);
	if (atomic_read(&r->writes) >= HERMIT_MAX_WRITES || READ_ONCE(r->dead))
		return true;

	hermit_turn_begin(r);
	flags = memalloc_noreclaim_save();
	begin = local_clock();
	gone = reclaim_batch(r, begin);
	memalloc_noreclaim_restore(flags);
	hermit_turn_end(r, gone);
	if (gone > 0) {
		t->misses = 0;
		WRITE_ONCE(t->reclaimed, t->reclaimed + gone);
		WRITE_ONCE(t->busy_ns, t->busy_ns + local_clock() - begin);
	} else {
		/* Everything is young, pinned, or on the wire. */
		t->misses++;
		WRITE_ONCE(t->idle, true);
		schedule_timeout_interruptible(min(t->misses, 5u));
		WRITE_ONCE(t->idle, false);
	}
	cond_resched();
	return true;
}

/* QEMU is being killed; the end of the region follows. */
static void reclaimer_killed(void *data)
{
}

int hermit_reclaim_start(struct hermit_region *r, unsigned int threads)
{
	unsigned int i;

	for (i = 0; i < threads; i++) {
		struct hermit_reclaimer *t = &r->reclaimers[i];
		struct vhost_task *task;

		t->region = r;
		t->index = i;
		task = vhost_task_create(reclaimer_fn, reclaimer_killed, t,
					 "hermit-reclaim");
		if (IS_ERR(task)) {
			hermit_reclaim_stop(r);
			return PTR_ERR(task);
		}
		t->task = task;
		/* Before it runs: its first look counts the threads. */
		r->nr_reclaimers = i + 1;
		vhost_task_start(task);
	}
	return 0;
}

/* Waits for the batches under way. */
void hermit_reclaim_stop(struct hermit_region *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_reclaimers; i++)
		vhost_task_stop(r->reclaimers[i].task);
	r->nr_reclaimers = 0;
}

u64 hermit_reclaim_lose(struct hermit_region *r)
{
	u64 idx, old, new, lost = 0, lowest = 0;
	atomic64_t *word;

	down_write(&r->sweep_lock);
	for (idx = 0; idx < r->npages; idx++) {
		word = hermit_word(r, idx);
		if (!word) {
			idx |= HERMIT_CHUNK_PAGES - 1;
			continue;
		}
		if (hermit_word_apply(word, HERMIT_EV_LOSE, 0, &old, &new) ||
		    hermit_word_state(new) != HERMIT_LOST ||
		    hermit_word_state(old) == HERMIT_LOST)
			continue;
		if (!lost++)
			lowest = idx;
		hermit_word_wake(r, idx);
		cond_resched();
	}
	up_write(&r->sweep_lock);
	hermit_count(r, HERMIT_C_REMOTE, -(long)lost);
	hermit_count(r, HERMIT_C_LOST, lost);
	if (lost)
		hermit_event(r, HERMIT_EVENT_PAGES_LOST, lost, lowest);
	return lost;
}
