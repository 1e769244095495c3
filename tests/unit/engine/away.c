// SPDX-License-Identifier: GPL-2.0-or-later
/* Faults that showed once: of servers that are away, and of pages that are not there. */
#include "scene.h"

#include "engine/holder.h"
#include "engine/request.h"
#include "engine/threads.h"
#include "engine/word.h"

/* Without its server nothing leaves in advance, and nothing is read twice. */
void known_without_server(void *arg)
{
	struct hermit_region *r;
	int accesses = 200;
	u64 writes;

	r = scene_create();
	r->servers_up = 0;
	world.vcpus_left = 1;
	world.left = 0;
	walk_start("vcpu", walk_vcpu, &accesses);
	writes = world.writes;
	while (world.left)
		fiber_sleep(fiber_now() + 100000);
	/* Below the limit by a few pages: with its server there it would begin. */
	WRITE_ONCE(r->sched.gap, r->npages);
	walk_set_limit(max(r->used.counter + 8, 64L));
	hermit_threads_kick(r);
	fiber_sleep(fiber_now() + NSEC_PER_SEC);
	if (world.writes != writes)
		fiber_fail("%llu pages world.left for a server that is away",
			   world.writes - writes);
	r->servers_up = 1;
	hermit_threads_kick(r);
	fiber_sleep(fiber_now() + NSEC_PER_SEC);
	if (world.writes == writes)
		fiber_fail("nothing world.left, though the server is there: this shows nothing");
	scene_end(r);
}

/* All requests that there are belong to a VM whose server is away. */
void known_fault_waits_for_no_request(void *arg)
{
	struct hermit_region *r = scene_create();
	struct hermit_req *req, *held[2 * HERMIT_MAX_WRITES];
	u64 idx = scene_remote_page(r);
	int n = 0;

	walk_set_limit(r->npages);
	shim_mempool_dry = true;
	while ((req = hermit_req_alloc(r)))
		held[n++] = req;
	walk_start("vcpu", scene_page_toucher, &idx);
	fiber_sleep(fiber_now() + 500 * NSEC_PER_MSEC);
	shim_mempool_dry = false;
	while (n)
		hermit_req_put(held[--n]);
	scene_wait();
	scene_end(r);
}

/* With the server away one read of a page is enough. */
void known_away_reads_once(void *arg)
{
	struct hermit_region *r = scene_create();
	u64 idx = scene_remote_page(r), reads;

	walk_set_limit(r->npages);
	walk_start("away", server_away_main, NULL);
	fiber_sleep(fiber_now() + 100 * NSEC_PER_MSEC);
	walk_start("vcpu", scene_page_toucher, &idx);
	walk_start("vcpu", scene_page_toucher, &idx);
	fiber_sleep(fiber_now() + 500 * NSEC_PER_MSEC);
	reads = server_held(idx);
	scene_wait();
	scene_end(r);
	if (reads > 1)
		fiber_fail("%llu reads of one page wait for the server that is away",
			   reads);
}

/*
 * A page that the server does not have any more, or has wrong for good, is lost: told
 * of once, and nobody asks for it for ever; a discard makes it zeros.
 */
void known_lost_at_server(void *arg)
{
	struct hermit_region *r = scene_create();
	u64 idx = scene_remote_page(r), began = fiber_now(), reads = world.reads, took;
	bool spoilt = fiber_random(2);
	unsigned int i, told = 0;

	walk_set_limit(r->npages);
	if (spoilt)
		server_spoil(idx);
	else
		server_forget(idx);
	walk_start("vcpu", scene_page_toucher, &idx);
	walk_start("vcpu", scene_page_toucher, &idx);
	if (fiber_random(2))
		host_touch(0, idx, false);
	scene_wait();
	took = fiber_now() - began;
	reads = world.reads - reads;
	if (hermit_word_state(hermit_word(r, idx)->counter) != HERMIT_LOST)
		fiber_fail("page %llu is not lost, and the server does not have it", idx);
	for (i = 0; i < r->events.head; i++)
		told += r->events.ring[i].type == HERMIT_EVENT_PAGES_LOST &&
			r->events.ring[i].arg0 == 1 && r->events.ring[i].arg1 == idx;
	if (told != 1)
		fiber_fail("page %llu is lost, which was told of %u times", idx, told);
	/* One read of each who asks; or half a minute of them, with rests. */
	if (!spoilt && (took > NSEC_PER_SEC || reads > 3))
		fiber_fail("%llu reads in %llu ns of a page that the server does not have",
			   reads, took);
	if (spoilt && (took < 29 * NSEC_PER_SEC || took > 60 * NSEC_PER_SEC))
		fiber_fail("a page that is wrong at the server was lost after %llu ns", took);
	host_discard(idx, 1);
	host_touch(0, idx, true);
	oracle_counters();
	scene_end(r);
}

