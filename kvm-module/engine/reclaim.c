// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim: what the threads of a region (threads.c) do.
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

#include "engine/clock.h"
#include "engine/copy.h"
#include "engine/discard.h"
#include "engine/limit.h"
#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/reclaim.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/trace.h"
#include "engine/tune.h"
#include "engine/turn.h"
#include "engine/unmap.h"
#include "engine/word.h"
#include "kvm/mmu.h"

struct reclaim_batch {
	struct hermit_selection s;
	int clean, zero;
};

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

static noinline void reclaim_write_failed(struct hermit_region *r, u64 idx,
					  int status)
{
	WRITE_ONCE(r->write_backoff, jiffies + HZ / 20);
	/*
	 * Of several servers none is there that has room, or there was no page to seal
	 * it into: no server's error.
	 */
	if (status == -ENOLINK || status == -ENOMEM)
		return;
	hermit_count(r, HERMIT_C_WRITE_ERRORS, 1);
	/* The next ones of the batch find it. */
	if (status == -ENOSPC)
		hermit_pool_lend(r);
	if (status == -EBADMSG)
		pr_warn_ratelimited("%s: server %s: page %llu was damaged on its way there; it stays here, and is sent again later. See to the network\n",
				    r->name, r->servers[0], idx);
}

/*
 * The write of a page that was away failed, and unless somebody has asked for it, it is
 * where it was: as one that is kept, and dropped at once. What it carries is clean, and
 * who had it has it.
 */
static noinline int reclaim_move_failed(struct hermit_region *r, u64 idx, u64 gen,
					u64 *old, u64 *new)
{
	atomic64_t *word = hermit_word(r, idx);

	HERMIT_MARK(move_refused);
	WRITE_ONCE(r->mover.backoff, jiffies + HZ / 20);
	*old = atomic64_read(word);
	do {
		if (hermit_word_next(*old, HERMIT_EV_WRITE_FAIL, 0, 0, new))
			return -EINVAL;
		if (hermit_word_state(*old) == HERMIT_EVICTING &&
		    (hermit_word_next(*new, HERMIT_EV_EVICT_BEGIN, 0, 0, new) ||
		     hermit_word_next(*new, HERMIT_EV_EVICT_DROP, gen,
				      hermit_stamp_now(), new)))
			return -EINVAL;
	} while (!atomic64_try_cmpxchg(word, (s64 *)old, *new));
	return 0;
}

/* What came of that; a page that somebody asked for meanwhile was fetched for him. */
static noinline void reclaim_moved(struct hermit_region *r, int status,
				   enum hermit_state now)
{
	if (now != HERMIT_REMOTE) {
		HERMIT_MARK(move_comes_home);
		hermit_count(r, HERMIT_C_FETCHES, 1);
	}
	if (!status)
		hermit_count(r, HERMIT_C_MOVED, 1);
	else if (status != -ENOLINK)
		hermit_count(r, HERMIT_C_WRITE_ERRORS, 1);
}

/* The word after the write: 0, or -EINVAL, which is a bug. */
static int reclaim_write_end(struct hermit_region *r, struct hermit_req *req,
			     bool failed, u64 *old, u64 *new)
{
	u64 gen = hermit_next_generation(r);

	if (unlikely(failed && req->moved))
		return reclaim_move_failed(r, req->idx, gen, old, new);
	return hermit_word_apply(hermit_word(r, req->idx),
				 failed ? HERMIT_EV_WRITE_FAIL : HERMIT_EV_WRITE_OK,
				 gen, old, new);
}

