// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory errors. The mm finds that a frame is bad and sets PG_hwpoison, and that
 * is all it does: it knows no frame of ours (no LRU, no page cache), so nobody
 * is unmapped and nobody is told. What is left to us:
 *
 *  - Nothing reads, writes, sends, maps or recycles a frame that is known to be
 *    bad: who finds one (a fault, ->fault, pread, reclaim, a completion, the
 *    pool) looks at PageHWPoison() after it got its reference, and reports it.
 *  - Nobody else comes by when the guest alone has it mapped: machine checks
 *    are reported too (machine_check.c).
 *  - A reported frame is taken out of all page tables here. If it is clean and
 *    the server has a copy, the page is remote now and is read again, into
 *    another frame. Else it is lost, with an event.
 *  - The frame is given to the system, which keeps it apart from then on.
 *
 * A write that is on the wire is waited for, and a pin for PIN_PATIENCE. What is
 * on the wire when the error happens may be sent: that cannot be known.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "engine/event.h"
#include "engine/holder.h"
#include "engine/poison.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/unmap.h"
#include "engine/word.h"
#include "kvm/mmu.h"

/* Pins of device I/O are over by then; what is still pinned may be written to. */
#define PIN_PATIENCE	HZ
#define POISON_AGAIN	(HZ / 100 ?: 1)

bool hermit_poison_seen(u64 word)
{
	return hermit_word_has_page(word) &&
	       PageHWPoison(hermit_word_page(word));
}

/* The page leaves its bad frame, if that can be now. */
static bool poison_decide(struct hermit_region *r, struct hermit_victim *v,
			  bool patient)
{
	atomic64_t *word = hermit_word(r, v->idx);
	bool dirty = v->flags & HERMIT_MMU_DIRTY;
	struct page *page = v->page;
	u64 old, new;
	bool lost;

	/* As in an eviction: harvest the dirty bit while nobody can set it. */
	if (page_ref_freeze(page, 1)) {
		dirty |= TestClearPageDirty(page);
		page_ref_unfreeze(page, 1);
	} else if (patient) {
		goto keep;
	} else {
		dirty = true;
	}
	lost = dirty || !(v->word & HERMIT_W_COPY);
	if (!lost)
		hermit_holders_away(r, v->idx);
	if (hermit_word_apply(word, lost ? HERMIT_EV_EVICT_LOSE :
					   HERMIT_EV_EVICT_DROP,
			      hermit_next_generation(r), &old, &new))
		goto keep;
	hermit_count(r, HERMIT_C_LOCAL, -1);
	hermit_count(r, lost ? HERMIT_C_LOST : HERMIT_C_REMOTE, 1);
	pr_warn_ratelimited("%s: memory error in frame %#llx, page %llu: %s\n",
			    r->name, (u64)page_to_pfn(page), v->idx,
			    lost ? "its contents are lost" :
				   "it is read again from the server");
	hermit_page_free(r, page);
	hermit_word_wake(r, v->idx);
	if (lost)
		hermit_event(r, HERMIT_EVENT_PAGES_LOST, 1, v->idx);
	return true;
keep:
	hermit_holders_home(r, v->idx);
	/* Before the word is LOCAL. */
	if (dirty)
		SetPageDirty(page);
	hermit_word_apply(word, HERMIT_EV_EVICT_KEEP, 0, &old, &new);
	hermit_word_wake(r, v->idx);
	return false;
}

/* True when there is nothing left to do for the page. */
static bool poison_take(struct hermit_region *r, u64 idx, bool patient)
{
	atomic64_t *word = hermit_word(r, idx);
	struct hermit_victim v = { .idx = idx };
	bool done = false;
	u64 old, new;

	if (!word)
		return true;
	old = atomic64_read(word);
	if (!hermit_word_has_page(old))
		return true;
	/* The machine check may be here before the mm has set the flag. */
	if (!hermit_poison_seen(old))
		return !patient;
	/* The sweep after a loss of contents sees nothing half done. */
	down_read(&r->sweep_lock);
	/* A write on the wire, an eviction or a discard: look again later. */
	if (hermit_word_apply(word, HERMIT_EV_EVICT_BEGIN, 0, &old, &new))
		goto out;
	v.word = new;
	v.page = hermit_word_page(new);
	hermit_unmap(r, &v, 1, true);
	/* Else another page, installed since. */
	if (PageHWPoison(v.page)) {
		done = poison_decide(r, &v, patient);
		goto out;
	}
	if (v.flags & HERMIT_MMU_DIRTY)
		SetPageDirty(v.page);
	hermit_word_apply(word, HERMIT_EV_EVICT_KEEP, 0, &old, &new);
	hermit_word_wake(r, idx);
	done = true;
out:
	up_read(&r->sweep_lock);
	return done;
}

static void poison_work(struct work_struct *work)
{
	struct hermit_region *r = container_of(to_delayed_work(work),
					       struct hermit_region,
					       poison.work);
	struct hermit_poison *p = &r->poison;
	unsigned int i = 0;
	unsigned long since;
	u64 idx;

	/* Others only add at the end. */
	for (;;) {
		spin_lock_bh(&p->lock);
		if (i == p->nr)
			break;
		idx = p->pages[i].idx;
		since = p->pages[i].since;
		spin_unlock_bh(&p->lock);
		if (!poison_take(r, idx, time_before(jiffies, since + PIN_PATIENCE))) {
			i++;
			continue;
		}
		spin_lock_bh(&p->lock);
		p->pages[i] = p->pages[--p->nr];
		spin_unlock_bh(&p->lock);
	}
	spin_unlock_bh(&p->lock);
	if (i)
		schedule_delayed_work(&p->work, POISON_AGAIN);
}

void hermit_poison_report(struct hermit_region *r, u64 idx)
{
	struct hermit_poison *p = &r->poison;
	unsigned int i;

	/* The end of the region sets dead, then waits for a grace period. */
	rcu_read_lock();
	if (READ_ONCE(r->dead))
		goto out;
	spin_lock_bh(&p->lock);
	for (i = 0; i < p->nr && p->pages[i].idx != idx; i++)
		;
	if (i == p->nr && i < HERMIT_POISON_PAGES) {
		p->pages[i].idx = idx;
		p->pages[i].since = jiffies;
		p->nr++;
	}
	spin_unlock_bh(&p->lock);
	schedule_delayed_work(&p->work, 0);
out:
	rcu_read_unlock();
}

void hermit_poison_init(struct hermit_region *r)
{
	spin_lock_init(&r->poison.lock);
	INIT_DELAYED_WORK(&r->poison.work, poison_work);
}

void hermit_poison_stop(struct hermit_region *r)
{
	cancel_delayed_work_sync(&r->poison.work);
}
