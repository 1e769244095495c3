// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walks to a place of their own; and those that showed a fault of the engine once.
 */
#include "world.h"

#include "engine/clock.h"
#include "engine/copy.h"
#include "engine/discard.h"
#include "engine/holder.h"
#include "engine/limit.h"
#include "engine/pool.h"
#include "engine/recall.h"
#include "engine/region.h"
#include "engine/report.h"
#include "engine/request.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/sweep.h"
#include "engine/threads.h"
#include "engine/tune.h"
#include "engine/turn.h"
#include "engine/watchdog.h"
#include "engine/word.h"
#include "kvm/mmu.h"

static struct hermit_region *create_and_bind(void)
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

static void wait_for_all(void)
{
	while (world.left)
		fiber_sleep(fiber_now() + 100000);
}

static void end(struct hermit_region *r)
{
	hermit_region_end(r);
	walk_gone(r);
}

/* ---- walks to where few others come ---- */

/* Of a region without a binding, all of it touched; the caller ends it. */
static struct hermit_region *create_stock(void)
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
static u64 some_remote_page(struct hermit_region *r)
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

/* No page can leave for a while. */
static void limit_unreachable(void *arg)
{
	struct hermit_region *r = create_stock();

	world.faults.write_fails = 1;
	walk_set_limit(walk_low_limit() / 2);
	fiber_sleep(fiber_now() + 8 * NSEC_PER_SEC);
	world.faults.write_fails = 0;
	walk_set_limit(walk_low_limit());
	host_check_all();
	end(r);
}

static void isolator(void *arg)
{
	host_isolate(*(u64 *)arg);
	world.left--;
}

/* The server is away, there is no room, and a page is held by its lock. */
static void nothing_to_be_had(void *arg)
{
	struct hermit_region *r = create_stock();
	u64 idx = some_remote_page(r), local = 0, i;

	walk_start("away", server_away_main, NULL);
	fiber_sleep(fiber_now() + 1000000);
	/* Holds mmap_lock, and may not wait until it is back. */
	host_once(idx, 0);
	while (local < 69 &&
	       hermit_word_state(hermit_word(r, local)->counter) != HERMIT_LOCAL)
		local++;
	walk_start("isolator", isolator, &local);
	for (i = 0; i < 100; i++) {
		host_zap(local, 1);
		host_once(local, FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT);
		fiber_sleep(fiber_now() + 10000);
	}
	walk_set_limit(1);
	for (i = 0; i < 5; i++)
		host_recall();
	walk_set_limit(walk_low_limit());
	wait_for_all();
	end(r);
}

static void scanner(void *arg)
{
	struct host_thread *t = arg;
	u64 i;

	for (i = 0; i < 70 && !world.r->dead; i++)
		if (t->nr % 2)
			host_read(i, 1);
		else
			host_touch(t->nr, i, false);
	world.left--;
}

/* All go through the same pages, and QEMU may be killed amid it. */
static void scan(bool ends)
{
	static struct host_thread t[4];
	struct hermit_region *r = create_stock();
	unsigned int i, rounds = ends ? 1 : 4;

	while (rounds--) {
		some_remote_page(r);
		walk_set_limit(ends ? 60 : r->npages);
		for (i = 0; i < ARRAY_SIZE(t); i++) {
			t[i].nr = ends ? i : 2 * (i % 2);
			walk_start("scanner", scanner, &t[i]);
		}
		if (!ends)
			wait_for_all();
	}
	fiber_sleep(fiber_now() + fiber_random(300000));
	hermit_region_end(r);
	wait_for_all();
	walk_gone(r);
}

static void scan_together(void *arg) { scan(false); }
static void ends_amid(void *arg) { scan(true); }

static void page_toucher(void *arg)
{
	struct kvm_provider_wait *wait = NULL;
	u64 idx = *(u64 *)arg;
	static int cpu;

	guest_touch(cpu++ % 2, idx, false, &wait);
	guest_drop(wait);
	world.left--;
}

/* Nothing goes wrong but what the walk is about. */
static struct hermit_region *create_quiet(void)
{
	world.faults = (struct faults){ };
	shim_fail_once_in = 0;
	world.stock = false;
	fiber_steady = true;
	return create_and_bind();
}

/*
 * The answer to a read takes so long that the page is brought by another one,
 * written, and away again; at a moment with the same stamp as when it left before,
 * so that its word differs by the generation alone.
 */
