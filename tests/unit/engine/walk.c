// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walks: the engine of kvm-module/, unchanged, in a world of one VM and one
 * server, each walk from one seed.
 *
 *	walk --seed 7			that walk, and no other
 *	walk --runs 100			the seeds 1 to 100
 *	walk --seed 7 --seconds 60	from 7 on, until the time is over
 *	walk --cpu-seconds 60		the same, in time of the processor
 *
 *	walk --known NAME		one that showed a fault once
 *	walk --marks ...		and fail if a mark (engine/mark.h) was never passed
 *
 * A failure prints its seed and ends the program with status 1.
 */
#include <getopt.h>
#include <time.h>

#include "cipher.h"
#include "marks.h"

#include "core/crc.h"
#include "engine/limit.h"
#include "engine/pool.h"
#include "engine/pressure.h"
#include "engine/request.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/word.h"

/* A walk that goes on for so long goes nowhere. */
#define MOST_POINTS	20000000

struct world world;

static bool roomy;			/* some room to read ahead */
static u64 discarded;			/* the last page that was */
static u64 delicate;			/* the first of those that all are after; or 0 */

void walk_vcpu(void *arg)
{
	struct host_thread stock = { HOST_THREADS - 1, *(int *)arg };

	if (world.stock)
		host_main(&stock);
	else
		vcpu_main(arg);
	world.vcpus_left--;
	world.left--;
}

/*
 * Half the time one of which the server has, or gets, a copy; or one that was just
 * discarded, or of a few that all are after.
 */
u64 world_page(u64 below)
{
	static const u64 flags[] = { HERMIT_W_COPY, HERMIT_W_INFLIGHT };
	u64 idx = fiber_random(below), wanted, i;
	struct hermit_chunk *c = world.r->chunks[0];

	if (discarded < below && fiber_once_in(4))
		return discarded;
	if (delicate && fiber_random(2))
		return (delicate + fiber_random(6)) % below;
	if (!c || fiber_random(2))
		return idx;
	wanted = flags[fiber_random(2)];
	for (i = idx; i < below; i++)
		if (c->words[i].counter & wanted)
			return i;
	return idx;
}

/*
 * Between two steps of what goes on as long as a vCPU does. One that waits for a page
 * that the server has wrong does for half a minute: millions of steps show no more.
 */
static u64 some_pause(u64 least, unsigned int doublings)
{
	u64 pause = least << fiber_random(doublings);

	return world.faults.spoils ? max(pause, (u64)NSEC_PER_MSEC) : pause;
}

static void host(void *arg)
{
	host_main(arg);
	world.left--;
}

/* At the moment when what is on its way to the server has arrived. */
static void touch_at_last(u64 idx)
{
	atomic64_t *word = hermit_word(world.r, idx);
	int i;

	for (i = 0; word && word->counter & HERMIT_W_INFLIGHT && i < 2000; i++)
		fiber_sleep(fiber_now() + fiber_random(600));
	host_touch(HOST_THREADS - 2, idx, fiber_random(2));
}

static void balloon(void *arg)
{
	u64 idx, nr, pause = some_pause(20000, 10);

	while (world.vcpus_left) {
		nr = 1 + fiber_random(fiber_once_in(10) ? 40 : 3);
		idx = world_page(world.r->npages - nr);
		host_discard(idx, nr);
		discarded = idx;
		if (fiber_random(2))
			touch_at_last(idx);
		fiber_sleep(fiber_now() + fiber_random(pause));
	}
	world.left--;
}

void walk_set_limit(long limit)
{
	world.most = max(world.most, limit);
	hermit_limit_set(world.r, limit);
}

/* The VM's cgroup; of a small one limit.c keeps 512 pages for others. */
long hermit_group_room(struct mem_cgroup *memcg, long enough)
{
	if (world.group)
		return 512 + world.group - shim_pages_used();
	return world.high ? world.high - shim_pages_used() : LONG_MAX;
}

/* All CPUs' pools full, and what vCPUs, threads and pins may hold. */
long walk_low_limit(void)
{
	return FIBER_CPUS * HERMIT_PCP_PAGES + 24 + fiber_random(40) +
	       (roomy ? 30 : 0);
}

static void limit_mover(void *arg)
{
	u64 pause = some_pause(100000, 8);
	bool still = fiber_random(2);

	while (world.vcpus_left && !still) {
		fiber_sleep(fiber_now() + fiber_random(pause));
		walk_set_limit(walk_low_limit());
	}
	world.left--;
}

