// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hermit-guest-load: load the memory of a guest and check every page that is
 * touched. It runs as well on a host, and as the only program of an initrd.
 *
 * A table beside the memory says what each page must hold. Its entry is also
 * the page's lock: an access takes it, checks the page, perhaps changes it,
 * and puts back what the page holds now. An access that finds the entry taken
 * goes elsewhere, so that no thread waits for another's page fault.
 *
 *	 63    62 61 60				 0
 *	+------+-----+---------------------------+
 *	| lock | kind|  version or block number  |
 *	+------+-----+---------------------------+
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "core/hist.h"
#include "options.h"
#include "pattern.h"
#include "walk.h"

#define BUCKETS		48
#define LOCKED		(1ULL << 63)
#define KIND_SHIFT	61
#define VALUE_MASK	((1ULL << KIND_SHIFT) - 1)
#define EXPLAIN_MAX	20	/* mismatches told in full */

struct worker {
	pthread_t thread;
	unsigned int index;
	struct walk walk;
	/* written by the worker, read by the reporter */
	_Atomic uint64_t ops, hist[BUCKETS], max;
};

static char *memory;
static _Atomic uint64_t *table;
static struct worker workers[2 * MAX_THREADS];
static FILE *out;
static _Atomic bool stop;
static volatile sig_atomic_t interrupted;
static _Atomic int64_t ops_left = INT64_MAX;
static _Atomic uint64_t mismatches, dio_blocks;
static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- one page ---- */

static char *page_memory(uint64_t page)
{
	return memory + page * PATTERN_PAGE;
}

static struct pattern entry_pattern(uint64_t page, uint64_t entry)
{
	struct pattern p = {
		.kind = (enum pattern_kind)(entry >> KIND_SHIFT & 3),
	};

	if (p.kind == PATTERN_MEMORY) {
		p.number = page;
		p.version = entry & VALUE_MASK;
	} else {
		p.number = entry & VALUE_MASK;
	}
	return p;
}

static bool take(uint64_t page, uint64_t *entry)
{
	*entry = atomic_fetch_or_explicit(&table[page], LOCKED,
					  memory_order_acquire);
	return !(*entry & LOCKED);
}

static void give(uint64_t page, enum pattern_kind kind, uint64_t value)
{
	atomic_store_explicit(&table[page],
			      (uint64_t)kind << KIND_SHIFT | (value & VALUE_MASK),
			      memory_order_release);
}

/*
 * The places of a disk block's marks are those of page 0; a page that holds
 * one is checked there.
 */
static bool check(uint64_t page, const struct pattern *p, const char *who)
{
	const uint64_t place = p->kind == PATTERN_DISK ? 0 : page;
	uint64_t n;

	if (pattern_check(page_memory(page), place, p))
		return true;
	n = mismatches++;
	if (n < EXPLAIN_MAX) {
		pthread_mutex_lock(&out_lock);
		fprintf(out, "mismatch: page %" PRIu64 " at %p, read by %s, must be %s %" PRIu64 " version %" PRIu64 "\n",
			page, (void *)page_memory(page), who,
			p->kind == PATTERN_DISK ? "disk block" :
			p->kind == PATTERN_MEMORY ? "page" : "zeros, page",
			p->kind == PATTERN_ZERO ? page : p->number, p->version);
		pattern_explain(out, page_memory(page), place, p);
		fflush(out);
		pthread_mutex_unlock(&out_lock);
	}
	return false;
}

/* Check the page, then give it the version after the one it has. */
static void access_page(uint64_t page, uint64_t entry, bool write)
{
	struct pattern p = entry_pattern(page, entry);
	static _Atomic uint64_t version = 1;

	/* A page that was wrong once is written anew, to be told only once. */
	if (check(page, &p, "a CPU") && !write) {
		give(page, p.kind, entry & VALUE_MASK);
		return;
	}
	/* Of all pages, not of this one: a disk block has no version. */
	p.version = version++;
	p.kind = PATTERN_MEMORY;
	p.number = page;
	pattern_write(page_memory(page), page, &p);
	give(page, PATTERN_MEMORY, p.version);
}

static void count(struct worker *w, uint64_t ns)
{
	w->hist[hermit_hist_bucket(ns, BUCKETS)]++;
	if (ns > w->max)
		w->max = ns;
	w->ops++;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t page, entry, begin;

	while (!stop) {
		if (opt.ops && ops_left-- <= 0)
			break;
		do {
			page = walk_next(&w->walk);
		} while (!take(page, &entry));
		begin = now_ns();
		access_page(page, entry, walk_unit(&w->walk) < opt.write_ratio);
		count(w, now_ns() - begin);
	}
	return NULL;
}

/* ---- fill, and the last look ---- */

static void *fill_main(void *arg)
{
	struct worker *w = arg;
	uint64_t page, entry;

	for (page = w->index; page < opt.pages && !interrupted; page += opt.threads)
		if (take(page, &entry))
			access_page(page, entry, true);
	return NULL;
}

