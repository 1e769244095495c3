// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a region while memory is refused to hermit.ko, by
 * hermit-shortage.ko (tests/vm/modules), which must be loaded.
 *
 *	region-shortage [--server S] [--key TEXT] [--seconds N] [--seed N] WHAT
 *
 * steps: each allocation of a create is refused once, the first one, the second
 *	one and so on, until a create goes through untouched; then each of a list,
 *	an open, statistics, a recall, and of the first touches. A create that
 *	fails says why and leaves nothing; all else goes on, or gives ENOMEM.
 * rate: one allocation of three is refused for so many seconds, while threads
 *	write, read, punch and recall; they get on, and every byte is right.
 * cliff: the Nth allocation of a create is refused and all after it, for each N.
 * interrupted: signals come in the midst of creates; each begins again with the
 *	request as it was, the key too, and one goes through.
 * storm: creates, touches and closes, one allocation of twenty refused.
 * dry:	for three seconds there is no memory at all; then all goes on.
 * stuck: no memory at all, with nobody to give any: waits to be killed.
 *
 * The last line counts; exit status 0: nothing was wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "uapi/hermit.h"

#define PAGE 4096UL
#define KNOBS "/sys/kernel/debug/hermit_shortage/"
#define THREADS 3U

static const char *server = "local:", *key = "";
static unsigned int seconds = 8;
static uint64_t seed = 1, size, limit;
static atomic_ulong failures, accesses, refused_reads, refused_recalls;
static atomic_bool stop;

struct region {
	int control, memory;
	uint8_t uuid[16];
	volatile uint64_t *base;
	uint32_t *version;		/* 0: zeros */
};

