/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-hermit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define FDS 1024

static struct fake_hermit own;
struct fake_hermit *fake_hermit = &own;

/* By fd: 0 not ours, 1 no region yet, 2 + i region i. */
static unsigned int opened[FDS];

static int fail(int err)
{
	errno = err;
	return -1;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

int fake_hermit_open(void)
{
	int fd;

	if (fake_hermit->open_errno)
		return fail(fake_hermit->open_errno);
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd >= FDS) {
		close(fd);
		return fail(EMFILE);
	}
	if (fd >= 0) {
		opened[fd] = 1;
		fake_hermit->fds++;
	}
	return fd;
}

bool fake_hermit_owns(int fd)
{
	return fd >= 0 && fd < FDS && opened[fd];
}

int fake_hermit_close(int fd)
{
	opened[fd] = 0;
	fake_hermit->fds--;
	return close(fd);
}

static int fake_create(unsigned int *slot, struct hermit_create *c)
{
	struct fake_region *r = &fake_hermit->regions[fake_hermit->nr];

	if (fake_hermit->nr == FAKE_REGIONS)
		return fail(ENOSPC);
	memset(r, 0, sizeof(*r));
	r->memory = memfd_create("fake-hermit", MFD_CLOEXEC);
	if (r->memory < 0 || ftruncate(r->memory, c->region_size))
		return -1;
	r->created = true;
	r->st.region_size = c->region_size;
	r->st.limit = c->limit;
	memcpy(r->st.uuid, c->uuid, sizeof(r->st.uuid));
	memcpy(r->st.name, c->name, sizeof(r->st.name));
	c->memory_fd = r->memory;
	*slot = 2 + fake_hermit->nr++;
	return 0;
}

static int fake_open_region(unsigned int *slot, const struct hermit_open *o)
{
	for (unsigned int i = 0; i < fake_hermit->nr; i++)
		if (!memcmp(fake_hermit->regions[i].st.uuid, o->uuid, sizeof(o->uuid))) {
			*slot = 2 + i;
			return 0;
		}
	return fail(ENOENT);
}

static int fake_list(struct hermit_list *l)
{
	for (unsigned int i = 0; i < least(l->nr, fake_hermit->nr); i++) {
		const struct hermit_stats *st = &fake_hermit->regions[i].st;
		struct hermit_list_entry e = {
			.region_size = st->region_size,
			.limit = st->limit,
			.resident = st->resident,
		};

		memcpy(e.uuid, st->uuid, sizeof(e.uuid));
		memcpy(e.name, st->name, sizeof(e.name));
		memcpy((char *)l->entries + i * l->entry_size, &e, least(l->entry_size, sizeof(e)));
	}
	l->nr = fake_hermit->nr;
	return 0;
}

static int fake_vcpus(const struct fake_region *r, struct hermit_vcpus *l)
{
	for (unsigned int i = 0; i < least(l->nr, r->nr_vcpus); i++)
		memcpy((char *)l->entries + i * l->entry_size, &r->vcpus[i],
		       least(l->entry_size, sizeof(r->vcpus[i])));
	l->nr = r->nr_vcpus;
	return 0;
}

static int fake_stats(struct fake_region *r, struct hermit_stats *to)
{
	unsigned int n = to->size, mine = fake_hermit->stats_size;
	struct hermit_stats st = r->st;
	struct stat s;

	if (!mine)
		mine = sizeof(st);
	if (r->created) {
		if (fstat(r->memory, &s))
			return -1;
		st.local = st.resident = s.st_blocks * 512 / PAGE;
		st.fetches = r->pages;
		st.prefetches = r->reads;
	}
	st.size = mine;
	memcpy(to, &st, least(least(n, mine), sizeof(st)));
	return 0;
}