static void *verify_main(void *arg)
{
	struct worker *w = arg;
	uint64_t page, entry;

	for (page = w->index; page < opt.pages && !interrupted; page += opt.threads)
		if (take(page, &entry))
			access_page(page, entry, false);
	return NULL;
}

/* Make a page wrong behind the table's back. */
static void damage(uint64_t page)
{
	struct pattern p;
	uint64_t entry;

	if (!take(page, &entry))
		fail("page %" PRIu64 " is in use", page);
	p = entry_pattern(page, entry);
	switch (opt.damage) {
	case DAMAGE_STALE:
		p.version--;
		pattern_write(page_memory(page), page, &p);
		break;
	case DAMAGE_FOREIGN:
		memcpy(page_memory(page), page_memory(page - 1), PATTERN_PAGE);
		break;
	case DAMAGE_TORN:
		memset(page_memory(page) + PATTERN_PAGE / 2, 0, PATTERN_PAGE / 2);
		break;
	case DAMAGE_GARBAGE:
		memset(page_memory(page), 0x5a, PATTERN_PAGE);
		break;
	default:
		memset(page_memory(page), 0, PATTERN_PAGE);
	}
	give(page, (enum pattern_kind)(entry >> KIND_SHIFT), entry & VALUE_MASK);
}

/* ---- a device that writes the pages ---- */

static uint64_t disk_blocks(int fd)
{
	uint64_t bytes = 0;
	struct stat st;

	if (fstat(fd, &st))
		return 0;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &bytes))
			return 0;
	} else {
		bytes = (uint64_t)st.st_size;
	}
	return bytes / PATTERN_PAGE;
}

/*
 * Read a random block straight into a random page. For the device the page
 * must stay where it is until the read is done, whoever reclaims meanwhile;
 * what it brought must stay in the page after that.
 */
static void *dio_main(void *arg)
{
	struct worker *w = arg;
	const int fd = open(opt.dio, O_RDONLY | O_DIRECT | O_CLOEXEC);
	const uint64_t blocks = fd < 0 ? 0 : disk_blocks(fd);
	struct pattern p, was;
	uint64_t page, entry, done = 0;
	ssize_t n;

	if (fd < 0)
		fail("%s: cannot open it with O_DIRECT: %s", opt.dio,
		     strerror(errno));
	if (!blocks)
		fail("%s: smaller than a block; make it with --make", opt.dio);
	/* One at least, or a short load would not show what it was to show. */
	while (!stop || !done) {
		page = walk_random(&w->walk) % opt.pages;
		if (!take(page, &entry))
			continue;
		was = entry_pattern(page, entry);
		check(page, &was, "a CPU");
		p = (struct pattern){
			.kind = PATTERN_DISK,
			.number = walk_random(&w->walk) % blocks,
		};
		n = pread(fd, page_memory(page), PATTERN_PAGE,
			  (off_t)(p.number * PATTERN_PAGE));
		if (n != PATTERN_PAGE)
			fail("%s: reading block %" PRIu64 ": %s", opt.dio,
			     p.number, n < 0 ? strerror(errno) : "short");
		if (check(page, &p, "a device")) {
			give(page, PATTERN_DISK, p.number);
		} else {
			was.kind = PATTERN_ZERO;
			memset(page_memory(page), 0, PATTERN_PAGE);
			give(page, PATTERN_ZERO, 0);
		}
		dio_blocks++;
		done++;
	}
	close(fd);
	return NULL;
}

/* ---- the report ---- */

static uint64_t collect(uint64_t hist[BUCKETS], uint64_t *max)
{
	uint64_t ops = 0;
	unsigned int t, i;

	memset(hist, 0, BUCKETS * sizeof(*hist));
	*max = 0;
	for (t = 0; t < opt.threads; t++) {
		ops += workers[t].ops;
		if (workers[t].max > *max)
			*max = workers[t].max;
		for (i = 0; i < BUCKETS; i++)
			hist[i] += workers[t].hist[i];
	}
	return ops;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list ap;

	pthread_mutex_lock(&out_lock);
	va_start(ap, format);
	vfprintf(out, format, ap);
	va_end(ap);
	fflush(out);
	pthread_mutex_unlock(&out_lock);
}

static void say_figures(const char *head, const uint64_t hist[BUCKETS],
			uint64_t ops, uint64_t max, double seconds)
{
	say("%s ops %" PRIu64 " ops/s %.0f p50-us %.1f p99-us %.1f p99.9-us %.1f max-us %.1f dio %" PRIu64 "\n",
	    head, ops, seconds > 0 ? (double)ops / seconds : 0.0,
	    (double)hermit_hist_percentile(hist, BUCKETS, 50000) / 1000,
	    (double)hermit_hist_percentile(hist, BUCKETS, 99000) / 1000,
	    (double)hermit_hist_percentile(hist, BUCKETS, 99900) / 1000,
	    (double)max / 1000, (uint64_t)dio_blocks);
}