__attribute__((format(printf, 2, 3)))
static bool expect(bool ok, const char *format, ...)
{
	va_list ap;

	if (ok)
		return true;
	va_start(ap, format);
	if (atomic_fetch_add(&failures, 1) < 20) {
		vfprintf(stderr, format, ap);
		fputc('\n', stderr);
	}
	va_end(ap);
	return false;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* --- the knobs --------------------------------------------------------------- */

static void knob(const char *name, unsigned long value)
{
	char path[128], text[24];
	int fd, n = snprintf(text, sizeof(text), "%lu", value);

	snprintf(path, sizeof(path), KNOBS "%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, n) != n)
		die(path);
	close(fd);
}

static unsigned long read_knob(const char *name)
{
	char path[128], text[24] = "";
	int fd;

	snprintf(path, sizeof(path), KNOBS "%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(path);
	close(fd);
	return strtoul(text, NULL, 10);
}

/* The nth call of ours from here on; the number refused until then. */
static void refuse(unsigned long n)
{
	knob("nth", n);
}

static unsigned long refused(void)
{
	unsigned long n = read_knob("failed");

	knob("nth", 0);
	return n;
}

/* --- a region ----------------------------------------------------------------- */

static struct hermit_create request(void)
{
	struct hermit_create c = { .size = sizeof(c), .version = HERMIT_UAPI_VERSION, .region_size = size,
				   .limit = limit, .name = "shortage", .nr_servers = 1, .reclaim_threads = 2,
				   .fault_timeout_ms = 1000, .key_len = strlen(key) };

	strncpy(c.servers[0], server, HERMIT_SERVER_LEN - 1);
	memcpy(c.key, key, c.key_len);
	if (getrandom(c.uuid, 16, 0) != 16)
		die("getrandom");
	return c;
}

/* 0, or the errno; then it has said why, and r has nothing. */
static int make(struct region *r, const char *when, unsigned long n)
{
	struct hermit_create c = request();

	memset(r, 0, sizeof(*r));
	r->control = open("/dev/hermit", O_RDWR | O_CLOEXEC);
	if (r->control < 0)
		return errno;
	if (ioctl(r->control, HERMIT_CREATE, &c)) {
		int err = errno;

		/* the ioctl's own buffer: there is nothing to say it in */
		if (*c.error || n != 1)
			expect(*c.error, "%s %lu: create refused (%s) without a word", when, n, strerror(err));
		expect(c.memory_fd <= 0, "%s %lu: a refused create gave fd %d", when, n, c.memory_fd);
		close(r->control);
		return err;
	}
	r->memory = c.memory_fd;
	memcpy(r->uuid, c.uuid, 16);
	r->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->memory, 0);
	r->version = calloc(size / PAGE, sizeof(*r->version));
	if (r->base == MAP_FAILED || !r->version)
		die("mmap");
	return 0;
}

static void drop(struct region *r)
{
	munmap((void *)r->base, size);
	free(r->version);
	close(r->memory);
	close(r->control);
}

static unsigned int regions(void)
{
	struct hermit_list l = { .size = sizeof(l) };
	int fd = open("/dev/hermit", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, HERMIT_LIST, &l))
		die("list");
	close(fd);
	return l.nr;
}

static uint64_t pattern(uint64_t page, uint32_t v, unsigned int word)
{
	return v ? page << 40 ^ (uint64_t)v << 12 ^ word : 0;
}

static void put(struct region *r, uint64_t page)
{
	uint32_t v = ++r->version[page];

	for (unsigned int i = 0; i < 512; i += 73)
		r->base[page * 512 + i] = pattern(page, v, i);
	atomic_fetch_add(&accesses, 1);
}

static void check(struct region *r, const volatile uint64_t *p, uint64_t page, const char *how)
{
	for (unsigned int i = 0; i < 512; i += 73)
		if (!expect(p[i] == pattern(page, r->version[page], i), "%s: page %lu word %u: %#lx, not %#lx",
			    how, page, i, p[i], pattern(page, r->version[page], i)))
			break;
	atomic_fetch_add(&accesses, 1);
}

static void check_all(struct region *r, const char *how)
{
	for (uint64_t page = 0; page < size / PAGE; page++)
		check(r, r->base + page * 512, page, how);
}

/* --- steps -------------------------------------------------------------------- */

/* A region of its own for each: what fails must not lean on what went before. */
static void step_create(void)
{
	unsigned long n, bad = 0, good = 0;
	struct region r;

	for (n = 1; n < 1000; n++) {
		refuse(n);
		int err = make(&r, "allocation", n);
		unsigned long hit = refused();

		if (err) {
			bad++;
			expect(hit, "create refused (%s) although no allocation was", strerror(err));
			expect(err == ENOMEM || err == EAGAIN, "allocation %lu refused: create gives %s", n, strerror(err));
		} else {
			good++;
			for (uint64_t page = 0; page < size / PAGE; page += 7)
				put(&r, page);
			for (uint64_t page = 0; page < size / PAGE; page += 7)
				check(&r, r.base + page * 512, page, "after a create with a refusal");
			drop(&r);
		}
		expect(!regions(), "allocation %lu refused: %u regions left", n, regions());
		if (!hit)
			break;
	}
	printf("create: %lu allocations, each refused once: %lu creates failed, %lu went on\n", n - 1, bad, good - 1);
	expect(n > 10, "a create has only %lu allocations: refusing them does not work", n - 1);
	expect(n < 1000, "after 1000 refusals a create still has others");
}

/* What has to be undone is undone without memory. */
static void cliff(void)
{
	unsigned long n, bad = 0, hit = 1;
	struct region r;

	knob("rest", 1);
	for (n = 1; hit && n < 1000; n++) {
		refuse(n);
		if (make(&r, "from allocation", n))
			bad++;
		else
			drop(&r);
		hit = refused();
		knob("one_in", 0);
		expect(!regions(), "none from allocation %lu on: %u regions left", n, regions());
	}
	knob("rest", 0);
	printf("cliff: %lu creates failed, each from another allocation on\n", bad);
	expect(bad > 10 && n < 1000, "%lu of %lu creates failed: refusing does not work", bad, n - 1);
}

static void on_alarm(int sig)
{
}

static int control_open(void)
{
	int fd = open("/dev/hermit", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/hermit");
	return fd;
}

/* No SA_RESTART: it is we who begin again, and see what the kernel would begin with. */
static void interrupted(void)
{
	const struct sigaction sa = { .sa_handler = on_alarm };
	const struct itimerval none = { 0 };
	struct itimerval timer = { 0 };
	struct hermit_create c = request(), was = c;
	unsigned long us, cut = 0, whole = 0;
	int control = control_open(), ret, err;

	if (sigaction(SIGALRM, &sa, NULL))
		die("SIGALRM");
	for (us = 200; us < 200000; us += us / 4) {
		timer.it_value.tv_usec = us;
		setitimer(ITIMER_REAL, &timer, NULL);
		ret = ioctl(control, HERMIT_CREATE, &c);
		err = errno;
		setitimer(ITIMER_REAL, &none, NULL);
		if (ret && err == EINTR) {
			cut++;
			if (!expect(!memcmp(&c, &was, sizeof(c)), "interrupted after %lu us: the request has changed", us))
				break;
			continue;
		}
		if (!expect(!ret, "a create after %lu that were interrupted: %s, %s", cut, strerror(err), c.error))
			break;
		whole++;
		close(c.memory_fd);
		close(control);
		c = was = request();
		control = control_open();
	}
	close(control);
	printf("interrupted: %lu creates were, and %lu went through\n", cut, whole);
	expect(cut && whole, "%lu creates were interrupted, and %lu went through", cut, whole);
}

struct what {
	const char *name;
	int (*run)(struct region *r);
};

static int do_open(struct region *r)
{
	struct hermit_open o = { .size = sizeof(o) };
	struct hermit_stats st = { .size = sizeof(st) };
	int fd = open("/dev/hermit", O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	memcpy(o.uuid, r->uuid, 16);
	if (ioctl(fd, HERMIT_OPEN, &o) || ioctl(fd, HERMIT_GET_STATS, &st))
		err = errno;
	close(fd);
	return err;
}

static int do_list(struct region *r)
{
	struct hermit_list_entry e[4];
	struct hermit_list l = { .size = sizeof(l), .nr = 4, .entry_size = sizeof(e[0]), .entries = (uintptr_t)e };
	struct hermit_vcpus v = { .size = sizeof(v), .nr = 4, .entry_size = 8, .entries = (uintptr_t)e };

	return ioctl(r->control, HERMIT_LIST, &l) || ioctl(r->control, HERMIT_GET_VCPUS, &v) ? errno : 0;
}

static int do_map(struct region *r)
{
	static uint8_t states[1 << 16];
	struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = size / PAGE, .states = (uintptr_t)states };

	return ioctl(r->control, HERMIT_GET_PAGEMAP, &m) ? errno : 0;
}

static int do_limit(struct region *r)
{
	for (int i = 0; i < 2; i++) {
		struct hermit_limit l = { .size = sizeof(l), .limit = i ? limit : size };

		if (ioctl(r->control, HERMIT_SET_LIMIT, &l))
			return errno;
	}
	return 0;
}

static int do_recall(struct region *r)
{
	struct hermit_limit l = { .size = sizeof(l), .limit = size };
	struct hermit_recall c = { .size = sizeof(c), .nr_pages = 256 };
	int err;

	if (ioctl(r->control, HERMIT_SET_LIMIT, &l))
		return errno;
	err = ioctl(r->control, HERMIT_RECALL, &c) ? errno : 0;
	l.limit = limit;
	return ioctl(r->control, HERMIT_SET_LIMIT, &l) ? errno : err;
}

static int do_touch(struct region *r)
{
	for (uint64_t page = 0; page < size / PAGE; page += 3)
		put(r, page);
	for (uint64_t page = 0; page < size / PAGE; page += 5)
		check(r, r->base + page * 512, page, "touch");
	return 0;
}

static int do_pread(struct region *r)
{
	static uint64_t buf[512];

	for (uint64_t page = 0; page < size / PAGE; page += 11) {
		if (pread(r->memory, buf, PAGE, page * PAGE) != PAGE)
			return errno;
		check(r, buf, page, "pread");
	}
	return 0;
}

static int do_punch(struct region *r)
{
	for (uint64_t page = 0; page < size / PAGE; page += 16) {
		if (fallocate(r->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE))
			return errno;
		r->version[page] = 0;
	}
	return 0;
}

static void step_calls(void)
{
	static const struct what calls[] = {
		{ "touch", do_touch }, { "open and stats", do_open }, { "list and vcpus", do_list },
		{ "pagemap", do_map }, { "limit", do_limit }, { "pread", do_pread }, { "recall", do_recall },
		{ "punch", do_punch },
	};
	struct region r;

	if (make(&r, "step", 0))
		exit(2);
	do_touch(&r);
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		unsigned long n, bad = 0;

		/* the runs of touches differ: enough of them, not all */
		for (n = 1; n <= 24; n++) {
			refuse(n);
			int err = calls[i].run(&r);

			if (err)
				bad++;
			expect(!err || err == ENOMEM || err == EAGAIN ||
			       (calls[i].run == do_recall && (err == ENOSPC || err == ETIMEDOUT)),
			       "%s, allocation %lu refused: %s", calls[i].name, n, strerror(err));
			if (!refused() && n > 3)
				break;
		}
		printf("%s: %lu refusals, %lu of them told\n", calls[i].name, n - 1, bad);
		check_all(&r, calls[i].name);
	}
	drop(&r);
	expect(!regions(), "%u regions left", regions());
}

static void steps(void)
{
	step_create();
	step_calls();
}

/* --- under load ---------------------------------------------------------------- */

struct job {
	struct region *r;
	unsigned int me;
	pthread_t thread;
};

static void *load(void *arg)
{
	struct job *j = arg;
	struct region *r = j->r;
	uint64_t s = seed * 0x9e3779b97f4a7c15ULL + j->me + 1, buf[512];

	while (!atomic_load(&stop)) {
		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		uint64_t page = s % (size / PAGE / THREADS) * THREADS + j->me;

		switch ((s >> 40) % 16) {
		case 0:
			if (fallocate(r->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE))
				expect(false, "punch: %s", strerror(errno));
			r->version[page] = 0;
			break;
		case 1:
			if (pread(r->memory, buf, PAGE, page * PAGE) == PAGE)
				check(r, buf, page, "pread");
			else if (expect(errno == ENOMEM, "pread: %s", strerror(errno)))
				atomic_fetch_add(&refused_reads, 1);
			break;
		case 2: {
			struct hermit_recall c = { .size = sizeof(c), .start_page = page, .nr_pages = 1 };

			if (ioctl(r->control, HERMIT_RECALL, &c) &&
			    expect(errno == ENOMEM || errno == ENOSPC || errno == ETIMEDOUT, "recall: %s", strerror(errno)))
				atomic_fetch_add(&refused_recalls, 1);
			break;
		}
		case 3 ... 8:
			put(r, page);
			break;
		default:
			check(r, r->base + page * 512, page, "load");
		}
	}
	return NULL;
}

static void start_load(struct region *r, struct job *jobs)
{
	atomic_store(&stop, false);
	for (unsigned int i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ .r = r, .me = i };
		if (pthread_create(&jobs[i].thread, NULL, load, &jobs[i]))
			die("pthread_create");
	}
}

