// SPDX-License-Identifier: GPL-2.0-or-later
/* Faults that showed once: of what a host, or a VM, has too little of. */
#include "scene.h"

#include "engine/copy.h"
#include "engine/discard.h"
#include "engine/pool.h"
#include "engine/recall.h"
#include "engine/stats.h"
#include "engine/sweep.h"
#include "engine/threads.h"
#include "engine/tune.h"
#include "engine/turn.h"
#include "engine/watchdog.h"
#include "engine/word.h"
#include "kvm/mmu.h"

#define STALL_S	25
static_assert(STALL_S < HERMIT_WRONG_S, "a page that is wrong for longer is lost");

/*
 * A server that answers every read with an error, or with what is not the page, is a
 * stall as a silent one, and so is a host without any memory; nobody asks in vain
 * without a rest.
 */
static void stall_is_told(bool dry)
{
	struct hermit_region *r;
	int accesses = 100000;
	u64 faulted, before = world.faulted;
	unsigned int i, begun = 0, wrong = 0;
	bool told;

	r = scene_create();
	r->fault_timeout = NSEC_PER_SEC;
	world.most = 0;
	walk_set_limit(dry ? r->npages : walk_low_limit());
	world.vcpus_left = 1;
	world.left = 0;
	walk_start("vcpu", walk_vcpu, &accesses);
	if (dry) {
		while (world.faulted < before + 3)
			fiber_sleep(fiber_now() + 1000);
		if (fiber_once_in(2)) {
			shim_fail_once_in = 1;
		} else {
			/* There is all but pages, and none can leave. */
			shim_most_pages = -1;
			world.faults.write_fails = 1;
		}
	}
	faulted = world.faulted;
	fiber_sleep(fiber_now() + STALL_S * NSEC_PER_SEC);
	if (!world.left)
		fiber_fail("the vCPU never had to wait: take another seed");
	faulted = world.faulted - faulted;
	if (faulted > 20000)
		fiber_fail("%llu faults in %d s, none of which could get on",
			   faulted, STALL_S);
	for (i = 0; i < r->events.head; i++) {
		begun += r->events.ring[i].type == HERMIT_EVENT_STALL_BEGIN;
		wrong += r->events.ring[i].type == HERMIT_EVENT_PAGE_MISMATCH &&
			 r->events.ring[i].arg1 < r->npages;
	}
	if (world.faults.lies && (!wrong || wrong > STALL_S + 1))
		fiber_fail("nothing but wrong answers for %d s, told of %u times",
			   STALL_S, wrong);
	/* Where none is written a page of zeros may have left amid it. */
	if (begun > 1 && !world.faults.write_fails)
		fiber_fail("one stall was told of %u times", begun);
	told = r->stalled;
	world.faults.read_fails = world.faults.lies = shim_fail_once_in = 0;
	world.faults.write_fails = shim_most_pages = 0;
	world.enough = true;
	while (world.left)
		fiber_sleep(fiber_now() + 100000);
	scene_end(r);
	if (!told)
		fiber_fail("nothing went on for %d s, and no stall was told after 1 s",
			   STALL_S);
}

void known_failed_reads(void *arg)
{
	stall_is_told(false);
}

void known_no_memory(void *arg)
{
	stall_is_told(true);
}

/* The watchdog, much more often than ten times a second: it is queued no more. */
static void watches(void *arg)
{
	while (!world.enough) {
		hermit_watchdog(&world.r->watchdog.work);
		fiber_sleep(fiber_now() + fiber_random(200000));
	}
	world.left--;
}

/*
 * A page now and then, each of which comes at once, and nothing between for longer
 * than a stall takes to be one: none is told of.
 */
void known_seldom(void *arg)
{
	struct hermit_region *r;
	unsigned int i;

	r = scene_create();
	r->fault_timeout = NSEC_PER_SEC;
	walk_set_limit(walk_low_limit());
	cancel_delayed_work_sync(&r->watchdog);
	world.left = 0;
	for (i = 0; i < 400; i++) {
		struct kvm_provider_wait *wait = NULL;

		fiber_sleep(fiber_now() + NSEC_PER_SEC + fiber_random(NSEC_PER_SEC / 10));
		world.enough = false;
		walk_start("watchdog", watches, NULL);
		guest_touch(0, i % r->npages, true, &wait);
		guest_drop(wait);
		world.enough = true;
		while (world.left)
			fiber_sleep(fiber_now() + 10000);
	}
	for (i = 0; i < r->events.head; i++)
		if (r->events.ring[i].type == HERMIT_EVENT_STALL_BEGIN)
			fiber_fail("a stall was told of, and nobody waited");
	scene_end(r);
}

/*
 * A host, or a group, with fewer pages than the limit: pages scene_leave, and the guest
 * goes on with what there is. Then it has them all.
 */
