// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which page leaves.
 *
 * The problem. A hypervisor does not see accesses. It sees its own faults, and of a
 * page that is local one bit, which the processor sets when it loads a translation
 * into the TLB and which stays set until somebody looks. Looking costs as much for a
 * page that stays as for one that leaves. Between two looks one access and a million
 * are the same. A bit that is clear does not even say that nobody was there: whoever
 * clears it does not flush, and a hot page may stay in the TLB.
 *
 * A clock with that bit alone (second chance; Corbato, "A Paging Experiment with the
 * Multics System", 1968) keeps whatever was accessed in the last round of its hand:
 *
 *		    hand
 *		     v
 *	.. [1] [0] [1] [1] [0] [1] ..	1: accessed since; it is cleared, and stays
 *		|   `-> next look	0: it leaves
 *		`-> leaves
 *
 * Observations.
 *
 * 1. All pages with the bit are equal. One that is accessed in each round and one
 *    that was accessed in this one only leave after the same time. A few bits that
 *    count over rounds tell them apart (generalized clock; Smith, "Sequentiality and
 *    Prefetching in Database Systems", 1978; Nicola, Dan and Dias, 1992):
 *
 *	look, accessed		counter + 1, at most 3
 *	look, not accessed	counter - 1; it leaves if that was 0
 *
 * 2. The access that brought a page looks like a second one. All that comes in has
 *    its bit set and stays for a round of the hand that it did not earn, at the cost
 *    of pages that did. As in 2Q (Johnson and Shasha, 1994), where what was read once
 *    has its own short queue, and S3-FIFO (Yang and others, 2023) after it, quick
 *    demotion is worth more than any finer order of the old. Here no queue is needed:
 *    take the bit off once, soon after, and the next look tells whether somebody was
 *    there again. It is taken off right before the flush of a batch, so that the
 *    translation goes as well, and the next access shows.
 *
 * 3. That holds for pages that came back. A first touch (memory that the guest gives
 *    out, and will fill, read, and hand on) is not the middle of a life but the
 *    beginning; a guest that boots, or a program that grows, does nothing else. Its
 *    bit is left alone.
 *
 * 4. What comes back soon would have stayed with little more memory, or little more
 *    patience: that is what the distance of a refault says (mm/workingset.c of Linux).
 *    The words of remote pages number the evictions, so the distance is known without
 *    a list of what left. A page that comes back within a quarter of what there is
 *    begins at 1: it has the round that 2. takes from it, and a guest whose next phase
 *    wants what the last one had does not pay for 2.
 *
 * 5. A loop over a little more memory than there is misses on each access, if pages
 *    leave in the order in which they are accessed: always the one that is wanted
 *    next. Any other order than the guest's is better. The hand goes over blocks of
 *    pages in one that has nothing to do with their numbers, the same in each round,
 *    so that the time between two looks stays the same for each page. Within a block
 *    it goes by number: neighbours leave together, and their page table is one.
 *
 * 6. At the moment when a limit is lowered, nearly all bits are set: the hand has not
 *    come by for long. Who must find half of the pages at once finds no difference
 *    between them, and the guest that waits for room sets no bits that would make one.
 *    If the limit falls over half a second instead, it does.
 *
 * Not done. No second queue with ghosts (R2 of S3-FIFO's kind): 2. has most of what
 * it gives, without what it costs programs of phases. No generations by walks over all
 * page tables (MGLRU): they look at pages that nobody wants to take. A counter with a
 * value for what is new, which the first accessed bit only takes away, in place of 2.:
 * the page still has its round. docs/bench/replace.md has the figures, and says why
 * the module does not use this yet.
 */
#include "replace.h"

/* How long a cut takes. */
#define STEER_MS	500

unsigned int hermit_newcomers_take(struct hermit_newcomers *n, u64 *pages)
{
	unsigned int nr = 0;

	if (n->added - n->taken > HERMIT_REPLACE_NEWCOMERS)
		n->taken = n->added - HERMIT_REPLACE_NEWCOMERS;
	while (n->taken != n->added)
		pages[nr++] = n->page[n->taken++ % HERMIT_REPLACE_NEWCOMERS];
	return nr;
}

/*
 * Of the numbers below a power of two each step is a permutation: to multiply by an
 * odd number, and to add (without carry) the upper half to the lower one. What is not
 * below @blocks goes round again, until it is (cycle walking; Black and Rogaway,
 * "Ciphers with Arbitrary Finite Domains", 2002): fewer than two rounds on average.
 */
u64 hermit_replace_block(u64 turn, u64 blocks)
{
	const unsigned int bits = blocks > 1 ? ilog2(blocks - 1) + 1 : 1;
	const unsigned int half = (bits + 1) / 2;
	const u64 mask = (1ULL << bits) - 1;
	u64 x = turn - div64_u64(turn, blocks) * blocks;

	do {
		x = x * 0x9e3779b97f4a7c15ULL & mask;
		x ^= x >> half;
		x = x * 0xd6e8feb86659fd93ULL & mask;
		x ^= x >> half;
	} while (x >= blocks);
	return x;
}

long hermit_replace_step(long from, long to, unsigned int tick_ms)
{
	const long ticks = STEER_MS > tick_ms ? STEER_MS / tick_ms : 1;
	const long step = from > to ? (from - to + ticks - 1) / ticks : 0;

	return step ? step : 1;
}

long hermit_replace_limit(long kept, long target, long used, long step, long gap)
{
	long next = kept, floor;

	if (target >= kept)
		return target;
	/* What is not used is not missed. */
	if (next > used)
		next = used;
	next -= step;
	/* Threads that cannot follow would only make the guest wait. */
	floor = step == (long)(~0UL >> 1) ? 0 : used - gap;
	if (next < floor)
		next = floor;
	if (next < target)
		next = target;
	return next < kept ? next : kept;
}
