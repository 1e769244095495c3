// SPDX-License-Identifier: GPL-2.0-or-later
/* See mini-bench.h. */
#include "mini-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "minivm-uffd.h"

static struct minivm *vm;
static struct minivm_uffd *uffd;	/* or NULL */
static char cgroup[256];		/* for anonymous memory that is swapped */
static unsigned long errors;

/*
 * Marks around what has a name, for a plugin of the emulator, see
 * tests/bench/profile.c: NOPs of eight bytes that no compiler makes.
 */
static inline void mark_begin(const char *name)
{
	if (name)
		__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x01, 0xba, 0xfe, 0xca" ::: "memory");
}

static inline void mark_end(const char *name)
{
	if (name)
		__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x02, 0xba, 0xfe, 0xca" ::: "memory");
}

/* --- what the system counts ------------------------------------------------ */

static char *read_file(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 0, got;

	while (n >= 0 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	if (n < 0)
		die("%s: %s", path, strerror(errno));
	text[n] = 0;
	close(fd);
	return text;
}

static bool write_cgroup(const char *file, uint64_t bytes)
{
	char path[320], text[32];
	int fd, n = snprintf(text, sizeof(text), "%lu", bytes);
	bool ok;

	if (bytes == ~0ul)
		n = snprintf(text, sizeof(text), "max");
	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, n) == n;
	if (!ok && errno != EAGAIN)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return ok;
}

