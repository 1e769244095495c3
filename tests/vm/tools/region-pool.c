// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The local pool of a hermit region, without any KVM: pages of known kinds go
 * there and come back, each compared in full, and the pool's figures are held
 * against what was stored.
 *
 *	region-pool [--server local:...] [--size MiB] [--limit MiB] [--kinds KINDS]
 *		    [--threads N] [--rounds N] [--full | --stuck]
 *
 * KINDS, one after another over the pages: t text (compressible), h half of it
 * random, s one word over and over, r random (incompressible). A page changes
 * its kind when it is written again. --full: the pool is too small; the writer
 * must stall, events must tell, and a higher limit must let it go on. --stuck:
 * stall, say so, and wait to be killed. The last line gives the figures.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "uapi/hermit.h"

#define PAGE 4096UL
#define WORDS (PAGE / 8)

static uint64_t size_mib = 32, limit_mib = 8, rounds = 3;
static unsigned int nthreads = 2;
static const char *server = "local:", *kinds = "thsr";
static bool full, stuck;
static int control, memory;
static uint64_t *base, npages;
static uint32_t *version;	/* 0: zeros */
static atomic_ulong failures, written;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static char kind_of(uint64_t page, uint32_t v)
{
	return v ? kinds[(page + v) % strlen(kinds)] : '0';
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static void make(uint64_t *p, uint64_t page, uint32_t v)
{
	static const char *const words[] = { "remote ", "memory ", "page ",
		"guest ", "and the ", "hermit ", "of a ", "\n" };
	uint64_t seed = mix(page * 0x9e3779b97f4a7c15ULL + v), r = 0;
	char *c = (char *)p, kind = kind_of(page, v);
	unsigned int n = 0;

	switch (kind) {
	case '0':
		memset(p, 0, PAGE);
		return;
	case 's':
		for (unsigned int i = 0; i < WORDS; i++)
			p[i] = seed | 1;
		return;
	case 't':
		while (n < PAGE) {
			r = r >> 3 ?: (seed = mix(seed + 1));
			for (const char *w = words[r & 7]; *w && n < PAGE; w++)
				c[n++] = *w;
		}
		return;
	default:
		for (unsigned int i = 0; i < WORDS; i++)
			p[i] = kind == 'h' && i >= WORDS / 2 ? page : mix(seed + i);
	}
}

static void check(const uint64_t *p, uint64_t page, uint32_t v)
{
	uint64_t want[WORDS];

	make(want, page, v);
	if (!memcmp(p, want, PAGE))
		return;
	if (atomic_fetch_add(&failures, 1) < 10)
		for (unsigned int i = 0; i < WORDS; i++)
			if (p[i] != want[i]) {
				fprintf(stderr, "page %lu version %u (%c) word %u: %#lx, not %#lx\n",
					page, v, kind_of(page, v), i, p[i], want[i]);
				break;
			}
}

static void punch(uint64_t page, uint64_t n)
{
	if (fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      page * PAGE, n * PAGE))
		die("punch");
}

/* Its own pages, in order and then at random: checks, new versions, holes. */
static void *worker(void *arg)
{
	uint64_t me = (uintptr_t)arg, s = me + 1, buf[WORDS];

	for (uint64_t page = me; page < npages; page += nthreads) {
		make(base + page * WORDS, page, ++version[page]);
		atomic_fetch_add(&written, 1);
	}
	for (uint64_t n = 0; n < rounds * npages / nthreads; n++) {
		uint64_t r = s = mix(s + n), page = r % npages / nthreads * nthreads + me;
		uint64_t *p = base + page * WORDS;

		if (page >= npages)
			continue;
		switch (r >> 60) {
		case 0:
			punch(page, 1);
			version[page] = 0;
			break;
		case 1:
			if (pread(memory, buf, PAGE, page * PAGE) != PAGE)
				die("pread");
			check(buf, page, version[page]);
			break;
		case 2 ... 7:
			make(p, page, ++version[page]);
			break;
		default:
			check(p, page, version[page]);
		}
	}
	return NULL;
}

static void get(struct hermit_stats *st)
{
	st->size = sizeof(*st);
	if (ioctl(control, HERMIT_GET_STATS, st))
		die("stats");
}

static void expect(bool ok, const char *what, uint64_t a, uint64_t b)
{
	if (ok)
		return;
	atomic_fetch_add(&failures, 1);
	fprintf(stderr, "%s: %lu and %lu\n", what, a, b);
}