static void end_load(struct job *jobs)
{
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(jobs[i].thread, NULL);
}

static void print_stats(struct region *r, const char *what)
{
	struct hermit_stats st = { .size = sizeof(st) };

	if (ioctl(r->control, HERMIT_GET_STATS, &st))
		die("stats");
	printf("%s: accesses=%lu refused=%lu of %lu first_touch=%llu fetches=%llu evicted=%llu write_errors=%llu read_errors=%llu preads=%lu recalls=%lu\n",
	       what, atomic_load(&accesses), read_knob("failed"), read_knob("seen"), st.first_touch, st.fetches,
	       st.evicted_clean + st.evicted_dirty + st.evicted_zero, st.write_errors, st.read_errors,
	       atomic_load(&refused_reads), atomic_load(&refused_recalls));
	expect(st.resident <= st.limit / PAGE, "%llu pages resident, of at most %llu", st.resident, st.limit / PAGE);
}

static void rate(void)
{
	struct job jobs[THREADS];
	struct region r;

	if (make(&r, "rate", 0))
		exit(2);
	knob("nth", 0);
	knob("one_in", 3);
	start_load(&r, jobs);
	/* longer, if that shows nothing yet */
	for (unsigned int i = 0; i < seconds || (i < seconds + 180 && read_knob("failed") <= 50); i++) {
		unsigned long before = atomic_load(&accesses);

		sleep(1);
		/* none at all in a minute: nobody gets on */
		for (int tries = 0; atomic_load(&accesses) == before && tries < 59; tries++)
			sleep(1);
		if (!expect(atomic_load(&accesses) > before, "no access in a minute with one allocation of three refused"))
			break;
	}
	end_load(jobs);
	knob("one_in", 0);
	print_stats(&r, "rate");
	expect(read_knob("failed") > 50, "only %lu allocations were refused: this shows nothing", read_knob("failed"));
	check_all(&r, "afterwards");
	drop(&r);
	expect(!regions(), "%u regions left", regions());
}

