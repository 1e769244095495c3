// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pread() of a region whose pages are mostly at a server: whole, in odd pieces,
 * past the end, into bad buffers, over a lost page, beside a writer, and killed
 * while the server is silent. No page comes here for it.
 *
 *	region-read --server S --server-pid P	what must hold
 *	region-read --server S --measure MiB	so much remote: by pread in pieces of
 *						256 KiB, page by page, and recalled
 *	region-read --server S --server-pid P --wrong	the server's memory is damaged
 *						for a while: nobody gets a wrong page
 *	region-read --server S --forgets	the server is one that forgets page 7
 *
 * Exit status 0: all of it held; the last line gives figures.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "region-tool.h"

#define PAGE		4096UL
#define WORDS		(PAGE / 8)
#define PIECE		(256UL << 10)

static uint64_t size = 24UL << 20, limit = 8UL << 20, npages;
static int memory, server_pid;
static volatile uint64_t *base;
static char *buf;
static atomic_ulong versions[1 << 16];
static atomic_bool stop;

static uint64_t value(uint64_t byte)
{
	return (byte / PAGE) << 32 | byte % PAGE / 8;
}

/* What was read of the region from byte @pos on. */
static void check(const char *what, uint64_t pos, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = value(pos + i);

		if (buf[i] != ((char *)&v)[(pos + i) % 8])
			die("%s: byte %lu of page %lu is wrong", what,
			    (pos + i) % PAGE, (pos + i) / PAGE);
	}
}

static void fill(void)
{
	for (uint64_t i = 0; i < size / 8; i++)
		base[i] = value(i * 8);
}

static void expect_read(const char *what, uint64_t pos, size_t n, ssize_t want)
{
	ssize_t got;

	memset(buf, 0xee, n);
	got = pread(memory, buf, n, pos);
	if (got != want)
		die("%s: pread of %zu bytes at %lu: %zd (%s), not %zd", what, n,
		    pos, got, got < 0 ? strerror(errno) : "no error", want);
	if (got > 0)
		check(what, pos, got);
}

static void pieces(void)
{
	uint64_t s = 88172645463325252ull, before = stats().remote, after;

	if (before < npages / 2)
		die("%lu of %lu pages are remote: this shows nothing", before, npages);
	expect_read("whole", 0, size, size);
	for (int i = 0; i < 60; i++) {
		uint64_t pos, n;

		s ^= s << 13; s ^= s >> 7; s ^= s << 17;
		pos = s % (size - 1);
		n = 1 + (s >> 32) % (i % 3 ? 9000 : 600000);
		expect_read("a piece", pos, n, n < size - pos ? n : size - pos);
	}
	expect_read("nothing", 5 * PAGE, 0, 0);
	expect_read("the end", size - 100, 1000, 100);
	expect_read("past the end", size, 1000, 0);
	expect_read("far past the end", size + 123456789, 1000, 0);
	after = stats().remote;
	/* Reclaim may go on for a while; nothing comes. */
	if (after < before)
		die("%lu pages were remote before, and %lu after", before, after);
}

/* The buffer ends in the middle of what is read ahead. */
static void bad_buffer(void)
{
	size_t good = 40 * PAGE;
	char *b = mmap(NULL, 80 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *keep = buf;
	ssize_t n;

	if (b == MAP_FAILED || munmap(b + good, 40 * PAGE))
		die("mmap: %s", strerror(errno));
	buf = b;
	n = pread(memory, b, 80 * PAGE, 3 * PAGE);
	if (n != (ssize_t)good)
		die("a buffer of %zu good bytes took %zd", good, n);
	check("a short buffer", 3 * PAGE, n);
	if (pread(memory, b + good, PAGE, 3 * PAGE) >= 0 || errno != EFAULT)
		die("a bad buffer: %s, not EFAULT", strerror(errno));
	munmap(b, good);
	buf = keep;
}

/* A page whose only copy is in a frame that goes bad. */
static void lost_page(void)
{
	uint64_t idx = 100, w;
	int f = open("/sys/devices/system/memory/hard_offline_page", O_WRONLY);
	int pagemap = open("/proc/self/pagemap", O_RDONLY), n;
	char text[32];

	if (f < 0 || pagemap < 0)
		die("hard_offline_page, pagemap: %s", strerror(errno));
	base[idx * WORDS] = value(idx * PAGE);
	if (pread(pagemap, &w, 8, (uintptr_t)(base + idx * WORDS) / PAGE * 8) != 8 ||
	    !(w >> 63))
		die("page %lu is not mapped", idx);
	n = snprintf(text, sizeof(text), "%#lx", (w & ((1UL << 55) - 1)) * PAGE);
	if (write(f, text, n) != n && errno != EBUSY && errno != EIO)
		die("hard_offline_page: %s", strerror(errno));
	close(f);
	close(pagemap);
	expect_read("the lost page", idx * PAGE, PAGE, -1);
	if (errno != EIO)
		die("the lost page: %s, not EIO", strerror(errno));
	expect_read("up to the lost page", 60 * PAGE + 7, 80 * PAGE, 40 * PAGE - 7);
	expect_read("behind the lost page", (idx + 1) * PAGE, 80 * PAGE, 80 * PAGE);
	if (fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      idx * PAGE, PAGE))
		die("punch: %s", strerror(errno));
	for (unsigned int i = 0; i < WORDS; i++)
		base[idx * WORDS + i] = value(idx * PAGE + i * 8);
	expect_read("the page healed", idx * PAGE, PAGE, PAGE);
}

