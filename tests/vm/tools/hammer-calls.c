// SPDX-License-Identifier: GPL-2.0-or-later
/* The ioctls of /dev/hermit, one property a function: sizes, pointers, fields, numbers. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hammer.h"

/* An fd fit for the call; what it opens beside `r` goes with drop_fd(). */
static int fit(const struct call *k, struct region *r)
{
	return k->fit == ATTACHED ? r->control : control_fd();
}

/* All that CREATE may have given as well, told or not. */
static void drop_fd(int fd, struct region *r, int highest)
{
	if (fd != r->control)
		close(fd);
	close_range(highest + 1, ~0U, 0);
}

/*
 * The struct ends where the arena does, so that a look or a store behind what
 * `size` says is EFAULT; what is in front of it must stay as it is.
 */
static void one_size(const struct call *k, struct region *r, uint32_t size, bool dirty)
{
	size_t room = size < 4 ? 4 : size, i;
	uint8_t *p = arena + ARENA - room;
	uint8_t whole[sizeof(struct hermit_stats) + PAGE] = { 0 };
	int fd = fit(k, r), top = highest_fd(), ret;

	memset(arena, 0xa5, ARENA);
	fill(k, whole, r->uuid);
	memset(p, 0, room);
	memcpy(p, whole, room < k->size ? room : k->size);
	if (dirty)
		p[room - 1] = 1;
	*(uint32_t *)p = size;
	ret = call(fd, k->cmd, p);
	if (user && k->admin)
		expect(ret == EPERM, "%s of %u bytes, as nobody: %s, not EPERM", k->name, size, strerror(ret));
	else if (size < 4)
		expect(ret == EINVAL, "%s of %u bytes: %s, not EINVAL", k->name, size, strerror(ret));
	else if (dirty && k->cmd != HERMIT_GET_STATS)
		expect(ret == E2BIG, "%s of %u bytes, the last one set: %s, not E2BIG", k->name, size, strerror(ret));
	else if (size >= k->size || k->cmd == HERMIT_GET_STATS)
		expect(!ret, "%s of %u bytes, valid: %s", k->name, size, strerror(ret));
	else
		expect(!ret || ret == EINVAL || ret == ERANGE || ret == EPROTO ||
		       ret == EPROTONOSUPPORT || ret == ENOENT,
		       "%s of %u bytes, cut short: %s", k->name, size, strerror(ret));
	/* no room for the number of the memory fd: no memory fd */
	if (k->cmd == HERMIT_CREATE && size < offsetof(struct hermit_create, memory_fd) + 4)
		expect(ret && highest_fd() == top, "CREATE of %u bytes left an fd that nobody is told of", size);
	for (i = 0; i < ARENA - room; i++)
		if (arena[i] != 0xa5)
			break;
	expect(i == ARENA - room, "%s of %u bytes: a byte %zu in front of it was written",
	       k->name, size, ARENA - room - i);
	drop_fd(fd, r, top);
}

void hammer_sizes(void)
{
	struct region r = make();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct call *k = &table[i];
		/* a region each takes its time: about forty of them */
		uint32_t step = k->cmd == HERMIT_CREATE ? 37 : k->size > 512 ? 7 : 1;

		for (uint32_t size = 0; size < k->size; size += size < 16 ? 1 : step)
			one_size(k, &r, size, false);
		for (uint32_t size = k->size - 1; size <= k->size + 9; size += 2)
			one_size(k, &r, size, false);
		one_size(k, &r, k->size, false);
		one_size(k, &r, k->size + PAGE, false);
		if (k->cmd == HERMIT_CREATE) {
			one_size(k, &r, offsetof(struct hermit_create, memory_fd), false);
			one_size(k, &r, offsetof(struct hermit_create, memory_fd) + 3, false);
			one_size(k, &r, offsetof(struct hermit_create, replicas), false);
		}
		for (uint32_t size = k->size + 1; size < k->size + 9; size++)
			one_size(k, &r, size, true);
		/* gigabytes that are not there */
		if (k->cmd != HERMIT_GET_STATS) {
			int fd = fit(k, &r), top = highest_fd(), ret;
			uint8_t *p = arena + ARENA - 3 * PAGE;

			memset(p, 0, 3 * PAGE);
			fill(k, p, r.uuid);
			*(uint32_t *)p = UINT32_MAX;
			ret = call(fd, k->cmd, p);
			expect(ret == (user && k->admin ? EPERM : EFAULT), "%s of 4 GiB: %s", k->name, strerror(ret));
			drop_fd(fd, &r, top);
		}
	}
	drop(&r);
}

