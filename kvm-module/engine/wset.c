// SPDX-License-Identifier: GPL-2.0-only
/*
 * The working set: how long ago each page was accessed last, from the accessed
 * bits of the EPT, of a sample of the pages. It runs from the start, so that it
 * can be seen which limit would do before there is one.
 *
 * Samples are blocks of 64 adjacent pages, at equal distances, the same in each
 * pass; at most WSET_BLOCKS of them, so that a pass costs the same for a VM of
 * any size: 16,384 pages in 5 s, in 16 slices. A sampled page has an age in
 * passes. A page that is remote grows older, unless its generation changed:
 * then it came home and left again since.
 *
 * What is seen is a lower bound. A translation that stays in a TLB does not set
 * the bit again (clearing it does not flush: that would cost the guest), and
 * accesses through host page tables (QEMU, vhost) do not show. Bits that are
 * cleared here the clock of reclaim does not see: a page of the sample may
 * leave one turn early, once a pass.
 */
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>

#include "engine/wset.h"
#include "engine/region.h"
#include "engine/word.h"
#include "kvm/mmu.h"

#define WSET_BLOCK	64
#define WSET_BLOCKS	256
/* A pass is spread over so many runs: each is short, and misses no burst. */
#define WSET_SLICES	16
#define WSET_MIN_MS	100

static unsigned int idle_period_ms = 5000;
module_param(idle_period_ms, uint, 0644);
MODULE_PARM_DESC(idle_period_ms,
		 "ms between two looks at the accessed bits of a page, for the estimate of the working set; 0: none");

struct hermit_wset_page {
	u8 age;				/* passes; WSET_UNTOUCHED */
	u8 generation;			/* if remote: the low bits */
	bool remote;
};

#define WSET_UNTOUCHED	U8_MAX
#define WSET_OLDEST	(U8_MAX - 1)

static void wset_older(struct hermit_wset_page *p, bool accessed)
{
	if (accessed || p->age == WSET_UNTOUCHED)
		p->age = 0;
	else if (p->age < WSET_OLDEST)
		p->age++;
}

/* Bucket 0: accessed in this pass; i: the 2^(i-1)th to the one before the 2^ith ago. */
static unsigned int wset_bucket(u8 age)
{
	return min_t(unsigned int, fls(age), HERMIT_IDLE_BUCKETS - 1);
}

static void wset_look(struct hermit_region *r, u64 start,
		      struct hermit_wset_page *pages, u32 *hist)
{
	DECLARE_BITMAP(accessed, WSET_BLOCK) = {};
	struct hermit_wset_page *p;
	u64 idx[WSET_BLOCK], w;
	atomic64_t *word;
	u8 generation;
	int n = 0, i;

	for (i = 0; i < WSET_BLOCK && start + i < r->npages; i++) {
		p = &pages[i];
		word = hermit_word(r, start + i);
		w = word ? atomic64_read(word) : 0;
		if (hermit_word_has_page(w)) {
			p->remote = false;
			idx[n++] = start + i;
			continue;
		}
		switch (hermit_word_state(w)) {
		case HERMIT_REMOTE:
		case HERMIT_FETCHING:
			generation = hermit_word_value(w);
			wset_older(p, p->remote && p->generation != generation);
			p->remote = true;
			p->generation = generation;
			break;
		default:
			p->age = WSET_UNTOUCHED;
			p->remote = false;
		}
	}
	if (n && hermit_mmu_age(r, idx, n, accessed) < 0)
		r->wset.blind = true;
	for (i = 0; i < n; i++)
		wset_older(&pages[idx[i] - start], test_bit(i, accessed));
	for (i = 0; i < WSET_BLOCK && start + i < r->npages; i++)
		if (pages[i].age != WSET_UNTOUCHED)
			hist[wset_bucket(pages[i].age)]++;
}

static void wset_work(struct work_struct *work)
{
	struct hermit_wset *d = container_of(to_delayed_work(work),
					     struct hermit_wset, work);
	struct hermit_region *r = container_of(d, struct hermit_region, wset);
	unsigned int period = READ_ONCE(idle_period_ms);
	u64 begin = local_clock(), end, n;

	if (!period || !READ_ONCE(r->nr_bindings)) {
		/* It begins anew when there is something to see. */
		WRITE_ONCE(d->seen, false);
		d->next = 0;
		memset(d->hist, 0, sizeof(d->hist));
		schedule_delayed_work(&d->work, HZ);
		return;
	}
	period = max(period, WSET_MIN_MS);
	for (n = DIV_ROUND_UP(d->blocks, WSET_SLICES); n && d->next < d->blocks;
	     n--, d->next++) {
		wset_look(r, d->next * d->stride * WSET_BLOCK,
			  &d->pages[d->next * WSET_BLOCK], d->hist);
		cond_resched();
	}
	if (d->next == d->blocks) {
		/* Readers may see two passes mixed: it is an estimate. */
		memcpy(d->shown, d->hist, sizeof(d->shown));
		d->period_ns = (u64)period * NSEC_PER_MSEC;
		WRITE_ONCE(d->seen, !d->blind);
		d->blind = false;
		d->next = 0;
		memset(d->hist, 0, sizeof(d->hist));
	}
	end = local_clock();
	d->busy_ns += end > begin ? end - begin : 0;
	schedule_delayed_work(&d->work,
			      msecs_to_jiffies(period) / WSET_SLICES ?: 1);
}

void hermit_wset_fill(struct hermit_region *r, struct hermit_stats *st)
{
	u64 touched = st->local + st->remote, sampled = 0;
	struct hermit_wset *d = &r->wset;
	int i;

	st->idle_busy_ns = READ_ONCE(d->busy_ns);
	if (!READ_ONCE(d->seen))
		return;
	for (i = 0; i < HERMIT_IDLE_BUCKETS; i++)
		sampled += READ_ONCE(d->shown[i]);
	st->idle_period_ns = d->period_ns;
	st->idle_sampled = sampled;
	/* What the sample is of, spread as the sample is. */
	for (i = 0; sampled && i < HERMIT_IDLE_BUCKETS; i++)
		st->idle_hist[i] = div64_u64(READ_ONCE(d->shown[i]) * touched,
					     sampled);
}

int hermit_wset_start(struct hermit_region *r)
{
	struct hermit_wset *d = &r->wset;
	u64 all = DIV_ROUND_UP(r->npages, WSET_BLOCK), i;

	INIT_DELAYED_WORK(&d->work, wset_work);
	d->stride = DIV_ROUND_UP(all, WSET_BLOCKS);
	d->blocks = DIV_ROUND_UP(all, d->stride);
	d->pages = kvcalloc(d->blocks * WSET_BLOCK, sizeof(*d->pages),
			    GFP_KERNEL_ACCOUNT);
	if (!d->pages)
		return -ENOMEM;
	for (i = 0; i < d->blocks * WSET_BLOCK; i++)
		d->pages[i].age = WSET_UNTOUCHED;
	schedule_delayed_work(&d->work, HZ);
	return 0;
}

void hermit_wset_stop(struct hermit_region *r)
{
	struct hermit_wset *d = &r->wset;

	if (!d->pages)
		return;
	cancel_delayed_work_sync(&d->work);
	kvfree(d->pages);
	d->pages = NULL;
}