/* Of all orders: nothing leaves before it is HERMIT_FRESH_MS old. */
static u64 some_time(void)
{
	return fiber_random(1000000ull << fiber_random(10));
}

static void loss(void *arg)
{
	while (world.vcpus_left && world.faults.outages) {
		fiber_sleep(fiber_now() + some_time());
		server_away(some_time());
	}
	if (world.faults.loses) {
		fiber_sleep(fiber_now() + some_time());
		server_lose();
	}
	world.left--;
}

/* Of several servers some are away now and then, and may come back with nothing. */
static void outage(void *arg)
{
	u64 i;

	while (world.vcpus_left && (world.faults.outages || world.faults.loses)) {
		fiber_sleep(fiber_now() + some_time());
		i = fiber_random(world.faults.comes ? WORLD_SERVERS : world.servers);
		server_one_away(i, some_time(),
				world.faults.loses && fiber_once_in(2));
		server_check();
	}
	world.left--;
}

static void comings(void *arg)
{
	while (world.vcpus_left && world.faults.comes) {
		fiber_sleep(fiber_now() + some_time());
		server_come_and_go();
	}
	if (world.faults.comes)
		server_all_come();
	world.left--;
}

static void cosmic_rays(void *arg)
{
	u64 pause = some_pause(10000, 10);

	while (world.vcpus_left && world.faults.poison) {
		fiber_sleep(fiber_now() + fiber_random(pause));
		/* Most of what can be hit is not in use. */
		if (world.poisons < 40)
			guest_poison();
	}
	world.left--;
}

bool walk_create(void)
{
	struct hermit_create c = { .reclaim_threads = 1 + fiber_random(3) };
	static const u8 client_id[16] = { 1 };
	unsigned int i;

	/* Nobody touches a page beyond WORLD_PAGES. */
	c.region_size = (world.chunks * HERMIT_CHUNK_PAGES ?:
			 96 + fiber_random(WORLD_PAGES - 96 + 1)) << PAGE_SHIFT;
	c.limit = c.region_size;
	c.uuid[0] = 1;
	c.nr_servers = world.servers;
	c.replicas = world.servers > 1 ? world.replicas : 0;
	c.flags = world.sealed ? HERMIT_CREATE_SEAL : 0;
	strcpy(c.name, "walk");
	for (i = 0; i < world.servers; i++)
		sprintf(c.servers[i], "%s:%u", world.sync ? "simsync" : "sim", i);
	world.most = c.limit >> PAGE_SHIFT;
	world.r = hermit_region_create(&c, client_id, &world.file);
	if (!IS_ERR(world.r)) {
		host_mmap(world.file);
		return true;
	}
	if (!world.faults.no_memory)
		fiber_fail("hermit_region_create(): %ld, %s",
			   PTR_ERR(world.r), c.error);
	return false;
}

/*
 * The clock goes on by nearly the time after which the stamps of page words come
 * again: no page is fresh then, and a word may look as one that is gone.
 */
static void shifter(void *arg)
{
	u64 turn = (1ull << HERMIT_W_STAMP_BITS) * JIFFY_NS;
	u64 pause = 100000ull << fiber_random(8);

	while (world.vcpus_left && world.faults.shifts) {
		fiber_sleep(fiber_now() + fiber_random(pause));
		fiber_shift(turn - fiber_random(3) * JIFFY_NS);
	}
	world.left--;
}

void walk_start(const char *name, void (*fn)(void *), void *arg)
{
	world.left++;
	fiber_start(name, fn, arg, false, 0);
}

/* QEMU is gone; in which order is its affair. */
void walk_gone(struct hermit_region *r)
{
	bool unmapped = fiber_random(2);

	if (unmapped)
		host_munmap();
	if (!world.stock)
		guest_unbind();
	if (!unmapped)
		host_munmap();
	fput(world.file);
	hermit_region_put(r);
}

/*
 * All servers are there, and nobody does anything: pages that too few have are written
 * to others. Not if it is not known who has them, since a server forgot or spoilt some.
 */
static void wait_for_copies(struct hermit_region *r)
{
	long few = 0;
	int i;

	if (world.faults.forgets || world.faults.spoils)
		return;
	for (i = 0; i < 6000; i++) {
		few = hermit_stat(r, HERMIT_C_SHORT);
		if (!few)
			return;
		fiber_sleep(fiber_now() + 100 * NSEC_PER_MSEC);
	}
	fiber_fail("ten minutes later %ld pages are on too few servers still", few);
}

