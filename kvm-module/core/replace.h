/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_REPLACE_H
#define HERMIT_CORE_REPLACE_H
/*
 * Which page leaves: what a clock remembers of a page, in what order its hand goes,
 * and how the limit falls. replace.c has the theory.
 *
 * Nothing here allocates, locks, sleeps or reads a clock. All of it may be called in
 * any context.
 */
#include "env.h"

/* The counter of a local page: 0 to 3, so two bits of its word. */
#define HERMIT_REPLACE_MOST	3

/*
 * That of a page that a fault brought, @away evictions after its own, of a region
 * that may have @limit pages; ~0 if it was never here.
 */
static __always_inline u8 hermit_replace_start(u64 away, u64 limit)
{
	return away < limit / 4;
}

/*
 * The hand looked at a page: true if it leaves. Else, and if *@counter is another one
 * than before, it is to be stored; a store that loses a race does no harm.
 */
static __always_inline bool hermit_replace_look(u8 *counter, bool accessed)
{
	if (accessed) {
		if (*counter < HERMIT_REPLACE_MOST)
			++*counter;
		return false;
	}
	if (!*counter)
		return true;
	--*counter;
	return false;
}

/*
 * Pages that came back since the last batch, whose accessed bits say nothing yet. As
 * many as that: the oldest are forgotten, and keep their bits.
 */
#define HERMIT_REPLACE_NEWCOMERS	64

struct hermit_newcomers {
	u64 page[HERMIT_REPLACE_NEWCOMERS];
	u32 added, taken;
};

/*
 * A fault brought @page, which had been here before. Not for first touches, nor for
 * what was read ahead: that has no accessed bit of the fault's. One caller at a time.
 */
static inline void hermit_newcomers_add(struct hermit_newcomers *n, u64 page)
{
	n->page[n->added++ % HERMIT_REPLACE_NEWCOMERS] = page;
}

/*
 * Before a batch chooses, and its flush: the pages to take the accessed bit off, in
 * @pages, with room for HERMIT_REPLACE_NEWCOMERS. Returns how many; some may have
 * left again. Never at the same time as hermit_newcomers_add().
 */
unsigned int hermit_newcomers_take(struct hermit_newcomers *n, u64 *pages);

/*
 * The hand's @turn-th block of @blocks: each of them once in @blocks turns, always in
 * the same order, and not in that of the numbers. @blocks is at least 1 and below
 * 2^48. While it grows, a block may be passed twice in a round, or not.
 */
u64 hermit_replace_block(u64 turn, u64 blocks);

/*
 * A limit that is lowered is steered to. Each tick: the limit to keep until the next,
 * if it is @kept now, @target was set, and @used pages are used. It falls by @step at
 * most, but never more than @gap below what is used; it rises at once. Where there
 * is no time for that, as when the host is short of memory, @step is LONG_MAX.
 */
long hermit_replace_limit(long kept, long target, long used, long step, long gap);
/* The step of a cut from @from pages to @to, with ticks each @tick_ms. */
long hermit_replace_step(long from, long to, unsigned int tick_ms);

#endif /* HERMIT_CORE_REPLACE_H */
