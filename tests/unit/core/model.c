// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random walks through the model of model.h. The applications in it know what
 * every page must hold: each word is {page, place, version}, versions only
 * grow, and a page is changed under the application's own lock of that page.
 *
 *  - with the lock: what is read is exactly the last version written, or zeros
 *    if the page was discarded since;
 *  - without (while another thread writes, discards, evicts): no word is
 *    another page's or another place's, none is older than what was committed
 *    before the read began, none is newer than what was begun when it ended.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model.h"

struct shadow {
	struct lock lock;
	u64 now, last;			/* version held, highest ever written */
	_Atomic u64 committed, begun;
	_Atomic unsigned int discards;
};

static struct shadow shadow[NPAGES];
static _Atomic int applications, reclaimers;
static unsigned int lose_rate;

static const char *const bug_names[NR_BUGS] = {
	[BUG_NONE] = "none",
	[BUG_NO_GENERATION] = "no-generation",
	[BUG_TWO_WRITES] = "two-writes",
	[BUG_FREE_EARLY] = "free-early",
	[BUG_INSTALL_NO_CAS] = "install-no-cas",
	[BUG_NO_REREAD] = "no-reread",
	[BUG_NO_SEQ] = "no-seq",
	[BUG_NO_FLUSH] = "no-flush",
	[BUG_NO_FREEZE] = "no-freeze",
	[BUG_KEEP_CLEAN] = "keep-clean",
	[BUG_FAIL_CLEAN] = "fail-clean",
	[BUG_FOREIGN_COPY] = "foreign-copy",
	[BUG_FOREIGN_LEAK] = "foreign-leak",
	[BUG_DISCARD_UNCOUNTED] = "discard-uncounted",
	[BUG_LOSE_KEEPS_COPY] = "lose-keeps-copy",
	[BUG_RESCUE_STEALS] = "rescue-steals",
	[BUG_IGNORE_RESCUE] = "ignore-rescue",
	[BUG_HOST_MAP_BLIND] = "host-map-blind",
	[BUG_FAILED_READ] = "failed-read",
	[BUG_PREAD_UNCHECKED] = "pread-unchecked",
	[BUG_DRAIN_REREADS] = "drain-rereads",
};

static u64 encode(int page, int word, u64 version)
{
	if (!version)
		return 0;
	return ((u64)page + 1) << 56 | (u64)word << 48 | version;
}

static void expect(int page, int word, u64 got, const char *who)
{
	const u64 want = encode(page, word, shadow[page].now);

	if (got != want)
		violation(page, "%s reads word %d as %llx, and it is %llx", who,
			  word, (unsigned long long)got,
			  (unsigned long long)want);
}

/* ---- one access, with as many faults as it takes ---- */

static int access_word(int app, int page, int word, bool write, u64 *value)
{
	int rc;

	for (;;) {
		if (app < NVCPUS) {
			if (guest_access(app, page, word, write, value))
				return 0;
			rc = guest_fault(page, write);
		} else {
			if (host_access(app - NVCPUS, page, word, write, value))
				return 0;
			rc = host_fault(page, write);
		}
		if (rc)
			return rc;
	}
}

static void discard(int page)
{
	struct shadow *s = &shadow[page];

	s->committed = 0;
	s->discards++;
	engine_discard(page);
	s->now = 0;
}

static void begin_write(struct shadow *s)
{
	s->begun = ++s->last;
	s->now = s->last;
}

static void read_write(int app, int page)
{
	const char *who = app < NVCPUS ? "a vCPU" : "the host";
	struct shadow *s = &shadow[page];
	u64 value;
	int i;

	lock(&s->lock);
	for (i = 0; i < PAGE_WORDS; i++) {
		if (access_word(app, page, i, false, &value))
			goto lost;
		expect(page, i, value, who);
	}
	if (one_in(2)) {
		begin_write(s);
		for (i = 0; i < PAGE_WORDS; i++) {
			value = encode(page, i, s->now);
			if (access_word(app, page, i, true, &value))
				goto lost;
		}
		s->committed = s->now;
	}
	unlock(&s->lock);
	return;
lost:
	/* The only copy died with its server: the owner starts anew. */
	discard(page);
	unlock(&s->lock);
}