static int fake_set_limit(struct fake_region *r, struct hermit_limit *l)
{
	l->floor = r->st.floor;
	if (l->limit % PAGE || l->limit > r->st.region_size) {
		snprintf(l->error, sizeof(l->error), "limit %llu: must be a multiple of 4096",
			 l->limit);
		return fail(EINVAL);
	}
	if (l->limit < l->floor) {
		snprintf(l->error, sizeof(l->error), "limit %llu: below %llu bytes", l->limit,
			 l->floor);
		return fail(ERANGE);
	}
	r->st.limit = l->limit;
	return 0;
}

static int fake_policy(struct fake_region *r, struct hermit_policy *p)
{
#define FIELD(bit, field)				\
	if (p->set & HERMIT_POLICY_##bit)		\
		r->policy.field = p->field;		\
	else						\
		p->field = r->policy.field
	FIELD(EAGER, eager);
	FIELD(ASYNC_IO, async_io);
	FIELD(PREFETCH, prefetch);
	FIELD(BATCH, batch);
	FIELD(THREADS, threads);
	FIELD(WAIT, wait);
	FIELD(WEIGHT, weight);
	FIELD(ASYNC_PF, async_pf);
#undef FIELD
	return 0;
}

/* What is remote lies at the begin of the range that is asked for. */
static int fake_recall(struct fake_region *r, struct hermit_recall *c)
{
	__u64 room = r->st.limit / PAGE - r->st.resident;
	__u64 n = c->nr_pages < r->st.remote ? c->nr_pages : r->st.remote;

	if (n > room) {
		c->fetched = room;
		c->next_page = c->start_page + room;
	} else {
		c->fetched = n;
		c->next_page = c->start_page + c->nr_pages;
	}
	r->st.remote -= c->fetched;
	r->st.resident += c->fetched;
	return n > room ? fail(ENOSPC) : 0;
}

static int fake_pagemap(const struct fake_region *r, const struct hermit_pagemap *m)
{
	unsigned char *states = (void *)m->states;
	off_t at = m->start_page * PAGE, end = at + m->nr_pages * PAGE, to;
	char path[32];
	int fd;

	/* of its own, for its position: migration may ask from any thread */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->memory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (at < end) {
		to = lseek(fd, at, SEEK_DATA);
		for (to = to < 0 || to > end ? end : to; at < to; at += PAGE)
			*states++ = HERMIT_PAGE_ABSENT;
		to = at < end ? lseek(fd, at, SEEK_HOLE) : at;
		for (to = to < 0 || to > end ? end : to; at < to; at += PAGE)
			*states++ = HERMIT_PAGE_LOCAL;
	}
	close(fd);
	return 0;
}

int fake_hermit_ioctl(int fd, unsigned long request, void *arg)
{
	struct fake_region *r = opened[fd] < 2 ? NULL : &fake_hermit->regions[opened[fd] - 2];
	int err = 0;

	__atomic_fetch_add(&fake_hermit->calls, 1, __ATOMIC_RELAXED);
	if (fake_hermit->answer)
		err = fake_hermit->answer(request, r, arg);
	if (err)
		return fail(err);
	/* Each struct begins with its size, and the module refuses the same. */
	if (*(__u32 *)arg < sizeof(__u32))
		return fail(EINVAL);
	switch (request) {
	case HERMIT_CREATE:
		return fake_create(&opened[fd], arg);
	case HERMIT_OPEN:
		return fake_open_region(&opened[fd], arg);
	case HERMIT_LIST:
		return fake_list(arg);
	}
	if (!r)
		return fail(ENXIO);
	switch (request) {
	case HERMIT_SET_LIMIT:
		return fake_set_limit(r, arg);
	case HERMIT_SET_POLICY:
		return fake_policy(r, arg);
	case HERMIT_GET_STATS:
		return fake_stats(r, arg);
	case HERMIT_GET_PAGEMAP:
		return r->created ? fake_pagemap(r, arg) : fail(ENOTTY);
	case HERMIT_GET_VCPUS:
		return fake_vcpus(r, arg);
	case HERMIT_RECALL:
		return fake_recall(r, arg);
	case HERMIT_CHANGE_SERVER:
		r->change = *(struct hermit_server_change *)arg;
		return 0;
	}
	return fail(ENOTTY);
}
