// SPDX-License-Identifier: GPL-2.0-only
/* Pages that have left, in frames that nobody needed yet: standby.h. */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "engine/holder.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/tune.h"
#include "engine/word.h"

bool hermit_standby;
module_param_named(standby, hermit_standby, bool, 0644);
MODULE_PARM_DESC(standby, "A page that leaves keeps its contents until its frame is needed, in regions created from now on");

/*
 * Places in the table: one for so many pages of the region, since no more than a small
 * part of it is kept free; and so many at most, 8 MiB.
 */
#define PAGES_PER_PLACE	4
#define PLACES_MIN	64ULL
#define PLACES_MAX	(1ULL << 20)

int hermit_standby_init(struct hermit_region *r)
{
	u64 n = clamp(r->npages / PAGES_PER_PLACE, PLACES_MIN, PLACES_MAX);
	struct page **table;
	int nid;

	if (!READ_ONCE(hermit_standby))
		return 0;
	r->standby_lists = kcalloc(nr_node_ids, sizeof(*r->standby_lists),
				   GFP_KERNEL_ACCOUNT);
	if (!r->standby_lists)
		return -ENOMEM;
	for (nid = 0; nid < nr_node_ids; nid++)
		INIT_LIST_HEAD(&r->standby_lists[nid]);
	n = 1ULL << ilog2(n);
	table = kvcalloc(n, sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	r->standby_mask = n - 1;
	r->standby = table;
	return 0;
}

void hermit_standby_destroy(struct hermit_region *r)
{
	kvfree(r->standby);
	kfree(r->standby_lists);
}

static struct page **place_of(struct hermit_region *r, u64 idx)
{
	return &r->standby[idx & r->standby_mask];
}

/* Without the lock that is a guess: @page may be anybody's by now. */
static bool left_by(struct page *page, u64 idx, u64 w)
{
	return page && READ_ONCE(page_folio(page)->index) == idx &&
	       READ_ONCE(page_private(page)) == w;
}

void hermit_standby_add(struct hermit_region *r, struct page *page, u64 w)
{
	lockdep_assert_held(&r->pool.lock);
	set_page_private(page, w);
	list_add_tail(&page->lru, &r->standby_lists[page_to_nid(page)]);
	WRITE_ONCE(*place_of(r, page_folio(page)->index), page);
	WRITE_ONCE(r->pool.nr_standby, r->pool.nr_standby + 1);
}

static void standby_remove(struct hermit_region *r, struct page *page)
{
	struct page **place = place_of(r, page_folio(page)->index);

	list_del(&page->lru);
	if (*place == page)
		WRITE_ONCE(*place, NULL);
	set_page_private(page, 0);
	WRITE_ONCE(r->pool.nr_standby, r->pool.nr_standby - 1);
}

struct page *hermit_standby_oldest(struct hermit_region *r)
{
	struct list_head *list;
	struct page *page;

	lockdep_assert_held(&r->pool.lock);
	if (!r->pool.nr_standby)
		return NULL;
	list = &r->standby_lists[numa_mem_id()];
	if (list_empty(list))
		for (list = r->standby_lists; list_empty(list); list++)
			;
	page = list_first_entry(list, struct page, lru);
	standby_remove(r, page);
	return page;
}

bool hermit_standby_find(struct hermit_region *r, u64 idx, u64 w)
{
	return left_by(READ_ONCE(*place_of(r, idx)), idx, w);
}

/*
 * Out of the list before the word names the frame: from then on it may be evicted, and
 * be free memory, without this lock.
 */
static bool take_locked(struct hermit_region *r, u64 idx, u64 w)
{
	struct page *page = *place_of(r, idx);
	u64 new;

	if (!left_by(page, idx, w) || PageHWPoison(page) ||
	    hermit_word_next(w, HERMIT_EV_INSTALL_READ, page_to_pfn(page),
			     hermit_stamp_now(), &new))
		return false;
	standby_remove(r, page);
	if (atomic64_cmpxchg(hermit_word(r, idx), w, new) == w)
		return true;
	/* Discarded, lost, or on its way already: the frame is the next to be used. */
	HERMIT_MARK(standby_too_late);
	list_add(&page->lru, &r->standby_lists[page_to_nid(page)]);
	WRITE_ONCE(r->pool.nr_standby, r->pool.nr_standby + 1);
	return false;
}

bool hermit_standby_take(struct hermit_region *r, u64 idx, u64 w)
{
	bool taken;

	spin_lock_bh(&r->pool.lock);
	taken = take_locked(r, idx, w);
	spin_unlock_bh(&r->pool.lock);
	if (!taken)
		return false;
	HERMIT_MARK(back_from_standby);
	hermit_count(r, HERMIT_C_LOCAL, 1);
	hermit_count(r, HERMIT_C_REMOTE, -1);
	hermit_count(r, HERMIT_C_STANDBY_HITS, 1);
	hermit_holders_home(r, idx);
	hermit_tune_took(r, 1);
	return true;
}
