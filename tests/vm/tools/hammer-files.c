// SPDX-License-Identifier: GPL-2.0-or-later
/* What one may do with the fds themselves: read, map, punch, and run out of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "hammer.h"

void hammer_files(void)
{
	struct region r = make();
	int fresh = control_fd();
	struct hermit_event_record e[4];
	struct pollfd p = { .fd = fresh, .events = POLLIN };

	fcntl(r.control, F_SETFL, O_NONBLOCK);
	for (size_t n = 0; n < sizeof(e[0]); n++)
		expect(read(r.control, e, n) < 0 && errno == EINVAL, "read of %zu bytes of an event: %s", n, strerror(errno));
	expect(read(fresh, e, sizeof(e)) < 0 && errno == ENXIO, "read without a region: %s", strerror(errno));
	expect(poll(&p, 1, 0) == 1 && (p.revents & POLLERR), "poll without a region: %#x", p.revents);
	expect(write(r.control, e, sizeof(e)) < 0, "write to a control fd went through");
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r.control, 0) == MAP_FAILED, "mmap of a control fd went through");
	expect(pread(fresh, e, sizeof(e), 0) < 0, "pread without a region went through");
	for (int i = 0; i < 200; i++) {
		struct hermit_limit l = { .size = sizeof(l), .limit = i & 1 ? region_limit : region_size };
		ssize_t n;

		call(r.control, HERMIT_SET_LIMIT, &l);
		if (i % 50)
			continue;
		n = read(r.control, (void *)-PAGE, sizeof(e));
		expect(n < 0 && errno == EFAULT, "read of events to nowhere: %zd, %s", n, strerror(errno));
		n = read(r.control, arena + ARENA - sizeof(e[0]), sizeof(e));
		expect(n == sizeof(e[0]) || (n < 0 && (errno == EFAULT || errno == EAGAIN)),
		       "read of events to the end of memory: %zd, %s", n, strerror(errno));
	}
	while (read(r.control, e, sizeof(e)) > 0)
		;
	expect(errno == EAGAIN, "no event left: %s, not EAGAIN", strerror(errno));
	close(fresh);
	drop(&r);
}

static void stamp(struct region *r)
{
	for (uint64_t i = 0; i < region_size / PAGE / 2; i++)
		((uint64_t *)(r->base + i * PAGE))[i % 512] = i ^ seed;
}

static void check_stamp(struct region *r, const char *after)
{
	for (uint64_t i = 0; i < region_size / PAGE / 2; i++) {
		uint64_t got = ((uint64_t *)(r->base + i * PAGE))[i % 512];

		expect(got == (i ^ seed), "after %s page %lu has %#lx, not %#lx", after, i, got, i ^ seed);
		if (got != (i ^ seed))
			return;
	}
}

static void holes(struct region *r)
{
	const off_t off = region_size / 2;	/* the other half is stamped */

	for (int bit = 0; bit < 32; bit++) {
		int mode = (int)(1U << bit), ret = fallocate(r->memory, mode, off, PAGE) ? errno : 0;

		expect(ret, "fallocate of mode %#x alone went through", mode);
		mode |= FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		ret = fallocate(r->memory, mode, off, PAGE) ? errno : 0;
		expect(mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ? !ret : ret, "fallocate of mode %#x: %s", mode, strerror(ret));
	}
	static const struct { off_t off, len; int want; } odd[] = {
		{ 1, PAGE, EINVAL }, { 0, 1, EINVAL }, { 0, 0, EINVAL }, { -PAGE, PAGE, EINVAL }, { 0, -PAGE, EINVAL },
		{ PAGE - 1, 2, EINVAL }, { INT64_MAX, 1, EFBIG }, { INT64_MAX & -PAGE, PAGE, EFBIG },
	};
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		int ret = fallocate(r->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, odd[i].off, odd[i].len) ? errno : 0;

		expect(ret == odd[i].want, "hole of %#lx at %#lx: %s", odd[i].len, odd[i].off, strerror(ret));
	}
	expect(fallocate(r->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, region_size, PAGE) && errno == EINVAL, "hole behind the end: %s", strerror(errno));
	expect(!fallocate(r->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, 1L << 40), "hole beyond the end: %s", strerror(errno));
}