void hammer_pointers(void)
{
	struct region r = make(), other = make();
	uint8_t *ro = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *const bad[] = {
		NULL, (void *)1, (void *)PAGE, arena + ARENA, arena + ARENA - 3,
		(void *)0x7ffffffff000, (void *)0x800000000000, (void *)0xffff888000001000,
		(void *)0xffffffff81000000, (void *)-PAGE, (void *)-4L, (void *)-1L,
	};
	void *const nowhere[] = { NULL, arena + ARENA, (void *)0xffff888000001000, (void *)-2L, (void *)0x800000000000 };
	int ret, fd, top;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct call *k = &table[i];

		for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
			fd = fit(k, &r);
			top = highest_fd();
			ret = call(fd, k->cmd, bad[j]);
			expect(ret == (user && k->admin ? EPERM : EFAULT), "%s at %p: %s, not EFAULT",
			       k->name, bad[j], strerror(ret));
			drop_fd(fd, &r, top);
		}
		/* it says more than there is */
		fd = fit(k, &r);
		top = highest_fd();
		*(uint32_t *)(arena + ARENA - 4) = k->size;
		ret = call(fd, k->cmd, arena + ARENA - 4);
		expect(ret == (user && k->admin ? EPERM : EFAULT), "%s cut off by the end of memory: %s, not EFAULT",
		       k->name, strerror(ret));
		drop_fd(fd, &r, top);

		/* it may be read, and not written */
		fd = fit(k, &r);
		top = highest_fd();
		mprotect(ro, 2 * PAGE, PROT_READ | PROT_WRITE);
		fill(k, ro, r.uuid);
		mprotect(ro, 2 * PAGE, PROT_READ);
		ret = call(fd, k->cmd, ro);
		expect(ret == (user && k->admin ? EPERM : k->writes ? EFAULT : 0), "%s in memory that is read-only: %s",
		       k->name, strerror(ret));
		if (k->cmd == HERMIT_CREATE) {
			expect(highest_fd() == top, "CREATE that could not be answered left an fd");
			fill(k, arena, r.uuid);
			ret = call(fd, HERMIT_CREATE, arena);
			expect(ret == EBUSY, "CREATE after one that could not be answered: %s, not EBUSY", strerror(ret));
		}
		drop_fd(fd, &r, top);

		/* in the memory of the region itself, and of another, not yet touched */
		for (int n = 0; n < 2; n++) {
			uint8_t *p = (n ? other.base : r.base) + (64 + i) * PAGE + (n ? 2048 : 0);

			fd = fit(k, &r);
			top = highest_fd();
			fill(k, p, r.uuid);
			ret = call(fd, k->cmd, p);
			expect(ret == (user && k->admin ? EPERM : 0), "%s in a region's own memory: %s", k->name, strerror(ret));
			drop_fd(fd, &r, top);
		}
	}

	for (size_t j = 0; j < ARRAY_SIZE(nowhere); j++) {
		struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = 16, .states = (uintptr_t)nowhere[j] };
		struct hermit_list l = { .size = sizeof(l), .nr = 8, .entry_size = sizeof(struct hermit_list_entry),
					 .entries = (uintptr_t)nowhere[j] };
		struct hermit_vcpus v = { .size = sizeof(v), .nr = 8, .entry_size = sizeof(struct hermit_vcpu_entry),
					  .entries = (uintptr_t)nowhere[j] };

		ret = call(r.control, HERMIT_GET_PAGEMAP, &m);
		expect(ret == EFAULT, "GET_PAGEMAP to %p: %s, not EFAULT", nowhere[j], strerror(ret));
		ret = call(r.control, HERMIT_LIST, &l);
		expect(ret == (user ? EPERM : EFAULT), "LIST to %p: %s, not EFAULT", nowhere[j], strerror(ret));
		ret = call(r.control, HERMIT_GET_VCPUS, &v);
		expect(!ret, "GET_VCPUS to %p with no vCPU to tell of: %s", nowhere[j], strerror(ret));
		/* room said to be boundless, entries of no or of absurd length */
		l.nr = UINT32_MAX;
		l.entry_size = j & 1 ? 0 : UINT32_MAX;
		call(r.control, HERMIT_LIST, &l);
	}
	{
		/* the map of a region into that region, page by page as it changes */
		struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = region_size / PAGE,
					    .states = (uintptr_t)r.base + 17 };

		ret = call(r.control, HERMIT_GET_PAGEMAP, &m);
		expect(!ret, "GET_PAGEMAP into its own region: %s", strerror(ret));
	}
	munmap(ro, 2 * PAGE);
	drop(&other);
	drop(&r);
}

