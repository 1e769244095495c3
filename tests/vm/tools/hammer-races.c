// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads over the same few regions: whoever holds one may lose it to another at any time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hammer.h"

#define SLOTS 6
#define UUIDS 3

static atomic_int slot[SLOTS], memory_of[SLOTS];
static uint8_t uuids[UUIDS][16];
static atomic_bool stop;
static atomic_ulong done[16];		/* calls of each kind that succeeded */
static __thread sigjmp_buf gone;
static __thread volatile bool touching;

static void on_bus(int sig)
{
	if (!touching)
		_exit(3);
	siglongjmp(gone, sig);
}

/* A mapping whose region ends under it: SIGBUS, and nothing else. */
static bool touch(int fd, uint64_t *s)
{
	uint8_t *p = mmap(NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile bool all = false;

	if (p == MAP_FAILED)
		return false;
	touching = true;
	if (!sigsetjmp(gone, 1)) {
		for (int i = 0; i < 300; i++)
			p[next(s) % region_size] += 1;
		all = true;
	}
	touching = false;
	munmap(p, region_size);
	return all;
}

static bool race_create(uint64_t *s)
{
	static const char *const servers[] = { "local:lz5", "tcp:127.0.0.1:1", "local::4096", "none:" };
	struct hermit_create c = valid_create();
	unsigned int i = next(s) % SLOTS;
	int fd = user ? -1 : open("/dev/hermit", O_RDWR | O_CLOEXEC | O_NONBLOCK), old;

	if (user)
		fd = atomic_load(&slot[i]);
	memcpy(c.uuid, uuids[next(s) % UUIDS], 16);
	c.reclaim_threads = 1 + next(s) % 4;
	c.limit = region_size;
	if (next(s) % 8 == 0)
		strcpy(c.servers[0], servers[next(s) % ARRAY_SIZE(servers)]);
	if (call(fd, HERMIT_CREATE, &c)) {
		if (!user)
			close(fd);
		return false;
	}
	old = atomic_exchange(&memory_of[i], c.memory_fd);
	if (old > 0)
		close(old);
	if (!user) {
		old = atomic_exchange(&slot[i], fd);
		if (old > 0)
			close(old);
	}
	return true;
}

static bool race_open(uint64_t *s)
{
	struct hermit_open o = { .size = sizeof(o) };
	int fd = user ? atomic_load(&slot[next(s) % SLOTS]) : open("/dev/hermit", O_RDWR | O_CLOEXEC | O_NONBLOCK), old;
	bool ok;

	memcpy(o.uuid, uuids[next(s) % UUIDS], 16);
	ok = !call(fd, HERMIT_OPEN, &o);
	if (user)
		return ok;
	if (ok) {
		/* at once, while its region may still be in the making */
		struct hermit_stats st = { .size = sizeof(st) };
		struct hermit_limit l = { .size = sizeof(l), .limit = region_limit };

		call(fd, HERMIT_GET_STATS, &st);
		call(fd, HERMIT_SET_LIMIT, &l);
		old = atomic_exchange(&slot[next(s) % SLOTS], fd);
		if (old > 0)
			close(old);
	} else {
		close(fd);
	}
	return ok;
}

static bool race_one(unsigned int what, uint64_t *s)
{
	int fd = atomic_load(&slot[next(s) % SLOTS]), mem = atomic_load(&memory_of[next(s) % SLOTS]), old;
	uint8_t buf[PAGE];

	switch (what) {
	case 0:
		return race_create(s);
	case 1:
		return race_open(s);
	case 2: {
		struct hermit_list_entry e[8];
		struct hermit_list l = { .size = sizeof(l), .nr = next(s) % 9, .entry_size = sizeof(e[0]), .entries = (uintptr_t)e };

		return !call(fd, HERMIT_LIST, &l);
	}
	case 3: {
		struct hermit_limit l = { .size = sizeof(l), .limit = next(s) % (region_size / PAGE) * PAGE };

		return !call(fd, HERMIT_SET_LIMIT, &l);
	}
	case 4: {
		struct hermit_policy p = { .size = sizeof(p), .set = next(s) & HERMIT_POLICY_ALL, .eager = next(s) & 1,
			.async_io = next(s) & 1, .prefetch = next(s) % 33, .batch = 1 + next(s) % 32, .threads = next(s) % 3,
			.wait = next(s) % 3, .weight = 1 + next(s) % 10000, .async_pf = next(s) % 3 };

		return !call(fd, HERMIT_SET_POLICY, &p);
	}
	case 5: {
		struct hermit_stats st = { .size = sizeof(st) };

		return !call(fd, HERMIT_GET_STATS, &st);
	}
	case 6: {
		struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = next(s) % 500, .states = (uintptr_t)buf };

		return !call(fd, HERMIT_GET_PAGEMAP, &m);
	}
	case 7: {
		struct hermit_recall c = { .size = sizeof(c), .start_page = next(s) % 100, .nr_pages = next(s) % 400 };

		return !call(fd, HERMIT_RECALL, &c);
	}
	case 8: {
		struct hermit_vcpus v = { .size = sizeof(v), .nr = 1, .entry_size = 8, .entries = (uintptr_t)buf };

		return !call(fd, HERMIT_GET_VCPUS, &v);
	}
	case 9: {
		/*
		 * Events there are, or there will be when the region ends.
		 * The fd does not block: another thread may be here for the
		 * same ones.
		 */
		struct hermit_event_record e[2];
		struct pollfd p = { .fd = fd, .events = POLLIN };

		return poll(&p, 1, 1) == 1 && (p.revents & POLLIN) && read(fd, e, sizeof(e)) > 0;
	}
	case 10:
	case 11:
		return touch(mem, s);
	case 12:
		return pread(mem, buf, PAGE, next(s) % region_size) >= 0;
	case 13:
		return !fallocate(mem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, next(s) % 64 * PAGE);
	case 14:
		/*
		 * A control fd of root's makes one region only: while there is
		 * something yet to be done to its memory, it is not closed.
		 */
		if (user && !(atomic_load(&done[10]) && atomic_load(&done[11]) && atomic_load(&done[12]) && atomic_load(&done[13])))
			return false;
		old = atomic_exchange(&memory_of[next(s) % SLOTS], 0);
		return old > 0 && !close(old);
	default:
		if (user)	/* there is no other to take its place */
			return true;
		old = atomic_exchange(&slot[next(s) % SLOTS], 0);
		return old > 0 && !close(old);
	}
}

