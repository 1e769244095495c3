/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/hermit for a QEMU without the module, to be preloaded: the memory is a
 * memfd, a hole in it is an absent page, and everything else is here. Fetches
 * count what was read by pread() of the memory's fd.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uapi/hermit.h"

#define PAGE 4096

static int control = -1, memory = -1;
static unsigned long long size, limit;
static unsigned int reads;

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

int open64(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = next("open64");
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if (strcmp(path, "/dev/hermit"))
		return real(path, flags, mode);
	control = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return control;
}

ssize_t pread64(int fd, void *buf, size_t n, off_t offset)
{
	ssize_t (*real)(int, void *, size_t, off_t) = next("pread64");

	if (fd == memory)
		__sync_fetch_and_add(&reads, 1);
	return real(fd, buf, n, offset);
}

static int fake_create(struct hermit_create *c)
{
	size = c->region_size;
	limit = c->limit;
	memory = memfd_create("fake-hermit", MFD_CLOEXEC);
	c->memory_fd = memory;
	return memory < 0 ? -1 : ftruncate(memory, size);
}

static int fake_stats(struct hermit_stats *to)
{
	struct hermit_stats st = { .region_size = size, .limit = limit };
	unsigned int n = to->size;
	struct stat s;

	if (fstat(memory, &s))
		return -1;
	st.size = sizeof(st);
	st.local = st.resident = s.st_blocks * 512 / PAGE;
	st.fetches = reads;
	memcpy(to, &st, n < sizeof(st) ? n : sizeof(st));
	return 0;
}

static int fake_pagemap(const struct hermit_pagemap *m)
{
	unsigned char *states = (void *)m->states;
	off_t at = m->start_page * PAGE, end = at + m->nr_pages * PAGE, to;
	char path[32];
	int fd;

	/* of its own, for its position: migration may ask from any thread */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
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

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = next("ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (control < 0 || fd != control)
		return real(fd, request, arg);
	switch (request) {
	case HERMIT_CREATE:
		return fake_create(arg);
	case HERMIT_SET_POLICY:
		return 0;
	case HERMIT_GET_STATS:
		return fake_stats(arg);
	case HERMIT_GET_PAGEMAP:
		return fake_pagemap(arg);
	case HERMIT_GET_VCPUS:
		((struct hermit_vcpus *)arg)->nr = 0;
		return 0;
	}
	errno = ENOTTY;
	return -1;
}
