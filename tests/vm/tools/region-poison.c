// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of a page of a region whose frame has a memory error, case by
 * case and without a VM. Linux is asked to take frames for bad (hard_offline_page),
 * which marks them and does no more: what is in them stays as it is.
 *
 *	region-poison --server S
 *
 * Exit status 0: every case went as it should; the last line counts them.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "region-tool.h"

#define PAGE		4096UL
#define WORDS		(PAGE / 8)
#define SIZE		(16UL << 20)
#define LIMIT		(8UL << 20)
#define NPAGES		(SIZE / PAGE)
/* What the cases are about; the rest pushes it out and comes back. */
#define FIRST		16

static int memory, pagemap, offline;
static volatile uint64_t *base;
static unsigned long cases;
static sigjmp_buf on_bus;

static void bus(int sig)
{
	siglongjmp(on_bus, 1);
}

static volatile uint64_t *page_of(uint64_t idx)
{
	return base + idx * WORDS;
}

static uint64_t value(uint64_t idx, unsigned int version)
{
	return idx << 20 | version << 4 | 5;
}

static void store(uint64_t idx, unsigned int version)
{
	for (unsigned int i = 0; i < WORDS; i++)
		page_of(idx)[i] = value(idx, version);
}

/* False if it is lost. */
static bool load(uint64_t idx, unsigned int version)
{
	if (sigsetjmp(on_bus, 1))
		return false;
	for (unsigned int i = 0; i < WORDS; i++)
		if (page_of(idx)[i] != value(idx, version))
			die("page %lu word %u: %#lx, not %#lx", idx, i,
			    page_of(idx)[i], value(idx, version));
	return true;
}

static unsigned char state(uint64_t idx)
{
	unsigned char s;
	struct hermit_pagemap m = {
		.size = sizeof(m), .start_page = idx, .nr_pages = 1,
		.states = (uintptr_t)&s,
	};

	if (ioctl(control, HERMIT_GET_PAGEMAP, &m))
		die("pagemap: %s", strerror(errno));
	return s;
}

/* Of a page that is mapped. */
static uint64_t pfn(uint64_t idx)
{
	uint64_t w;

	if (pread(pagemap, &w, 8, (uintptr_t)page_of(idx) / PAGE * 8) != 8)
		die("/proc/self/pagemap: %s", strerror(errno));
	if (!(w >> 63))
		die("page %lu is not mapped", idx);
	return w & ((1UL << 55) - 1);
}

/* The mm says that it cannot do anything about it, and has marked it. */
static void poison(uint64_t frame)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%#lx", frame * PAGE);

	if (write(offline, text, n) != n && errno != EBUSY && errno != EIO)
		die("hard_offline_page: %s", strerror(errno));
}

static void unmap(uint64_t idx)
{
	if (madvise((void *)page_of(idx), PAGE, MADV_DONTNEED))
		die("MADV_DONTNEED: %s", strerror(errno));
}

static void wait_state(uint64_t idx, unsigned char s, const char *what)
{
	for (unsigned int i = 0; state(idx) != s; i++) {
		if (i == 6000)
			die("%s: page %lu is in state %u after a minute, not %u",
			    what, idx, state(idx), s);
		usleep(10000);
	}
}

/* Push @idx out, by touching all others again and again. */
static void evict(uint64_t idx)
{
	for (unsigned int i = 0; state(idx) != HERMIT_PAGE_REMOTE; i++) {
		if (i == 20000)
			die("page %lu does not leave", idx);
		for (uint64_t p = FIRST + NPAGES / 2 * (i & 1); p < NPAGES; p++)
			(void)*(volatile uint64_t *)page_of(p);
		usleep(1000);
	}
}

/* Local and clean, with a copy at the server, mapped here; its frame. */
static uint64_t make_clean(uint64_t idx, unsigned int version)
{
	store(idx, version);
	evict(idx);
	if (!load(idx, version))
		die("page %lu is lost before anything was done", idx);
	return pfn(idx);
}

static void expect(const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		die("%s: %lu, not %lu", what, got, want);
}

/* A count comes a moment after what it counts can be seen. */
#define EXPECT_SOON(what, field, want) \
	do { \
		for (unsigned int i_ = 0; stats().field != (want) && i_ < 6000; i_++) \
			usleep(10000); \
		expect(what, stats().field, want); \
	} while (0)

/* So does the event. */
static bool told_lost(uint64_t idx)
{
	struct hermit_event_record rec;

	for (unsigned int i = 0; i < 6000; i++) {
		while (read(control, &rec, sizeof(rec)) == sizeof(rec))
			if (rec.type == HERMIT_EVENT_PAGES_LOST && rec.arg0 == 1 &&
			    rec.arg1 == idx)
				return true;
		usleep(10000);
	}
	return false;
}