/*
 * What is remote is in the pool, and what was never written, or is all zeros
 * and remote from nobody, is not. Local pages may or may not have copies there,
 * of this version or an older one.
 */
static void check_figures(void)
{
	uint64_t same = 0, raw = 0, all = 0, local = 0;
	uint8_t *map = malloc(npages);
	struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = npages,
				    .states = (uintptr_t)map };
	struct hermit_server_stats *s;
	struct hermit_stats st = {};

	if (ioctl(control, HERMIT_GET_PAGEMAP, &m))
		die("pagemap");
	get(&st);
	s = &st.servers[0];
	for (uint64_t i = 0; i < npages; i++) {
		if (map[i] == HERMIT_PAGE_LOCAL)
			local++;
		if (map[i] != HERMIT_PAGE_REMOTE)
			continue;
		all++;
		same += kind_of(i, version[i]) == 's';
		raw += kind_of(i, version[i]) == 'r';
	}
	expect(all > npages / 4, "too few pages are remote to show anything", all, npages);
	/* reclaim may have gone on between the two */
	expect(s->pool_pages + 256 >= all && s->pool_pages <= all + local + 256,
	       "pages stored, and remote", s->pool_pages, all);
	if (strcmp(server, "local:plain")) {
		expect(s->pool_same + 256 >= same && s->pool_same <= same + local + 256,
		       "same-filled, and remote ones", s->pool_same, same);
		expect(s->pool_raw + 256 >= raw && s->pool_raw <= raw + local + 256,
		       "incompressible, and remote ones", s->pool_raw, raw);
		expect(s->pool_pages == s->pool_same || s->compress_ns > 0,
		       "time compressing, with pages", s->compress_ns, s->pool_pages);
	}
	expect(s->pool_bytes <= s->bytes_used, "bytes stored, and taken", s->pool_bytes, s->bytes_used);
	printf("kinds=%s pages=%llu same=%llu raw=%llu bytes=%llu used=%llu ratio=%.2f writes=%llu reads=%llu compress_ns=%llu decompress_ns=%llu\n",
	       kinds, s->pool_pages, s->pool_same, s->pool_raw, s->pool_bytes,
	       s->bytes_used, s->bytes_used ? s->pool_pages * 4096. / s->bytes_used : 0,
	       s->writes, s->reads,
	       s->writes ? s->compress_ns / s->writes : 0,
	       s->reads ? s->decompress_ns / s->reads : 0);
	free(map);
}

/* Everything discarded: nothing is left but the tables, 16 bytes a page. */
static void check_empty(void)
{
	struct hermit_stats st = {};
	struct hermit_server_stats *s = &st.servers[0];

	punch(0, npages);
	/* the last writes, and zsmalloc's own list of pages to free */
	for (int i = 0; i < 600; i++) {
		get(&st);
		if (!s->pool_pages && s->bytes_used <= npages * 16 + PAGE)
			break;
		usleep(100000);
	}
	expect(!s->pool_pages && !s->pool_bytes && !s->pool_same && !s->pool_raw,
	       "pages and bytes stored after all was discarded", s->pool_pages, s->pool_bytes);
	expect(s->bytes_used <= npages * 16 + PAGE, "bytes taken after all was discarded, and for tables",
	       s->bytes_used, npages * 16);
}

static void set_limit(uint64_t mib)
{
	struct hermit_limit l = { .size = sizeof(l), .limit = mib << 20 };

	if (ioctl(control, HERMIT_SET_LIMIT, &l)) {
		fprintf(stderr, "set limit: %s: %s\n", strerror(errno), l.error);
		exit(2);
	}
}

/* What the events so far tell of: which of two comes first is not said. */
static uint64_t told_state = HERMIT_SERVER_UP, told_stall;

/* Read events until @told is @want. */
static void await(const uint64_t *told, uint64_t want, const char *what)
{
	struct pollfd p = { .fd = control, .events = POLLIN };
	struct hermit_event_record e;

	while (*told != want) {
		if (poll(&p, 1, 120000) <= 0) {
			fprintf(stderr, "no event: %s\n", what);
			exit(1);
		}
		if (read(control, &e, sizeof(e)) != sizeof(e))
			die("events");
		if (e.type == HERMIT_EVENT_SERVER_STATE)
			told_state = e.arg1;
		else if (e.type == HERMIT_EVENT_STALL_BEGIN)
			told_stall = 1;
		else if (e.type == HERMIT_EVENT_STALL_END)
			told_stall = 0;
	}
}

