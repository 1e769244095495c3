// SPDX-License-Identifier: GPL-2.0-only
/* The page words of a region, in chunks that are allocated on first use. */
#include <linux/gfp.h>
#include <linux/sched/mm.h>

#include "engine/mark.h"
#include "engine/region.h"
#include "engine/word.h"

atomic64_t *hermit_word_alloc(struct hermit_region *r, u64 idx)
{
	struct hermit_chunk **slot = &r->chunks[idx >> HERMIT_CHUNK_SHIFT];
	struct hermit_chunk *c = READ_ONCE(*slot), *old;
	struct mem_cgroup *memcg;

	if (!c) {
		memcg = set_active_memcg(r->memcg);
		c = (void *)__get_free_page(GFP_NOWAIT | __GFP_ACCOUNT |
					    __GFP_ZERO | __GFP_NOWARN);
		set_active_memcg(memcg);
		if (!c)
			return NULL;
		old = cmpxchg(slot, NULL, c);
		if (old) {
			HERMIT_MARK(chunk_made_twice);
			free_page((unsigned long)c);
			c = old;
		} else {
			atomic_long_inc(&r->nr_chunks);
		}
	}
	return &c->words[idx & (HERMIT_CHUNK_PAGES - 1)];
}

u64 hermit_word_metadata(struct hermit_region *r)
{
	return atomic_long_read(&r->nr_chunks) * sizeof(struct hermit_chunk) +
	       hermit_nr_chunks(r) * sizeof(struct hermit_chunk *);
}
