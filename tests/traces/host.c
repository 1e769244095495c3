// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replays a trace. An instruction of the guest takes a nanosecond, and the accesses
 * of an epoch are spread over it. A fault takes its time, and so does a batch if a
 * fault waits for it; else batches are taken beside the guest, at a rate, whenever
 * less than HOST_FREE pages are free.
 *
 * The guest has run for a while: of the pages that had contents before, as many as
 * there is room for are local, and the others remote.
 *
 * An access sets the accessed bit only if the translation is not in the TLB. Looking
 * clears the bit and leaves the TLB alone, as KVM does; the flush of a batch empties
 * it. So a bit that is clear does not say that nobody was there.
 */
#include <stdlib.h>
#include <string.h>

#include "core/replace.h"
#include "host.h"

#define FAULT_NS	50000
#define BATCH_NS	320000		/* 100,000 pages a second */
#define NOTHING_NS	4000000		/* until who finds nothing tries again */
#define BEFORE_NS	1000000000	/* since when the pages of the start are there */
#define LONG_AGO	(1ull << 40)
#define TICK_MS		10		/* of a limit that is steered */
#define TLB		1536

static struct {
	uint64_t now;
	uint64_t generation;		/* numbers evictions; those before the start are long ago */
	bool *accessed;
	struct result r;
	uint32_t tlb[TLB];
} host;

uint64_t host_now(void)
{
	return host.now;
}

bool host_look(uint32_t page)
{
	bool was = host.accessed[page];

	host.accessed[page] = false;
	host.r.looks++;
	return was;
}

struct page_state {
	bool local, dirty, was_here, has_left;
	uint64_t left;			/* the generation when it did */
};

static int batch(const struct policy *p, struct page_state *s)
{
	uint32_t v[HOST_BATCH];
	int n = p->choose(v);

	for (int i = 0; i < n; i++) {
		s[v[i]].local = false;
		s[v[i]].has_left = true;
		s[v[i]].left = host.generation++;
		host.r.evictions++;
		host.r.writes += s[v[i]].dirty;
		s[v[i]].dirty = false;
	}
	if (n)
		memset(host.tlb, 0xff, sizeof(host.tlb));
	return n;
}

static void bring(const struct policy *p, struct page_state *s, uint32_t page, uint64_t away)
{
	s[page].local = true;
	host.accessed[page] = true;
	host.tlb[page % TLB] = page;
	p->brought(page, s[page].has_left, away);
}

struct result host_replay(const struct trace *t, const struct policy *p, uint32_t limit,
			  struct plan plan)
{
	struct page_state *s = calloc(t->pages, sizeof(*s));
	uint64_t last_batch = 0, tick = UINT64_MAX;
	long used = 0, kept = limit, step = 0;

	memset(&host, 0, sizeof(host));
	memset(host.tlb, 0xff, sizeof(host.tlb));
	host.generation = LONG_AGO;
	for (uint32_t i = 0; i < t->nr_filled; i++)
		s[t->filled[i]].has_left = true;
	if (p->misses) {
		host.r.misses = p->misses(t, limit > HOST_FREE ? limit - HOST_FREE : 1);
		free(s);
		return host.r;
	}
	host.accessed = calloc(t->pages, sizeof(*host.accessed));
	p->begin(p->rules, t->pages, limit);
	for (uint32_t i = 0; i < t->nr_filled && used + HOST_FREE < kept; i++, used++) {
		s[t->filled[i]].local = true;
		p->brought(t->filled[i], false, 0);
	}
	host.now = BEFORE_NS;
	for (uint32_t e = 0; e < t->epochs; e++) {
		uint32_t n = t->begin[e + 1] - t->begin[e];
		bool was_cut = plan.cut && e >= plan.cut;

		if (was_cut && e == plan.cut && kept > plan.to) {
			step = hermit_replace_step(kept, plan.to, TICK_MS);
			tick = host.now;
			if (!plan.steered)
				kept = plan.to;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint32_t record = t->records[t->begin[e] + i], page = trace_page(record);

			host.now += t->epoch / n;
			if (was_cut && host.now >= tick) {
				kept = hermit_replace_limit(kept, plan.to, used, step, TICK_MS * 1000000 / BATCH_NS * HOST_BATCH);
				tick = host.now + TICK_MS * 1000000;
			}
			if (plan.standby && s[page].has_left && !s[page].local &&
			    (long)(host.generation - s[page].left) < kept - used) {
				host.r.rescued++;
				bring(p, s, page, 0);
				used++;
			} else if (!s[page].local) {
				while (used >= kept) {
					int gone = batch(p, s);

					host.r.waits++;
					host.now += gone ? BATCH_NS : NOTHING_NS;
					used -= gone;
				}
				host.now += FAULT_NS;
				if (s[page].was_here)
					host.r.misses++;
				else
					host.r.cold++;
				host.r.after += was_cut && s[page].was_here;
				bring(p, s, page, host.generation - s[page].left);
				used++;
			} else if (host.tlb[page % TLB] != page) {
				host.tlb[page % TLB] = page;
				host.accessed[page] = true;
			}
			s[page].was_here = true;
			s[page].dirty |= record & TRACE_WRITTEN;
			if (used + HOST_FREE > kept && host.now - last_batch >= BATCH_NS) {
				last_batch = host.now;
				used -= batch(p, s);
			}
		}
	}
	p->end();
	free(host.accessed);
	free(s);
	return host.r;
}
