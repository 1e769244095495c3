// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages and the budget.
 *
 * Every page of a region is charged: `used` counts it from its allocation to
 * its return to the system, whatever it is doing: local, evicting, in flight, or
 * in a pool. A charge never takes `used` above the limit; only lowering the limit
 * does that, and then what is evicted goes to the system.
 *
 *	system ──charge──► per-CPU pool ──► fault ──► page word
 *	   ▲		       ▲ refill			  │
 *	   └── uncharge ── shared pool ◄── reclaim ◄──────┘
 *
 * A fault takes from its CPU's pool without a lock; one fault in
 * HERMIT_PCP_REFILL takes the shared pool's lock. Evicted pages go round
 * without passing the page allocator, so nobody clears them on the way.
 *
 * The shared pool has a list for each node. A page that comes back goes to its
 * own node's; a refill takes from that of its CPU first, and any page rather than
 * to charge one.
 *
 * Of what reclaim gives back some holds a page that has left (standby.h). It is taken
 * last, when the limit leaves nothing to charge: until then it may be wanted back.
 */
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "engine/limit.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/tune.h"

/*
 * A fault does not reclaim by itself: it may hold kvm->srcu, or a lock of the mm,
 * and would be throttled with it. A thread may.
 *
 * Pages of a VM do not move, but they leave. Reclaimable, they have page blocks of
 * their own: beside page tables and page words, which stay, a block of pages that
 * have left would be no huge page of anybody's.
 */
#define PAGE_GFP_THREAD	(GFP_HIGHUSER | __GFP_RECLAIMABLE | __GFP_ACCOUNT | \
			 __GFP_NORETRY | __GFP_NOWARN | __GFP_ZERO)
#define PAGE_GFP_FAULT	(PAGE_GFP_THREAD & ~__GFP_DIRECT_RECLAIM)

static atomic_long_t given;	/* see hermit_pool_given() */

int hermit_pool_init(struct hermit_region *r)
{
	spin_lock_init(&r->pool.lock);
	r->pool.max = HERMIT_POOL_SHARED;
	init_waitqueue_head(&r->room_wq);
	r->pool.first = kcalloc(nr_node_ids, sizeof(*r->pool.first),
				GFP_KERNEL_ACCOUNT);
	r->pcp = alloc_percpu(struct hermit_pcp);
	return r->pool.first && r->pcp ? 0 : -ENOMEM;
}

/* page->private of a page in a pool or in flight: 1 if it is all zeros. */
bool hermit_page_is_zeroed(struct page *page)
{
	return page_private(page);
}

/* There is more room than before. */
static void room_wake(struct hermit_region *r)
{
	if (wq_has_sleeper(&r->room_wq))
		wake_up_all(&r->room_wq);
}

/*
 * The host shows pages of VMs as it shows those of a memfd: "shared", and part of
 * its cache, on their nodes.
 */
static void page_account(struct page **pages, long n, int sign)
{
	long i, run;

	for (i = 0; i < n; i += run) {
		struct pglist_data *node = page_pgdat(pages[i]);

		for (run = 1; i + run < n && page_pgdat(pages[i + run]) == node; run++)
			;
		mod_node_page_state(node, NR_FILE_PAGES, sign * run);
		mod_node_page_state(node, NR_SHMEM, sign * run);
	}
}

/* Of a page that belongs to nobody any more: true if the reserve takes it. */
static bool reserve_take(struct hermit_region *r, struct page *page)
{
	bool taken = false;

	if (likely(READ_ONCE(r->pool.nr_reserve) >= READ_ONCE(r->pool.max_reserve)) ||
	    page_ref_count(page) != 1 || PageHWPoison(page))
		return false;
	spin_lock_bh(&r->pool.lock);
	if (r->pool.nr_reserve < r->pool.max_reserve) {
		page->lru.next = (struct list_head *)r->pool.reserve;
		r->pool.reserve = page;
		WRITE_ONCE(r->pool.nr_reserve, r->pool.nr_reserve + 1);
		taken = true;
	}
	spin_unlock_bh(&r->pool.lock);
	return taken;
}

