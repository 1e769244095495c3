/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_POOL_H
#define HERMIT_POOL_H
/*
 * Pages and the budget. `used` counts every page of a region, whatever it does;
 * a charge never takes it above the limit that is kept (limit.h).
 */
#include <linux/mm_types.h>

#include "engine/region.h"

/* One CPU's ready pages, and how many a refill brings (a shared lock each). */
#define HERMIT_PCP_PAGES	16
#define HERMIT_PCP_REFILL	8
/* Ready pages that reclaim leaves in the shared pool, at least; see pool.max. */
#define HERMIT_POOL_SHARED	128

/*
 * What a link that keeps pages on this host is lent when there is no memory: as
 * many as zsmalloc may take at once (CONFIG_ZSMALLOC_CHAIN_SIZE).
 */
#define HERMIT_POOL_RESERVE	8

struct hermit_pcp {
	unsigned int nr;
	unsigned int charged;		/* since this CPU last tuned the scheduler */
	struct page *pages[HERMIT_PCP_PAGES];
};

int hermit_pool_init(struct hermit_region *r);
/* Sleeps. */
void hermit_pool_destroy(struct hermit_region *r);
/*
 * A page charged to the region, its contents undefined unless
 * hermit_page_is_zeroed(). Task context, does not wait for reclaim. Else
 * ERR_PTR: -ENOSPC, the limit has no room; -ENOMEM, the host has no memory, or
 * the VM's cgroup.
 */
struct page *hermit_page_get(struct hermit_region *r);
/*
 * Give back a page that nobody maps. Any context. hermit_page_free() is for
 * pages that others may still have references to (a pinned page under a
 * discard): it never goes back to the pool.
 */
void hermit_page_put(struct hermit_region *r, struct page *page);
void hermit_page_free(struct hermit_region *r, struct page *page);
/*
 * The page that @page was is REMOTE now, by the word @w, and what is in it is what the
 * server has: it may be kept for who wants it back. Else as hermit_page_put().
 */
void hermit_page_left(struct hermit_region *r, struct page *page, u64 w);
bool hermit_page_is_zeroed(struct page *page);
void hermit_page_publish(struct hermit_region *r, struct page *page, u64 idx);
long hermit_pool_pages(struct hermit_region *r);
/*
 * If this CPU's next page would have to be charged and allocated, do it now:
 * while a read is on its way (the paper's asynchronous I/O). Task context.
 */
void hermit_pool_top_up(struct hermit_region *r);
/*
 * By a reclaim thread, which may wait for memory as a fault may not: a batch for
 * the shared pool, from what the host and the group have or can free otherwise.
 * False if that is nothing; true also where the limit has no room.
 */
bool hermit_pool_fill(struct hermit_region *r);
/*
 * Above the limit: give ready pages to the system down to it; true if there were
 * any. Sleeps.
 */
bool hermit_pool_shrink(struct hermit_region *r);
/* For the host: up to @n ready pages to the system; how many. Any task context. */
long hermit_pool_give(struct hermit_region *r, long n);
/*
 * For a link that keeps pages on this host, as "local:" does: it may need some before
 * one that leaves is free, and where there are none no page could ever leave. So some
 * are kept for that, beside the budget, charged to the VM's cgroup.
 *
 * Fill the reserve, as far as there is memory. Once, task context.
 */
void hermit_pool_reserve(struct hermit_region *r);
/*
 * The link was refused memory: the reserve goes to the system, and so to the cgroup,
 * for what is posted next. What leaves fills it again. Any context.
 */
void hermit_pool_lend(struct hermit_region *r);
/*
 * Pages that went to the system since the last call, of all regions whose limit
 * was lowered for the host's sake. One caller at a time.
 */
long hermit_pool_given(void);
/* More pages than the limit: something was lowered. Any context. */
static inline bool hermit_pool_over(struct hermit_region *r)
{
	return atomic_long_read(&r->used) > READ_ONCE(r->limit_now);
}

/* Of the shared pool, for anybody: ready ones, and what is on standby. Any context. */
static inline long hermit_pool_free(struct hermit_region *r)
{
	return READ_ONCE(r->pool.nr) + READ_ONCE(r->pool.nr_standby);
}

/* Pages that can be had without reclaim. Any context. */
static inline long hermit_room(struct hermit_region *r)
{
	return READ_ONCE(r->limit_now) - atomic_long_read(&r->used) +
	       hermit_pool_free(r);
}

#endif /* HERMIT_POOL_H */