static void too_little(bool high)
{
	struct hermit_region *r;
	int accesses = 400;
	long least = walk_low_limit();

	r = scene_create();
	r->floor = least - 20;
	world.vcpus_left = 1;
	world.left = 0;
	if (high)
		world.high = least;
	else
		shim_most_pages = least;
	walk_start("vcpu", walk_vcpu, &accesses);
	fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
	if (world.left)
		fiber_fail("400 accesses take more than a minute with %ld pages", least);
	if (shim_pages_used() > least)
		fiber_fail("%d pages are used, of %ld", shim_pages_used(), least);
	world.high = shim_most_pages = 0;
	fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
	if (r->limit_now != r->limit)
		fiber_fail("a minute later the limit is %ld of %ld", r->limit_now,
			   r->limit);
	scene_end(r);
}

void known_few_pages(void *arg)
{
	too_little(false);
}

void known_above_high(void *arg)
{
	too_little(true);
}

/* All turns of the host are held by threads that do not run: all goes on. */
void known_turns_held(void *arg)
{
	struct hermit_region *other = calloc(1, sizeof(*other));
	unsigned int i;

	other->stats = alloc_percpu(struct hermit_cpu_stats);
	other->policy.weight = HERMIT_SHARE_WEIGHT;
	for (i = 0; i < num_online_cpus(); i++)
		hermit_turn_begin(other);
	walk_main(NULL);
	for (i = 0; i < num_online_cpus(); i++)
		hermit_turn_end(other, 1);
	free_percpu(other->stats);
	free(other);
}

/*
 * The host has none: the OOM killer asks until it is told of nothing more, which
 * has to come, and it was told of pages that it has. The VM lives on its floor, and
 * later it may have all that it had.
 */
void known_host_dry(void *arg)
{
	unsigned long freed, told = 0;
	struct shrink_control sc = {};
	struct hermit_region *r;
	int accesses = 2000, asked = 0, before;
	long had, floor = walk_low_limit();

	r = scene_create();
	r->floor = floor;
	world.vcpus_left = 1;
	world.left = 0;
	walk_start("vcpu", walk_vcpu, &accesses);
	while (world.left && r->used.counter < floor + 10)
		fiber_sleep(fiber_now() + 100000);
	sc.nr_to_scan = shim_shrinker->count_objects(shim_shrinker, &sc);
	before = shim_pages_used();
	freed = shim_shrinker->scan_objects(shim_shrinker, &sc);
	if (freed != SHRINK_STOP && freed > sc.nr_to_scan)
		fiber_fail("the shrinker gave %lu pages, asked for %lu of %d", freed,
			   sc.nr_to_scan, before);
	had = r->used.counter;
	do {
		freed = 0;
		shim_oom->notifier_call(shim_oom, 0, &freed);
		told += freed;
		if (++asked > 100)
			fiber_fail("asked %d times, and %lu pages were told of", asked, told);
		fiber_sleep(fiber_now() + NSEC_PER_MSEC);
	} while (freed || r->used.counter > floor);
	if (r->limit_now != min(floor, r->limit))
		fiber_fail("the limit is %ld, the floor %ld", r->limit_now, floor);
	/* What came and went meanwhile counts as well; but not for ever. */
	if ((long)told < had - floor)
		fiber_fail("%lu pages told of, %ld were given", told, had - floor);
	while (world.left)
		fiber_sleep(fiber_now() + 100000);
	fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
	if (r->limit_now != r->limit)
		fiber_fail("a minute later the limit is %ld of %ld", r->limit_now,
			   r->limit);
	scene_end(r);
}

/* Who lowers the limit, QEMU under its big lock, frees no page: threads do. */
void known_limit_frees_nothing(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
	struct page *held[60];
	unsigned int threads = r->nr_reclaimers;
	long pooled;

	scene_get_pages(r, held, ARRAY_SIZE(held));
	scene_put_pages(r, held, ARRAY_SIZE(held));
	while (!scene_threads_lie(r))
		fiber_sleep(fiber_now() + 1000);
	/* None of them is woken. */
	r->nr_reclaimers = 0;
	pooled = r->pool.nr;
	walk_set_limit(40);
	if (pooled < 40 || r->pool.nr != pooled)
		fiber_fail("who set the limit freed %ld of %ld pages",
			   pooled - r->pool.nr, pooled);
	r->nr_reclaimers = threads;
	hermit_threads_kick(r);
	scene_go_down(r);
	scene_end(r);
}

/*
 * What passes over a whole region, which may have terabytes, yields at each chunk, and
 * its end at each of the pages that are ready as well.
 */
