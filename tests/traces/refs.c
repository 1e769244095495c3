// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies that know every access, to compare with: what a hypervisor cannot have.
 *
 *	LRU	the page that was accessed longest ago leaves
 *	OPT	the one that is accessed again last (Belady, "A study of replacement
 *		algorithms for a virtual-storage computer", 1966): none has less misses
 *	FIFO	the one that came first
 */
#include <stdlib.h>

#include "host.h"

#define NEVER		UINT32_MAX

/* A ring of pages: entry t->pages is its head. */
static uint32_t *next, *previous;

static void take(uint32_t page)
{
	next[previous[page]] = next[page];
	previous[next[page]] = previous[page];
}

static void put_first(uint32_t page, uint32_t head)
{
	next[page] = next[head];
	previous[page] = head;
	previous[next[head]] = page;
	next[head] = page;
}

static uint64_t in_order(const struct trace *t, uint32_t limit, bool again)
{
	bool *local = calloc(t->pages, sizeof(*local)), *was_here = calloc(t->pages, sizeof(*was_here));
	uint32_t head = t->pages, used = 0;
	uint64_t misses = 0;

	next = malloc((head + 1) * sizeof(*next));
	previous = malloc((head + 1) * sizeof(*previous));
	next[head] = previous[head] = head;
	for (; used < t->nr_filled && used < limit; used++) {
		local[t->filled[used]] = true;
		put_first(t->filled[used], head);
	}
	for (uint32_t i = 0; i < t->begin[t->epochs]; i++) {
		uint32_t page = trace_page(t->records[i]);

		if (local[page]) {
			was_here[page] = true;
			if (again) {
				take(page);
				put_first(page, head);
			}
			continue;
		}
		misses += was_here[page];
		if (used == limit) {
			local[previous[head]] = false;
			take(previous[head]);
			used--;
		}
		local[page] = was_here[page] = true;
		put_first(page, head);
		used++;
	}
	free(local);
	free(was_here);
	free(next);
	free(previous);
	return misses;
}

uint64_t refs_lru(const struct trace *t, uint32_t limit)
{
	return in_order(t, limit, true);
}

uint64_t refs_fifo(const struct trace *t, uint32_t limit)
{
	return in_order(t, limit, false);
}

/* A heap, the latest next access first. Entries of pages that were accessed since stay. */
static struct entry { uint32_t when, page; } *heap;
static uint32_t heap_size;

static void push(struct entry e)
{
	uint32_t i = heap_size++;

	for (; i && heap[(i - 1) / 2].when < e.when; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = e;
}

static struct entry pop(void)
{
	struct entry first = heap[0], e = heap[--heap_size];
	uint32_t i = 0, c;

	while ((c = 2 * i + 1) < heap_size) {
		if (c + 1 < heap_size && heap[c + 1].when > heap[c].when)
			c++;
		if (heap[c].when <= e.when)
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = e;
	return first;
}

uint64_t refs_opt(const struct trace *t, uint32_t limit)
{
	uint32_t n = t->begin[t->epochs], used = 0;
	uint32_t *later = malloc((n + 1) * sizeof(*later));	/* of each record: the next of its page */
	uint32_t *when = malloc(t->pages * sizeof(*when));	/* of each page, from here */
	bool *local = calloc(t->pages, sizeof(*local)), *was_here = calloc(t->pages, sizeof(*was_here));
	uint64_t misses = 0;

	heap = malloc((n + t->nr_filled + 1) * sizeof(*heap));
	heap_size = 0;
	for (uint32_t p = 0; p < t->pages; p++)
		when[p] = NEVER;
	for (uint32_t i = n; i--; ) {
		later[i] = when[trace_page(t->records[i])];
		when[trace_page(t->records[i])] = i;
	}
	for (; used < t->nr_filled && used < limit; used++) {
		local[t->filled[used]] = true;
		push((struct entry){ when[t->filled[used]], t->filled[used] });
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = trace_page(t->records[i]);

		if (!local[page]) {
			misses += was_here[page];
			while (used == limit) {
				struct entry e = pop();

				if (local[e.page] && when[e.page] == e.when) {
					local[e.page] = false;
					used--;
				}
			}
			local[page] = true;
			used++;
		}
		was_here[page] = true;
		when[page] = later[i];
		push((struct entry){ later[i], page });
	}
	free(later);
	free(when);
	free(local);
	free(was_here);
	free(heap);
	return misses;
}