static void *racer(void *arg)
{
	uint64_t s = (seed + (uintptr_t)arg) * 0x9e3779b97f4a7c15ULL + 1;

	while (!atomic_load(&stop)) {
		unsigned int what = next(&s) % ARRAY_SIZE(done);

		if (race_one(what, &s))
			atomic_fetch_add(&done[what], 1);
	}
	return NULL;
}

/* What root opened for nobody is neither opened, listed nor closed by him. */
static bool raced(unsigned int what)
{
	return (user && (what == 1 || what == 2 || what == 15)) || atomic_load(&done[what]);
}

static bool all_raced(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(done); i++)
		if (!raced(i))
			return false;
	return true;
}

void hammer_races(void)
{
	static const char *const names[] = { "create", "open", "list", "set-limit", "set-policy", "stats", "pagemap",
		"recall", "vcpus", "read", "touch", "touch", "pread", "punch", "close-memory", "close-control" };
	pthread_t t[64];

	signal(SIGBUS, on_bus);
	for (int i = 0; i < UUIDS; i++)
		set_uuid(uuids[i]);
	for (int i = 0; user && i < SLOTS; i++) {
		int fd = control_fd();

		if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
			die("F_SETFL");
		atomic_store(&slot[i], fd);
	}
	for (uintptr_t i = 0; i < nthreads; i++)
		if (pthread_create(&t[i], NULL, racer, (void *)i))
			die("pthread_create");
	sleep(seconds);
	/* what has not been through yet is given a minute more */
	for (int i = 0; i < 600 && !all_raced(); i++)
		usleep(100000);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < nthreads; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SLOTS; i++) {
		if (atomic_load(&slot[i]) > 0)
			close(atomic_load(&slot[i]));
		if (atomic_load(&memory_of[i]) > 0)
			close(atomic_load(&memory_of[i]));
	}
	printf("races:");
	for (size_t i = 0; i < ARRAY_SIZE(done); i++) {
		printf(" %s=%lu", names[i], atomic_load(&done[i]));
		/* what never went through was not raced with */
		expect(raced(i), "no %s ever went through", names[i]);
	}
	printf("\n");
}
