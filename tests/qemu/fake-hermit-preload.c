/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for /dev/hermit, to be preloaded into a QEMU. A hole in the
 * memory is an absent page; fetches count pages that were
 * read by pread() of its fd, and prefetches the calls.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "fake-hermit.h"

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
	return strcmp(path, "/dev/hermit") ? real(path, flags, mode) : fake_hermit_open();
}

ssize_t pread64(int fd, void *buf, size_t n, off_t offset)
{
	ssize_t (*real)(int, void *, size_t, off_t) = next("pread64");

	for (unsigned int i = 0; i < fake_hermit->nr; i++) {
		struct fake_region *r = &fake_hermit->regions[i];

		if (!r->created || r->memory != fd)
			continue;
		__sync_fetch_and_add(&r->reads, 1);
		__sync_fetch_and_add(&r->pages, n / 4096);
	}
	return real(fd, buf, n, offset);
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = next("ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return fake_hermit_owns(fd) ? fake_hermit_ioctl(fd, request, arg) : real(fd, request, arg);
}