/* A device: pins the page, works on it while it may be unmapped, lets go. */
static void pinned_io(int page)
{
	struct shadow *s = &shadow[page];
	const bool write = one_in(2);
	struct frame *f;
	int i;

	lock(&s->lock);
	while (!(f = host_pin(page, write)))
		if (host_fault(page, write)) {
			discard(page);
			unlock(&s->lock);
			return;
		}
	for (i = 0; i < PAGE_WORDS; i++) {
		expect(page, i, f->data[i], "a device");
		step();
	}
	if (write) {
		begin_write(s);
		for (i = 0; i < PAGE_WORDS; i++) {
			f->data[i] = encode(page, i, s->now);
			step();
		}
		f->dirty = true;
		s->committed = s->now;
	}
	frame_unref(f);
	unlock(&s->lock);
}

/* Reads that nothing holds off. */
static void peek(int app, int page, bool pread)
{
	struct shadow *s = &shadow[page];
	const unsigned int discards = s->discards;
	const u64 low = s->committed;
	u64 data[PAGE_WORDS], high, version;
	bool discarded;
	int i;

	if (pread) {
		if (engine_pread(page, data))
			return;
	} else {
		for (i = 0; i < PAGE_WORDS; i++)
			if (access_word(app, page, i, false, &data[i]))
				return;
	}
	high = s->begun;
	discarded = s->discards != discards;
	for (i = 0; i < PAGE_WORDS; i++) {
		version = data[i] & ((1ULL << 48) - 1);
		if (data[i] != encode(page, i, version) ||
		    version > high || (version < low && !discarded))
			violation(page, "%s reads word %d as %llx; versions %llu to %llu are right",
				  pread ? "pread" : "a reader", i,
				  (unsigned long long)data[i],
				  (unsigned long long)low,
				  (unsigned long long)high);
	}
}

/* ---- the threads ---- */

static int random_page(void)
{
	const int start = (int)(rnd() % NPAGES);
	int i;

	/* Spiteful: where something is on the wire, things are delicate. */
	if (one_in(3))
		for (i = 0; i < NPAGES; i++)
			if (words[(start + i) % NPAGES] & HERMIT_W_INFLIGHT)
				return (start + i) % NPAGES;
	/* Some pages are hot. */
	return (int)(one_in(2) ? rnd() % 3 : rnd() % NPAGES);
}

static void *application(void *arg)
{
	const int app = (int)(intptr_t)arg;
	const bool host = app >= NVCPUS;

	while (!stopping) {
		const unsigned int what = rnd() % 100;
		const int page = random_page();

		if (what < 45) {
			read_write(app, page);
		} else if (what < 60) {
			peek(app, page, false);
		} else if (what < 72) {
			if (host)
				pinned_io(page);
			else
				guest_prefetch(page);
		} else if (what < 93) {
			peek(app, page, host);
		} else {
			lock(&shadow[page].lock);
			discard(page);
			unlock(&shadow[page].lock);
		}
		stats.ops++;
		step();
	}
	applications--;
	return NULL;
}

static void *reclaimer(void *arg)
{
	(void)arg;
	while (applications) {
		engine_reclaim();
		step();
	}
	reclaimers--;
	return NULL;
}

static void *administrator(void *arg)
{
	(void)arg;
	while (!stopping) {
		if (lose_rate && one_in(lose_rate))
			server_lose();
		if (one_in(256))
			dedup = !dedup;
		step_wait();
	}
	return NULL;
}

static void *server(void *arg)
{
	(void)arg;
	do {
		while (server_serve())
			;
		step_wait();
	} while (applications || reclaimers);
	return NULL;
}

/* All is quiet: every page is what it must be, and nothing is left behind. */
static void settle(void)
{
	u64 data[PAGE_WORDS];
	int page, i;

	server_errors = false;
	while (server_serve())
		;
	for (page = 0; page < NPAGES; page++) {
		if (engine_pread(page, data))
			continue;
		for (i = 0; i < PAGE_WORDS; i++)
			expect(page, i, data[i], "the end");
	}
	for (page = 0; page < NPAGES; page++)
		engine_discard(page);
	while (server_serve())
		;
	for (page = 0; page < NPAGES; page++)
		engine_drain_copies(page);
	while (server_serve())
		;
	for (page = 0; page < NPAGES; page++)
		if (words[page])
			violation(page, "still %s after all was discarded",
				  hermit_state_name(hermit_word_state(words[page])));
	if (frames_missing())
		violation(-1, "%d frames are missing", frames_missing());
}