static void bad_creates(void)
{
	static const struct {
		const char *what;
		size_t offset;
		unsigned int bytes;
		uint64_t value;
		int want;
	} bad[] = {
#define BAD(field, value, want) \
	{ #field " " #value, offsetof(struct hermit_create, field), \
	  sizeof(((struct hermit_create *)0)->field), value, want }
		BAD(version, 0, EPROTO), BAD(version, 2, EPROTO), BAD(version, UINT32_MAX, EPROTO),
		BAD(region_size, 0, EINVAL), BAD(region_size, 1, EINVAL), BAD(region_size, PAGE + 1, EINVAL),
		BAD(region_size, (1ULL << 46) + PAGE, EINVAL), BAD(region_size, 1ULL << 63, EINVAL),
		BAD(region_size, UINT64_MAX, EINVAL), BAD(region_size, PAGE, EINVAL),
		BAD(limit, 0, ERANGE), BAD(limit, 1, EINVAL), BAD(limit, PAGE, ERANGE),
		BAD(limit, UINT64_MAX, EINVAL), BAD(limit, 1ULL << 63, EINVAL), BAD(limit, 1ULL << 46, EINVAL),
		BAD(nr_servers, 2, EINVAL), BAD(nr_servers, 5, EINVAL), BAD(nr_servers, UINT32_MAX, EINVAL),
		BAD(replicas, 2, EINVAL), BAD(replicas, UINT32_MAX, EINVAL),
		BAD(reclaim_threads, 1000, EINVAL), BAD(reclaim_threads, UINT32_MAX, EINVAL),
		BAD(key_len, HERMIT_KEY_LEN + 1, EINVAL), BAD(key_len, UINT32_MAX, EINVAL),
		BAD(flags, HERMIT_CREATE_SEAL, EINVAL), BAD(flags, 2, EINVAL), BAD(flags, 1 << 15, EINVAL),
#undef BAD
	};
	static const char *const servers[] = { "", ":", "tcp", "tcp:", "tcp:1.2.3.4", "tcp:1.2.3.4:", "tcp:1.2.3.4:0",
		"tcp:1.2.3.4:65536", "tcp:1.2.3.4:1x", "tcp:[::1", "tcp:[::1]:", "tcp:host:1", "rdma:", "rdma:x:1", "local:x",
		"local:lz4:", "local:lz4:0", "local:lz4:1", "local::-1", "local:plain:4096x", "LOCAL:", "%s%n%s:%n" };
	struct hermit_create c;
	int fd, top;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = control_fd();
		top = highest_fd();
		c = valid_create();
		memset(c.error, 'x', sizeof(c.error));
		memcpy((char *)&c + bad[i].offset, &bad[i].value, bad[i].bytes);
		said(bad[i].what, call(fd, HERMIT_CREATE, &c), bad[i].want, c.error);
		expect(c.memory_fd == -1 && highest_fd() == top, "CREATE with %s left an fd", bad[i].what);
		/* refused, it is as new */
		if (i % 8 == 0) {
			c = valid_create();
			expect(!call(fd, HERMIT_CREATE, &c), "CREATE after one with %s: %s", bad[i].what, c.error);
			said("a second CREATE", call(fd, HERMIT_CREATE, &c), EBUSY, c.error);
		}
		close_range(top + 1, ~0U, 0);
		close(fd);
	}
	for (size_t i = 0; i <= ARRAY_SIZE(servers); i++) {
		fd = control_fd();
		c = valid_create();
		memset(c.servers, 0, sizeof(c.servers));
		if (i < ARRAY_SIZE(servers))
			strcpy(c.servers[0], servers[i]);
		else	/* no end of the string, of any of the four, nor of the name */
			memset(c.name, ':', offsetof(struct hermit_create, error) - offsetof(struct hermit_create, name)),
			c.nr_servers = 1, c.reclaim_threads = 1, c.key_len = HERMIT_KEY_LEN;
		int ret = call(fd, HERMIT_CREATE, &c);
		expect(ret && ret != EFAULT, "server \"%.40s\": %s", c.servers[0], strerror(ret));
		expect(*c.error, "server \"%.40s\": refused (%s) without a word", c.servers[0], strerror(ret));
		close(fd);
	}
	fd = control_fd();
	c = valid_create();
	memset(c.uuid, 0, 16);
	said("a UUID of zeros", call(fd, HERMIT_CREATE, &c), EINVAL, c.error);
	close(fd);
}

