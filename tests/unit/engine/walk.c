// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walks: the engine of kvm-module/, unchanged, in a world of one VM and one
 * server, each walk from one seed.
 *
 *	walk --seed 7			that walk, and no other
 *	walk --runs 100			the seeds 1 to 100
 *	walk --seed 7 --seconds 60	from 7 on, until the time is over
 *
 *	walk --known NAME		one that showed a fault once
 *
 * A failure prints its seed and ends the program with status 1.
 */
#include <getopt.h>
#include <time.h>

#include "world.h"

#include "engine/limit.h"
#include "engine/pool.h"
#include "engine/pressure.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/turn.h"
#include "engine/word.h"

/* A walk that goes on for so long goes nowhere. */
#define MOST_POINTS	20000000

struct world world;

static int left, vcpus_left;

static void vcpu(void *arg)
{
	vcpu_main(arg);
	vcpus_left--;
	left--;
}

/* Half the time one of which the server has, or gets, a copy. */
static u64 some_page(u64 below)
{
	u64 idx = fiber_random(below), i;
	atomic64_t *words = hermit_word(world.r, 0);

	if (!words || fiber_random(2))
		return idx;
	for (i = idx; i < below; i++)
		if (words[i].counter & (HERMIT_W_COPY | HERMIT_W_INFLIGHT))
			return i;
	return idx;
}

static void balloon(void *arg)
{
	u64 idx, nr, pause = 20000ull << fiber_random(10);

	while (vcpus_left) {
		nr = 1 + fiber_random(fiber_once_in(10) ? 40 : 3);
		idx = some_page(world.r->npages - nr);
		guest_balloon(idx, nr);
		fiber_sleep(fiber_now() + fiber_random(pause));
	}
	left--;
}

static void set_limit(long limit)
{
	world.most = max(world.most, limit);
	hermit_limit_set(world.r, limit);
}

/* The VM's cgroup. */
long hermit_group_room(struct mem_cgroup *memcg, long enough)
{
	return world.high ? world.high - shim_pages_used() : LONG_MAX;
}

/* All CPUs' pools full, and what three vCPUs and two threads may hold. */
static long low_limit(void)
{
	return FIBER_CPUS * HERMIT_PCP_PAGES + 16 + fiber_random(40);
}

static void mover(void *arg)
{
	u64 pause = 100000ull << fiber_random(8);

	bool still = fiber_random(2);

	while (vcpus_left && !still) {
		fiber_sleep(fiber_now() + fiber_random(pause));
		set_limit(low_limit());
	}
	left--;
}

/* Of all orders: nothing leaves before it is HERMIT_FRESH_MS old. */
static u64 some_time(void)
{
	return fiber_random(1000000ull << fiber_random(10));
}

static void loss(void *arg)
{
	if (world.faults.loses) {
		fiber_sleep(fiber_now() + some_time());
		server_lose();
	}
	left--;
}

static void cosmic_rays(void *arg)
{
	u64 pause = 10000ull << fiber_random(10);

	while (vcpus_left && world.faults.poison) {
		fiber_sleep(fiber_now() + fiber_random(pause));
		/* Most of what can be hit is not in use. */
		if (world.poisons < 40)
			guest_poison();
	}
	left--;
}

static bool create(void)
{
	struct hermit_create c = { .reclaim_threads = 1 + fiber_random(3) };
	struct file *memory;

	c.region_size = (96 + fiber_random(WORLD_PAGES - 96 + 1)) << PAGE_SHIFT;
	c.limit = c.region_size;
	c.uuid[0] = 1;
	c.nr_servers = 1;
	strcpy(c.name, "walk");
	strcpy(c.servers[0], "sim:");
	world.most = c.limit >> PAGE_SHIFT;
	world.r = hermit_region_create(&c, &memory);
	if (!IS_ERR(world.r))
		return true;
	if (!world.faults.no_memory)
		fiber_fail("hermit_region_create(): %ld, %s",
			   PTR_ERR(world.r), c.error);
	return false;
}

static void walk_main(void *arg)
{
	int accesses[3], i, vcpus = 1 + fiber_random(ARRAY_SIZE(accesses));
	struct hermit_region *r;

	if (!create())
		return;
	r = world.r;
	if (!guest_bind()) {
		hermit_region_end(r);
		hermit_region_put(r);
		return;
	}
	/* Nothing is charged yet. */
	world.most = 0;
	set_limit(low_limit());
	vcpus_left = vcpus;
	left = vcpus + 4;
	for (i = 0; i < vcpus; i++) {
		accesses[i] = 50 + fiber_random(400);
		fiber_start("vcpu", vcpu, &accesses[i], false, 0);
	}
	fiber_start("balloon", balloon, NULL, false, 0);
	fiber_start("mover", mover, NULL, false, 0);
	fiber_start("loss", loss, NULL, false, 0);
	fiber_start("cosmic rays", cosmic_rays, NULL, false, 0);
	if (fiber_once_in(3)) {
		/* QEMU is killed. */
		fiber_sleep(fiber_now() + some_time());
		world.ended += vcpus_left > 0;
		hermit_region_end(r);
		while (left)
			fiber_sleep(fiber_now() + 100000);
		guest_unbind();
	} else {
		while (left)
			fiber_sleep(fiber_now() + 100000);
		guest_check_all();
		guest_unbind();
		hermit_region_end(r);
	}
	hermit_region_put(r);		/* the memory fd's */
}

