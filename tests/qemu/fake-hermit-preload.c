/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for /dev/hermit, to be preloaded into a QEMU. A hole in the
 * memory is an absent page; fetches count pages that were
 * read by pread() of its fd, and prefetches the calls.
 *
 *   FAKE_HERMIT_EVENTS=FIFO      the control file is this one: who writes records
 *                                there is the kernel
 *   FAKE_HERMIT_LOST=FIRST:PAGES what is not absent of these pages is lost
 *   FAKE_HERMIT_WAIT=N           the policy's wait, as a newer module may have it
 *   FAKE_HERMIT_RACE=1           see race.h
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fake-hermit.h"
#include "race.h"

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static int open_control(void)
{
	const char *fifo = getenv("FAKE_HERMIT_EVENTS");
	int fd = fake_hermit_open(), events;

	if (fd >= 0 && fifo) {
		events = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (events < 0 || dup3(events, fd, O_CLOEXEC) != fd)
			abort();
		close(events);
	}
	return fd;
}

/* The pages in [first, first + n) that are lost; they are marked in states[]. */
static unsigned int lose(unsigned long first, unsigned long n, unsigned char *states)
{
	unsigned long lost_first, lost_nr, i;
	const char *lost = getenv("FAKE_HERMIT_LOST");
	unsigned int found = 0;

	if (!lost || sscanf(lost, "%lu:%lu", &lost_first, &lost_nr) != 2)
		return 0;
	for (i = 0; i < n; i++)
		if (first + i - lost_first < lost_nr && states[i] == HERMIT_PAGE_LOCAL) {
			states[i] = HERMIT_PAGE_LOST;
			found++;
		}
	return found;
}

static void make_worse(int fd, unsigned long request, void *arg)
{
	struct hermit_pagemap all = { .size = sizeof(all) }, *m = arg;
	struct hermit_stats *st = arg;
	struct hermit_policy *p = arg;

	switch (request) {
	case HERMIT_GET_PAGEMAP:
		lose(m->start_page, m->nr_pages, (void *)m->states);
		break;
	case HERMIT_GET_STATS:
		all.nr_pages = st->region_size / 4096;
		all.states = (unsigned long)malloc(all.nr_pages);
		if (!fake_hermit_ioctl(fd, HERMIT_GET_PAGEMAP, &all))
			st->lost = lose(0, all.nr_pages, (void *)all.states);
		free((void *)all.states);
		break;
	case HERMIT_SET_POLICY:
		if (getenv("FAKE_HERMIT_WAIT"))
			p->wait = atoi(getenv("FAKE_HERMIT_WAIT"));
		break;
	}
}

int open64(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = next("open64");
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	return strcmp(path, "/dev/hermit") ? real(path, flags, mode) : open_control();
}

ssize_t pread64(int fd, void *buf, size_t n, off_t offset)
{
	ssize_t (*real)(int, void *, size_t, off_t) = next("pread64");
	ssize_t done = real(fd, buf, n, offset);

	for (unsigned int i = 0; i < fake_hermit->nr; i++) {
		struct fake_region *r = &fake_hermit->regions[i];

		if (!r->created || r->memory != fd)
			continue;
		__sync_fetch_and_add(&r->reads, 1);
		__sync_fetch_and_add(&r->pages, n / 4096);
		race_read(fd, n, offset);
	}
	return done;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = next("ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!fake_hermit_owns(fd))
		return real(fd, request, arg);
	if (fake_hermit_ioctl(fd, request, arg))
		return -1;
	make_worse(fd, request, arg);
	return 0;
}