void known_loops_yield(void *arg)
{
	static const char *const what[] = { "sweep", "recall", "discard", "end" };
	u64 fetched = 0, next = 0, i;
	struct hermit_region *r;
	unsigned int yields[5], least;
	struct page *held[60];

	world.chunks = 16;
	r = scene_create_quiet();
	for (i = 0; i < world.chunks; i++)
		if (!hermit_word_alloc(r, i * HERMIT_CHUNK_PAGES))
			fiber_fail("no memory for words");
	scene_get_pages(r, held, ARRAY_SIZE(held));
	scene_put_pages(r, held, ARRAY_SIZE(held));
	yields[0] = fiber_local()->yields;
	hermit_sweep(r, 0);
	yields[1] = fiber_local()->yields;
	hermit_recall(r, r->npages, &next, &fetched);
	yields[2] = fiber_local()->yields;
	hermit_discard(r, 0, r->npages);
	yields[3] = fiber_local()->yields;
	scene_end(r);
	yields[4] = fiber_local()->yields;
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		/* It discards twice, and frees. */
		least = i < 3 ? world.chunks : 3 * world.chunks + ARRAY_SIZE(held);
		if (yields[i + 1] - yields[i] < least)
			fiber_fail("the %s of %llu chunks yields %u times", what[i],
				   world.chunks, yields[i + 1] - yields[i]);
	}
}

static u64 points_of_tune(struct hermit_region *r)
{
	u64 before = fiber_points();

	hermit_tune(r);
	return fiber_points() - before;
}

/* The feedback looks at the clock before it sums counters over all CPUs. */
void known_tune_looks_first(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
	u64 due = ~0ull, early = ~0ull, sum = ~0ull, before, i;

	/* Now and then another one has a point as well. */
	for (i = 0; i < 20; i++) {
		fiber_sleep(fiber_now() + 3 * NSEC_PER_MSEC);
		due = min(due, points_of_tune(r));
		early = min(early, points_of_tune(r));
		before = fiber_points();
		hermit_stat(r, HERMIT_C_CHARGED);
		sum = min(sum, fiber_points() - before);
	}
	scene_end(r);
	if (early + 4 * sum > due)
		fiber_fail("a look that is too early takes %llu accesses, one that sums %llu, and a sum %llu",
			   early, due, sum);
}

/* Of "local:": what leaves goes into a pool in the VM's own group. */
static struct hermit_region *create_with_pool(unsigned int pages_in_one)
{
	struct hermit_region *r;

	world.sync = true;
	world.pool = pages_in_one;
	r = scene_create_quiet();
	/* Writes, too, are done when submit() returns. */
	world.faults.inside = 1;
	return r;
}

/*
 * Pages go round, and none is charged while the pool grows: the limit gives way all
 * the same, at once, and not when the watchdog looks next.
 */
void known_pool_grows(void *arg)
{
	struct hermit_region *r = create_with_pool(1);
	struct kvm_provider_wait *wait = NULL;
	long over = 0;
	u64 i;

	cancel_delayed_work_sync(&r->watchdog);
	r->policy.batch = 4;
	r->floor = 40;
	walk_set_limit(88);
	world.group = r->npages + 48;
	for (i = 0; i < 4 * r->npages; i++) {
		guest_touch(0, i % r->npages, true, &wait);
		over = max(over, shim_pages_used() - world.group);
		if (fiber_once_in(8))
			fiber_sleep(fiber_now() + NSEC_PER_MSEC);
	}
	guest_drop(wait);
	scene_end(r);
	/* A batch, and what a fault charges. */
	if (over > 4 + HERMIT_PCP_REFILL)
		fiber_fail("%ld pages more than the group may have", over);
}

/* The next write to the page is none of zeros. */
static void fill(struct hermit_region *r, u64 idx, struct kvm_provider_wait **wait)
{
	do
		guest_touch(0, idx, true, wait);
	while (!*(u64 *)hermit_word_page(hermit_word(r, idx)->counter)->data);
}

/*
 * There is not one page left, and none of the VM's is clean or of zeros, when it wants
 * more: the pool needs one before any can go. And the same once more.
 */
void known_pool_needs_a_page(void *arg)
{
	struct hermit_region *r = create_with_pool(2);
	struct kvm_provider_wait *wait = NULL;
	unsigned int threads = r->nr_reclaimers, rounds;
	u64 i;

	r->floor = 40;
	for (rounds = 0; rounds < 2; rounds++) {
		while (!scene_threads_lie(r))
			fiber_sleep(fiber_now() + 1000);
		/* They come too late. */
		r->nr_reclaimers = 0;
		shim_most_pages = 90;
		for (i = 0; shim_pages_used() < shim_most_pages || hermit_pool_pages(r); i++)
			fill(r, i, &wait);
		r->nr_reclaimers = threads;
		for (; i < 2 * r->npages; i++)
			guest_touch(0, i % r->npages, true, &wait);
		shim_most_pages = 0;
		host_discard(0, r->npages);
		fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
		if (r->limit_now != r->limit)
			fiber_fail("a minute later the limit is %ld of %ld",
				   r->limit_now, r->limit);
	}
	guest_drop(wait);
	scene_end(r);
}