static void late_answer(void *arg)
{
	const u64 turn = HERMIT_W_STAMP_MASK + 1;
	struct hermit_region *r;
	u64 idx, was, i, tries;

	/* The page has to be read. */
	hermit_standby = false;
	r = create_quiet();
	for (tries = 0; tries < 8; tries++) {
		struct kvm_provider_wait *wait = NULL;

		idx = some_remote_page(r);
		walk_set_limit(r->npages);
		was = hermit_word(r, idx)->counter;
		if (hermit_word_state(was) != HERMIT_REMOTE)
			continue;
		server_keep(idx);
		walk_start("vcpu", page_toucher, &idx);
		while (!server_keeps())
			fiber_sleep(fiber_now() + 1000);
		guest_touch(2, idx, true, &wait);
		guest_drop(wait);
		fiber_sleep(fiber_now() + JIFFY_NS);
		fiber_shift((turn + hermit_word_stamp(was) - jiffies % turn) %
			    turn * JIFFY_NS);
		walk_set_limit(24);
		for (i = 0; i < 1000; i++) {
			if (hermit_word_state(hermit_word(r, idx)->counter) ==
			    HERMIT_REMOTE)
				break;
			fiber_sleep(fiber_now() + 10000);
		}
		server_let_go();
		wait_for_all();
	}
	oracle_counters();
	end(r);
}

static void host_toucher(void *arg)
{
	host_touch(1, *(u64 *)arg, false);
	world.left--;
}

static void page_reader(void *arg)
{
	host_read(*(u64 *)arg, 1);
	world.left--;
}

/*
 * Host threads wait for the lock of a clean page, which begins to leave meanwhile:
 * they have to ask its owner for it.
 */
static void asked_amid(void *arg)
{
	struct hermit_region *r = create_quiet();
	static u64 idx[4];
	u64 i, tries;

	some_remote_page(r);
	for (tries = 0; tries < 4; tries++) {
		world.flush = 0;
		walk_set_limit(r->npages);
		for (i = 0; i < 60; i++)
			host_touch(0, i, false);
		fiber_sleep(fiber_now() + 2 * HERMIT_FRESH_MS * NSEC_PER_MSEC);
		world.flush = NSEC_PER_MSEC;
		for (i = 0; i < ARRAY_SIZE(idx); i++) {
			idx[i] = fiber_random(60);
			walk_start("isolator", isolator, &idx[i]);
		}
		fiber_sleep(fiber_now() + 20000);
		host_zap(0, 60);
		for (i = 0; i < ARRAY_SIZE(idx); i++)
			walk_start("host", host_toucher, &idx[i]);
		fiber_sleep(fiber_now() + 20000);
		walk_set_limit(24);
		wait_for_all();
	}
	end(r);
}

/* All room is charged, now and then, for pages that the host does not have. */
static void refused_amid(void *arg)
{
	struct hermit_region *r = create_quiet();
	static u64 idx[4];
	u64 i;

	if (!hermit_word_alloc(r, 0))
		fiber_fail("no memory for words");
	walk_set_limit(HERMIT_PCP_REFILL);
	shim_most_pages = -1;		/* not one */
	for (i = 0; i < ARRAY_SIZE(idx); i++) {
		idx[i] = i;
		walk_start("vcpu", page_toucher, &idx[i]);
	}
	fiber_sleep(fiber_now() + 5 * NSEC_PER_SEC);
	shim_most_pages = 0;
	wait_for_all();
	end(r);
}

static bool threads_lie(struct hermit_region *r)
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
static void go_down(struct hermit_region *r)
{
	u64 lain = 0;

	while (hermit_pool_over(r)) {
		lain = threads_lie(r) ? lain ?: fiber_now() : 0;
		if (lain && fiber_now() - lain > 7 * JIFFY_NS)
			fiber_fail("above the limit, and all threads lie");
		fiber_sleep(fiber_now() + (lain ? 100000 : 1000));
	}
}

/*
 * The limit is lowered by some pages just as the reclaim threads lie down: they see
 * it, or are seen.
 */
static void kicked_amid(void *arg)
{
	struct hermit_region *r = create_quiet();
	u64 tries, i;
	long limit;

	for (tries = 0; tries < 6; tries++) {
		walk_set_limit(r->npages);
		for (i = 0; i < 60; i++)
			host_touch(0, i, true);
		host_zap(0, 60);
		fiber_sleep(fiber_now() + 2 * HERMIT_FRESH_MS * NSEC_PER_MSEC);
		for (limit = 60; limit > 24; limit -= 2) {
			walk_set_limit(limit);
			go_down(r);
			for (i = fiber_random(12); i; i--)
				fiber_point();
		}
	}
	end(r);
}

