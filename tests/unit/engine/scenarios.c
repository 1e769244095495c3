// SPDX-License-Identifier: GPL-2.0-or-later
/* Walks to where few others come. */
#include "scene.h"

#include "engine/clock.h"
#include "engine/holder.h"
#include "engine/pool.h"
#include "engine/report.h"
#include "engine/standby.h"
#include "engine/stats.h"
#include "engine/threads.h"
#include "engine/word.h"
#include "kvm/mmu.h"

/* No page can leave for a while. */
static void limit_unreachable(void *arg)
{
	struct hermit_region *r = scene_create_stock();

	world.faults.write_fails = 1;
	walk_set_limit(walk_low_limit() / 2);
	fiber_sleep(fiber_now() + 8 * NSEC_PER_SEC);
	world.faults.write_fails = 0;
	walk_set_limit(walk_low_limit());
	host_check_all();
	scene_end(r);
}

static void isolator(void *arg)
{
	host_isolate(*(u64 *)arg);
	world.left--;
}

/* The server is away, there is no room, and a page is held by its lock. */
static void nothing_to_be_had(void *arg)
{
	struct hermit_region *r = scene_create_stock();
	u64 idx = scene_remote_page(r), local = 0, i;

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
	scene_wait();
	scene_end(r);
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
	struct hermit_region *r = scene_create_stock();
	unsigned int i, rounds = ends ? 1 : 4;

	while (rounds--) {
		scene_remote_page(r);
		walk_set_limit(ends ? 60 : r->npages);
		for (i = 0; i < ARRAY_SIZE(t); i++) {
			t[i].nr = ends ? i : 2 * (i % 2);
			walk_start("scanner", scanner, &t[i]);
		}
		if (!ends)
			scene_wait();
	}
	fiber_sleep(fiber_now() + fiber_random(300000));
	hermit_region_end(r);
	scene_wait();
	walk_gone(r);
}

static void scan_together(void *arg) { scan(false); }

static void ends_amid(void *arg) { scan(true); }

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
	r = scene_create_quiet();
	for (tries = 0; tries < 8; tries++) {
		struct kvm_provider_wait *wait = NULL;

		idx = scene_remote_page(r);
		walk_set_limit(r->npages);
		was = hermit_word(r, idx)->counter;
		if (hermit_word_state(was) != HERMIT_REMOTE)
			continue;
		server_keep(idx);
		walk_start("vcpu", scene_page_toucher, &idx);
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
		scene_wait();
	}
	oracle_counters();
	scene_end(r);
}

/*
 * Host threads wait for the lock of a clean page, which begins to leave meanwhile:
 * they have to ask its owner for it.
 */
static void asked_amid(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
	static u64 idx[4];
	u64 i, tries;

	scene_remote_page(r);
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
			walk_start("host", scene_host_toucher, &idx[i]);
		fiber_sleep(fiber_now() + 20000);
		walk_set_limit(24);
		scene_wait();
	}
	scene_end(r);
}

/* All room is charged, now and then, for pages that the host does not have. */
static void refused_amid(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
	static u64 idx[4];
	u64 i;

	if (!hermit_word_alloc(r, 0))
		fiber_fail("no memory for words");
	walk_set_limit(HERMIT_PCP_REFILL);
	shim_most_pages = -1;		/* not one */
	for (i = 0; i < ARRAY_SIZE(idx); i++) {
		idx[i] = i;
		walk_start("vcpu", scene_page_toucher, &idx[i]);
	}
	fiber_sleep(fiber_now() + 5 * NSEC_PER_SEC);
	shim_most_pages = 0;
	scene_wait();
	scene_end(r);
}

/*
 * The limit is lowered by some pages just as the reclaim threads lie down: they see
 * it, or are seen.
 */
static void kicked_amid(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
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
			scene_go_down(r);
			for (i = fiber_random(12); i; i--)
				fiber_point();
		}
	}
	scene_end(r);
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
		fiber_fail("%d pages can scene_leave, of %d", s.nr, n);
}

/*
 * Of pages that are all as cold for the guest those that the host used leave last:
 * the clock passes by them once, and by one that the guest used as well no more
 * often.
 */
static void host_used_last(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
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
	scene_end(r);
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

/*
 * A refill brings pages of the node that it is on as long as there are any, and
 * those of the other one rather than none.
 */
static void of_this_node(void *arg)
{
	struct hermit_region *r = scene_create_quiet();
	struct page *held[90];
	int n, first, node, here, there, was_here, was_there, taken;

	scene_get_pages(r, held, 60);
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
	scene_put_pages(r, held, n);
	scene_end(r);
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
	r = scene_create_quiet();
	walk_start("away", scene_one_away, &away);
	fiber_sleep(fiber_now() + 10 * NSEC_PER_MSEC);
	for (i = 0; i < 60; i++)
		host_touch(0, i, true);
	scene_leave(r);
	scene_wait();
	states_are_told(r, away);
	walk_set_limit(r->npages);
	for (i = 0; i < 60; i++)
		host_touch(0, i, false);
	scene_leave(r);
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
	scene_end(r);
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

/* To all members at once, those that are about to be dropped among them. */
static void discards(void *arg)
{
	while (world.vcpus_left) {
		fiber_sleep(fiber_now() + fiber_random(NSEC_PER_SEC / 50));
		host_discard(fiber_random(90), 1);
	}
	world.left--;
}

/*
 * Servers are drained, dropped and added, while most of the memory is there and vCPUs
 * want it; some are away now and then.
 */
void known_come_and_go(void *arg)
{
	static int accesses[2];
	struct hermit_region *r;
	unsigned int i;

	world.servers = 3;
	world.replicas = 1 + fiber_random(2);
	world.stock = false;
	world.faults = (struct faults){ .late = 4, .inside = 5, .comes = true };
	shim_fail_once_in = 0;
	r = scene_create();
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
	if (fiber_random(2))
		walk_start("discards", discards, NULL);
	for (i = 0; i < 12; i++) {
		server_come_and_go();
		fiber_sleep(fiber_now() + fiber_random(100 * NSEC_PER_MSEC));
	}
	world.enough = true;
	/* A vCPU may wait for room, and whoever is left gets no page. */
	server_all_come();
	scene_wait();
	host_check_all();
	oracle_counters();
	server_check();
	scene_end(r);
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
void known_standby_holds(void *arg)
{
	struct hermit_region *r;
	struct page *held[90], *read;
	unsigned int threads, n = 0;
	u64 idx, reads;

	hermit_standby = true;
	r = scene_create_quiet();
	scene_remote_page(r);
	while (r->pool.nr_standby < 4 || r->writes.counter || !scene_threads_lie(r))
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
	scene_put_pages(r, held, n);
	hermit_pool_give(r, LONG_MAX);
	if (hermit_pool_free(r))
		fiber_fail("%ld pages of the pool are not for the host",
			   hermit_pool_free(r));
	r->nr_reclaimers = threads;
	oracle_counters();
	scene_end(r);
}

void (*const scenarios[SCENARIOS])(void *arg) = {
	limit_unreachable, nothing_to_be_had, scan_together, scan_together,
	ends_amid, ends_amid, late_answer, asked_amid, refused_amid,
	kicked_amid, host_used_last, of_this_node, made_good, known_come_and_go,
	known_standby_holds,
};