static void reads(struct region *r)
{
	static uint8_t buf[3 * PAGE];
	const off_t end = region_size;
	const struct { off_t off; size_t len; ssize_t want; } odd[] = {
		{ 0, 1, 1 }, { PAGE - 1, 2, 2 }, { 1, 2 * PAGE, 2 * PAGE }, { end - 1, PAGE, 1 }, { end, 1, 0 },
		{ end + 1, 1, 0 }, { 1L << 62, 1, 0 }, { INT64_MAX, 1, -1 }, { -1, 1, -1 }, { INT64_MIN, 1, -1 }, { 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		ssize_t n = pread(r->memory, buf, odd[i].len, odd[i].off);

		/* at the highest offset there is the end comes before the sum's sign */
		expect(n == odd[i].want || odd[i].off == INT64_MAX, "pread of %zu at %#lx: %zd, not %zd", odd[i].len, odd[i].off, n, odd[i].want);
	}
	expect(pread(r->memory, arena + ARENA, PAGE, 0) < 0 && errno == EFAULT, "pread to nowhere: %s", strerror(errno));
	ssize_t n = pread(r->memory, arena + ARENA - 100, PAGE, 0);
	expect(n == 100 || (n < 0 && errno == EFAULT), "pread to the end of memory: %zd", n);
	/* into the region itself, over itself */
	n = pread(r->memory, r->base + region_size / 2 + 100, 2 * PAGE, region_size / 2);
	expect(n == 2 * PAGE, "pread into the region: %zd", n);
	for (int bit = 0; bit < 32; bit++) {
		struct iovec v[2] = { { buf, 100 }, { buf + 200, PAGE } };

		preadv2(r->memory, v, 2, 0, (int)(1U << bit));
	}
	expect(pwrite(r->memory, buf, PAGE, 0) < 0, "pwrite went through");
	expect(write(r->memory, buf, 1) < 0, "write went through");
	for (int whence = -1; whence < 8; whence++)
		for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
			lseek(r->memory, odd[i].off, whence);
	lseek(r->memory, 0, SEEK_SET);
	int pipes[2];
	if (!pipe2(pipes, O_NONBLOCK)) {
		splice(r->memory, NULL, pipes[1], NULL, 2 * PAGE, SPLICE_F_NONBLOCK);
		sendfile(pipes[1], r->memory, NULL, 2 * PAGE);
		struct iovec v = { r->base, 4 * PAGE };
		/* pages of the region in a pipe, which outlives the mapping's use */
		vmsplice(pipes[1], &v, 1, SPLICE_F_NONBLOCK);
		close(pipes[0]);
		close(pipes[1]);
	}
	expect(copy_file_range(r->memory, NULL, r->memory, NULL, PAGE, 0) <= 0, "copy_file_range within a region went through");
}

static void maps(struct region *r)
{
	const size_t half = region_size / 2;
	void *p;

	expect(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, r->memory, 0) == MAP_FAILED && errno == EINVAL, "private mmap: %s", strerror(errno));
	expect(mmap(NULL, region_size + PAGE, PROT_READ, MAP_SHARED, r->memory, 0) == MAP_FAILED, "mmap of more than there is went through");
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r->memory, region_size) == MAP_FAILED, "mmap behind the end went through");
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r->memory, INT64_MAX & -PAGE) == MAP_FAILED, "mmap far behind the end went through");
	for (int bit = 0; bit < 32; bit++) {
		if ((1U << bit) == MAP_FIXED || (1U << bit) == MAP_FIXED_NOREPLACE || (1U << bit) == MAP_ANONYMOUS)
			continue;
		p = mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_SHARED | (int)(1U << bit), r->memory, half);
		if (p != MAP_FAILED) {
			((volatile char *)p)[0]++;
			munmap(p, half);
		}
		p = mmap(NULL, PAGE, (int)(1U << bit), MAP_SHARED, r->memory, half);
		if (p != MAP_FAILED)
			munmap(p, PAGE);
	}
	p = mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_SHARED, r->memory, half);
	if (p == MAP_FAILED)
		die("mmap");
	/* all advice but that which breaks memory */
	for (int advice = 0; advice < 120; advice++)
		if (advice != MADV_HWPOISON && advice != 101) {
			memset(p, advice, 16 * PAGE);
			madvise(p, 16 * PAGE, advice);
			madvise(p, half, advice);
		}
	check_stamp(r, "advice about the other half");
	mlock(p, 16 * PAGE);
	munlock(p, half);
	msync(p, half, MS_SYNC | MS_INVALIDATE);
	mincore(p, half, malloc(half / PAGE));
	mprotect((char *)p + PAGE, PAGE, PROT_NONE);
	mprotect((char *)p + PAGE, PAGE, PROT_READ | PROT_EXEC);
	mprotect(p, half, PROT_READ | PROT_WRITE);
	expect(mremap(p, half, half + PAGE, MREMAP_MAYMOVE) == MAP_FAILED, "mremap beyond the region went through");
	void *q = mremap(p, half, half / 2, 0);
	if (q != MAP_FAILED) {
		p = mremap(q, half / 2, half / 2, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
		if (p != MAP_FAILED) {
			*(volatile char *)p = 1;
			*(volatile char *)q = 2;
			munmap(p, half / 2);
		}
		munmap(q, half / 2);
	}
	expect(ftruncate(r->memory, 0) && ftruncate(r->memory, region_size * 2), "a truncate went through");
	expect(fchmod(r->memory, 0777), "chmod went through");
	expect(fchown(r->memory, 1, 1), "chown went through");
	fsync(r->memory);
	flock(r->memory, LOCK_EX);
	posix_fadvise(r->memory, 0, region_size, POSIX_FADV_DONTNEED);
	fcntl(r->memory, F_SETFL, O_DIRECT | O_APPEND | O_NONBLOCK);
	fcntl(r->memory, F_SETFL, 0);
	/* by its name in /proc: whatever may be opened there is harmless */
	char name[64];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", r->memory);
	int fd = open(name, O_RDWR | O_TRUNC);
	if (fd >= 0) {
		p = mmap(NULL, region_size, PROT_READ, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED)
			munmap(p, region_size);
		close(fd);
	}
}

