// SPDX-License-Identifier: GPL-2.0-only
/* The page words of a region, in chunks that are allocated on first use. */
#include <linux/gfp.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "engine/mark.h"
#include "engine/region.h"
#include "engine/word.h"

/* Of a chunk: a page of tags, and half a page of numbers. */
struct hermit_chunk_seals {
	u8 (*tags)[HERMIT_SEAL_TAG];
	u64 *numbers;
};
static_assert(HERMIT_CHUNK_PAGES * HERMIT_SEAL_TAG == PAGE_SIZE,
	      "tags are allocated as a page");

int hermit_word_init(struct hermit_region *r, bool sealed)
{
	r->chunks = kvcalloc(hermit_nr_chunks(r), sizeof(*r->chunks),
			     GFP_KERNEL_ACCOUNT);
	if (r->chunks && sealed)
		r->seals = kvcalloc(hermit_nr_chunks(r), sizeof(*r->seals),
				    GFP_KERNEL_ACCOUNT);
	return r->chunks && (r->seals || !sealed) ? 0 : -ENOMEM;
}

void hermit_word_free_all(struct hermit_region *r)
{
	u64 i;

	for (i = 0; r->chunks && i < hermit_nr_chunks(r); i++) {
		if (r->chunks[i])
			free_page((unsigned long)r->chunks[i]);
		if (r->seals && r->seals[i].tags)
			free_page((unsigned long)r->seals[i].tags);
		if (r->seals)
			kfree(r->seals[i].numbers);
		cond_resched();
	}
	kvfree(r->seals);
	kvfree(r->chunks);
}

/* Two may be at it: what the second one made is not used. */
static bool seals_alloc(struct hermit_region *r, u64 chunk)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	struct hermit_chunk_seals *c = &r->seals[chunk];
	u8 (*tags)[HERMIT_SEAL_TAG];
	u64 *numbers;

	if (!READ_ONCE(c->tags)) {
		tags = (void *)__get_free_page(gfp);
		if (!tags)
			return false;
		if (cmpxchg(&c->tags, NULL, tags))
			free_page((unsigned long)tags);
	}
	if (!READ_ONCE(c->numbers)) {
		numbers = kmalloc(HERMIT_CHUNK_PAGES * sizeof(*numbers), gfp);
		if (!numbers)
			return false;
		if (cmpxchg(&c->numbers, NULL, numbers))
			kfree(numbers);
	}
	return true;
}

struct hermit_seal_slot hermit_word_seal(struct hermit_region *r, u64 idx)
{
	struct hermit_chunk_seals *c = &r->seals[idx >> HERMIT_CHUNK_SHIFT];

	idx &= HERMIT_CHUNK_PAGES - 1;
	return (struct hermit_seal_slot){ c->tags[idx], &c->numbers[idx] };
}

atomic64_t *hermit_word_alloc(struct hermit_region *r, u64 idx)
{
	struct hermit_chunk **slot = &r->chunks[idx >> HERMIT_CHUNK_SHIFT];
	struct hermit_chunk *c = READ_ONCE(*slot), *old;
	struct mem_cgroup *memcg;

	if (!c) {
		memcg = set_active_memcg(r->memcg);
		c = NULL;
		if (!r->seals || seals_alloc(r, idx >> HERMIT_CHUNK_SHIFT))
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
	u64 chunk = sizeof(struct hermit_chunk), each = sizeof(struct hermit_chunk *);

	if (r->seals) {
		chunk += HERMIT_CHUNK_PAGES * (HERMIT_SEAL_TAG + sizeof(u64));
		each += sizeof(struct hermit_chunk_seals);
	}
	return atomic_long_read(&r->nr_chunks) * chunk + hermit_nr_chunks(r) * each;
}