void hermit_pool_lend(struct hermit_region *r)
{
	struct page *page, *next;

	if (!READ_ONCE(r->pool.nr_reserve))
		return;
	spin_lock_bh(&r->pool.lock);
	page = r->pool.reserve;
	r->pool.reserve = NULL;
	WRITE_ONCE(r->pool.nr_reserve, 0);
	spin_unlock_bh(&r->pool.lock);
	for (; page; page = next) {
		next = (struct page *)page->lru.next;
		put_page(page);
	}
}

void hermit_pool_reserve(struct hermit_region *r)
{
	struct mem_cgroup *old = set_active_memcg(r->memcg);
	struct page *page;
	long i;

	WRITE_ONCE(r->pool.max_reserve, HERMIT_POOL_RESERVE);
	for (i = 0; i < HERMIT_POOL_RESERVE; i++) {
		page = alloc_page(PAGE_GFP_THREAD);
		if (page && !reserve_take(r, page))
			put_page(page);
	}
	set_active_memcg(old);
}

static void page_release(struct hermit_region *r, struct page *page)
{
	if (unlikely(PageHWPoison(page)))
		hermit_count(r, HERMIT_C_POISONED, 1);
	/*
	 * Whoever still holds a reference found it by a stale word and only
	 * drops it again, or pinned it before a discard and may still dirty
	 * it: noop without a mapping.
	 */
	page->mapping = NULL;
	set_page_private(page, 0);
	if (PageDirty(page))
		ClearPageDirty(page);
	page_account(&page, 1, -1);
	if (!reserve_take(r, page)) {
		put_page(page);
		if (READ_ONCE(r->limit_now) < READ_ONCE(r->limit))
			atomic_long_inc(&given);
	}
	atomic_long_dec(&r->used);
	room_wake(r);
}

void hermit_page_free(struct hermit_region *r, struct page *page)
{
	/* A holder's set_page_dirty_lock() looks at the mapping under this. */
	if (trylock_page(page)) {
		page->mapping = NULL;
		unlock_page(page);
	}
	page_release(r, page);
}

/* The shared pool; under its lock. The pages are ours alone. */
static void pool_push(struct hermit_region *r, struct page *page)
{
	struct page **first = &r->pool.first[page_to_nid(page)];

	lockdep_assert_held(&r->pool.lock);
	page->lru.next = (struct list_head *)*first;
	*first = page;
	WRITE_ONCE(r->pool.nr, r->pool.nr + 1);
}

/* Of this CPU's node, if there is one. */
static struct page *pool_pop(struct hermit_region *r)
{
	struct page **first = &r->pool.first[numa_mem_id()], *page;

	if (!*first) {
		if (!r->pool.nr)
			return NULL;
		HERMIT_MARK(page_of_another_node);
		for (first = r->pool.first; !*first; first++)
			;
	}
	page = *first;
	*first = (struct page *)page->lru.next;
	WRITE_ONCE(r->pool.nr, r->pool.nr - 1);
	return page;
}

void hermit_page_put(struct hermit_region *r, struct page *page)
{
	bool pooled = false;

	if (page_ref_count(page) == 1 && !READ_ONCE(r->dead) &&
	    !PageHWPoison(page) && !hermit_pool_over(r)) {
		set_page_private(page, 0);
		if (PageDirty(page))
			ClearPageDirty(page);
		spin_lock_bh(&r->pool.lock);
		if (hermit_pool_free(r) < READ_ONCE(r->pool.max)) {
			pool_push(r, page);
			pooled = true;
		}
		spin_unlock_bh(&r->pool.lock);
	}
	if (pooled)
		room_wake(r);
	else
		page_release(r, page);
}

void hermit_page_left(struct hermit_region *r, struct page *page, u64 w)
{
	struct page *oldest = NULL;

	if (likely(!r->standby) || READ_ONCE(r->dead) || PageHWPoison(page) ||
	    hermit_pool_over(r) || WARN_ON_ONCE(PageDirty(page))) {
		hermit_page_put(r, page);
		return;
	}
	spin_lock_bh(&r->pool.lock);
	if (hermit_pool_free(r) >= READ_ONCE(r->pool.max))
		oldest = hermit_standby_oldest(r);
	hermit_standby_add(r, page, w);
	spin_unlock_bh(&r->pool.lock);
	if (oldest)
		page_release(r, oldest);
	else
		room_wake(r);
}