/* Each page is full of one number, which grows. */
static void *writer(void *arg)
{
	uint64_t s = 1442695040888963407ull;

	while (!atomic_load(&stop)) {
		uint64_t page, v;

		s ^= s << 13; s ^= s >> 7; s ^= s << 17;
		page = s % npages;
		v = atomic_load(&versions[page]) + 1;
		for (unsigned int i = 0; i < WORDS; i++)
			base[page * WORDS + i] = v;
		atomic_store(&versions[page], v);
	}
	return NULL;
}

static void beside_writer(void)
{
	static uint64_t before[1 << 16];
	uint64_t *p = (uint64_t *)buf;
	unsigned long i, page;
	pthread_t t;
	int round;

	memset((void *)base, 0, size);
	pthread_create(&t, NULL, writer, NULL);
	for (round = 0; round < 4; round++) {
		for (page = 0; page < npages; page++)
			before[page] = atomic_load(&versions[page]);
		if (pread(memory, buf, size, 0) != (ssize_t)size)
			die("beside a writer: %s", strerror(errno));
		for (i = 0; i < size / 8; i++) {
			page = i / WORDS;
			/* One store may be under way. */
			if (p[i] < before[page] ||
			    p[i] > atomic_load(&versions[page]) + 1)
				die("beside a writer: page %lu reads %lu, was %lu before and is %lu",
				    page, p[i], before[page],
				    atomic_load(&versions[page]));
		}
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

/* Who waits for a silent server can be killed. */
static void killed(void)
{
	pid_t pid;
	int i, status;

	kill(server_pid, SIGSTOP);
	pid = fork();
	if (!pid) {
		ssize_t n = pread(memory, buf, size, 0);

		_exit(n == (ssize_t)size ? 0 : 1);
	}
	usleep(500000);
	if (waitpid(pid, &status, WNOHANG) == pid)
		die("pread did not wait for a silent server: status %#x", status);
	kill(pid, SIGKILL);
	for (i = 0; waitpid(pid, &status, WNOHANG) != pid; i++) {
		if (i == 600)
			die("pread of a silent server cannot be killed");
		usleep(100000);
	}
	kill(server_pid, SIGCONT);
	if (!WIFSIGNALED(status))
		die("pread of a silent server ended with %#x before it was killed", status);
	fill();
	expect_read("whole, after all", 0, size, size);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void measure(void)
{
	struct hermit_limit l = { .size = sizeof(l), .limit = size };
	struct hermit_recall rc = { .size = sizeof(rc), .nr_pages = npages };
	uint64_t remote = stats().remote, pos, fetched = 0;
	double t = now(), pieces, single, recall;
	unsigned int n = 200, i;

	for (pos = 0; pos < size; pos += PIECE)
		expect_read("in pieces", pos, PIECE, PIECE);
	pieces = now() - t;
	t = now();
	for (i = 0; i < n; i++)
		expect_read("page by page", (npages - 1 - i * 7) * PAGE % size, PAGE, PAGE);
	single = (now() - t) / n;
	if (ioctl(control, HERMIT_SET_LIMIT, &l))
		die("set limit: %s", l.error);
	t = now();
	while (rc.start_page < npages) {
		rc.nr_pages = npages - rc.start_page;
		if (ioctl(control, HERMIT_RECALL, &rc) && errno != ETIMEDOUT)
			die("recall: %s", strerror(errno));
		fetched += rc.fetched;
		rc.start_page = rc.next_page;
	}
	recall = now() - t;
	printf("read remote-pages=%lu pieces=%.0f ms recall=%.0f ms of %lu ratio=%.2f page-by-page=%.2f ms each, all %.0f ms\n",
	       remote, pieces * 1e3, recall * 1e3, fetched, pieces / recall,
	       single * 1e3, single * 1e3 * remote);
}

/* The memory of the server, a memfd; all of it is this region's. */
static int server_memory(void)
{
	char path[300], name[64];
	struct dirent *e;
	ssize_t n;
	int fd;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", server_pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", server_pid, e->d_name);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = 0;
		if (strncmp(name, "/memfd:hermit-memory", 20))
			continue;
		fd = open(path, O_RDWR);
		closedir(d);
		if (fd < 0)
			die("%s: %s", path, strerror(errno));
		return fd;
	}
	die("process %d has no memory of a server", server_pid);
}

/*
 * A word of each page is inverted, or put right again: what the region has in its
 * words never begins with a one. The server may write the page meanwhile.
 */
static unsigned long invert(int fd, bool back)
{
	off_t length = lseek(fd, 0, SEEK_END), at = 0, end;
	uint64_t *word, was, *m;
	unsigned long n = 0;

	m = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		die("the server's memory: %s", strerror(errno));
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += PAGE) {
			word = &m[at / 8 + at / PAGE * 77 % WORDS];
			was = __atomic_load_n(word, __ATOMIC_RELAXED);
			do {
				if ((was >> 63) != back)
					break;
			} while (!__atomic_compare_exchange_n(word, &was, ~was, false,
							      __ATOMIC_RELAXED,
							      __ATOMIC_RELAXED));
			n += (was >> 63) == back;
		}
	}
	munmap(m, length);
	return n;
}

