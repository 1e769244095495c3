// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clock of the engine as a policy: kvm-module/engine/clock.c, unchanged, over
 * page words. There is one thread, so nothing of fiber.h happens at a switch point.
 */
#include "engine/clock.h"
#include "engine/region.h"
#include "engine/stats.h"
#include "engine/word.h"
#include "kvm/mmu.h"

bool host_look(uint32_t page);
uint64_t host_now(void);
void today_begin(const void *rules, uint32_t pages, uint32_t limit);
void today_brought(uint32_t page, bool back, uint64_t away);
int today_choose(uint32_t *v);
void today_end(void);

static struct hermit_region *region;
static struct hermit_cpu_stats stats[FIBER_CPUS];

void today_begin(const void *rules, uint32_t pages, uint32_t limit)
{
	region = aligned_alloc(64, (sizeof(*region) + 63) / 64 * 64);
	memset(region, 0, sizeof(*region));
	region->npages = pages;
	region->chunks = calloc(hermit_nr_chunks(region), sizeof(*region->chunks));
	region->stats = stats;
	region->nr_bindings = 1;
}

void today_end(void)
{
	for (u64 i = 0; i < hermit_nr_chunks(region); i++)
		free(region->chunks[i]);
	free(region->chunks);
	free(region);
}

void today_brought(uint32_t page, bool back, uint64_t away)
{
	struct hermit_chunk **chunk = &region->chunks[page >> HERMIT_CHUNK_SHIFT];
	u64 old, new;

	if (!*chunk)
		*chunk = calloc(1, sizeof(**chunk));
	/* One that came back has left before, but for those of the start. */
	if (hermit_word_apply(hermit_word(region, page), HERMIT_EV_INSTALL_READ, 0, &old, &new) &&
	    hermit_word_apply(hermit_word(region, page), HERMIT_EV_INSTALL_ZERO, 0, &old, &new))
		fiber_fail("page %u is brought, and its word is %llx", page, old);
}

int today_choose(uint32_t *v)
{
	struct hermit_selection s = { .max = HERMIT_BATCH };
	u64 old, new;

	hermit_clock_select(region, &s);
	for (int i = 0; i < s.nr; i++) {
		v[i] = s.v[i].idx;
		/* With a copy or without: all come back from the server. */
		hermit_word_apply(hermit_word(region, v[i]), HERMIT_EV_EVICT_WRITE, 0, &old, &new);
		hermit_word_apply(hermit_word(region, v[i]), HERMIT_EV_WRITE_OK,
				  hermit_next_generation(region), &old, &new);
	}
	return s.nr;
}

int hermit_mmu_age(struct hermit_region *r, const u64 *idx, int n, unsigned long *accessed)
{
	for (int i = 0; i < n; i++)
		if (host_look(idx[i]))
			__set_bit(i, accessed);
	return 0;
}

/* Of the shim's. */
struct page shim_pages[SHIM_PAGES];

u64 shim_pfn(u64 pfn) { return 0; }
bool shim_held(const struct shim_lock *l, bool read) { return true; }
uint64_t fiber_now(void) { return host_now(); }
int fiber_cpu(void) { return 0; }
void fiber_point(void) { }
void fiber_drain(void) { }
void fiber_store(void *to, const void *from, size_t size) { memcpy(to, from, size); }

void fiber_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