static unsigned int sometimes(unsigned int once_in)
{
	return fiber_once_in(2) ? once_in : 0;
}

/*
 * A server that answers every read with an error is a stall as a silent one, and
 * so is a host without any memory; nobody asks in vain without a rest.
 */
static void stall_is_told(bool dry)
{
	struct hermit_region *r;
	int accesses = 1000;
	u64 faulted, before = world.faulted;
	unsigned int i, begun = 0;
	bool told;

	if (!create())
		fiber_fail("no region");
	r = world.r;
	r->fault_timeout = NSEC_PER_SEC;
	guest_bind();
	world.most = 0;
	set_limit(dry ? r->npages : low_limit());
	vcpus_left = left = 1;
	fiber_start("vcpu", vcpu, &accesses, false, 0);
	if (dry) {
		while (world.faulted < before + 3)
			fiber_sleep(fiber_now() + 1000);
		shim_fail_once_in = 1;
	}
	faulted = world.faulted;
	fiber_sleep(fiber_now() + 30 * NSEC_PER_SEC);
	if (!left)
		fiber_fail("the vCPU never had to wait: take another seed");
	faulted = world.faulted - faulted;
	if (faulted > 20000)
		fiber_fail("%llu faults in 30 s, none of which could get on", faulted);
	for (i = 0; i < r->events.head; i++)
		begun += r->events.ring[i].type == HERMIT_EVENT_STALL_BEGIN;
	if (begun > 1)
		fiber_fail("one stall was told of %u times", begun);
	told = r->stalled;
	world.faults.read_fails = shim_fail_once_in = 0;
	while (left)
		fiber_sleep(fiber_now() + 100000);
	guest_unbind();
	hermit_region_end(r);
	hermit_region_put(r);
	if (!told)
		fiber_fail("nothing went on for 30 s, and no stall was told after 1 s");
}

static void failed_reads(void *arg)
{
	stall_is_told(false);
}

static void no_memory(void *arg)
{
	stall_is_told(true);
}

/*
 * A host, or a group, with fewer pages than the limit: pages leave, and the guest
 * goes on with what there is. Then it has them all.
 */
static void too_little(bool high)
{
	struct hermit_region *r;
	int accesses = 400;
	long least = low_limit();

	if (!create())
		fiber_fail("no region");
	r = world.r;
	r->floor = least - 20;
	guest_bind();
	vcpus_left = left = 1;
	if (high)
		world.high = least;
	else
		shim_most_pages = least;
	fiber_start("vcpu", vcpu, &accesses, false, 0);
	fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
	if (left)
		fiber_fail("400 accesses take more than a minute with %ld pages", least);
	if (shim_pages_used() > least)
		fiber_fail("%d pages are used, of %ld", shim_pages_used(), least);
	world.high = shim_most_pages = 0;
	fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
	if (r->limit_now != r->limit)
		fiber_fail("a minute later the limit is %ld of %ld", r->limit_now,
			   r->limit);
	guest_unbind();
	hermit_region_end(r);
	hermit_region_put(r);
}

static void few_pages(void *arg)
{
	too_little(false);
}

static void above_high(void *arg)
{
	too_little(true);
}

/* All turns of the host are held by threads that do not run: all goes on. */
static void turns_held(void *arg)
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

/* Without its server nothing leaves in advance, and nothing is read twice. */
static void server_away(void *arg)
{
	struct hermit_region *r;
	int accesses = 200;
	u64 writes;

	if (!create())
		fiber_fail("no region");
	r = world.r;
	r->link_up = false;
	guest_bind();
	vcpus_left = left = 1;
	fiber_start("vcpu", vcpu, &accesses, false, 0);
	writes = world.writes;
	while (left)
		fiber_sleep(fiber_now() + 100000);
	/* Below the limit by a few pages: with its server there it would begin. */
	WRITE_ONCE(r->sched.gap, r->npages);
	set_limit(max(r->used.counter + 8, 64L));
	hermit_threads_kick(r);
	fiber_sleep(fiber_now() + NSEC_PER_SEC);
	if (world.writes != writes)
		fiber_fail("%llu pages left for a server that is away",
			   world.writes - writes);
	r->link_up = true;
	hermit_threads_kick(r);
	fiber_sleep(fiber_now() + NSEC_PER_SEC);
	if (world.writes == writes)
		fiber_fail("nothing left, though the server is there: this shows nothing");
	guest_unbind();
	hermit_region_end(r);
	hermit_region_put(r);
}