static void *reader(void *arg)
{
	expect_read("while the server was wrong", 0, size, size);
	return NULL;
}

static void *toucher(void *arg)
{
	for (uint64_t i = 0; i < size / 8; i++)
		if (base[i] != value(i * 8))
			die("word %lu of page %lu reads %#lx", i % WORDS, i / WORDS,
			    base[i]);
	return NULL;
}

static bool mismatch_told(void)
{
	struct pollfd p = { .fd = control, .events = POLLIN };
	struct hermit_event_record e[64];
	ssize_t n;

	if (poll(&p, 1, 0) != 1)
		return false;
	n = read(control, e, sizeof(e));
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(e[0]); i++)
		if (e[i].type == HERMIT_EVENT_PAGE_MISMATCH && e[i].arg1 < npages)
			return true;
	return false;
}

/* Who wants a page waits for it, and gets the right one when there is one. */
static void wrong_answers(void)
{
	int fd = server_memory(), i;
	unsigned long inverted, back;
	pthread_t t[2];

	if (stats().mismatches)
		die("%llu wrong answers before any was given", stats().mismatches);
	inverted = invert(fd, false);
	if (inverted < npages / 2)
		die("the server has %lu pages of %lu: this shows nothing", inverted, npages);
	pthread_create(&t[0], NULL, reader, NULL);
	pthread_create(&t[1], NULL, toucher, NULL);
	for (i = 0; stats().mismatches < 20; i++) {
		if (i == 1200)
			die("the server is wrong, and %llu wrong answers are counted",
			    stats().mismatches);
		usleep(100000);
	}
	/* the first one's may be behind the count of twenty; there is one each second */
	for (i = 0; !mismatch_told(); i++) {
		if (i == 600)
			die("wrong answers, and no event");
		usleep(100000);
	}
	back = invert(fd, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	printf("read inverted=%lu put-right=%lu mismatches=%llu read_errors=%llu\n",
	       inverted, back, stats().mismatches, stats().read_errors);
}

static unsigned int lost_told(uint64_t idx)
{
	struct hermit_event_record e[64];
	struct pollfd p = { .fd = control, .events = POLLIN };
	unsigned int n = 0;
	ssize_t got;

	if (poll(&p, 1, 0) != 1)
		return 0;
	got = read(control, e, sizeof(e));
	for (ssize_t i = 0; i < got / (ssize_t)sizeof(e[0]); i++)
		n += e[i].type == HERMIT_EVENT_PAGES_LOST && e[i].arg0 == 1 &&
		     e[i].arg1 == idx;
	return n;
}

/* Nobody waits for what the server says that it does not have. */
static void forgotten(void)
{
	const uint64_t idx = 7;
	uint8_t state = 0;
	struct hermit_pagemap m = {
		.size = sizeof(m), .start_page = idx, .nr_pages = 1,
		.states = (uintptr_t)&state,
	};
	unsigned int told;

	for (int i = 0; state != HERMIT_PAGE_REMOTE; i++) {
		if (ioctl(control, HERMIT_GET_PAGEMAP, &m))
			die("pagemap: %s", strerror(errno));
		if (i == 600)
			die("page %lu does not become remote: state %u", idx, state);
		usleep(100000);
	}
	expect_read("the forgotten page", idx * PAGE, PAGE, -1);
	if (errno != EIO)
		die("the forgotten page: %s, not EIO", strerror(errno));
	if (ioctl(control, HERMIT_GET_PAGEMAP, &m) || state != HERMIT_PAGE_LOST)
		die("the forgotten page is not lost: state %u", state);
	told = lost_told(idx);
	if (told != 1 || stats().lost != 1)
		die("one page was forgotten, %llu are lost, told of %u times",
		    stats().lost, told);
	expect_read("before the forgotten page", 0, idx * PAGE, idx * PAGE);
	expect_read("behind the forgotten page", (idx + 1) * PAGE,
		    size - (idx + 1) * PAGE, size - (idx + 1) * PAGE);
	if (fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      idx * PAGE, PAGE))
		die("punch: %s", strerror(errno));
	for (unsigned int i = 0; i < WORDS; i++)
		base[idx * WORDS + i] = value(idx * PAGE + i * 8);
	expect_read("whole, after all", 0, size, size);
	printf("read lost=1 read_errors=%llu\n", stats().read_errors);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", 1, 0, 'S' }, { "server-pid", 1, 0, 'p' },
		{ "measure", 1, 0, 'm' }, { "wrong", 0, 0, 'w' },
		{ "forgets", 0, 0, 'f' }, { 0 },
	};
	struct hermit_create c = {
		.size = sizeof(c), .version = HERMIT_UAPI_VERSION, .name = "read",
	};
	bool measuring = false, wrong = false, forgets = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'S':
			c.nr_servers = 1;
			strncpy(c.servers[0], optarg, HERMIT_SERVER_LEN - 1);
			break;
		case 'p': server_pid = atoi(optarg); break;
		case 'm':
			size = limit + (strtoull(optarg, NULL, 0) << 20);
			measuring = true;
			break;
		case 'w': wrong = true; break;
		case 'f': forgets = true; break;
		default: return 2;
		}
	}
	npages = size / PAGE;
	if (npages > sizeof(versions) / sizeof(versions[0]))
		die("at most %zu pages", sizeof(versions) / sizeof(versions[0]));
	c.region_size = size;
	c.limit = limit;
	if (getrandom(c.uuid, sizeof(c.uuid), 0) != sizeof(c.uuid))
		die("getrandom: %s", strerror(errno));
	control = open("/dev/hermit", O_RDWR | O_CLOEXEC);
	if (control < 0)
		die("/dev/hermit: %s", strerror(errno));
	if (ioctl(control, HERMIT_CREATE, &c))
		die("create: %s: %s", strerror(errno), c.error);
	memory = c.memory_fd;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	buf = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED || buf == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	fill();
	if (measuring) {
		measure();
		return 0;
	}
	if (forgets) {
		forgotten();
		return 0;
	}
	if (server_pid <= 0)
		die("--server-pid: which process is the server?");
	if (wrong) {
		wrong_answers();
		return 0;
	}
	pieces();
	bad_buffer();
	lost_page();
	beside_writer();
	killed();
	printf("read remote=%llu read_errors=%llu inflight=%llu\n",
	       stats().remote, stats().read_errors, stats().inflight);
	return 0;
}