/* The next @n pages that the clock finds are those from @first on; they stay. */
static void expect_victims(struct hermit_region *r, u64 first, int n)
{
	struct hermit_selection s = { .max = n };
	u64 old, new;
	int i;

	down_read(&r->sweep_lock);
	hermit_clock_select(r, &s);
	for (i = 0; i < s.nr; i++) {
		if (s.v[i].idx - first >= n)
			fiber_fail("page %llu leaves before one of %llu to %llu",
				   s.v[i].idx, first, first + n - 1);
		hermit_word_apply(hermit_word(r, s.v[i].idx), HERMIT_EV_EVICT_KEEP,
				  0, &old, &new);
	}
	up_read(&r->sweep_lock);
	if (s.nr != n)
		fiber_fail("%d pages can leave, of %d", s.nr, n);
}

/*
 * Of pages that are all as cold for the guest those that the host used leave last:
 * the clock passes by them once, and by one that the guest used as well no more
 * often.
 */
static void host_used_last(void *arg)
{
	struct hermit_region *r = create_quiet();
	struct kvm_provider_wait *wait = NULL;
	DECLARE_BITMAP(accessed, 64) = {};
	u64 guests[10], i, both = fiber_random(10);

	for (i = 0; i < 20; i++)
		if (i >= 10)
			guest_touch(0, i, true, &wait);
		else
			host_touch(0, i, true);
	fiber_sleep(fiber_now() + 2 * HERMIT_FRESH_MS * NSEC_PER_MSEC);
	for (i = 0; i < 10; i++)
		guests[i] = 10 + i;
	if (hermit_mmu_age(r, guests, 10, accessed) < 0 || *accessed != (1 << 10) - 1)
		fiber_fail("the guest accessed its pages, and %#lx of them are so",
			   *accessed);
	guest_touch(0, both, false, &wait);
	guest_drop(wait);
	expect_victims(r, 10, 10);
	expect_victims(r, 0, 10);
	expect_victims(r, 10, 10);
	end(r);
}

static int pooled(struct hermit_region *r, int nid)
{
	struct page *p;
	int n = 0;

	for (p = r->pool.first[nid]; p; p = (struct page *)p->lru.next, n++)
		if (page_to_nid(p) != nid)
			fiber_fail("a page of node %d is in the pool of node %d",
				   page_to_nid(p), nid);
	return n;
}

static void get_pages(struct hermit_region *r, struct page **held, int n)
{
	while (n--) {
		held[n] = hermit_page_get(r);
		if (IS_ERR(held[n]))
			fiber_fail("no page: %ld", PTR_ERR(held[n]));
	}
}

static void put_pages(struct hermit_region *r, struct page **held, int n)
{
	while (n--)
		hermit_page_put(r, held[n]);
}

/*
 * A refill brings pages of the node that it is on as long as there are any, and
 * those of the other one rather than none.
 */
static void of_this_node(void *arg)
{
	struct hermit_region *r = create_quiet();
	struct page *held[90];
	int n, first, node, here, there, was_here, was_there, taken;

	get_pages(r, held, 60);
	n = 60;
	/* As many of one node as one likes. */
	for (first = fiber_random(60); n > first;)
		hermit_page_put(r, held[--n]);
	while (n)
		if (page_to_nid(held[--n]) || fiber_once_in(4))
			hermit_page_put(r, held[n]);
		else
			hermit_page_free(r, held[n]);
	/* Others cannot take any, and this one stays where it is. */
	get_cpu_ptr(r->pcp);
	node = numa_mem_id();
	while (r->pool.nr) {
		bool refill = !raw_cpu_ptr(r->pcp)->nr;

		was_here = pooled(r, node);
		was_there = pooled(r, !node);
		if (was_here + was_there != r->pool.nr)
			fiber_fail("%d and %d pages in the pool of %ld", was_here,
				   was_there, r->pool.nr);
		held[n++] = hermit_page_get(r);
		here = was_here - pooled(r, node);
		there = was_there - pooled(r, !node);
		taken = refill ? min(HERMIT_PCP_REFILL, was_here + was_there) : 0;
		if (here != min(taken, was_here) || there != taken - here)
			fiber_fail("node %d: took %d of %d pages, and %d of %d of the other one",
				   node, here, was_here, there, was_there);
	}
	put_cpu_ptr(r->pcp);
	put_pages(r, held, n);
	end(r);
}