static void clean_page(uint64_t idx, bool mapped, bool by_pread)
{
	struct hermit_stats before = stats();
	uint64_t frame = make_clean(idx, 1), buf[WORDS];

	if (!mapped)
		unmap(idx);
	poison(frame);
	if (by_pread) {
		if (pread(memory, buf, PAGE, idx * PAGE) != PAGE)
			die("pread of a clean page: %s", strerror(errno));
		expect("a clean page by pread", buf[WORDS - 1], value(idx, 1));
	} else if (mapped) {
		/* Nothing looks until it is mapped anew. */
		unmap(idx);
	}
	if (!load(idx, 1))
		die("a clean page with a copy was lost");
	if (pfn(idx) == frame)
		die("a clean page came back in its bad frame");
	EXPECT_SOON("poisoned", poisoned, before.poisoned + 1);
	expect("lost", stats().lost, before.lost);
	cases++;
}

static void dirty_page(uint64_t idx, bool by_pread)
{
	struct hermit_stats before = stats();
	uint64_t buf[WORDS], frame;

	store(idx, 2);
	frame = pfn(idx);
	unmap(idx);
	poison(frame);
	if (by_pread && (pread(memory, buf, PAGE, idx * PAGE) >= 0 || errno != EIO))
		die("pread of a page whose only copy is bad: %s", strerror(errno));
	if (!by_pread && load(idx, 2))
		die("a page whose only copy is bad can be read");
	expect("state of a lost page", state(idx), HERMIT_PAGE_LOST);
	EXPECT_SOON("poisoned", poisoned, before.poisoned + 1);
	EXPECT_SOON("lost", lost, before.lost + 1);
	if (!told_lost(idx))
		die("page %lu was lost, and no event says so", idx);
	/* A discard heals it. */
	if (fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      idx * PAGE, PAGE))
		die("punch: %s", strerror(errno));
	store(idx, 3);
	if (!load(idx, 3))
		die("a page that was lost and discarded is lost again");
	EXPECT_SOON("lost after a discard", lost, before.lost);
	cases++;
}

static void set_file(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/mce-inject/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

/* Nobody touches the page: only a machine check tells of its frame. */
static void machine_check(uint64_t idx)
{
	struct hermit_stats before = stats();
	uint64_t frame = make_clean(idx, 4);
	char text[32];

	unmap(idx);
	poison(frame);
	expect("state of a page that nobody touched", state(idx), HERMIT_PAGE_LOCAL);
	set_file("flags", "sw\n");
	/* valid, uncorrected, enabled, with an address of this page; poison */
	set_file("status", "0xbc000800000000c0");
	set_file("misc", "0x8c");
	set_file("cpu", "0");
	snprintf(text, sizeof(text), "%#lx", frame * PAGE);
	set_file("addr", text);
	set_file("bank", "0");
	wait_state(idx, HERMIT_PAGE_REMOTE, "machine check");
	EXPECT_SOON("poisoned", poisoned, before.poisoned + 1);
	if (!load(idx, 4))
		die("a clean page was lost by a machine check");
	cases++;
}

/* A frame that waits in the pool is given to nobody. */
static void pooled_frame(uint64_t idx)
{
	struct hermit_stats before = stats();
	uint64_t frame = make_clean(idx, 5);

	evict(idx);
	poison(frame);
	for (uint64_t p = FIRST; p < NPAGES; p++) {
		(void)*page_of(p);
		if (pfn(p) == frame)
			die("page %lu got a frame that is bad", p);
	}
	if (!load(idx, 5))
		die("a remote page was lost");
	/* Unless another page had it already, or the system. */
	if (stats().poisoned > before.poisoned + 1)
		die("one bad frame, and %llu counted", stats().poisoned - before.poisoned);
	expect("lost", stats().lost, before.lost);
	cases++;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "server", 1, 0, 'S' }, { 0 } };
	struct hermit_create c = {
		.size = sizeof(c), .version = HERMIT_UAPI_VERSION,
		.region_size = SIZE, .limit = LIMIT, .name = "poison",
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o != 'S')
			return 2;
		c.nr_servers = 1;
		strncpy(c.servers[0], optarg, HERMIT_SERVER_LEN - 1);
	}
	if (getrandom(c.uuid, sizeof(c.uuid), 0) != sizeof(c.uuid))
		die("getrandom: %s", strerror(errno));
	control = open("/dev/hermit", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (control < 0)
		die("/dev/hermit: %s", strerror(errno));
	if (ioctl(control, HERMIT_CREATE, &c))
		die("create: %s: %s", strerror(errno), c.error);
	memory = c.memory_fd;
	base = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (base == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	offline = open("/sys/devices/system/memory/hard_offline_page", O_WRONLY);
	if (pagemap < 0 || offline < 0)
		die("pagemap, hard_offline_page: %s", strerror(errno));
	signal(SIGBUS, bus);
	for (uint64_t p = FIRST; p < NPAGES; p++)
		store(p, 0);

	clean_page(0, false, false);
	clean_page(1, true, false);
	clean_page(2, false, true);
	dirty_page(3, false);
	dirty_page(4, true);
	machine_check(5);
	pooled_frame(6);
	for (uint64_t p = FIRST; p < NPAGES; p++)
		if (!load(p, 0))
			die("page %lu: lost, and nobody did anything to it", p);
	printf("poison cases=%lu poisoned=%llu lost=%llu\n", cases,
	       stats().poisoned, stats().lost);
	return 0;
}
