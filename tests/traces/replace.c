// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * core/replace as a policy, and the same without a part of it, or with one that was
 * tried and left out: what each is worth. How many pages to ask about, and when age
 * protects no more, is as in the engine's clock.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/replace.h"
#include "host.h"

#define CHUNK		256
#define BLOCK		64
#define HARD		8192
#define SCAN_MAX	65536
#define FRESH_NS	12000000

struct page {
	bool local, is_new;
	uint8_t counter;
	uint64_t since;
};

static struct replace_rules rules;
static struct page *page;
static uint32_t pages, limit;
/* Chunks that were touched, in that order: the hand goes over no others. */
static uint32_t *chunks, nr_chunks;
static bool *touched;
static uint64_t hand;
static struct hermit_newcomers newcomers;

void replace_begin(const void *r, uint32_t n, uint32_t most)
{
	rules = *(const struct replace_rules *)r;
	pages = n;
	limit = most;
	page = calloc(n, sizeof(*page));
	chunks = calloc(n / CHUNK + 1, sizeof(*chunks));
	touched = calloc(n / CHUNK + 1, sizeof(*touched));
	nr_chunks = 0;
	hand = 0;
	memset(&newcomers, 0, sizeof(newcomers));
}

void replace_end(void)
{
	free(page);
	free(chunks);
	free(touched);
}

void replace_brought(uint32_t i, bool back, uint64_t away)
{
	if (!touched[i / CHUNK]) {
		touched[i / CHUNK] = true;
		chunks[nr_chunks++] = i / CHUNK;
	}
	page[i] = (struct page){
		.local = true,
		.is_new = rules.new_value && (back || rules.first_too),
		.counter = rules.soon ? hermit_replace_start(back ? away : UINT64_MAX, limit) : 0,
		.since = host_now(),
	};
	if (rules.newcomers && (back || rules.first_too))
		hermit_newcomers_add(&newcomers, i);
}

static uint32_t page_at(uint64_t at)
{
	uint64_t n = (uint64_t)nr_chunks * (CHUNK / BLOCK), block = at / BLOCK % n;

	if (rules.permuted)
		block = hermit_replace_block(block, n);
	return chunks[block / (CHUNK / BLOCK)] * CHUNK + block % (CHUNK / BLOCK) * BLOCK + at % BLOCK;
}

static bool leaves(struct page *p, bool accessed)
{
	bool was_new = p->is_new, gone;

	p->is_new = false;
	if (accessed && was_new)
		return false;
	gone = hermit_replace_look(&p->counter, accessed);
	if (p->counter > rules.most)
		p->counter = rules.most;
	return gone;
}

int replace_choose(uint32_t *v)
{
	uint64_t all = (uint64_t)nr_chunks * CHUNK, passed = 0, asked = 0, found = 0;
	u64 taken[HERMIT_REPLACE_NEWCOMERS];
	bool hard = false;
	int nr = 0;

	for (unsigned int i = hermit_newcomers_take(&newcomers, taken); i--; )
		if (page[taken[i]].local)
			host_look(taken[i]);
	while (nr < HOST_BATCH && passed < 3 * all && passed < SCAN_MAX) {
		uint64_t left = BLOCK - hand % BLOCK, room = HOST_BATCH - nr, step;
		uint64_t ask = hard ? room : room * (asked + 1) / (found + 1);

		for (step = 0; step < left && ask; step++) {
			uint32_t i = page_at(hand + step);

			if (i >= pages || !page[i].local || host_now() - page[i].since < FRESH_NS)
				continue;
			ask--;
			asked++;
			if (!leaves(&page[i], host_look(i)) && !hard)
				continue;
			found++;
			if (nr == HOST_BATCH)
				continue;
			page[i].local = false;
			v[nr++] = i;
		}
		hand += step;
		passed += step;
		hard = passed >= HARD || passed > 2 * all;
	}
	return nr;
}
