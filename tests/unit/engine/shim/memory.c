// SPDX-License-Identifier: GPL-2.0-or-later
/* Allocations that may fail, and pages. */
#include <sanitizer/asan_interface.h>

#include "shim.h"

unsigned int shim_fail_once_in, shim_reclaim_once_in;
int shim_most_pages;
long shim_node_pages;
struct shrinker *shim_shrinker;
struct notifier_block *shim_oom;
bool shim_mempool_dry;

void *memchr_inv(const void *p, int c, size_t n)
{
	const unsigned char *b = p;
	size_t i;

	for (i = 0; i < n; i++)
		if (b[i] != (unsigned char)c)
			return (void *)(b + i);
	return NULL;
}

static bool fails(void)
{
	return fiber_self() && shim_fail_once_in && fiber_once_in(shim_fail_once_in);
}

/* In the thread that allocates, with all the locks that it holds. */
static void direct_reclaim(void)
{
	struct shrink_control sc = { .nr_to_scan = 1 + fiber_random(16) };
	unsigned int flags = memalloc_noreclaim_save();

	if (shim_shrinker->count_objects(shim_shrinker, &sc))
		shim_shrinker->scan_objects(shim_shrinker, &sc);
	memalloc_noreclaim_restore(flags);
}

static void may_allocate(gfp_t gfp)
{
	if ((gfp & __GFP_DIRECT_RECLAIM) && fiber_self()) {
		if (fiber_atomic())
			fiber_fail("allocation that may sleep, where it may not");
		if (shim_shrinker && !(shim_flags & PF_MEMALLOC) &&
		    shim_reclaim_once_in && fiber_once_in(shim_reclaim_once_in))
			direct_reclaim();
	}
	fiber_point();
}

void *shim_alloc(size_t size, gfp_t gfp)
{
	void *p;

	may_allocate(gfp);
	if (fails())
		return NULL;
	p = aligned_alloc(64, DIV_ROUND_UP(size, 64) * 64);
	return gfp & __GFP_ZERO ? memset(p, 0, size) : p;
}

struct shim_mempool {
	size_t size;
	int min, reserve;
	wait_queue_head_t wq;
};

mempool_t *mempool_create_slab_pool(int min, struct kmem_cache *c)
{
	mempool_t *p = malloc(sizeof(*p));

	*p = (mempool_t){ .size = (size_t)c, .min = min, .reserve = min };
	init_waitqueue_head(&p->wq);
	return p;
}

void mempool_destroy(mempool_t *p)
{
	if (!p)
		return;
	if (p->reserve != p->min)
		fiber_fail("mempool: %d of %d given back", p->reserve, p->min);
	free(p);
}

void *mempool_alloc(mempool_t *p, gfp_t gfp)
{
	may_allocate(gfp);
	if (!shim_mempool_dry && !fails())
		return malloc(p->size);
	/* Whoever may sleep does, until there is one: __GFP_NORETRY is no help. */
	while (!p->reserve) {
		if (!(gfp & __GFP_DIRECT_RECLAIM))
			return NULL;
		if (fiber_local()->srcu)
			fiber_fail("waits for a request under kvm->srcu");
		wait_event(p->wq, p->reserve > 0);
	}
	p->reserve--;
	return malloc(p->size);
}

void mempool_free(void *e, mempool_t *p)
{
	fiber_point();
	free(e);
	/* As there: the reserve is filled first. */
	if (p->reserve < p->min)
		p->reserve++;
	if (wq_has_sleeper(&p->wq))
		wake_up_all(&p->wq);
}

/* ---- pages ---- */

struct page shim_pages[SHIM_PAGES];
int shim_used;

u64 shim_pfn(u64 pfn)
{
	if (pfn - SHIM_PFN >= SHIM_PAGES)
		fiber_fail("pfn %#llx is no page", pfn);
	return pfn - SHIM_PFN;
}

void shim_pages_init(void)
{
	int i;

	shim_used = shim_most_pages = 0;
	for (i = 0; i < SHIM_PAGES; i++) {
		struct page *p = &shim_pages[i];
		void *data = p->data ?: malloc(PAGE_SIZE);

		memset(p, 0, sizeof(*p));
		p->data = data;
		init_waitqueue_head(&p->wq);
		__asan_poison_memory_region(data, PAGE_SIZE);
	}
}

/* Soon the same one again, so that a stale word names a page of another use. */
struct page *alloc_page(gfp_t gfp)
{
	struct page *p;
	int first = fiber_random(8), i;

	may_allocate(gfp);
	if (fails() || (shim_most_pages && shim_used >= shim_most_pages))
		return NULL;
	for (i = 0; i < SHIM_PAGES; i++) {
		p = &shim_pages[(first + i) % SHIM_PAGES];
		/* A page that was freed under a holder's lock stays apart. */
		if (p->refs.counter || p->locked.counter || p->data == NULL)
			continue;
		if (p->poisoned.counter)
			continue;
		if (!__asan_region_is_poisoned(p->data, 1))
			continue;
		__asan_unpoison_memory_region(p->data, PAGE_SIZE);
		shim_used++;
		p->mapping = NULL;
		p->private = 0;
		p->dirty.counter = 0;
		memset(p->data, gfp & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE);
		atomic_set(&p->refs, 1);
		return p;
	}
	fiber_fail("no page left: %d in use", shim_used);
}

void put_page(struct page *p)
{
	int left = atomic_dec_return(&p->refs);

	if (left < 0)
		fiber_fail("put_page() of a free page");
	if (left)
		return;
	if (p->mapping)
		fiber_fail("a page is freed that has a mapping");
	if (p->locked.counter)
		fiber_fail("a page is freed that is locked");
	shim_used--;
	__asan_poison_memory_region(p->data, PAGE_SIZE);
}

bool get_page_unless_zero(struct page *p)
{
	int n = atomic_read(&p->refs);

	do {
		if (!n)
			return false;
	} while (!atomic_try_cmpxchg(&p->refs, &n, n + 1));
	return true;
}

void lock_page(struct page *p)
{
	might_sleep();
	while (!trylock_page(p))
		wait_event_timeout(p->wq, !atomic_read(&p->locked), MAX_SCHEDULE_TIMEOUT);
}

void unlock_page(struct page *p)
{
	if (!shim_locked(&p->locked.counter, ({ int _w = *_p; *_p = 0; _w; })))
		fiber_fail("unlock_page() of a page that is not locked");
	if (wq_has_sleeper(&p->wq))
		wake_up_all(&p->wq);
}