/* Charge up to @n pages; returns how many. */
static long pool_charge(struct hermit_region *r, long n)
{
	long used = atomic_long_read(&r->used), got;

	do {
		got = min(n, READ_ONCE(r->limit_now) - used);
		if (got <= 0)
			return 0;
	} while (!atomic_long_try_cmpxchg(&r->used, &used, used + got));

	/* A high-water mark for statistics: a lost race costs nothing. */
	if (used + got > READ_ONCE(r->used_max))
		WRITE_ONCE(r->used_max, used + got);
	return got;
}

static void pool_uncharge(struct hermit_region *r, long n)
{
	atomic_long_sub(n, &r->used);
	room_wake(r);
}

/* Put a ready page where this CPU finds it next; else in the shared pool. */
static void pool_stash(struct hermit_region *r, struct page *page)
{
	struct hermit_pcp *pcp = get_cpu_ptr(r->pcp);

	if (pcp->nr < HERMIT_PCP_PAGES) {
		pcp->pages[pcp->nr++] = page;
		page = NULL;
	}
	put_cpu_ptr(r->pcp);
	if (!page)
		return;

	spin_lock_bh(&r->pool.lock);
	pool_push(r, page);
	spin_unlock_bh(&r->pool.lock);
	room_wake(r);
}

/* Allocate @n pages that are charged; how many there were, the others are not. */
static long pool_alloc(struct hermit_region *r, struct page **batch, long n,
		       gfp_t gfp)
{
	struct mem_cgroup *old = set_active_memcg(r->memcg);
	long i;

	for (i = 0; i < n; i++) {
		batch[i] = alloc_page(gfp);
		if (!batch[i])
			break;
		set_page_private(batch[i], 1);
	}
	set_active_memcg(old);
	page_account(batch, i, 1);
	if (i < n)
		pool_uncharge(r, n - i);
	return i;
}

/* What has left, and was not wanted back: up to HERMIT_PCP_REFILL; how many. */
static long pool_reuse(struct hermit_region *r, struct page **batch)
{
	struct page *held = NULL, *page;
	long n = 0;

	if (!READ_ONCE(r->pool.nr_standby))
		return 0;
	spin_lock_bh(&r->pool.lock);
	while (n < HERMIT_PCP_REFILL && !held && (page = hermit_standby_oldest(r))) {
		/* Somebody copies what was in it: none of ours any more. */
		if (page_ref_count(page) != 1)
			held = page;
		else
			batch[n++] = page;
	}
	spin_unlock_bh(&r->pool.lock);
	if (held) {
		HERMIT_MARK(standby_held);
		page_release(r, held);
	}
	return n;
}

/*
 * Take or make up to HERMIT_PCP_REFILL ready pages: how many, or -ENOSPC (the
 * limit) or -ENOMEM (the host has none, or the VM's cgroup).
 */
static long pool_gather(struct hermit_region *r, struct page **batch)
{
	long n = 0, charged = 0;

	if (READ_ONCE(r->pool.nr)) {
		spin_lock_bh(&r->pool.lock);
		while (n < HERMIT_PCP_REFILL && (batch[n] = pool_pop(r)))
			n++;
		spin_unlock_bh(&r->pool.lock);
	}
	if (!n) {
		hermit_limit_look(r);
		charged = pool_charge(r, HERMIT_PCP_REFILL);
		if (charged)
			n = pool_alloc(r, batch, charged, PAGE_GFP_FAULT);
		if (n < charged) {
			HERMIT_MARK(no_memory_for_a_page);
			WRITE_ONCE(r->starved, true);
		}
	}
	if (!n)
		n = pool_reuse(r, batch);
	return n ?: charged ? -ENOMEM : -ENOSPC;
}

/*
 * One page for the caller, unless @stash, the others for this CPU's pool. Why
 * there is none is what it was before anybody was woken: it may be over by now,
 * and then a wait for it is over at once.
 */