static void *reporter_main(void *arg)
{
	uint64_t before[BUCKETS] = { 0 }, hist[BUCKETS], now[BUCKETS], max;
	uint64_t ops, last = 0, begin = now_ns(), tick = begin, t;
	unsigned int second = 0, i;
	char head[64];

	while (!stop) {
		const struct timespec nap = { .tv_nsec = 50000000 };

		nanosleep(&nap, NULL);
		if (interrupted)
			stop = true;
		t = now_ns();
		if (t - tick < 1000000000)
			continue;
		second = (unsigned int)((t - begin) / 1000000000);
		ops = collect(now, &max);
		for (i = 0; i < BUCKETS; i++) {
			hist[i] = now[i] - before[i];
			before[i] = now[i];
		}
		snprintf(head, sizeof(head), "t %u mismatches %" PRIu64, second,
			 (uint64_t)mismatches);
		say_figures(head, hist, ops - last, max,
			    (double)(t - tick) / 1e9);
		last = ops;
		tick = t;
		if (opt.seconds && second >= opt.seconds)
			stop = true;
	}
	return NULL;
}

static void say_histogram(const uint64_t hist[BUCKETS])
{
	unsigned int i, first = 0, last = BUCKETS - 1;

	while (first < BUCKETS && !hist[first])
		first++;
	while (last > first && !hist[last])
		last--;
	for (i = first; i <= last && i < BUCKETS; i++)
		say("latency-ns < %llu: %" PRIu64 "\n", 2ULL << i, hist[i]);
}

static void run_all(void *(*fn)(void *))
{
	unsigned int t;

	for (t = 0; t < opt.threads; t++)
		if (pthread_create(&workers[t].thread, NULL, fn, &workers[t]))
			fail("cannot start thread %u of %u", t + 1, opt.threads);
	for (t = 0; t < opt.threads; t++)
		pthread_join(workers[t].thread, NULL);
}

static void on_signal(int sig)
{
	interrupted = 1;
}

static void load(void)
{
	struct worker *dio = workers + opt.threads;
	pthread_t reporter;
	unsigned int t;

	if (opt.ops)
		ops_left = (int64_t)opt.ops;
	if (pthread_create(&reporter, NULL, reporter_main, NULL))
		fail("cannot start the reporter's thread");
	for (t = 0; opt.dio && t < opt.dio_threads; t++)
		if (pthread_create(&dio[t].thread, NULL, dio_main, &dio[t]))
			fail("cannot start a thread for %s", opt.dio);
	run_all(worker_main);
	stop = true;
	for (t = 0; opt.dio && t < opt.dio_threads; t++)
		pthread_join(dio[t].thread, NULL);
	pthread_join(reporter, NULL);
}

/* ---- the whole ---- */

static void set_up(void)
{
	const size_t bytes = opt.pages * PATTERN_PAGE;
	unsigned int t;

	out = stdout;
	if (opt.port) {
		out = fopen(opt.port, "w");
		if (!out)
			fail("%s: cannot open it to report: %s", opt.port,
			     strerror(errno));
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		fail("--size %zu: cannot map so much: %s", bytes, strerror(errno));
	table = calloc(opt.pages, sizeof(*table));
	if (!table)
		fail("--size %zu: no memory for the table of its pages", bytes);
	for (t = 0; t < 2 * MAX_THREADS; t++) {
		struct worker *w = &workers[t];

		w->index = t;
		walk_start(&w->walk, opt.seed * 2 * MAX_THREADS + t,
			   opt.pages / opt.threads * t);
	}
	walk_init(opt.access, opt.theta, opt.pages);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	uint64_t hist[BUCKETS], ops, max, begin;
	char head[64];

	options_parse(argc, argv);
	if (opt.make) {
		if (!pattern_make_disk(opt.make, opt.pages * PATTERN_PAGE))
			fail("%s: cannot write it: %s", opt.make, strerror(errno));
		return 0;
	}
	set_up();
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);

	say("pages %" PRIu64 " threads %u seed %" PRIu64 "\n", opt.pages,
	    opt.threads, opt.seed);
	begin = now_ns();
	if (opt.fill) {
		run_all(fill_main);
		say("filled in %.1f s\n", (double)(now_ns() - begin) / 1e9);
	}
	if (opt.damage)
		damage(opt.pages / 2);
	begin = now_ns();
	load();
	ops = collect(hist, &max);
	begin = now_ns() - begin;
	if (opt.verify) {
		run_all(verify_main);
		say("verified all pages\n");
	}
	say_histogram(hist);
	if (mismatches)
		snprintf(head, sizeof(head), "verdict MISMATCH %" PRIu64,
			 (uint64_t)mismatches);
	else
		snprintf(head, sizeof(head), "verdict ok");
	say_figures(head, hist, ops, max, (double)begin / 1e9);
	if (out != stdout && fclose(out))
		fail("%s: cannot write the report: %s", opt.port, strerror(errno));
	return mismatches ? 1 : 0;
}