void walk_main(void *arg)
{
	int accesses[3], i, vcpus = 1 + fiber_random(ARRAY_SIZE(accesses));
	struct host_thread hosts[3] = {};
	struct hermit_region *r;
	int nr_hosts = fiber_random(ARRAY_SIZE(hosts) + 1);

	if (!walk_create())
		return;
	r = world.r;
	hermit_region_get(r);
	if (!world.stock && !guest_bind()) {
		hermit_region_end(r);
		host_munmap();
		fput(world.file);
		hermit_region_put(r);
		return;
	}
	/* Nothing is charged yet. */
	world.most = 0;
	walk_set_limit(walk_low_limit());
	world.vcpus_left = vcpus;
	world.left = 0;
	for (i = 0; i < vcpus; i++) {
		accesses[i] = 50 + fiber_random(400);
		walk_start("vcpu", walk_vcpu, &accesses[i]);
	}
	for (i = 0; i < nr_hosts; i++) {
		hosts[i] = (struct host_thread){ i, 20 + fiber_random(100) };
		walk_start("host", host, &hosts[i]);
	}
	walk_start("balloon", balloon, NULL);
	walk_start("limit mover", limit_mover, NULL);
	if (world.servers == 1)
		walk_start("loss", loss, NULL);
	for (i = 1; i < world.servers; i++)
		walk_start("outage", outage, NULL);
	if (world.servers > 1)
		walk_start("comings", comings, NULL);
	walk_start("shifter", shifter, NULL);
	walk_start("cosmic rays", cosmic_rays, NULL);
	if (fiber_once_in(3)) {
		/* QEMU is killed. */
		fiber_sleep(fiber_now() + (fiber_random(2) ? some_time() :
							     fiber_random(5000000)));
		world.ended += world.vcpus_left > 0;
		hermit_region_end(r);
		while (world.left)
			fiber_sleep(fiber_now() + 100000);
		walk_gone(r);
		return;
	}
	while (world.left)
		fiber_sleep(fiber_now() + 100000);
	/* Before all of them are touched. */
	wait_for_copies(r);
	server_check();
	if (!world.stock)
		guest_check_all();
	host_check_all();
	oracle_counters();
	server_check();
	if (fiber_random(2)) {
		hermit_region_end(r);
		walk_gone(r);
	} else {
		hermit_region_get(r);
		walk_gone(r);
		hermit_region_end(r);
		hermit_region_put(r);
	}
}

static unsigned int sometimes(unsigned int once_in)
{
	return fiber_once_in(2) ? once_in : 0;
}