void hermit_write_done(struct hermit_io *io)
{
	struct hermit_req *req = container_of(io, struct hermit_req, io);
	struct hermit_region *r = req->region;
	struct page *page = io->page;
	bool failed = io->status;
	u64 old, new, next;

	io->page = NULL;
	if (failed && !req->moved) {
		HERMIT_MARK(write_refused);
		/*
		 * The page is still the word's, which goes back to LOCAL below,
		 * or ours: the bit does no harm then.
		 */
		if (!io->same)
			SetPageDirty(page);
	} else if (r->replicas) {
		if (!failed)
			hermit_holders_add(r, req->idx, io->members);
		hermit_holders_away(r, req->idx);
	}
	if (WARN_ON_ONCE(reclaim_write_end(r, req, failed, &old, &new)))
		goto out;
	if (hermit_word_state(new) != HERMIT_REMOTE)
		hermit_holders_home(r, req->idx);

	/* What was rescued may change while it is sent: that is nobody's error. */
	if (io->status == -EBADMSG && hermit_word_state(old) != HERMIT_EVICTING)
		HERMIT_MARK(changed_on_its_way);
	else if (failed && !req->moved)
		reclaim_write_failed(r, req->idx, io->status);
	if (unlikely(req->moved))
		reclaim_moved(r, io->status, hermit_word_state(new));
	if (hermit_word_state(old) == HERMIT_EVICTING) {
		if (hermit_word_state(new) == HERMIT_REMOTE) {
			if (!req->moved)
				hermit_count(r, HERMIT_C_EVICTED_DIRTY, 1);
			hermit_count(r, HERMIT_C_REMOTE, 1);
			hermit_count(r, HERMIT_C_LOCAL, -1);
			hermit_page_left(r, page, new);
		}
	} else if ((old & HERMIT_W_FOREIGN) || !hermit_word_has_page(old)) {
		HERMIT_MARK(discarded_in_flight);
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
	    atomic64_cmpxchg(hermit_word(r, req->idx), new, next) == new) {
		HERMIT_MARK(stale_copy_left);
		hermit_discard_copy(r, req->idx, 1);
	}
out:
	if (atomic_dec_return(&r->writes) < HERMIT_MAX_WRITES &&
	    wq_has_sleeper(&r->write_wq))
		wake_up_all(&r->write_wq);
	hermit_req_finish(req);
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
	bool dirty, again = false;

	if (v->keep) {
		HERMIT_MARK(page_lock_held);
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
		HERMIT_MARK(page_pinned);
		hermit_count(r, HERMIT_C_PINNED, 1);
		reclaim_keep(r, v);
		return false;
	}
	dirty = TestClearPageDirty(page);
	dirty |= !!(v->flags & HERMIT_MMU_DIRTY);
	page_ref_unfreeze(page, 1);

	/*
	 * Where few have it more may: it is sent as if it had changed, but it has not, and
	 * who has it has it still, also if it stays here in the end.
	 */
	if (!dirty && (v->word & HERMIT_W_COPY) && !PageHWPoison(page) &&
	    hermit_holders_are_few(r, v->idx)) {
		HERMIT_MARK(short_of_copies);
		again = true;
	}
	req = NULL;
	if (!dirty && !again && (v->word & HERMIT_W_COPY)) {
		ev = HERMIT_EV_EVICT_DROP;
		gen = hermit_next_generation(r);
		hermit_holders_away(r, v->idx);
	} else if (unlikely(PageHWPoison(page))) {
		hermit_poison_report(r, v->idx);
		goto keep;
	} else if (page_is_zero(page)) {
		ev = HERMIT_EV_EVICT_ZERO;
	} else {
		ev = HERMIT_EV_EVICT_WRITE;
		if (time_after_eq(jiffies, READ_ONCE(r->write_backoff)))
			req = hermit_req_alloc(r);
		if (!req) {
			HERMIT_MARK(no_write_now);
			goto keep;
		}
		/* If the page is rescued before it has W it stays dirty. */
		req->io.crc = again ? hermit_copy_noted(r, v->idx) :
				      hermit_copy_note(r, v->idx, page);
		req->io.same = again;
		req->idx = v->idx;
		req->io.op = HERMIT_IO_WRITE;
		req->io.page = page;
		req->io.offset = v->idx << PAGE_SHIFT;
		req->io.length = PAGE_SIZE;
		req->io.done = hermit_write_done;
	}

	if (hermit_word_apply(word, ev, gen, &old, &new)) {
		HERMIT_MARK(rescued_from_the_owner);
		hermit_holders_home(r, v->idx);
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
		hermit_page_left(r, page, new);
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

/*
 * One batch, begun at @begin, with a turn. Returns how many pages went, or are on
 * their way.
 */
static int reclaim_batch(struct hermit_region *r, u64 begin)
{
	struct reclaim_batch b = { .s.max = READ_ONCE(r->policy.batch) };
	struct hermit_io *io;
	LIST_HEAD(writes);
	int i, nr = 0, gone = 0;

	hermit_clock_select(r, &b.s);
	if (b.s.nr)
		hermit_unmap(r, b.s.v, b.s.nr, false);
	for (i = 0; i < b.s.nr; i++)
		gone += reclaim_decide(r, &b, &b.s.v[i], &writes);
	list_for_each_entry(io, &writes, node)
		nr++;
	atomic_add(nr, &r->writes);
	if (nr) {
		hermit_req_submit_list(r, &writes);
		/*
		 * A local pool grew in the VM's own cgroup, and pages that go round
		 * are charged to nobody: no fault looks.
		 */
		hermit_limit_look(r);
	}
	if (trace_hermit_evict_enabled())
		trace_hermit_evict(r, b.s.scanned, b.s.nr, b.clean, b.zero, nr,
				   local_clock() - begin);
	return gone;
}

static bool reclaimer_fn(void *data)
{
	struct hermit_reclaimer *t = data;
	struct hermit_region *r = t->region;
	unsigned int flags;
	u64 begin;
	int gone;

	/* vhost_task_fn() made us TASK_INTERRUPTIBLE. */
	if (hermit_threads_rest(t)) {
		hermit_tune(r);
		return false;
	}
	__set_current_state(TASK_RUNNING);

	if (READ_ONCE(r->starved)) {
		WRITE_ONCE(r->starved, false);
		if (!hermit_pool_fill(r))
			hermit_limit_refused(r);
	}
	if (hermit_pool_shrink(r))
		return true;

	wait_event_interruptible_timeout(r->write_wq,
					 atomic_read(&r->writes) < HERMIT_MAX_WRITES ||
					 READ_ONCE(r->dead), HZ / 10);
	if (atomic_read(&r->writes) >= HERMIT_MAX_WRITES || READ_ONCE(r->dead))
		return true;

	/*
	 * The sweep after a loss of contents sees no batch half done. A sweep of
	 * terabytes holds it long: no turn is kept from others meanwhile.
	 */
	down_read(&r->sweep_lock);
	hermit_turn_begin(r);
	flags = memalloc_noreclaim_save();
	begin = local_clock();
	gone = reclaim_batch(r, begin);
	memalloc_noreclaim_restore(flags);
	hermit_turn_end(r, gone);
	up_read(&r->sweep_lock);
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

int hermit_reclaim_start(struct hermit_region *r, unsigned int threads)
{
	return hermit_threads_start(r, threads, reclaimer_fn);
}
