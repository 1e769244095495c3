// SPDX-License-Identifier: GPL-2.0-or-later
/* Strides found and not found, windows that grow, shrink, and come back. */
#include "core/prefetch.h"
#include "check.h"

#define NPAGES 100000ULL
#define ULL(x) ((unsigned long long)(x))

static uint64_t seed = 3;
static bool local[NPAGES];

/*
 * A guest that walks: each access of a page that is not local is a fault. What
 * was prefetched is local, and is judged when it is touched.
 */
struct walk {
	struct hermit_prefetch p;
	unsigned long accesses, faults, prefetched, hits;
};

static void start(struct walk *w)
{
	memset(w, 0, sizeof(*w));
	memset(local, 0, sizeof(local));
	hermit_prefetch_init(&w->p);
}

static void access_page(struct walk *w, u64 page)
{
	unsigned int n, i;
	s64 stride;

	w->accesses++;
	if (local[page]) {
		local[page] = false;
		w->hits++;
		hermit_prefetch_judge(&w->p, 1, 0);
		return;
	}
	w->faults++;
	n = hermit_prefetch_fault(&w->p, page, NPAGES, &stride);
	CHECK(n <= HERMIT_PREFETCH_MAX, "%u pages", n);
	CHECK(!n == !stride, "%u pages of stride %lld", n, (long long)stride);
	for (i = 1; i <= n; i++) {
		const u64 other = page + (u64)stride * i;

		CHECK(other < NPAGES && other != page, "page %llu", ULL(other));
		if (other >= NPAGES)
			return;
		w->prefetched += !local[other];
		local[other] = true;
	}
}

/* Prefetched and never touched. */
static void sweep(struct walk *w)
{
	u32 misses = 0;
	u64 i;

	for (i = 0; i < NPAGES; i++) {
		misses += local[i];
		local[i] = false;
	}
	hermit_prefetch_judge(&w->p, 0, misses);
}

static void test_streams(void)
{
	static const s64 strides[] = { 1, -1, 2, 7, -16, 512, 4097 };
	unsigned int i, n;
	struct walk w;

	for (i = 0; i < sizeof(strides) / sizeof(*strides); i++) {
		const s64 s = strides[i];
		u64 page = s > 0 ? 5 : NPAGES - 5;

		start(&w);
		for (n = 0; n < 5000; n++) {
			access_page(&w, page);
			page += (u64)s;
			/* At the end the stream begins anew. */
			if (page >= NPAGES)
				page = s > 0 ? 5 : NPAGES - 5;
		}
		/* The window is at its most but for the turns. */
		CHECK(s > 512 || s < -512 || w.faults < w.accesses / 8,
		      "stride %lld: %lu faults of %lu accesses", (long long)s,
		      w.faults, w.accesses);
		CHECK(w.faults < w.accesses / 2, "stride %lld: %lu faults of %lu",
		      (long long)s, w.faults, w.accesses);
	}
}

/* One fault in four from elsewhere does not hide a stream. */
static void test_noise(void)
{
	struct walk w;
	u64 page = 0;
	unsigned int n;

	start(&w);
	for (n = 0; n < 40000; n++) {
		if (check_random(&seed) % 40 == 0)
			access_page(&w, check_random(&seed) % NPAGES);
		else
			access_page(&w, page++);
	}
	CHECK(w.faults < w.accesses / 5, "%lu faults of %lu accesses", w.faults,
	      w.accesses);
}

static void test_random(void)
{
	struct walk w;
	unsigned int n;

	start(&w);
	for (n = 0; n < 100000; n++)
		access_page(&w, check_random(&seed) % NPAGES);
	CHECK(w.prefetched < w.accesses / 1000,
	      "%lu pages prefetched for %lu random accesses", w.prefetched,
	      w.accesses);
	/* Also in a small part of memory, where strides come again by chance. */
	start(&w);
	for (n = 0; n < 100000; n++)
		access_page(&w, check_random(&seed) % 64);
	CHECK(w.prefetched < w.accesses / 100,
	      "%lu pages prefetched for %lu accesses of 64 pages", w.prefetched,
	      w.accesses);
}

/* Streams that break off: what was prefetched is in vain, and it stops. */
static void test_feedback(void)
{
	unsigned int n, k, before = 0, after = 0;
	struct walk w;
	u64 page;

	start(&w);
	for (n = 0; n < 3000; n++) {
		const unsigned long was = w.prefetched;
		const u64 stride = 2 + check_random(&seed) % 50;

		page = check_random(&seed) % (NPAGES - 250);
		for (k = 0; k < 5; k++)
			access_page(&w, page + k * stride);
		sweep(&w);
		if (n < 50)
			before += (unsigned int)(w.prefetched - was);
		else if (n >= 1000 && n < 1050)
			after += (unsigned int)(w.prefetched - was);
	}
	CHECK(before > 0, "nothing to turn off");
	CHECK(after * 4 < before, "%u pages in vain at first, %u later", before,
	      after);
	/* A stream that goes on brings it back. */
	page = 0;
	w.accesses = w.faults = 0;
	for (n = 0; n < 80000; n++)
		access_page(&w, page++);
	CHECK(w.faults < w.accesses / 2, "%lu faults of %lu: it never came back",
	      w.faults, w.accesses);
	CHECK(w.p.window == HERMIT_PREFETCH_MAX, "window %u", w.p.window);
}