static void check_full(void)
{
	struct hermit_stats st = {};
	struct hermit_server_stats *s = &st.servers[0];
	const char *max = strrchr(server, ':') + 1;
	uint64_t cap = strtoull(max, NULL, 0) << 20, before;

	await(&told_state, HERMIT_SERVER_FULL, "the pool is full");
	await(&told_stall, 1, "the writer stalled");
	get(&st);
	before = atomic_load(&written);
	printf("full: %lu of %lu pages written, used=%llu resident=%llu write_errors=%llu\n",
	       before, npages, s->bytes_used, st.resident, st.write_errors);
	fflush(stdout);
	expect(before < npages, "pages written although there is no room, of", before, npages);
	expect(st.write_errors > 0, "refused writes", st.write_errors, 0);
	expect(s->errors >= st.write_errors, "errors of the pool and of writes", s->errors, st.write_errors);
	/* a write that goes over it for a moment: 8 pages a CPU, of at most 64 */
	expect(s->bytes_used <= cap + npages * 16 + 64 * 8 * PAGE, "bytes taken, of at most", s->bytes_used, cap);
	expect(s->bytes_used >= cap - cap / 4, "bytes taken, far below the bound of", s->bytes_used, cap);
	expect(st.resident <= st.limit / PAGE, "pages resident, of at most", st.resident, st.limit / PAGE);
	if (stuck) {
		for (;;)
			pause();
	}
	set_limit(size_mib);
	await(&told_stall, 0, "the stall ended");
}

static void create(void)
{
	struct hermit_create c = { .size = sizeof(c), .version = HERMIT_UAPI_VERSION,
				   .nr_servers = 1, .fault_timeout_ms = 2000 };

	c.region_size = size_mib << 20;
	c.limit = limit_mib << 20;
	strcpy(c.name, "pool");
	strncpy(c.servers[0], server, HERMIT_SERVER_LEN - 1);
	if (getrandom(c.uuid, sizeof(c.uuid), 0) != sizeof(c.uuid))
		die("getrandom");
	control = open("/dev/hermit", O_RDWR | O_CLOEXEC);
	if (control < 0)
		die("/dev/hermit");
	if (ioctl(control, HERMIT_CREATE, &c)) {
		fprintf(stderr, "create: %s: %s\n", strerror(errno), c.error);
		exit(1);
	}
	memory = c.memory_fd;
	npages = c.region_size / PAGE;
	base = mmap(NULL, c.region_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	version = calloc(npages, sizeof(*version));
	if (base == MAP_FAILED || !version)
		die("mmap");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", 1, 0, 's' }, { "limit", 1, 0, 'l' }, { "threads", 1, 0, 't' },
		{ "server", 1, 0, 'S' }, { "kinds", 1, 0, 'k' }, { "rounds", 1, 0, 'r' },
		{ "full", 0, 0, 'f' }, { "stuck", 0, 0, 'x' }, { 0 },
	};
	pthread_t t[64];
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's': size_mib = strtoull(optarg, NULL, 0); break;
		case 'l': limit_mib = strtoull(optarg, NULL, 0); break;
		case 't': nthreads = strtoul(optarg, NULL, 0); break;
		case 'S': server = optarg; break;
		case 'k': kinds = optarg; break;
		case 'r': rounds = strtoull(optarg, NULL, 0); break;
		case 'x': stuck = true; /* fall through */
		case 'f': full = true; break;
		default: return 2;
		}
	}
	if (!nthreads || nthreads > 64 || !*kinds || kinds[strspn(kinds, "thsr")]) {
		fprintf(stderr, "--threads: 1 to 64; --kinds: of t, h, s and r\n");
		return 2;
	}
	create();
	for (uintptr_t i = 0; i < nthreads; i++)
		pthread_create(&t[i], NULL, worker, (void *)i);
	if (full)
		check_full();
	for (unsigned int i = 0; i < nthreads; i++)
		pthread_join(t[i], NULL);
	if (full)
		await(&told_state, HERMIT_SERVER_UP, "the pool has room again");
	else
		check_figures();
	for (uint64_t i = 0; i < npages; i++)
		check(base + i * WORDS, i, version[i]);
	check_empty();
	printf("failures=%lu\n", atomic_load(&failures));
	return atomic_load(&failures) ? 1 : 0;
}