static void policies(struct region *r)
{
	for (int bit = 0; bit < 32; bit++) {
		struct hermit_policy before = { .size = sizeof(before) }, p = before, after = before;
		bool known = (1U << bit) & HERMIT_POLICY_ALL;
		int ret;

		call(r->control, HERMIT_SET_POLICY, &before);
		memset(&p.eager, 0xff, offsetof(struct hermit_policy, error) - offsetof(struct hermit_policy, eager));
		p.set = 1U << bit;
		ret = call(r->control, HERMIT_SET_POLICY, &p);
		expect(ret == EINVAL, "SET_POLICY of bit %d to its highest: %s, not EINVAL", bit, strerror(ret));
		expect(*p.error, "SET_POLICY of bit %d: refused without a word", bit);
		/* one that is right does not go through with one that is not */
		p = before;
		p.set = HERMIT_POLICY_EAGER | (1U << bit);
		p.eager = !before.eager;
		if (!known) {
			ret = call(r->control, HERMIT_SET_POLICY, &p);
			expect(ret == EINVAL, "SET_POLICY of unknown bit %d: %s, not EINVAL", bit, strerror(ret));
		}
		call(r->control, HERMIT_SET_POLICY, &after);
		expect(!memcmp(&before, &after, offsetof(struct hermit_policy, error)), "a refused SET_POLICY of bit %d changed the policy", bit);
		if (known) {
			p = before;
			p.set = 1U << bit;
			expect(!call(r->control, HERMIT_SET_POLICY, &p), "SET_POLICY of bit %d to what it is: %s", bit, p.error);
		}
	}
}