static void test_edges(void)
{
	struct hermit_prefetch p;
	unsigned int i, n;
	s64 stride;

	hermit_prefetch_init(&p);
	CHECK(!hermit_prefetch_fault(&p, 0, 1, &stride), "the only page");
	for (i = 0; i < 100; i++)
		CHECK(!hermit_prefetch_fault(&p, 7, 100, &stride), "one page");
	/* The last page has nothing behind it. */
	hermit_prefetch_init(&p);
	for (i = 0; i < 99; i++)
		hermit_prefetch_fault(&p, i, 100, &stride);
	CHECK(!hermit_prefetch_fault(&p, 99, 100, &stride), "behind the end");
	/* Far apart, up and down. */
	hermit_prefetch_init(&p);
	for (i = 0; i < 1000; i++) {
		n = hermit_prefetch_fault(&p, i % 2 ? (1ULL << 40) - 1 : 0,
					  1ULL << 40, &stride);
		CHECK(!n, "%u pages of stride %lld", n, (long long)stride);
	}
	hermit_prefetch_judge(&p, ~0u, ~0u);
	hermit_prefetch_judge(&p, ~0u, 0);
	hermit_prefetch_judge(&p, 0, ~0u);
	for (i = 0; i < 100000; i++) {
		const u64 np = 1 + (check_random(&seed) >> (check_random(&seed) % 40 + 24));
		const u64 page = check_random(&seed) % np;

		n = hermit_prefetch_fault(&p, page, np, &stride);
		CHECK(!n || (page + (u64)stride * n < np), "page %llu of %llu",
		      ULL(page), ULL(np));
		hermit_prefetch_judge(&p, (u32)(check_random(&seed) >> 60),
				      (u32)(check_random(&seed) >> 61));
	}
}

static s64 newest(const struct hermit_prefetch *p)
{
	return p->history[(p->head + HERMIT_PREFETCH_HISTORY - 1) %
			  HERMIT_PREFETCH_HISTORY];
}

/* Fault at @page, and then on by 3 until pages are asked for. Returns the last. */
static u64 stream(struct hermit_prefetch *p, u64 page)
{
	s64 stride;

	hermit_prefetch_init(p);
	while (!hermit_prefetch_fault(p, page, NPAGES, &stride))
		page += 3;
	CHECK(stride == 3, "stride %lld", (long long)stride);
	return page;
}

/* What counts as a step. */
static void test_steps(void)
{
	struct hermit_prefetch p;
	s64 stride;
	u64 page, step;

	/* The first fault is none. */
	hermit_prefetch_init(&p);
	hermit_prefetch_fault(&p, 1000, NPAGES, &stride);
	CHECK(!p.filled, "a step, and one fault");

	/* Behind what was prefetched the stream goes on; beyond it is a jump. */
	page = stream(&p, 1000);
	page += 3 * (p.asked + 1);
	hermit_prefetch_fault(&p, page, NPAGES, &stride);
	CHECK(newest(&p) == 3, "behind the window: %lld", (long long)newest(&p));
	page = stream(&p, 1000);
	page += 3 * (p.asked + 2);
	stride = 3 * (p.asked + 2);
	hermit_prefetch_fault(&p, page, NPAGES, &(s64){ 0 });
	CHECK(newest(&p) == stride, "a jump of %lld: %lld", (long long)stride,
	      (long long)newest(&p));

	/* The same page again: nothing is under way any more. */
	page = stream(&p, 1000);
	hermit_prefetch_fault(&p, page, NPAGES, &stride);
	CHECK(!p.asked && !stride, "%u asked for the same page", p.asked);
	hermit_prefetch_fault(&p, page + 6, NPAGES, &stride);
	CHECK(newest(&p) == 6, "two strides: %lld", (long long)newest(&p));

	/* Nor when the stream ends in noise. */
	page = stream(&p, 1000);
	for (step = 100; hermit_prefetch_fault(&p, page, NPAGES, &stride); step += 50)
		page += step;
	CHECK(!p.asked && !stride, "%u asked for without a trend", p.asked);
}

int main(void)
{
	test_edges();
	test_streams();
	test_noise();
	test_random();
	test_feedback();
	test_steps();
	return check_report("prefetch");
}