static void storm(void)
{
	unsigned long good = 0, bad = 0, until = time(NULL) + seconds, now;
	struct region r;

	knob("nth", 0);
	knob("one_in", 20);
	/* longer, if that shows nothing yet: on a slow host a life takes its time */
	while ((now = time(NULL)) < until || ((good < 3 || bad < 3) && now < until + 180)) {
		if (make(&r, "storm", 1)) {
			bad++;
			continue;
		}
		good++;
		do_touch(&r);
		do_punch(&r);
		do_touch(&r);
		do_recall(&r);
		drop(&r);
	}
	knob("one_in", 0);
	printf("storm: %lu regions made and ended, %lu creates failed, %lu of %lu allocations refused\n",
	       good, bad, read_knob("failed"), read_knob("seen"));
	expect(good > 2 && bad > 2, "%lu creates went through and %lu failed: this shows nothing", good, bad);
	expect(!regions(), "%u regions left", regions());
}

static bool event_within(struct region *r, uint32_t type, int ms)
{
	struct pollfd p = { .fd = r->control, .events = POLLIN };
	struct hermit_event_record e;

	while (poll(&p, 1, ms) > 0)
		if (read(r->control, &e, sizeof(e)) == sizeof(e) && e.type == type)
			return true;
	return false;
}