void hammer_fields(void)
{
	struct region r = make();
	const uint64_t pages = region_size / PAGE;
	const struct { uint64_t value; int want; } limits[] = {
		{ 0, ERANGE }, { 1, EINVAL }, { PAGE, ERANGE }, { region_limit + 1, EINVAL },
		{ region_size + PAGE, EINVAL }, { 1ULL << 63, EINVAL }, { UINT64_MAX, EINVAL }, { -PAGE, EINVAL },
	};
	const struct { uint64_t start, nr; int want; } ranges[] = {
		{ 0, pages, 0 }, { pages, 0, 0 }, { pages - 1, 1, 0 }, { 0, 0, 0 }, { pages, 1, EINVAL },
		{ 0, pages + 1, EINVAL }, { 1, UINT64_MAX, EINVAL }, { UINT64_MAX, 1, EINVAL },
		{ UINT64_MAX, UINT64_MAX, EINVAL }, { 1ULL << 63, 1ULL << 63, EINVAL }, { pages - 1, 2, EINVAL },
	};
	uint8_t *states = malloc(pages);

	bad_creates();
	policies(&r);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct hermit_limit l = { .size = sizeof(l), .limit = limits[i].value };
		char what[64];

		snprintf(what, sizeof(what), "SET_LIMIT %#lx", limits[i].value);
		said(what, call(r.control, HERMIT_SET_LIMIT, &l), limits[i].want, l.error);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct hermit_pagemap m = { .size = sizeof(m), .start_page = ranges[i].start,
					    .nr_pages = ranges[i].nr, .states = (uintptr_t)states };
		struct hermit_recall c = { .size = sizeof(c), .start_page = ranges[i].start, .nr_pages = ranges[i].nr };
		int ret = call(r.control, HERMIT_GET_PAGEMAP, &m);

		expect(ret == ranges[i].want, "GET_PAGEMAP of %#lx from %#lx: %s", ranges[i].nr, ranges[i].start, strerror(ret));
		ret = call(r.control, HERMIT_RECALL, &c);
		expect(ret == ranges[i].want, "RECALL of %#lx from %#lx: %s", ranges[i].nr, ranges[i].start, strerror(ret));
	}
	{
		struct hermit_open o = { .size = sizeof(o) };
		int fd = control_fd(), again = control_fd(), ret;

		memcpy(o.uuid, r.uuid, 16);
		ret = call(r.control, HERMIT_OPEN, &o);
		expect(ret == (user ? EPERM : EBUSY), "OPEN on the owner's fd: %s", strerror(ret));
		ret = call(fd, HERMIT_OPEN, &o);
		expect(ret == (user ? EPERM : 0), "OPEN: %s", strerror(ret));
		ret = call(fd, HERMIT_OPEN, &o);
		expect(ret == (user ? EPERM : EBUSY), "OPEN twice: %s", strerror(ret));
		if (!user) {
			struct hermit_create c = valid_create();

			said("CREATE on a handle", call(fd, HERMIT_CREATE, &c), EBUSY, c.error);
		}
		o.uuid[3] ^= 1;
		ret = call(again, HERMIT_OPEN, &o);
		expect(ret == (user ? EPERM : ENOENT), "OPEN of what is not there: %s", strerror(ret));
		close(fd);
		close(again);
	}
	free(states);
	drop(&r);
}

static bool known(unsigned long cmd)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].cmd == cmd)
			return true;
	return false;
}

void hammer_unknown(void)
{
	static const unsigned int odd[] = { 0, 1, 4, 8, 24, 4096, (1 << _IOC_SIZEBITS) - 1 };
	struct region r = make();
	int fresh = control_fd(), ret;
	uint64_t s = seed;

	memset(arena, 0, ARENA);
	for (unsigned int nr = 0; nr < 256; nr++)
		for (unsigned int dir = 0; dir < 4; dir++)
			for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
				unsigned long cmd = _IOC(dir, 'h', nr, odd[i]);

				if (known(cmd))
					continue;
				ret = call(r.control, cmd, arena);
				expect(ret == ENOTTY, "unknown call %#lx: %s, not ENOTTY", cmd, strerror(ret));
				ret = call(fresh, cmd, arena);
				expect(ret == ENXIO || ret == ENOTTY, "unknown call %#lx without a region: %s", cmd, strerror(ret));
				ret = call(r.memory, cmd, arena);
				expect(ret == ENOTTY, "call %#lx on a memory fd: %s, not ENOTTY", cmd, strerror(ret));
			}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].fit == ATTACHED) {
			ret = call(fresh, table[i].cmd, arena);
			expect(ret == ENXIO, "%s without a region: %s, not ENXIO", table[i].name, strerror(ret));
		}
	/* any other number: the VFS has answers of its own to some */
	for (int i = 0; i < 20000; i++) {
		unsigned long cmd = (uint32_t)next(&s);

		if (!known(cmd) && _IOC_TYPE(cmd) != 'f' && _IOC_TYPE(cmd) != 'X' && _IOC_TYPE(cmd) != 'T')
			call(i & 1 ? r.control : r.memory, cmd, i & 2 ? arena : NULL);
	}
	close(fresh);
	drop(&r);
}