static void one_away(void *arg)
{
	server_one_away(*(unsigned int *)arg, NSEC_PER_SEC, false);
	world.left--;
}

static void leave(struct hermit_region *r)
{
	host_zap(0, 60);
	fiber_sleep(fiber_now() + 2 * HERMIT_FRESH_MS * NSEC_PER_MSEC);
	walk_set_limit(24);
	go_down(r);
	while (r->writes.counter)
		fiber_sleep(fiber_now() + 1000);
}

/* How long each of two servers has had its state, of which @away was away since. */
static void states_are_told(struct hermit_region *r, unsigned int away)
{
	struct hermit_stats st;

	hermit_report_fill(r, &st);
	if (st.nr_servers != 2 || st.replicas != 2)
		fiber_fail("%u servers, %llu replicas: two of each are told of", st.nr_servers,
			   st.replicas);
	if (st.server_state_ns[away] >= st.server_state_ns[!away] ||
	    st.server_state_ns[!away] - st.server_state_ns[away] < NSEC_PER_SEC)
		fiber_fail("server %u has had its state for %llu ns, and was away meanwhile; the other one for %llu ns",
			   away, st.server_state_ns[away], st.server_state_ns[!away]);
}

/*
 * What one of two servers missed it gets when the page leaves the next time, though
 * nobody has written to it. Then either of the two may lose all it has.
 */
static void made_good(void *arg)
{
	struct hermit_region *r;
	unsigned int away = fiber_random(2);
	u64 i, word, who, twice = 0;

	world.servers = world.replicas = 2;
	r = create_quiet();
	walk_start("away", one_away, &away);
	fiber_sleep(fiber_now() + 10 * NSEC_PER_MSEC);
	for (i = 0; i < 60; i++)
		host_touch(0, i, true);
	leave(r);
	wait_for_all();
	states_are_told(r, away);
	walk_set_limit(r->npages);
	for (i = 0; i < 60; i++)
		host_touch(0, i, false);
	leave(r);
	for (i = 0; i < 60; i++) {
		word = hermit_word(r, i)->counter;
		who = hermit_holders(r, i);
		if (hermit_word_state(word) != HERMIT_REMOTE)
			continue;
		if (who != 3)
			fiber_fail("page %llu is on servers %#llx, and both were there when it left",
				   i, who);
		twice++;
	}
	if (!twice)
		fiber_fail("no page left: this shows nothing");
	server_one_away(fiber_random(2), NSEC_PER_MSEC, true);
	if (hermit_stat(r, HERMIT_C_LOST))
		fiber_fail("%ld pages are lost with one of two servers",
			   hermit_stat(r, HERMIT_C_LOST));
	/* And how many are on one alone. */
	oracle_counters();
	walk_set_limit(r->npages);
	host_check_all();
	oracle_counters();
	end(r);
}

static void outages(void *arg)
{
	while (world.vcpus_left) {
		fiber_sleep(fiber_now() + fiber_random(2 * NSEC_PER_SEC));
		server_one_away(fiber_random(WORLD_SERVERS),
				fiber_random(NSEC_PER_SEC), fiber_once_in(8));
	}
	world.left--;
}

/*
 * Servers are drained, dropped and added, while most of the memory is there and vCPUs
 * want it; some are away now and then.
 */
static void come_and_go(void *arg)
{
	static int accesses[2];
	struct hermit_region *r;
	unsigned int i;

	world.servers = 3;
	world.replicas = 1 + fiber_random(2);
	world.stock = false;
	world.faults = (struct faults){ .late = 4, .inside = 5, .comes = true };
	shim_fail_once_in = 0;
	r = create_and_bind();
	world.vcpus_left = ARRAY_SIZE(accesses);
	for (i = 0; i < 90; i++)
		host_touch(0, i, true);
	walk_set_limit(walk_low_limit());
	while (hermit_pool_over(r))
		fiber_sleep(fiber_now() + NSEC_PER_MSEC);
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		accesses[i] = 1 << 30;
		walk_start("vcpu", walk_vcpu, &accesses[i]);
	}
	if (fiber_random(2))
		walk_start("outages", outages, NULL);
	for (i = 0; i < 12; i++) {
		server_come_and_go();
		fiber_sleep(fiber_now() + fiber_random(100 * NSEC_PER_MSEC));
	}
	world.enough = true;
	wait_for_all();
	server_all_come();
	host_check_all();
	oracle_counters();
	server_check();
	end(r);
}