void hammer_memory(void)
{
	struct region r = make();

	stamp(&r);
	holes(&r);
	check_stamp(&r, "holes in the other half");
	reads(&r);
	maps(&r);
	check_stamp(&r, "all that one can do with a mapping");
	drop(&r);
}

void hammer_limits(void)
{
	struct rlimit old, low;
	struct hermit_create c = valid_create();
	int fd = control_fd(), ret;

	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = highest_fd() + 1;
	/* those below may be free */
	int holes[1024], n = 0;
	while (n < 1024 && (holes[n] = dup(fd)) >= 0 && holes[n] < (int)low.rlim_cur)
		n++;
	if (n < 1024 && holes[n] >= 0)
		close(holes[n]);
	setrlimit(RLIMIT_NOFILE, &low);
	ret = call(fd, HERMIT_CREATE, &c);
	said("CREATE without an fd to give", ret, EMFILE, c.error);
	setrlimit(RLIMIT_NOFILE, &old);
	while (n--)
		close(holes[n]);
	if (user) {	/* root may fork without end */
		getrlimit(RLIMIT_NPROC, &old);
		low = old;
		low.rlim_cur = 0;
		setrlimit(RLIMIT_NPROC, &low);
		said("CREATE without a thread to give", call(fd, HERMIT_CREATE, &c), EAGAIN, c.error);
		expect(strstr(c.error, "reclaim thread"), "CREATE without a thread to give: \"%s\" does not say what was missing", c.error);
		setrlimit(RLIMIT_NPROC, &old);
	}
	c = valid_create();
	ret = call(fd, HERMIT_CREATE, &c);
	expect(!ret, "CREATE when there is an fd again: %s: %s", strerror(ret), c.error);
	if (!ret)
		close(c.memory_fd);
	close(fd);
}
