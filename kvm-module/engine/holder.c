// SPDX-License-Identifier: GPL-2.0-only
/* Which of several servers have a page: the upper bits of what is beside its word. */
#include <linux/bitops.h>

#include "engine/holder.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/word.h"

/* The page is away, and they are too few: it is counted. */
#define SHORT		(1ULL << 63)
static_assert(HERMIT_MAX_SERVERS <= 7, "the last bit is no server's");

void hermit_holders_add(struct hermit_region *r, u64 idx, u8 servers)
{
	atomic64_t *copy = hermit_word_copy(r, idx);
	s64 was = atomic64_read(copy);

	while (!atomic64_try_cmpxchg(copy, &was,
				     was | (u64)servers << HERMIT_HOLDERS_SHIFT))
		;
}

u8 hermit_holders(struct hermit_region *r, u64 idx)
{
	/* After the word: whoever saw it REMOTE sees who had acknowledged it. */
	smp_rmb();
	return (atomic64_read(hermit_word_copy(r, idx)) & ~SHORT) >> HERMIT_HOLDERS_SHIFT;
}

bool hermit_holders_drop(struct hermit_region *r, u64 idx, unsigned int server)
{
	u64 bit = 1ULL << (HERMIT_HOLDERS_SHIFT + server);
	atomic64_t *copy = hermit_word_copy(r, idx);
	s64 was = atomic64_read(copy);

	do {
		if (!(was & bit))
			return false;
	} while (!atomic64_try_cmpxchg(copy, &was, was & ~bit));
	return !((was & ~bit & ~SHORT) >> HERMIT_HOLDERS_SHIFT);
}

/* Who has it, and is to have it. */
static u8 holders_that_stay(struct hermit_region *r, u64 idx)
{
	return hermit_holders(r, idx) & ~READ_ONCE(r->servers_leaving);
}

/* Whoever changes the bit counts it. */
void hermit_holders_count(struct hermit_region *r, u64 idx, bool away)
{
	bool is_short = away && hweight8(holders_that_stay(r, idx)) < r->replicas;
	atomic64_t *copy = hermit_word_copy(r, idx);
	s64 was = atomic64_read(copy);

	do {
		if (!!(was & SHORT) == is_short)
			return;
	} while (!atomic64_try_cmpxchg(copy, &was, was ^ SHORT));
	hermit_count(r, HERMIT_C_SHORT, is_short ? 1 : -1);
}

bool hermit_holders_fewer(struct hermit_region *r, u64 idx)
{
	u8 have, could;

	have = holders_that_stay(r, idx) & READ_ONCE(r->servers_up);
	could = have | (READ_ONCE(r->servers_writable) & ~READ_ONCE(r->servers_leaving));
	return hweight8(have) < min_t(unsigned int, r->replicas, hweight8(could));
}

u8 hermit_holders_needed(struct hermit_region *r, u64 idx)
{
	u8 leaving = hermit_holders(r, idx) & READ_ONCE(r->servers_leaving);

	if (!leaving)
		return 0;
	/* If nobody has room for it the page is not to be moved, and needed all the same. */
	if (!(holders_that_stay(r, idx) & READ_ONCE(r->servers_up)) ||
	    hermit_holders_fewer(r, idx))
		return leaving;
	return 0;
}