/* A page whose frame is on standby, so that a fault has it back. */
static u64 some_standby_page(struct hermit_region *r)
{
	u64 i;

	for (i = 0; i < 60; i++)
		if (hermit_word_state(hermit_word(r, i)->counter) == HERMIT_REMOTE &&
		    hermit_standby_has(r, i, hermit_word(r, i)->counter))
			return i;
	fiber_fail("none of %ld pages on standby is found", r->pool.nr_standby);
}

static struct page *some_standby_frame(struct hermit_region *r)
{
	struct list_head *l = r->standby_lists;

	while (list_empty(l))
		l++;
	return list_first_entry(l, struct page, lru);
}

/*
 * What left is back without a read, unless it was discarded meanwhile. A frame that
 * somebody has a reference to is used for nothing else; and the host can have them all.
 */
static void standby_holds(void *arg)
{
	struct hermit_region *r;
	struct page *held[90], *read;
	unsigned int threads, n = 0;
	u64 idx, reads;

	hermit_standby = true;
	r = create_quiet();
	some_remote_page(r);
	while (r->pool.nr_standby < 4 || r->writes.counter || !threads_lie(r))
		fiber_sleep(fiber_now() + 100000);
	threads = r->nr_reclaimers;
	r->nr_reclaimers = 0;

	idx = some_standby_page(r);
	reads = world.reads;
	host_touch(0, idx, false);
	if (world.reads != reads || hermit_stat(r, HERMIT_C_STANDBY_HITS) != 1)
		fiber_fail("page %llu was on standby, and is read from the server", idx);
	idx = some_standby_page(r);
	host_discard(idx, 1);
	host_touch(0, idx, false);
	if (hermit_stat(r, HERMIT_C_STANDBY_HITS) != 1)
		fiber_fail("page %llu was discarded, and came back", idx);

	/* As pread() does that found the page before it left. */
	read = some_standby_frame(r);
	get_page(read);
	while (n < ARRAY_SIZE(held) && r->pool.nr_standby) {
		held[n] = hermit_page_get(r);
		if (IS_ERR(held[n]))
			break;
		if (held[n++] == read)
			fiber_fail("a frame is used anew that somebody reads");
	}
	put_page(read);
	put_pages(r, held, n);
	hermit_pool_give(r, LONG_MAX);
	if (hermit_pool_free(r))
		fiber_fail("%ld pages of the pool are not for the host",
			   hermit_pool_free(r));
	r->nr_reclaimers = threads;
	oracle_counters();
	end(r);
}

void (*const scenarios[SCENARIOS])(void *arg) = {
	limit_unreachable, nothing_to_be_had, scan_together, scan_together,
	ends_amid, ends_amid, late_answer, asked_amid, refused_amid,
	kicked_amid, host_used_last, of_this_node, made_good, come_and_go,
	standby_holds,
};

/* ---- what showed a fault once ---- */

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

	r = create_and_bind();
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
	end(r);
	if (!told)
		fiber_fail("nothing went on for %d s, and no stall was told after 1 s",
			   STALL_S);
}

static void failed_reads(void *arg)
{
	stall_is_told(false);
}

static void no_memory(void *arg)
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
static void seldom(void *arg)
{
	struct hermit_region *r;
	unsigned int i;

	r = create_and_bind();
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
	end(r);
}

/*
 * A host, or a group, with fewer pages than the limit: pages leave, and the guest
 * goes on with what there is. Then it has them all.
 */
static void too_little(bool high)
{
	struct hermit_region *r;
	int accesses = 400;
	long least = walk_low_limit();

	r = create_and_bind();
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
	end(r);
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
static void without_server(void *arg)
{
	struct hermit_region *r;
	int accesses = 200;
	u64 writes;

	r = create_and_bind();
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
	end(r);
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
	long had, floor = walk_low_limit();

	r = create_and_bind();
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
	end(r);
}

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
	struct hermit_region *r = create_and_bind();
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
	wait_for_all();
	end(r);
	if (left)
		fiber_fail("a fault of a killed thread goes on while there is no memory");
}

