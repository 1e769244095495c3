// SPDX-License-Identifier: GPL-2.0-only
#include "prefetch.h"

#define WINDOW_START	4
/* Pages judged together; fewer say little, more take long to be touched. */
#define ROUND		32
/* Trends passed over after the window went to 0; doubled each time. */
#define SILENT		256
#define SILENT_MAX	16384
/* The vote begins with the newest few: a new stream is seen soon. */
#define VOTE_MIN	4

void hermit_prefetch_init(struct hermit_prefetch *p)
{
	memset(p, 0, sizeof(*p));
	p->window = WINDOW_START;
	p->next_silent = SILENT;
}

static s64 nth_newest(const struct hermit_prefetch *p, unsigned int n)
{
	return p->history[(p->head - 1 - n) % HERMIT_PREFETCH_HISTORY];
}

/* The stride of more than half of the @n newest, or 0 (Boyer and Moore). */
static s64 majority(const struct hermit_prefetch *p, unsigned int n)
{
	unsigned int i, votes = 0;
	s64 candidate = 0;

	for (i = 0; i < n; i++) {
		const s64 d = nth_newest(p, i);

		if (!votes)
			candidate = d;
		if (d == candidate)
			votes++;
		else
			votes--;
	}
	for (i = 0, votes = 0; i < n; i++)
		votes += nth_newest(p, i) == candidate;
	return 2 * votes > n ? candidate : 0;
}

static s64 trend(const struct hermit_prefetch *p)
{
	unsigned int n;
	s64 stride;

	for (n = VOTE_MIN; n <= p->filled; n *= 2) {
		stride = majority(p, n);
		if (stride)
			return stride;
	}
	return 0;
}

/*
 * The step from the fault before. Pages that were prefetched do not fault, so
 * a stream that goes on is next seen behind them: that is one step of its
 * stride and not a long one.
 */
static s64 step(const struct hermit_prefetch *p, u64 page)
{
	/* Pages are far below 2^63. */
	const s64 d = (s64)(page - p->last);
	u32 k;

	for (k = 1; k <= p->asked + 1 && p->asked; k++)
		if (d == p->stride * (s64)k)
			return p->stride;
	return d;
}

/* Of page + k x stride, how many k from 1 to @n are pages of the region? */
static unsigned int fit(u64 page, u64 npages, s64 stride, unsigned int n)
{
	const u64 room = stride > 0 ? npages - 1 - page : page;
	const u64 width = stride > 0 ? (u64)stride : (u64)-stride;
	unsigned int k;

	for (k = 0; k < n && (k + 1) * width <= room; k++)
		;
	return k;
}

unsigned int hermit_prefetch_fault(struct hermit_prefetch *p, u64 page,
				   u64 npages, s64 *stride)
{
	const bool first = !p->filled && !p->last;
	s64 d = first ? 0 : step(p, page);

	*stride = 0;
	p->last = page;
	/* The same page again: evicted and wanted back, no step. */
	if (!d) {
		p->asked = 0;
		return 0;
	}
	p->history[p->head % HERMIT_PREFETCH_HISTORY] = d;
	p->head = (p->head + 1) % HERMIT_PREFETCH_HISTORY;
	if (p->filled < HERMIT_PREFETCH_HISTORY)
		p->filled++;
	d = trend(p);
	p->stride = d;
	p->asked = 0;
	if (!d)
		return 0;
	if (!p->window) {
		if (p->silent) {
			p->silent--;
			return 0;
		}
		p->window = WINDOW_START;
	}
	p->asked = fit(page, npages, d, p->window);
	if (p->asked)
		*stride = d;
	return p->asked;
}

void hermit_prefetch_judge(struct hermit_prefetch *p, u32 hits, u32 misses)
{
	/* A clamp for sums that a caller let grow. */
	hits = hits < 1U << 20 ? hits : 1U << 20;
	misses = misses < 1U << 20 ? misses : 1U << 20;
	p->hits += hits;
	p->judged += hits + misses;
	if (p->judged < ROUND)
		return;
	if (4 * p->hits >= 3 * p->judged) {
		/* Three of four: worth a wasted page now and then. */
		p->window = p->window ? 2 * p->window : WINDOW_START;
		if (p->window > HERMIT_PREFETCH_MAX)
			p->window = HERMIT_PREFETCH_MAX;
		p->next_silent = SILENT;
	} else if (2 * p->hits < p->judged && p->window) {
		p->window /= 2;
		if (!p->window) {
			p->silent = p->next_silent;
			if (p->next_silent < SILENT_MAX)
				p->next_silent *= 2;
		}
	}
	p->hits = 0;
	p->judged = 0;
}