static struct page *pool_refill(struct hermit_region *r, bool stash)
{
	struct page *batch[HERMIT_PCP_REFILL], *first;
	long n = pool_gather(r, batch), i = 0;

	if (n < 0) {
		first = ERR_PTR(n);
		n = 0;
	} else {
		first = stash ? NULL : batch[i++];
	}
	for (; i < n; i++)
		pool_stash(r, batch[i]);
	hermit_tune_took(r, n);
	return first;
}

void hermit_pool_top_up(struct hermit_region *r)
{
	/* A CPU that we may leave at once: whichever it is gets the pages. */
	if (!READ_ONCE(raw_cpu_ptr(r->pcp)->nr))
		pool_refill(r, true);
}

struct page *hermit_page_get(struct hermit_region *r)
{
	struct hermit_pcp *pcp;
	struct page *page;

	for (;;) {
		page = NULL;
		pcp = get_cpu_ptr(r->pcp);
		if (pcp->nr)
			page = pcp->pages[--pcp->nr];
		put_cpu_ptr(r->pcp);
		if (!page)
			page = pool_refill(r, false);
		if (IS_ERR(page) || likely(!PageHWPoison(page)))
			return page;
		/* It went bad while it waited here. */
		page_release(r, page);
	}
}

/*
 * Before the word that names it is stored: what the mm wants to see on a page
 * of a file. GUP-fast refuses pages without a mapping.
 */
void hermit_page_publish(struct hermit_region *r, struct page *page, u64 idx)
{
	page->mapping = r->mapping;
	page_folio(page)->index = idx;
	set_page_private(page, 0);
}

bool hermit_pool_fill(struct hermit_region *r)
{
	struct page *batch[HERMIT_PCP_REFILL];
	long n, charged, i;

	hermit_limit_look(r);
	charged = pool_charge(r, HERMIT_PCP_REFILL);
	if (!charged)
		return true;
	n = pool_alloc(r, batch, charged, PAGE_GFP_THREAD);
	spin_lock_bh(&r->pool.lock);
	for (i = 0; i < n; i++)
		pool_push(r, batch[i]);
	spin_unlock_bh(&r->pool.lock);
	room_wake(r);
	return n == charged;
}

static bool pool_give_one(struct hermit_region *r)
{
	struct page *page;

	spin_lock_bh(&r->pool.lock);
	page = pool_pop(r) ?: hermit_standby_oldest(r);
	spin_unlock_bh(&r->pool.lock);
	if (!page)
		return false;
	page_release(r, page);
	return true;
}

bool hermit_pool_shrink(struct hermit_region *r)
{
	bool any = false;

	while (hermit_pool_over(r) && pool_give_one(r)) {
		HERMIT_MARK(limit_lowered);
		any = true;
		cond_resched();
	}
	return any;
}

long hermit_pool_give(struct hermit_region *r, long n)
{
	long i;

	for (i = 0; i < n && pool_give_one(r); i++)
		;
	return i;
}

long hermit_pool_given(void)
{
	long n = atomic_long_read(&given);

	atomic_long_sub(n, &given);
	return n;
}

/* For statistics: the per-CPU part is read without a lock. */
long hermit_pool_pages(struct hermit_region *r)
{
	long n = hermit_pool_free(r);
	int cpu;

	for_each_possible_cpu(cpu)
		n += READ_ONCE(per_cpu_ptr(r->pcp, cpu)->nr);
	return n;
}

/* Nobody takes or gives pages any more. */
void hermit_pool_destroy(struct hermit_region *r)
{
	int cpu;

	/* Without both it never had a page. */
	if (r->pcp && r->pool.first) {
		for_each_possible_cpu(cpu) {
			struct hermit_pcp *pcp = per_cpu_ptr(r->pcp, cpu);

			while (pcp->nr)
				page_release(r, pcp->pages[--pcp->nr]);
		}
		while (pool_give_one(r))
			cond_resched();
	}
	hermit_standby_destroy(r);
	r->pool.max_reserve = 0;
	hermit_pool_lend(r);
	free_percpu(r->pcp);
	kfree(r->pool.first);
}