/* A page with a memory error is nothing for the mm: it would evict it. */
static void poison_stays_here(void *arg)
{
	struct hermit_region *r = create_and_bind();

	host_touch(0, 5, false);
	host_zap(5, 1);
	guest_poison_page(hermit_word_page(hermit_word(r, 5)->counter));
	host_touch(0, 5, false);
	end(r);
}

/* All requests that there are belong to a VM whose server is away. */
static void fault_waits_for_no_request(void *arg)
{
	struct hermit_region *r = create_and_bind();
	struct hermit_req *req, *held[2 * HERMIT_MAX_WRITES];
	u64 idx = some_remote_page(r);
	int n = 0;

	walk_set_limit(r->npages);
	shim_mempool_dry = true;
	while ((req = hermit_req_alloc(r)))
		held[n++] = req;
	walk_start("vcpu", page_toucher, &idx);
	fiber_sleep(fiber_now() + 500 * NSEC_PER_MSEC);
	shim_mempool_dry = false;
	while (n)
		hermit_req_put(held[--n]);
	wait_for_all();
	end(r);
}

/* With the server away one read of a page is enough. */
static void away_reads_once(void *arg)
{
	struct hermit_region *r = create_and_bind();
	u64 idx = some_remote_page(r), reads;

	walk_set_limit(r->npages);
	walk_start("away", server_away_main, NULL);
	fiber_sleep(fiber_now() + 100 * NSEC_PER_MSEC);
	walk_start("vcpu", page_toucher, &idx);
	walk_start("vcpu", page_toucher, &idx);
	fiber_sleep(fiber_now() + 500 * NSEC_PER_MSEC);
	reads = server_held(idx);
	wait_for_all();
	end(r);
	if (reads > 1)
		fiber_fail("%llu reads of one page wait for the server that is away",
			   reads);
}

/*
 * A page that the server does not have any more, or has wrong for good, is lost: told
 * of once, and nobody asks for it for ever; a discard makes it zeros.
 */
static void lost_at_server(void *arg)
{
	struct hermit_region *r = create_and_bind();
	u64 idx = some_remote_page(r), began = fiber_now(), reads = world.reads, took;
	bool spoilt = fiber_random(2);
	unsigned int i, told = 0;

	walk_set_limit(r->npages);
	if (spoilt)
		server_spoil(idx);
	else
		server_forget(idx);
	walk_start("vcpu", page_toucher, &idx);
	walk_start("vcpu", page_toucher, &idx);
	if (fiber_random(2))
		host_touch(0, idx, false);
	wait_for_all();
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
	end(r);
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
static void outage_is_no_pressure(void *arg)
{
	struct hermit_region *r = create_quiet();
	u64 idx = some_remote_page(r);
	bool reads = fiber_once_in(3);
	long ms;

	/* Nobody sleeps in an async page fault. */
	r->policy.async_pf = HERMIT_POLICY_ASYNC_PF_OFF;
	walk_set_limit(r->npages);
	server_keep(idx);
	walk_start("waits", reads ? page_reader : fiber_random(2) ? page_toucher :
		   host_toucher, &idx);
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
	wait_for_all();
	end(r);
}

/*
 * What passes over a whole region, which may have terabytes, yields at each chunk, and
 * its end at each of the pages that are ready as well.
 */
static void loops_yield(void *arg)
{
	static const char *const what[] = { "sweep", "recall", "discard", "end" };
	u64 fetched = 0, next = 0, i;
	struct hermit_region *r;
	unsigned int yields[5], least;
	struct page *held[60];

	world.chunks = 16;
	r = create_quiet();
	for (i = 0; i < world.chunks; i++)
		if (!hermit_word_alloc(r, i * HERMIT_CHUNK_PAGES))
			fiber_fail("no memory for words");
	get_pages(r, held, ARRAY_SIZE(held));
	put_pages(r, held, ARRAY_SIZE(held));
	yields[0] = fiber_local()->yields;
	hermit_sweep(r, 0);
	yields[1] = fiber_local()->yields;
	hermit_recall(r, r->npages, &next, &fetched);
	yields[2] = fiber_local()->yields;
	hermit_discard(r, 0, r->npages);
	yields[3] = fiber_local()->yields;
	end(r);
	yields[4] = fiber_local()->yields;
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		/* It discards twice, and frees. */
		least = i < 3 ? world.chunks : 3 * world.chunks + ARRAY_SIZE(held);
		if (yields[i + 1] - yields[i] < least)
			fiber_fail("the %s of %llu chunks yields %u times", what[i],
				   world.chunks, yields[i + 1] - yields[i]);
	}
}