static void away_for_20_s(void *arg)
{
	server_away(20 * NSEC_PER_SEC);
	world.left--;
}

/* So long @ms are, in which one task waits; how much of it counts as a stall. */
static long stalled_ms(long ms)
{
	u64 before = shim_memstall_ns;

	fiber_sleep(fiber_now() + ms * NSEC_PER_MSEC);
	return (shim_memstall_ns - before) / NSEC_PER_MSEC;
}

/*
 * A fault that waits for its page is a stall for memory, as long as the server
 * answers: not through an outage, be it that it began before, and again afterwards.
 * pread() is none at all.
 */
void known_outage_is_no_pressure(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
	u64 idx = scene_remote_page(r);
	bool reads = fiber_once_in(3);
	long ms;

	/* Nobody sleeps in an async page fault. */
	r->policy.async_pf = HERMIT_POLICY_ASYNC_PF_OFF;
	walk_set_limit(r->npages);
	server_keep(idx);
	walk_start("waits", reads ? scene_page_reader : fiber_random(2) ? scene_page_toucher :
		   scene_host_toucher, &idx);
	while (!server_keeps())
		fiber_sleep(fiber_now() + 1000);
	ms = stalled_ms(1000);
	if (reads ? ms > 0 : ms < 800 || ms > 1100)
		fiber_fail("a %s that waited for 1000 ms stalled for %ld ms",
			   reads ? "pread()" : "fault", ms);
	walk_start("away", away_for_20_s, NULL);
	/* It looks once in a while. */
	stalled_ms(200);
	ms = stalled_ms(19000);
	if (ms)
		fiber_fail("of an outage of 19 s %ld ms are pressure", ms);
	fiber_sleep(fiber_now() + 2 * NSEC_PER_SEC);
	ms = stalled_ms(1000);
	if (reads ? ms > 0 : ms < 800)
		fiber_fail("after the outage a %s that waited for 1000 ms stalled for %ld ms",
			   reads ? "pread()" : "fault", ms);
	server_let_go();
	scene_wait();
	scene_end(r);
}

/*
 * A clean page that too few of three servers have stays here, since it cannot be sent
 * now, or was refused: it is clean, and who has it has it.
 */
void known_clean_stays_clean(void *arg)
{
	struct hermit_region *r;
	u64 i, word, seen = 0;
	unsigned int away;

	world.replicas = 2;
	r = scene_create_quiet();
	for (i = 0; i < 60; i++)
		host_touch(0, i, true);
	scene_leave(r);
	/* All are of one extent: the two that have one have all. */
	for (i = 0; !hermit_holders(r, i); i++)
		;
	do
		away = fiber_random(3);
	while (!(hermit_holders(r, i) & 1 << away));
	walk_start("away", scene_one_away, &away);
	fiber_sleep(fiber_now() + 10 * NSEC_PER_MSEC);
	walk_set_limit(r->npages);
	for (i = 0; i < 60; i++)
		host_touch(0, i, false);
	host_zap(0, 60);
	if (fiber_random(2))
		r->write_backoff = jiffies + 10 * HZ;
	else
		world.faults.write_fails = 1;
	walk_set_limit(24);
	fiber_sleep(fiber_now() + 200 * NSEC_PER_MSEC);
	for (i = 0; i < 60; i++) {
		word = hermit_word(r, i)->counter;
		if (hermit_word_state(word) != HERMIT_LOCAL || !(word & HERMIT_W_COPY))
			continue;
		seen++;
		if (hermit_word_page(word)->dirty.counter || !(hermit_holders(r, i) & 1 << away))
			fiber_fail("page %llu is dirty, and nobody has written to it", i);
	}
	if (!seen)
		fiber_fail("no page stayed here: this shows nothing");
	world.faults.write_fails = 0;
	r->write_backoff = jiffies;
	scene_wait();
	walk_set_limit(r->npages);
	host_check_all();
	oracle_counters();
	scene_end(r);
}
