// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages leave: a clock over the page words, which asks KVM for the
 * accessed bits of the guest (second chance). Of what the host's side accesses
 * the page word knows that it was mapped for it, once.
 */
#include <linux/bitmap.h>

#include "engine/clock.h"
#include "engine/mark.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/word.h"
#include "kvm/mmu.h"

/* The most words that one step of the clock hand passes. */
#define SCAN_STEP	64
/* After so many words without a full batch, age does not protect any more. */
#define SCAN_HARD	8192
/* Give up a scan here; a region of less is scanned about twice. */
#define SCAN_MAX	65536

static bool word_fresh(u64 w, unsigned int now)
{
	unsigned int age = (now - hermit_word_stamp(w)) & HERMIT_W_STAMP_MASK;

	return age < HERMIT_FRESH_MS / 4 + 1;
}

/*
 * How many pages to ask about next: as many as fill the batch, by what was found
 * so far in it. Asking clears the accessed bit, so a page that is asked about in
 * excess stays a turn longer if it is cold, and loses its second chance if hot.
 */
static int clock_ask(const struct hermit_selection *s, bool hard)
{
	int room = s->max - s->nr;

	if (hard)
		return min(room, SCAN_STEP);
	return min(room * (s->asked + 1) / (s->found + 1), SCAN_STEP);
}

/*
 * One step of the clock, from page @hand % npages: make those EVICTING that were
 * not accessed since the last visit, nor mapped for the host (second chance). Returns how many pages the
 * hand passed, 0 if another thread moved it meanwhile. The thread that moves the
 * hand over a page is the only one that asks about it.
 */
static u64 clock_step(struct hermit_region *r, u64 hand, bool hard,
			     struct hermit_selection *s)
{
	DECLARE_BITMAP(accessed, SCAN_STEP) = {};
	DECLARE_BITMAP(mapped, SCAN_STEP) = {};
	unsigned int now = hermit_stamp_now();
	u64 start = hand % r->npages, left, passed;
	/* Where all of them are the host's this would tell none from another. */
	u64 host_used = READ_ONCE(r->nr_bindings) ? HERMIT_W_HOSTUSED : 0;
	u64 idx[SCAN_STEP], w, old, new;
	int n = 0, i, ask = clock_ask(s, hard);
	atomic64_t *words = hermit_word(r, start);

	/* One look-up for all words of a step: it ends with the chunk. */
	left = min_t(u64, HERMIT_CHUNK_PAGES - start % HERMIT_CHUNK_PAGES,
		     r->npages - start);
	if (!words)
		return atomic64_cmpxchg(&r->hand, hand, hand + left) == hand ?
			       left : 0;

	left = min_t(u64, left, SCAN_STEP);
	for (passed = 0; passed < left && n < ask; passed++) {
		w = atomic64_read(&words[passed]);
		if ((w & (HERMIT_W_STATE | HERMIT_W_INFLIGHT)) != HERMIT_LOCAL ||
		    word_fresh(w, now))
			continue;
		if (w & host_used) {
			HERMIT_MARK(host_used);
			__set_bit(n, accessed);
			__set_bit(n, mapped);
		}
		idx[n++] = start + passed;
	}
	if (atomic64_cmpxchg(&r->hand, hand, hand + passed) != hand) {
		HERMIT_MARK(hand_was_moved);
		return 0;
	}
	s->scanned += passed;
	hermit_count(r, HERMIT_C_SCANNED, passed);
	if (!n)
		return passed;
	/* Then the guest's are as cold, and leave in the order of their numbers. */
	if (hermit_mmu_age(r, idx, n, accessed) < 0)
		hermit_count(r, HERMIT_C_UNAGED, n);

	s->asked += n;
	for (i = 0; i < n; i++) {
		atomic64_t *word = &words[idx[i] - start];

		if (!hard && test_bit(i, accessed)) {
			HERMIT_MARK(second_chance);
			if (test_bit(i, mapped))
				hermit_word_apply(word, HERMIT_EV_PASS, 0, &old,
						  &new);
			continue;
		}
		s->found++;
		if (s->nr == s->max ||
		    hermit_word_apply(word, HERMIT_EV_EVICT_BEGIN, 0, &old, &new))
			continue;
		s->v[s->nr++] = (struct hermit_victim) {
			.idx = idx[i],
			.word = new,
			.page = hermit_word_page(new),
		};
	}
	return passed;
}

void hermit_clock_select(struct hermit_region *r, struct hermit_selection *s)
{
	u64 passed = 0, step;
	bool hard = false;

	lockdep_assert_held_read(&r->sweep_lock);

	while (s->nr < s->max && passed < 3 * r->npages &&
	       s->scanned < SCAN_MAX) {
		do {
			step = clock_step(r, atomic64_read(&r->hand),
						 hard, s);
		} while (!step);
		passed += step;
		hard = s->scanned >= SCAN_HARD || passed > 2 * r->npages;
	}
}