/* Who lowers the limit, QEMU under its big lock, frees no page: threads do. */
static void limit_frees_nothing(void *arg)
{
	struct hermit_region *r = create_quiet();
	struct page *held[60];
	unsigned int threads = r->nr_reclaimers;
	long pooled;

	get_pages(r, held, ARRAY_SIZE(held));
	put_pages(r, held, ARRAY_SIZE(held));
	while (!threads_lie(r))
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
	go_down(r);
	end(r);
}

static u64 points_of_tune(struct hermit_region *r)
{
	u64 before = fiber_points();

	hermit_tune(r);
	return fiber_points() - before;
}

/* The feedback looks at the clock before it sums counters over all CPUs. */
static void tune_looks_first(void *arg)
{
	struct hermit_region *r = create_quiet();
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
	end(r);
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
	r = create_quiet();
	/* Writes, too, are done when submit() returns. */
	world.faults.inside = 1;
	return r;
}

/*
 * Pages go round, and none is charged while the pool grows: the limit gives way all
 * the same, at once, and not when the watchdog looks next.
 */
static void pool_grows(void *arg)
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
	end(r);
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
static void pool_needs_a_page(void *arg)
{
	struct hermit_region *r = create_with_pool(2);
	struct kvm_provider_wait *wait = NULL;
	unsigned int threads = r->nr_reclaimers, rounds;
	u64 i;

	r->floor = 40;
	for (rounds = 0; rounds < 2; rounds++) {
		while (!threads_lie(r))
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
	end(r);
}

/*
 * A clean page that too few of three servers have stays here, since it cannot be sent
 * now, or was refused: it is clean, and who has it has it.
 */
static void clean_stays_clean(void *arg)
{
	struct hermit_region *r;
	u64 i, word, seen = 0;
	unsigned int away;

	world.replicas = 2;
	r = create_quiet();
	for (i = 0; i < 60; i++)
		host_touch(0, i, true);
	leave(r);
	/* All are of one extent: the two that have one have all. */
	for (i = 0; !hermit_holders(r, i); i++)
		;
	do
		away = fiber_random(3);
	while (!(hermit_holders(r, i) & 1 << away));
	walk_start("away", one_away, &away);
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
	wait_for_all();
	walk_set_limit(r->npages);
	host_check_all();
	oracle_counters();
	end(r);
}

const struct known known[] = {
	{ "failed-reads-are-a-stall", failed_reads, { .read_fails = 1 } },
	{ "wrong-answers-are-a-stall", failed_reads, { .lies = 1 } },
	{ "no-memory-is-a-stall", no_memory, { } },
	{ "no-stall-without-one", seldom, { } },
	{ "above-memory-high-goes-on", above_high, { } },
	{ "few-pages-go-on", few_pages, { } },
	{ "found-is-whole", births, { .no_memory = 12 } },
	{ "host-without-memory", host_dry, { } },
	{ "nothing-leaves-in-advance", without_server, { } },
	{ "turns-held-by-others", turns_held, { } },
	{ "no-nap-beside-room", walk_main, { }, .no_nap = true },
	{ "kill-ends-a-fault", kill_ends_fault, { } },
	{ "poison-stays-here", poison_stays_here, { } },
	{ "fault-waits-for-no-request", fault_waits_for_no_request, { } },
	{ "away-reads-once", away_reads_once, { } },
	{ "lost-at-the-server", lost_at_server, { } },
	{ "outage-is-no-pressure", outage_is_no_pressure, { } },
	{ "local-pool-grows", pool_grows, { } },
	{ "local-pool-needs-a-page", pool_needs_a_page, { } },
	{ "loops-yield", loops_yield, { } },
	{ "limit-frees-nothing", limit_frees_nothing, { } },
	{ "tune-looks-at-the-clock-first", tune_looks_first, { } },
	{ "clean-stays-clean", clean_stays_clean, { }, .servers = 3 },
	{ "standby-holds", standby_holds, { } },
	{ "copies-come-back", walk_main,
	  { .late = 4, .inside = 5, .lies = 5, .outages = true, .loses = true },
	  .servers = 3 },
	{ "servers-come-and-go", come_and_go, { } },
	{ }
};
