// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading ahead: what the faults of one vCPU, or of one thread of the host, make
 * likely to be wanted next (core/prefetch.c) is posted behind the demand read.
 */
#include <linux/hash.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>

#include "engine/ahead.h"
#include "engine/fault.h"
#include "engine/mark.h"
#include "engine/pool.h"
#include "engine/region.h"
#include "engine/request.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/unmap.h"
#include "engine/word.h"

/* Demand faults that follow must find room: so much is not prefetched into. */
#define PREFETCH_RESERVE	HERMIT_BATCH
/* Faults of a vCPU between two looks at what became of prefetched pages. */
#define PREFETCH_JUDGE		16

void hermit_ahead(struct hermit_region *r, u64 idx,
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
		/* FETCHING: a demand fault joins this read and posts none. */
		if (hermit_word_state(w) != HERMIT_REMOTE ||
		    hermit_standby_has(r, ahead, w) ||
		    hermit_word_next(w, HERMIT_EV_FETCH_BEGIN, 0, 0, &fetching))
			continue;
		page = hermit_page_get(r);
		if (IS_ERR(page))
			break;
		req = hermit_fault_read_alloc(r, ahead, fetching, page, now);
		if (!req) {
			hermit_page_put(r, page);
			break;
		}
		if (atomic64_cmpxchg(word, w, fetching) != w) {
			HERMIT_MARK(ahead_too_late);
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

void hermit_ahead_host(struct hermit_region *r, u64 idx)
{
	struct hermit_host_stream *h =
		&r->host[hash_32(current->pid, HERMIT_HOST_STREAMS_SHIFT)];

	if (!mutex_trylock(&h->lock))
		return;
	if (h->who != current->pid) {
		h->who = current->pid;
		hermit_prefetch_init(&h->stream.p);
	}
	hermit_ahead(r, idx, &h->stream);
	mutex_unlock(&h->lock);
}