static void find_cgroup(void)
{
	char *text = read_file("/proc/self/cgroup"), *at = strstr(text, "0::/");

	if (!at || at[4] == '\n' || !at[4])
		die("bench with anonymous memory needs a cgroup of its own, to limit it");
	at += 3;
	at[strcspn(at, "\n")] = 0;
	snprintf(cgroup, sizeof(cgroup), "/sys/fs/cgroup%s", at);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/*
 * Time that CPUs ran anything at all, to the nanosecond. It is counted when a
 * task leaves its CPU, so leave it.
 */
static uint64_t busy_ns(void)
{
	uint64_t sum = 0, ran;
	char *at;

	usleep(1);
	at = read_file("/proc/schedstat");
	while ((at = strstr(at, "\ncpu"))) {
		at++;
		if (sscanf(at, "cpu%*d %*d %*d %*d %*d %*d %*d %lu", &ran) != 1)
			die("/proc/schedstat has another format");
		sum += ran;
	}
	return sum;
}

/* Interrupts that CPUs took to flush their TLBs. */
static uint64_t flush_interrupts(void)
{
	char *at = strstr(read_file("/proc/interrupts"), "TLB:");
	uint64_t sum = 0;

	if (!at)
		return 0;	/* a kernel for one CPU */
	at += 4;
	for (;;) {
		char *end;
		uint64_t n = strtoul(at, &end, 10);

		if (end == at)
			return sum;
		sum += n;
		at = end;
	}
}

/* Pages given up so far, by whomever. */
static uint64_t evictions(void)
{
	char path[320], *at;
	struct hermit_stats st;

	if (uffd)
		return minivm_uffd_evicted(uffd);
	if (vm->control >= 0) {
		minivm_region_stats(vm, &st);
		return st.evicted_clean + st.evicted_dirty + st.evicted_zero;
	}
	snprintf(path, sizeof(path), "%s/memory.stat", cgroup);
	at = strstr(read_file(path), "\npgsteal ");
	if (!at)
		die("%s has no pgsteal", path);
	return strtoul(at + 9, NULL, 10);
}

struct counts {
	uint64_t busy, process, evicted, flushes, interrupts;
};

static struct counts counts_now(void)
{
	return (struct counts) {
		.evicted = evictions(),
		.flushes = minivm_stat(vm, -1, "remote_tlb_flush_requests"),
		.interrupts = flush_interrupts(),
		.process = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.busy = busy_ns(),
	};
}

static double share(uint64_t n, uint64_t of)
{
	return of ? (double)n / of : 0;
}

/* The line of a measurement over @pages accesses or evictions. */
static void tell(const char *name, const struct counts *from, uint64_t own, uint64_t pages)
{
	struct counts now = counts_now();
	uint64_t busy = now.busy - from->busy, evicted = now.evicted - from->evicted;
	uint64_t process = now.process - from->process;

	if (!pages)
		die("%s: nothing happened", name);
	/* reclaim: of this VM's threads, where per-eviction is of the whole system's */
	printf("access %s all %lu own %lu per-eviction %lu reclaim %lu evicted %lu pages %lu kvm-flushes %.3f interrupts %.3f\n",
	       name, busy / pages, own / pages,
	       evicted && busy > own ? (busy - own) / evicted : 0,
	       evicted && process > own ? (process - own) / evicted : 0, evicted, pages,
	       share(now.flushes - from->flushes, evicted),
	       share(now.interrupts - from->interrupts, evicted));
}

/* --- accesses --------------------------------------------------------------- */

struct sweeper {
	pthread_t thread;
	unsigned int vcpu;
	uint64_t own;
};

static void *sweeper(void *arg)
{
	struct sweeper *s = arg;
	uint64_t own = thread_ns();

	minivm_run(vm, s->vcpu, false);
	s->own = thread_ns() - own;
	return NULL;
}

/*
 * Access the first @n pages once each, in order, each vCPU its share of them.
 * Tells ticks per page: of everybody, of the vCPUs' own threads, and what the
 * others took per eviction. No line without a name.
 */
static void measure(const char *name, uint32_t n, bool write, bool check)
{
	unsigned int vcpus = vm->config.vcpus;
	struct sweeper s[MINIVM_MAX_VCPUS];
	struct counts from = counts_now();
	uint64_t own = 0;

	for (unsigned int i = 0; i < vcpus; i++) {
		struct minivm_args *a = vm->vcpu[i].args;

		minivm_program(vm, a, i, vcpus);
		a->ops = a->count = n / vcpus;
		if (!check)
			a->check = MINIVM_CHECK_NONE;
		a->write_mask = write ? ~0u : 0;
		minivm_reset(vm, i, false);
		s[i] = (struct sweeper) { .vcpu = i };
	}
	mark_begin(name);
	if (vcpus == 1)
		sweeper(&s[0]);
	for (unsigned int i = 0; vcpus > 1 && i < vcpus; i++)
		if (pthread_create(&s[i].thread, NULL, sweeper, &s[i]))
			die("pthread_create failed");
	for (unsigned int i = 0; vcpus > 1 && i < vcpus; i++)
		pthread_join(s[i].thread, NULL);
	mark_end(name);
	for (unsigned int i = 0; i < vcpus; i++) {
		own += s[i].own;
		errors += vm->vcpu[i].args->errors;
	}
	if (name)
		tell(name, &from, own, n / vcpus * vcpus);
}

/* --- evictions, without anybody who needs the room -------------------------- */

static void evict_all(const char *name)
{
	struct counts from = counts_now();
	uint64_t own = thread_ns();

	mark_begin(name);
	if (uffd)
		minivm_uffd_evict_all(uffd);
	else	/* it stops early, without an error that says why */
		for (int i = 0; i < 100 && evictions() - from.evicted < vm->npages * 0.95; i++)
			write_cgroup("memory.reclaim", vm->config.size);
	mark_end(name);
	if (name)
		tell(name, &from, thread_ns() - own, evictions() - from.evicted);
}

static void set_limit(uint64_t bytes)
{
	if (uffd)
		minivm_uffd_set_limit(uffd, bytes);
	else	/* the process itself needs a few MiB as well */
		write_cgroup("memory.max", bytes == ~0ul ? bytes : bytes + (4 << 20));
}

/*
 * In order over more than the limit, every access finds its page gone: the
 * cost of a fault is that of the read and that of an eviction, which for
 * Linux swap is the vCPU's own affair. So there both are measured apart, too.
 */
int mini_bench(struct minivm *of, uint32_t rounds, bool with_uffd)
{
	const uint32_t few = of->npages / 16;

	vm = of;
	if (with_uffd)
		uffd = minivm_uffd_start(vm, vm->config.limit);
	else if (vm->control < 0)
		find_cgroup();
	if (vm->control < 0)
		set_limit(vm->config.limit);

	measure("first-touch", vm->npages, true, true);
	for (uint32_t i = 0; i < rounds; i++) {
		/* The first read sweep still evicts what was written before. */
		measure(NULL, vm->npages, false, false);
		measure("read", vm->npages, false, false);
		measure("write", vm->npages, true, true);
	}
	measure(NULL, few, false, false);
	measure("hot-read", few, false, false);

	if (vm->control < 0) {
		set_limit(~0ul);
		evict_all(NULL);
		measure("read-alone", vm->npages, false, false);
		evict_all("evict-clean");
		measure("write-alone", vm->npages, true, true);
		evict_all("evict-dirty");
	}
	measure(NULL, vm->npages, false, true);
	if (errors)
		fprintf(stderr, "mini: %lu pages were not what they should be\n", errors);
	if (uffd)
		minivm_uffd_stop(uffd);
	return errors != 0;
}