static void walk(u64 seed, const struct known *k)
{
	bool scene;

	fiber_init(seed);
	fiber_steady = false;
	world.lost = world.lost_all = world.enough = false;
	world.high = world.group = world.flush = world.chunks = world.pool = 0;
	world.poisons = world.lies = world.forgot = world.spoilt = 0;
	discarded = WORLD_PAGES;
	delicate = sometimes(1 + fiber_random(WORLD_PAGES));
	shim_pages_init();
	oracle_init();
	cipher_init();
	server_init();
	guest_init();
	host_init();
	world.faults = (struct faults){
		.read_fails = sometimes(10),
		.write_fails = sometimes(10),
		.late = sometimes(fiber_once_in(2) ? 4 : 30),
		.inside = sometimes(5),
		.signals = sometimes(5),
		.no_memory = sometimes(20),
		.reclaims = sometimes(4),
		.lies = sometimes(fiber_once_in(2) ? 2 : 20),
		.loses = fiber_once_in(4),
		.outages = fiber_once_in(4),
		.shifts = fiber_once_in(4),
		.poison = fiber_once_in(3),
		.sums = fiber_once_in(2),
		.forgets = fiber_once_in(4) ? 100 : 0,
		.spoils = fiber_once_in(4) ? 100 : 0,
		.comes = fiber_once_in(4),
	};
	/* Else none of its wrong answers is the most frequent one for so long. */
	if (world.faults.spoils && world.faults.lies)
		world.faults.lies = 20;
	world.sync = !k && fiber_once_in(8);
	if (world.sync)
		/* It is on this host. */
		world.faults.loses = world.faults.outages = false;
	if (k)
		world.faults = k->faults;
	scene = !k && !world.sync && fiber_once_in(6);
	world.servers = k ? max(k->servers, 1u) : world.sync || scene || fiber_once_in(2) ? 1 :
			2 + fiber_random(2);
	world.replicas = 1 + fiber_random(world.servers);
	roomy = fiber_once_in(3);
	hermit_standby = fiber_once_in(2);
	world.no_nap = k && k->no_nap;
	world.sealed = !world.sync && (k ? k->fn == walk_main : !scene) && seed % 3 == 1;
	world.stock = !k && fiber_once_in(8);
	shim_fail_once_in = world.faults.no_memory;
	shim_reclaim_once_in = world.faults.reclaims;
	if (hermit_req_init() || hermit_pressure_init())
		fiber_fail("hermit_req_init(), or hermit_pressure_init()");
	fiber_start("walk", k ? k->fn : scene ?
		    scenarios[fiber_random(SCENARIOS)] : walk_main,
		    NULL, false, 0);
	fiber_run(k ? 2 * MOST_POINTS : MOST_POINTS);
	hermit_pressure_exit();
	hermit_req_exit();
	if (shim_pages_used())
		fiber_fail("%d pages left behind", shim_pages_used());
	if (shim_node_pages)
		fiber_fail("the host counts %ld pages too many", shim_node_pages / 2);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static bool all_marks_passed(void)
{
	struct mark *const *m, *const *o;
	u64 passed, marks = 0, missed = 0;

	for (m = __start_hermit_marks; m < __stop_hermit_marks; m++) {
		/* An inline function has one in each file that calls it. */
		for (passed = 0, o = __start_hermit_marks; o < __stop_hermit_marks; o++) {
			if (o < m && !strcmp((*o)->name, (*m)->name))
				break;
			if (!strcmp((*o)->name, (*m)->name))
				passed += (*o)->passed;
		}
		if (o < __stop_hermit_marks)
			continue;
		marks++;
		missed += !passed;
		printf("%s%s %llu", marks == 1 ? "marks: " : ", ", (*m)->name, passed);
	}
	printf("\n%llu marks, %llu never passed\n", marks, missed);
	return !missed;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "cpu-seconds", required_argument, NULL, 'c' },
		{ "known", required_argument, NULL, 'k' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "marks", no_argument, NULL, 'm' },
		{ }
	};
	double begin = seconds(CLOCK_MONOTONIC), until = 0, took;
	clockid_t clock = CLOCK_MONOTONIC;
	u64 seed = 1, runs = 1, i, points = 0;
	const struct known *k = NULL;
	bool verbose = false, marks = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'r': runs = strtoull(optarg, NULL, 0); break;
		case 'c':
			clock = CLOCK_PROCESS_CPUTIME_ID;
			until = atof(optarg);
			break;
		case 't': until = begin + atof(optarg); break;
		case 'v': verbose = true; break;
		case 'm': marks = true; break;
		case 'k':
			for (k = known; k->name && strcmp(k->name, optarg); k++)
				;
			if (!k->name)
				return 2;
			break;
		default: return 2;
		}
	hermit_crc_init();
	hermit_transport_register(&world_transport);
	hermit_transport_register(&world_transport_sync);
	for (i = 0; until ? seconds(clock) < until : i < runs; i++) {
		if (verbose)
			fprintf(stderr, "seed %llu\n", seed + i);
		walk(seed + i, k);
		points += fiber_points();
	}
	took = seconds(CLOCK_MONOTONIC) - begin;
	printf("%llu walks from seed %llu: %.0f walks and %.0f switch points a second, %llu points a walk\n",
	       i, seed, i / took, points / took, points / (i ?: 1));
	printf("server: %llu reads, %llu writes, %llu discards, %llu losses, %llu wrong answers; guest: %llu faults, %llu of them async, %llu zapped, of them %llu dirty; %llu ends in mid-air; %llu frames went bad\n",
	       world.reads, world.writes, world.discards, world.losses, world.lied, world.faulted, world.asyncs,
	       world.zapped, world.harvested, world.ended, world.poisoned);
	printf("host: %llu faults, %llu pages mapped, %llu pins, %llu preads, %llu pages recalled\n",
	       world.faulted_host, world.host_mapped, world.pins, world.preads,
	       world.recalled);
	printf("seal: %llu pages sealed, %llu of them once more, %llu opened, %llu of them refused\n",
	       cipher_sealed, cipher_again, cipher_opened, cipher_refused);
	if (marks && !all_marks_passed()) {
		fprintf(stderr, "FAILED: marks that no walk passed: above, with a 0\n");
		return 1;
	}
	return 0;
}
