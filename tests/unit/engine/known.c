// SPDX-License-Identifier: GPL-2.0-or-later
/* Faults that showed once: of births, kills and bad frames; and the list of all. */
#include "scene.h"

#include "engine/pool.h"
#include "engine/threads.h"
#include "engine/word.h"

/* As hermitctl list, stat and set: whoever finds a region finds all of it. */
static void finder(void *arg)
{
	const u8 uuid[16] = { 1 };
	struct hermit_region *r;

	while (world.left) {
		r = hermit_region_find(uuid);
		if (r) {
			rcu_read_lock();
			if (!READ_ONCE(r->dead) && r->link->ops != &world_transport)
				fiber_fail("a region was found whose link is none");
			rcu_read_unlock();
			hermit_threads_kick(r);
			hermit_region_put(r);
		}
		fiber_sleep(fiber_now() + fiber_random(2000));
	}
	world.left--;
}

/* Regions that come to life, or do not for lack of memory, while others look. */
static void births(void *arg)
{
	int i;

	world.left = 1;
	fiber_start("finder", finder, NULL, false, 0);
	for (i = 0; i < 20; i++) {
		if (!walk_create())
			continue;
		hermit_region_end(world.r);
		host_munmap();
		fput(world.file);
	}
	world.left = 0;
	while (!world.left)
		fiber_sleep(fiber_now() + 1000);
}

static void killed_toucher(void *arg)
{
	u64 i;

	fiber_local()->killed = true;
	for (i = 64; i < 96; i++)
		host_once(i, FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE);
	world.left--;
}

/* SIGKILL ends a fault, whatever it waits for: here for a page where none can leave. */
static void kill_ends_fault(void *arg)
{
	struct hermit_region *r = scene_create();
	int left, i;

	world.faults.write_fails = 1;
	walk_set_limit(64);
	for (i = 0; !i || hermit_pool_pages(r); i++)
		host_touch(0, i, true);
	shim_fail_once_in = 1;
	walk_set_limit(r->npages);
	walk_start("killed", killed_toucher, NULL);
	fiber_sleep(fiber_now() + 500 * NSEC_PER_MSEC);
	left = world.left;
	shim_fail_once_in = 0;
	world.faults.write_fails = 0;
	scene_wait();
	scene_end(r);
	if (left)
		fiber_fail("a fault of a killed thread goes on while there is no memory");
}

/* A page with a memory error is nothing for the mm: it would evict it. */
static void poison_stays_here(void *arg)
{
	struct hermit_region *r = scene_create();

	host_touch(0, 5, false);
	host_zap(5, 1);
	guest_poison_page(hermit_word_page(hermit_word(r, 5)->counter));
	host_touch(0, 5, false);
	scene_end(r);
}

const struct known known[] = {
	{ "failed-reads-are-a-stall", known_failed_reads, { .read_fails = 1 } },
	{ "wrong-answers-are-a-stall", known_failed_reads, { .lies = 1 } },
	{ "no-memory-is-a-stall", known_no_memory, { } },
	{ "no-stall-without-one", known_seldom, { } },
	{ "above-memory-high-goes-on", known_above_high, { } },
	{ "few-pages-go-on", known_few_pages, { } },
	{ "found-is-whole", births, { .no_memory = 12 } },
	{ "host-without-memory", known_host_dry, { } },
	{ "nothing-leaves-in-advance", known_without_server, { } },
	{ "turns-held-by-others", known_turns_held, { } },
	{ "no-nap-beside-room", walk_main, { }, .no_nap = true },
	{ "kill-ends-a-fault", kill_ends_fault, { } },
	{ "poison-stays-here", poison_stays_here, { } },
	{ "fault-waits-for-no-request", known_fault_waits_for_no_request, { } },
	{ "away-reads-once", known_away_reads_once, { } },
	{ "lost-at-the-server", known_lost_at_server, { } },
	{ "outage-is-no-pressure", known_outage_is_no_pressure, { } },
	{ "local-pool-grows", known_pool_grows, { } },
	{ "local-pool-needs-a-page", known_pool_needs_a_page, { } },
	{ "loops-yield", known_loops_yield, { } },
	{ "limit-frees-nothing", known_limit_frees_nothing, { } },
	{ "tune-looks-at-the-clock-first", known_tune_looks_first, { } },
	{ "clean-stays-clean", known_clean_stays_clean, { }, .servers = 3 },
	{ "standby-holds", known_standby_holds, { } },
	{ "copies-come-back", walk_main,
	  { .late = 4, .inside = 5, .lies = 5, .outages = true, .loses = true },
	  .servers = 3 },
	{ "servers-come-and-go", known_come_and_go, { } },
	{ }
};