/* In the main thread neither faults nor allocations: it must stay able to end it. */
static void dry(bool forever)
{
	struct job jobs[THREADS];
	unsigned long before;
	struct region r;

	if (make(&r, "dry", 0))
		exit(2);
	start_load(&r, jobs);
	sleep(1);
	knob("nth", 0);
	knob("one_in", 1);
	if (forever) {
		printf("stuck: stall %s\n", event_within(&r, HERMIT_EVENT_STALL_BEGIN, 120000) ? "told" : "not told");
		fflush(stdout);
		for (;;)
			pause();
	}
	sleep(3);
	knob("one_in", 0);
	before = atomic_load(&accesses);
	for (int tries = 0; atomic_load(&accesses) < before + 100 && tries < 120; tries++)
		sleep(1);
	expect(atomic_load(&accesses) >= before + 100, "there is memory again, and after two minutes nobody has got on");
	end_load(jobs);
	print_stats(&r, "dry");
	check_all(&r, "afterwards");
	drop(&r);
	expect(!regions(), "%u regions left", regions());
}

/* The least limit there may be, and four times that. */
static void learn_floor(void)
{
	struct hermit_create c;
	int fd = open("/dev/hermit", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/hermit");
	size = 1UL << 30;
	limit = 0;
	c = request();
	if (!ioctl(fd, HERMIT_CREATE, &c) || errno != ERANGE || !c.floor) {
		fprintf(stderr, "the least limit is not told: %s: %s\n", strerror(errno), c.error);
		exit(2);
	}
	close(fd);
	limit = c.floor;
	size = 3 * limit / (THREADS * PAGE) * (THREADS * PAGE);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", 1, 0, 'S' }, { "key", 1, 0, 'k' }, { "seconds", 1, 0, 's' }, { "seed", 1, 0, 'r' }, { 0 },
	};
	const char *what;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'S': server = optarg; break;
		case 'k': key = optarg; break;
		case 's': seconds = strtoul(optarg, NULL, 0); break;
		case 'r': seed = strtoull(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	what = optind < argc ? argv[optind] : "";
	if (access(KNOBS "nth", W_OK)) {
		fprintf(stderr, "no " KNOBS "nth: load hermit-shortage.ko first\n");
		return 2;
	}
	/* of one that was killed before */
	knob("rest", 0);
	knob("nth", 0);
	knob("one_in", 0);
	learn_floor();
	if (!strcmp(what, "steps"))
		steps();
	else if (!strcmp(what, "rate"))
		rate();
	else if (!strcmp(what, "storm"))
		storm();
	else if (!strcmp(what, "cliff"))
		cliff();
	else if (!strcmp(what, "interrupted"))
		interrupted();
	else if (!strcmp(what, "dry") || !strcmp(what, "stuck"))
		dry(!strcmp(what, "stuck"));
	else {
		fprintf(stderr, "\"%s\" is none of steps, cliff, interrupted, rate, storm, dry, stuck\n", what);
		return 2;
	}
	printf("shortage failures=%lu\n", atomic_load(&failures));
	return atomic_load(&failures) ? 1 : 0;
}