/*
 * The host has none: the OOM killer asks until it is told of nothing more, which
 * has to come, and it was told of pages that it has. The VM lives on its floor, and
 * later it may have all that it had.
 */
static void host_dry(void *arg)
{
	unsigned long freed, told = 0;
	struct shrink_control sc = {};
	struct hermit_region *r;
	int accesses = 2000, asked = 0, before;
	long had, floor = low_limit();

	if (!create())
		fiber_fail("no region");
	r = world.r;
	r->floor = floor;
	guest_bind();
	vcpus_left = left = 1;
	fiber_start("vcpu", vcpu, &accesses, false, 0);
	while (left && r->used.counter < floor + 10)
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
	while (left)
		fiber_sleep(fiber_now() + 100000);
	fiber_sleep(fiber_now() + 60 * NSEC_PER_SEC);
	if (r->limit_now != r->limit)
		fiber_fail("a minute later the limit is %ld of %ld", r->limit_now,
			   r->limit);
	guest_unbind();
	hermit_region_end(r);
	hermit_region_put(r);
}

/* As hermitctl list, stat and set: whoever finds a region finds all of it. */
static void finder(void *arg)
{
	const u8 uuid[16] = { 1 };
	struct hermit_region *r;

	while (left) {
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
	left--;
}

/* Regions that come to life, or do not for lack of memory, while others look. */
static void births(void *arg)
{
	int i;

	left = 1;
	fiber_start("finder", finder, NULL, false, 0);
	for (i = 0; i < 20; i++) {
		if (!create())
			continue;
		hermit_region_end(world.r);
		hermit_region_put(world.r);
	}
	left = 0;
	while (!left)
		fiber_sleep(fiber_now() + 1000);
}

static const struct known {
	const char *name;
	void (*fn)(void *arg);
	struct faults faults;
	bool no_nap;
} known[] = {
	{ "failed-reads-are-a-stall", failed_reads, { .read_fails = 1 } },
	{ "no-memory-is-a-stall", no_memory, { } },
	{ "above-memory-high-goes-on", above_high, { } },
	{ "few-pages-go-on", few_pages, { } },
	{ "found-is-whole", births, { .no_memory = 12 } },
	{ "host-without-memory", host_dry, { } },
	{ "nothing-leaves-in-advance", server_away, { } },
	{ "turns-held-by-others", turns_held, { } },
	{ "no-nap-beside-room", walk_main, { }, .no_nap = true },
	{ }
};

static void walk(u64 seed, const struct known *k)
{
	fiber_init(seed);
	world.lost = false;
	world.high = 0;
	world.poisons = 0;
	shim_pages_init();
	server_init();
	guest_init();
	world.faults = (struct faults){
		.read_fails = sometimes(10),
		.write_fails = sometimes(10),
		.late = sometimes(30),
		.inside = sometimes(5),
		.signals = sometimes(5),
		.no_memory = sometimes(20),
		.loses = fiber_once_in(4),
		.poison = fiber_once_in(3),
	};
	if (k)
		world.faults = k->faults;
	world.no_nap = k && k->no_nap;
	shim_fail_once_in = world.faults.no_memory;
	if (hermit_req_init() || hermit_pressure_init())
		fiber_fail("hermit_req_init(), or hermit_pressure_init()");
	fiber_start("walk", k ? k->fn : walk_main, NULL, false, 0);
	fiber_run(MOST_POINTS);
	hermit_pressure_exit();
	hermit_req_exit();
	if (shim_pages_used())
		fiber_fail("%d pages left behind", shim_pages_used());
	if (shim_node_pages)
		fiber_fail("the host counts %ld pages too many", shim_node_pages / 2);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "known", required_argument, NULL, 'k' },
		{ "verbose", no_argument, NULL, 'v' },
		{ }
	};
	double begin = seconds(), until = 0, took;
	u64 seed = 1, runs = 1, i, points = 0;
	const struct known *k = NULL;
	bool verbose = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'r': runs = strtoull(optarg, NULL, 0); break;
		case 't': until = begin + atof(optarg); break;
		case 'v': verbose = true; break;
		case 'k':
			for (k = known; k->name && strcmp(k->name, optarg); k++)
				;
			if (!k->name)
				return 2;
			break;
		default: return 2;
		}
	hermit_transport_register(&world_transport);
	for (i = 0; until ? seconds() < until : i < runs; i++) {
		if (verbose)
			fprintf(stderr, "seed %llu\n", seed + i);
		walk(seed + i, k);
		points += fiber_points();
	}
	took = seconds() - begin;
	printf("%llu walks from seed %llu: %.0f walks and %.0f switch points a second, %llu points a walk\n",
	       i, seed, i / took, points / took, points / (i ?: 1));
	printf("server: %llu reads, %llu writes, %llu discards, %llu losses; guest: %llu faults, %llu zapped, of them %llu dirty; %llu ends in mid-air; %llu frames went bad\n",
	       world.reads, world.writes, world.discards, world.losses, world.faulted,
	       world.zapped, world.harvested, world.ended, world.poisoned);
	return 0;
}