static void run(uint64_t seed, uint64_t max_steps)
{
	intptr_t i;

	sched_reset(seed, max_steps);
	mem_reset();
	engine_reset();
	server_reset();
	memset(shadow, 0, sizeof(shadow));
	/* Rare, or never: a loss empties the server. */
	lose_rate = rnd() % 2 ? 0 : 1000;
	applications = NVCPUS + NHOSTS;
	reclaimers = NRECLAIM;
	for (i = 0; i < NVCPUS + NHOSTS; i++)
		sched_start(application, (void *)i);
	for (i = 0; i < NRECLAIM; i++)
		sched_start(reclaimer, NULL);
	for (i = 0; i < NSERVERS; i++)
		sched_start(server, NULL);
	sched_start(administrator, NULL);
	sched_run();
	settle();
}

static uint64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

static void usage(void)
{
	int i;

	printf("usage: model [--seed N] [--runs N | --seconds N] [--steps N] [--free] [--bug NAME]\n"
	       "Each run takes the next seed. With --bug the verdict is turned round:\n"
	       "success is that the planted bug was detected. Bugs:\n");
	for (i = 1; i < NR_BUGS; i++)
		printf("  %s\n", bug_names[i]);
}

static const struct option options[] = {
	{ "seed", required_argument, NULL, 's' },
	{ "runs", required_argument, NULL, 'r' },
	{ "seconds", required_argument, NULL, 't' },
	{ "steps", required_argument, NULL, 'n' },
	{ "free", no_argument, NULL, 'f' },
	{ "bug", required_argument, NULL, 'b' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 }
};

int main(int argc, char **argv)
{
	uint64_t seed = 1, runs = 20, steps_each = 200000, limit = 0, total = 0;
	const uint64_t begin = seconds();
	uint64_t n;
	int c, i, missing = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'r': runs = strtoull(optarg, NULL, 0); break;
		case 't': limit = strtoull(optarg, NULL, 0); runs = ~0ULL; break;
		case 'n': steps_each = strtoull(optarg, NULL, 0); break;
		case 'f': free_running = true; break;
		case 'b':
			for (i = 1; i < NR_BUGS; i++)
				if (!strcmp(optarg, bug_names[i]))
					bug = (enum bug)i;
			if (!bug) {
				fprintf(stderr, "model: no bug is named %s\n", optarg);
				return 2;
			}
			break;
		case 'h': usage(); return 0;
		default: usage(); return 2;
		}

	for (n = 0; n < runs && (!limit || seconds() - begin < limit); n++) {
		run(seed + n, steps_each);
		total += steps;
	}
	printf("seeds %llu to %llu, %s: %llu steps, %lu operations, %lu evictions, %lu rescued, %lu conflicts, %lu pinned, %lu foreign, %lu failed writes, %lu failed reads, %lu orphans, %lu lost\n",
	       (unsigned long long)seed, (unsigned long long)(seed + n - 1),
	       free_running ? "free" : "serial", (unsigned long long)total,
	       stats.ops, stats.evictions, stats.rescued, stats.conflicts,
	       stats.pinned, stats.foreign, stats.failed_writes,
	       stats.failed_reads, stats.orphans, stats.lost);
	if (bug) {
		printf("bug %s was not detected\n", bug_names[bug]);
		return 1;
	}
	/* The machine's load decides how far free threads come. */
	if (free_running)
		return stats.ops ? 0 : 1;
	/* A walk that goes nowhere proves nothing. */
	for (i = 0; i < HERMIT_NR_EVENTS; i++)
		if (!events[i]) {
			printf("never happened: %s\n",
			       hermit_event_name((enum hermit_event)i));
			missing++;
		}
	if (!stats.foreign || !stats.conflicts || !stats.pinned ||
	    !stats.orphans || !stats.lost) {
		printf("one of the counters above is 0\n");
		missing++;
	}
	return missing ? 1 : 0;
}
