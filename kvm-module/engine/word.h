/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_WORD_H
#define HERMIT_WORD_H
/*
 * The page word of each page (core/pageword.h), and beside it what is known of the
 * page's remote copy, in chunks of 256 that are allocated on first use and freed
 * with the region:
 *
 *	 0			 2048			 4096
 *	+-----------------------+-----------------------+
 *	| 256 words		| 256 copies		|	one page
 *	+-----------------------+-----------------------+
 *
 * Both in one allocation: whoever has a word has room for its copy, so that nothing
 * can fail between the two. The words are in a row for the clock, which looks at
 * them alone. In a sealed region (link/seal.h) a chunk has 24 bytes a page more, for the
 * tag and the number of the copy, which are there before the chunk is.
 *
 * A word is changed only by compare-exchange with a successor that
 * hermit_word_next() gave; that makes each transition atomic. No lock is held
 * for it. All of this may be called in any context, hermit_word_alloc() in that
 * of a task.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/wait.h>

#include "core/pageword.h"
#include "engine/region.h"
#include "link/seal.h"

struct hermit_chunk {
	atomic64_t words[HERMIT_CHUNK_PAGES];
	atomic64_t copies[HERMIT_CHUNK_PAGES];	/* copy.c's */
};
static_assert(sizeof(struct hermit_chunk) == PAGE_SIZE,
	      "a chunk is allocated as a page");

/* The tables, without a chunk: 0 or -ENOMEM; hermit_word_free_all() also then. Sleeps. */
int hermit_word_init(struct hermit_region *r, bool sealed);
/* The word, its chunk allocated if need be, without waiting; NULL without memory. */
atomic64_t *hermit_word_alloc(struct hermit_region *r, u64 idx);
/* Of a sealed region: where tag and number of a page that was touched are. Any context. */
struct hermit_seal_slot hermit_word_seal(struct hermit_region *r, u64 idx);
/* Frees the chunks. Nobody uses one any more. Sleeps. */
void hermit_word_free_all(struct hermit_region *r);
/* Bytes that words and chunks take. */
u64 hermit_word_metadata(struct hermit_region *r);

static inline u64 hermit_nr_chunks(const struct hermit_region *r)
{
	return DIV_ROUND_UP(r->npages, HERMIT_CHUNK_PAGES);
}

/* The word of a page, or NULL if nothing of its chunk was ever touched. */
static inline atomic64_t *hermit_word(struct hermit_region *r, u64 idx)
{
	struct hermit_chunk *c = READ_ONCE(r->chunks[idx >> HERMIT_CHUNK_SHIFT]);

	return c ? &c->words[idx & (HERMIT_CHUNK_PAGES - 1)] : NULL;
}

/* Beside the word of a page that was touched: there is one. */
static inline atomic64_t *hermit_word_copy(struct hermit_region *r, u64 idx)
{
	struct hermit_chunk *c = READ_ONCE(r->chunks[idx >> HERMIT_CHUNK_SHIFT]);

	return &c->copies[idx & (HERMIT_CHUNK_PAGES - 1)];
}

static inline unsigned int hermit_stamp_now(void)
{
	/* Not jiffies_to_msecs(): this is in the fault path, and in a scan. */
	return (u64)jiffies * MSEC_PER_SEC / HZ >> 2;
}

static inline struct page *hermit_word_page(u64 w)
{
	return pfn_to_page(hermit_word_value(w));
}

static inline u64 hermit_next_generation(struct hermit_region *r)
{
	return atomic64_inc_return(&r->generation);
}

static inline wait_queue_head_t *hermit_word_wq(struct hermit_region *r, u64 idx)
{
	return &r->word_wq[idx % HERMIT_PAGE_HASH];
}

/* After a change of the word that somebody may wait for. Any context. */
static inline void hermit_word_wake(struct hermit_region *r, u64 idx)
{
	wait_queue_head_t *wq = hermit_word_wq(r, idx);

	if (wq_has_sleeper(wq))
		wake_up_all(wq);
}

/*
 * Apply @ev to the word. Returns the value hermit_word_next() gave; the
 * words before and after in *@old and *@new, and whether it was stored only
 * by the two being different or the result 0. Lock-free, any context.
 */
static __always_inline int hermit_word_apply(atomic64_t *word,
					     enum hermit_event ev, u64 value,
					     u64 *old, u64 *new)
{
	unsigned int stamp = hermit_stamp_now();
	int r;

	*old = atomic64_read(word);
	do {
		r = hermit_word_next(*old, ev, value, stamp, new);
		if (r == -EINVAL || *new == *old)
			return r;
	} while (!atomic64_try_cmpxchg(word, (s64 *)old, *new));
	return r;
}

#endif /* HERMIT_WORD_H */
