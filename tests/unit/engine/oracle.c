// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each page was last written, and what who reads may see.
 *
 * An access to a mapped or pinned page is one instruction, and learns of the
 * store in it. A read that takes long (pread) may see, in each of its parts, any
 * version that was the page's while it lasted.
 */
#include "world.h"

#include "counters.h"
#include "engine/holder.h"
#include "engine/report.h"
#include "engine/unmap.h"
#include "engine/word.h"

#define LOGGED	64		/* versions of a page that are remembered */

static struct {
	u64 log[LOGGED];	/* the newest is log[(n - 1) % LOGGED] */
	u64 n;
	u64 discards, discarded_at;	/* n of the last one's beginning */
	int discarding;
} pages[WORLD_PAGES];
static u64 last_version;

void oracle_init(void)
{
	int i;

	memset(pages, 0, sizeof(pages));
	for (i = 0; i < WORLD_PAGES; i++)
		pages[i].n = 1;
	last_version = 0;
}

u64 oracle_version(u64 idx)
{
	return pages[idx].log[(pages[idx].n - 1) % LOGGED];
}

static void add(u64 idx, u64 version)
{
	pages[idx].log[pages[idx].n++ % LOGGED] = version;
}

/* What ends has no contents any more. */
static bool unknown(u64 idx)
{
	return pages[idx].discarding || world.r->dead;
}

void oracle_access(u64 idx, struct page *page, bool write, const char *who)
{
	u64 *data = page->data, first = data[0], last = data[PAGE_WORDS - 1];
	u64 was = oracle_version(idx), now;

	if (unknown(idx))
		return;
	if (first != was || last != was)
		fiber_fail("page %llu: holds %llu and %llu for %s, was written %llu",
			   idx, first, last, who, was);
	if (!write)
		return;
	now = fiber_once_in(16) ? 0 : ++last_version;
	add(idx, now);
	data[0] = data[PAGE_WORDS - 1] = now;
	if (!now)
		memset(data, 0, PAGE_SIZE);
}

void oracle_discard_begin(u64 idx, u64 nr)
{
	u64 i;

	for (i = idx; i < idx + nr; i++) {
		pages[i].discarding++;
		pages[i].discards++;
		add(i, 0);
		pages[i].discarded_at = pages[i].n;
	}
}

void oracle_discard_end(u64 idx, u64 nr)
{
	u64 i;

	for (i = idx; i < idx + nr; i++)
		pages[i].discarding--;
}

u64 oracle_discards(u64 idx)
{
	return pages[idx].discards;
}

bool oracle_discarding(u64 idx)
{
	return pages[idx].discarding;
}

u64 oracle_read_begin(u64 idx)
{
	return unknown(idx) ? 0 : pages[idx].n;
}

static bool seen(u64 idx, u64 since, u64 value)
{
	u64 i;

	/* The page was a device's alone meanwhile, which wrote this. */
	if (value == ORACLE_DEVICE && pages[idx].discarded_at > since)
		return true;
	for (i = since - 1; i < pages[idx].n; i++)
		if (pages[idx].log[i % LOGGED] == value)
			return true;
	return false;
}

void oracle_read_end(u64 idx, u64 since, u64 first, u64 last, const char *who)
{
	/* Written too often to remember, or in the middle of a discard: anything. */
	if (!since || pages[idx].n - since >= LOGGED - 1 || world.r->dead)
		return;
	if (!seen(idx, since, first) || !seen(idx, since, last))
		fiber_fail("page %llu: %s read %llu and %llu, which it never was meanwhile; it is %llu",
			   idx, who, first, last, oracle_version(idx));
}

/* What the page words say of the same. */
static bool words_fit(const struct hermit_stats *s, char *why, size_t size)
{
	u64 n[HERMIT_W_STATE + 1] = {}, mapped = 0, thin = 0, i, w;

	for (i = 0; i < world.r->npages; i++) {
		w = hermit_word(world.r, i) ? hermit_word(world.r, i)->counter : 0;
		n[hermit_word_state(w)]++;
		thin += hermit_word_state(w) == HERMIT_REMOTE &&
			hweight8(hermit_holders(world.r, i) &
				 ~world.r->servers_leaving) < world.r->replicas;
		mapped += !!(w & HERMIT_W_HOSTMAPPED);
	}
	snprintf(why, size, "%llu local, %llu remote, %llu lost, %llu host-mapped, %llu on too few servers; by the words %llu, %llu, %llu, %llu, %llu",
		 s->local, s->remote, s->lost, s->host_mapped,
		 s->short_copies, n[HERMIT_LOCAL],
		 n[HERMIT_REMOTE], n[HERMIT_LOST], mapped, thin);
	return s->local == n[HERMIT_LOCAL] && s->remote == n[HERMIT_REMOTE] &&
	       s->lost == n[HERMIT_LOST] && s->host_mapped == mapped &&
	       s->short_copies == thin;
}

void oracle_counters(void)
{
	struct hermit_stats s;
	char why[200];
	int ms;

	for (ms = 0; ms < 20000; ms++) {
		hermit_report_fill(world.r, &s);
		/* What came too late to be the page is no wrong answer. */
		if (s.mismatches > world.lies)
			fiber_fail("%llu wrong answers are counted, %llu were given",
				   s.mismatches, world.lies);
		/* Nor is it lost, if the server has it. */
		if (!world.lost_all && !world.poisons &&
		    s.lost > world.forgot + world.spoilt)
			fiber_fail("%llu pages are lost, the server forgot %llu and spoilt %llu",
				   s.lost, world.forgot, world.spoilt);
		if (counters_fit(&s, why, sizeof(why)) && words_fit(&s, why, sizeof(why)))
			return;
		fiber_sleep(fiber_now() + NSEC_PER_MSEC);
	}
	fiber_fail("counters: %s", why);
}
