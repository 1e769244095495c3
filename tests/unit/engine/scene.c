// SPDX-License-Identifier: GPL-2.0-or-later
/* What walks of their own begin and end with: see scene.h. */
#include "scene.h"

#include "engine/clock.h"
#include "engine/pool.h"
#include "engine/standby.h"
#include "engine/threads.h"
#include "engine/word.h"
#include "kvm/mmu.h"

struct hermit_region *scene_create(void)
{
	if (!walk_create())
		fiber_fail("no region");
	hermit_region_get(world.r);
	if (!guest_bind())
		fiber_fail("no binding");
	world.most = world.r->npages;
	world.left = 0;
	return world.r;
}

void scene_wait(void)
{
	while (world.left)
		fiber_sleep(fiber_now() + 100000);
}

void scene_end(struct hermit_region *r)
{
	hermit_region_end(r);
	walk_gone(r);
}

/* Of a region without a binding, all of it touched; the caller ends it. */
struct hermit_region *scene_create_stock(void)
{
	u64 i;

	world.faults = (struct faults){ };
	shim_fail_once_in = 0;
	world.stock = true;
	if (!walk_create())
		fiber_fail("no region");
	hermit_region_get(world.r);
	world.left = 0;
	for (i = 0; i < 70; i++)
		host_touch(0, i, true);
	return world.r;
}

/* A page that has to be read; the limit is low from here on. */
u64 scene_remote_page(struct hermit_region *r)
{
	u64 i, w, at_once = fiber_now() + 20 * NSEC_PER_SEC;

	for (i = 0; i < 60; i++)
		host_touch(0, i, true);
	walk_set_limit(48);
	for (i = 0; fiber_now() < at_once; i = (i + 1) % 60) {
		w = hermit_word(r, i)->counter;
		if (hermit_word_state(w) == HERMIT_REMOTE && !hermit_standby_has(r, i, w))
			return i;
		fiber_sleep(fiber_now() + 100000);
	}
	fiber_fail("no page became remote");
}

void scene_page_toucher(void *arg)
{
	struct kvm_provider_wait *wait = NULL;
	u64 idx = *(u64 *)arg;
	static int cpu;

	guest_touch(cpu++ % 2, idx, false, &wait);
	guest_drop(wait);
	world.left--;
}

/* Nothing goes wrong but what the walk is about. */
struct hermit_region *scene_create_quiet(void)
{
	world.faults = (struct faults){ };
	shim_fail_once_in = 0;
	world.stock = false;
	fiber_steady = true;
	return scene_create();
}

void scene_host_toucher(void *arg)
{
	host_touch(1, *(u64 *)arg, false);
	world.left--;
}

void scene_page_reader(void *arg)
{
	host_read(*(u64 *)arg, 1);
	world.left--;
}

bool scene_threads_lie(struct hermit_region *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_reclaimers; i++)
		if (!r->reclaimers[i].idle)
			return false;
	return true;
}

/*
 * Until no page is above the limit. Who reclaimed in vain naps for five jiffies; who
 * lies longer was not woken, and would be by the watchdog, after 25.
 */
void scene_go_down(struct hermit_region *r)
{
	u64 lain = 0;

	while (hermit_pool_over(r)) {
		lain = scene_threads_lie(r) ? lain ?: fiber_now() : 0;
		if (lain && fiber_now() - lain > 7 * JIFFY_NS)
			fiber_fail("above the limit, and all threads lie");
		fiber_sleep(fiber_now() + (lain ? 100000 : 1000));
	}
}

void scene_one_away(void *arg)
{
	server_one_away(*(unsigned int *)arg, NSEC_PER_SEC, false);
	world.left--;
}

void scene_leave(struct hermit_region *r)
{
	host_zap(0, 60);
	fiber_sleep(fiber_now() + 2 * HERMIT_FRESH_MS * NSEC_PER_MSEC);
	walk_set_limit(24);
	scene_go_down(r);
	while (r->writes.counter)
		fiber_sleep(fiber_now() + 1000);
}

void scene_get_pages(struct hermit_region *r, struct page **held, int n)
{
	while (n--) {
		held[n] = hermit_page_get(r);
		if (IS_ERR(held[n]))
			fiber_fail("no page: %ld", PTR_ERR(held[n]));
	}
}

void scene_put_pages(struct hermit_region *r, struct page **held, int n)
{
	while (n--)
		hermit_page_put(r, held[n]);
}
