// SPDX-License-Identifier: GPL-2.0-or-later
/* See minivm-uffd.h. */
#include "minivm-uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 32

/* Headers of a build machine may be older than the kernel under test. */
#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

struct minivm_uffd {
	struct minivm *vm;
	pthread_t thread;
	int fd, stop;
	uint8_t *store;		/* the far side */
	uint8_t *staging;	/* where pages go from the guest, to be copied */
	bool *stored, *local;
	uint32_t *queue;	/* of local pages, oldest first; a ring */
	uint32_t head, count;
	uint32_t limit;		/* pages */
	uint64_t evicted;
};

static void *map(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		die("userfaultfd: mmap: %s", strerror(errno));
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

static void watch(struct minivm_uffd *u, void *start, size_t size)
{
	struct uffdio_register r = {
		.range = { .start = (uintptr_t)start, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(u->fd, UFFDIO_REGISTER, &r))
		die("UFFDIO_REGISTER: %s", strerror(errno));
}

/* Take @n adjacent pages from the guest at once, then copy them. */
static void evict_run(struct minivm_uffd *u, uint32_t page, uint32_t n)
{
	struct uffdio_move m = {
		.dst = (uintptr_t)u->staging,
		.src = (uintptr_t)u->vm->pages + page * MINIVM_PAGE,
		.len = n * MINIVM_PAGE,
	};

	while (m.len) {
		m.move = 0;
		if (!ioctl(u->fd, UFFDIO_MOVE, &m))
			break;
		if (errno != EAGAIN && errno != EBUSY)
			die("UFFDIO_MOVE of page %u: %s", page, strerror(errno));
		if (m.move > 0) {
			m.dst += m.move;
			m.src += m.move;
			m.len -= m.move;
		}
	}
	memcpy(u->store + page * MINIVM_PAGE, u->staging, n * MINIVM_PAGE);
	madvise(u->staging, n * MINIVM_PAGE, MADV_DONTNEED);
	memset(u->stored + page, true, n);
	memset(u->local + page, false, n);
	u->evicted += n;
}

static void evict(struct minivm_uffd *u, uint32_t n)
{
	uint32_t first = 0, run = 0;

	if (n > u->count)
		n = u->count;
	while (n--) {
		uint32_t page = u->queue[u->head];

		u->head = (u->head + 1) % u->vm->npages;
		u->count--;
		if (run && page == first + run && run < BATCH) {
			run++;
			continue;
		}
		if (run)
			evict_run(u, first, run);
		first = page;
		run = 1;
	}
	if (run)
		evict_run(u, first, run);
}

static void fault(struct minivm_uffd *u, uint64_t address)
{
	static const uint8_t zeros[MINIVM_PAGE] __attribute__((aligned(4096)));
	uint32_t page = (address - (uintptr_t)u->vm->pages) / MINIVM_PAGE;
	struct uffdio_copy c = {
		.dst = (uintptr_t)u->vm->pages + page * MINIVM_PAGE,
		.src = (uintptr_t)(u->stored[page] ? u->store + page * MINIVM_PAGE : zeros),
		.len = MINIVM_PAGE,
	};
	struct uffdio_range wake = { .start = c.dst, .len = MINIVM_PAGE };

	if (u->local[page]) {	/* another vCPU was first */
		ioctl(u->fd, UFFDIO_WAKE, &wake);
		return;
	}
	if (u->count >= u->limit)
		evict(u, BATCH);
	while (ioctl(u->fd, UFFDIO_COPY, &c))
		if (errno != EAGAIN)
			die("UFFDIO_COPY of page %u: %s", page, strerror(errno));
	u->local[page] = true;
	u->queue[(u->head + u->count++) % u->vm->npages] = page;
}

static void *handler(void *arg)
{
	struct minivm_uffd *u = arg;
	struct pollfd p[2] = { { u->fd, POLLIN }, { u->stop, POLLIN } };
	struct uffd_msg msg[16];

	for (;;) {
		ssize_t n = read(u->fd, msg, sizeof(msg));

		for (ssize_t i = 0; i < n / (ssize_t)sizeof(msg[0]); i++)
			if (msg[i].event == UFFD_EVENT_PAGEFAULT)
				fault(u, msg[i].arg.pagefault.address);
		if (n < 0 && errno != EAGAIN)
			die("userfaultfd: %s", strerror(errno));
		if (n < 0 && poll(p, 2, -1) > 0 && p[1].revents)
			return NULL;
	}
}

struct minivm_uffd *minivm_uffd_start(struct minivm *vm, uint64_t limit)
{
	struct minivm_uffd *u = calloc(1, sizeof(*u));
	struct uffdio_api api = { .api = UFFD_API };

	u->vm = vm;
	u->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	u->stop = eventfd(0, EFD_CLOEXEC);
	if (u->fd < 0 || u->stop < 0 || ioctl(u->fd, UFFDIO_API, &api))
		die("userfaultfd: %s", strerror(errno));
	u->store = map(vm->config.size, MAP_POPULATE);
	u->staging = map(BATCH * MINIVM_PAGE, 0);
	u->stored = calloc(vm->npages, sizeof(bool));
	u->local = calloc(vm->npages, sizeof(bool));
	u->queue = calloc(vm->npages, sizeof(uint32_t));
	if (!u->stored || !u->local || !u->queue)
		die("userfaultfd: out of memory");
	minivm_uffd_set_limit(u, limit);
	watch(u, vm->pages, vm->config.size);
	watch(u, u->staging, BATCH * MINIVM_PAGE);	/* UFFDIO_MOVE wants it */
	if (pthread_create(&u->thread, NULL, handler, u))
		die("pthread_create failed");
	return u;
}

void minivm_uffd_set_limit(struct minivm_uffd *u, uint64_t limit)
{
	u->limit = limit / MINIVM_PAGE;
}

void minivm_uffd_evict_all(struct minivm_uffd *u)
{
	evict(u, u->count);
}

uint64_t minivm_uffd_evicted(struct minivm_uffd *u)
{
	return u->evicted;
}

void minivm_uffd_stop(struct minivm_uffd *u)
{
	uint64_t one = 1;

	if (write(u->stop, &one, sizeof(one)) < 0)
		die("userfaultfd: %s", strerror(errno));
	pthread_join(u->thread, NULL);
	close(u->fd);
	close(u->stop);
	munmap(u->store, u->vm->config.size);
	munmap(u->staging, BATCH * MINIVM_PAGE);
	free(u->stored);
	free(u->local);
	free(u->queue);
	free(u);
}
