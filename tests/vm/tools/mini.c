// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of guest memory in a hermit region with the smallest possible VM (see
 * minivm.h): seconds instead of the minute that a Linux guest takes.
 *
 *	mini [OPTION]... COMMAND
 *
 *	stress		vCPUs and host threads write and verify pages at random,
 *			then everything is verified in order
 *	dirty-log	the log has what the guest wrote, nothing else, whatever
 *			is evicted meanwhile
 *	dirty		what the guest wrote is not lost, however its SPTEs go
 *	prefault	KVM_PRE_FAULT_MEMORY brings pages, and they fault no more
 *	park		the memory server is stopped (--pause PID): a stalled vCPU
 *			takes signals and keeps nobody from updating memslots,
 *			and is told of, also if another began the read
 *	order		after going over all pages in order, those that are local
 *			lie together: reclaim left none behind
 *	bench		CPU time per page and thread (instructions, under -icount);
 *			with --anon of a cgroup's swap, with --uffd of a
 *			userfaultfd handler
 *	burst		bursts of random writes with pauses: how many faults had
 *			to wait for room, with --threads reclaim threads
 *
 * Prints "NAME VALUE" lines. Exit status: 0 all is well, 1 it is not, 2 the
 * test could not be made, 77 this KVM can't.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/kvm.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mini-bench.h"
#include "mini-dirty.h"
#include "minivm.h"

#define SKIPPED 77

static struct minivm_config config = {
	.size = 64UL << 20, .limit = 16UL << 20, .vcpus = 1,
};
static uint32_t ops = 100000, seed = 1, rounds = 1;
static unsigned int hosts, threads;
static int prefetch = -1;
static pid_t server_pid;
static bool with_uffd;
static struct minivm vm;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void print(const char *name, uint64_t value)
{
	printf("%s %lu\n", name, value);
}

/* Errors count, each with its line on stderr. */
static unsigned long expect(uint64_t got, uint64_t want, const char *what)
{
	if (got == want)
		return 0;
	fprintf(stderr, "mini: %s: %lu, expected %lu\n", what, got, want);
	return 1;
}

static void print_stats(void)
{
	struct hermit_stats st;

	print("flushes", minivm_stat(&vm, -1, "remote_tlb_flush_requests"));
	print("pf_taken", minivm_stat(&vm, 0, "pf_taken"));
	if (vm.control < 0)
		return;
	minivm_region_stats(&vm, &st);
	print("mode", st.mode);
	print("zap_batches", st.zap_batches);
	print("zapped", st.zapped);
	print("evicted", st.evicted_clean + st.evicted_dirty + st.evicted_zero);
	print("evicted_clean", st.evicted_clean);
	print("fetches", st.fetches);
	print("faults_guest", st.faults_guest);
	print("faults_host", st.faults_host);
	print("parked", st.parked);
	print("pinned", st.pinned);
	print("unaged", st.unaged);
	print("resident_max", st.resident_max);
	print("limit", st.limit / MINIVM_PAGE);
	print("create_ns", vm.create_ns);
	print("metadata_bytes", st.metadata_bytes);
}

/* One program over @n pages from @from on, in order, on vCPU 0. */
static unsigned long sweep(uint32_t from, uint32_t n, bool write)
{
	struct minivm_args *a = vm.vcpu[0].args;

	minivm_program(&vm, a, from, 1);
	a->ops = a->count = n;
	a->write_mask = write ? ~0u : 0;
	minivm_reset(&vm, 0, false);
	minivm_run(&vm, 0, false);
	return expect(a->errors, 0, write ? "errors of a write sweep" : "errors of a read sweep");
}

/* --- stress --------------------------------------------------------------- */

struct host {
	pthread_t thread;
	unsigned int owner, owners;
	unsigned long errors;
};

static void *host_thread(void *arg)
{
	struct host *h = arg;
	uint32_t count = (vm.npages - h->owner + h->owners - 1) / h->owners;
	unsigned int s = seed + h->owner;

	for (uint32_t i = 0; i < ops; i++) {
		uint32_t page = h->owner + (uint32_t)rand_r(&s) % count * h->owners;

		h->errors += !minivm_host_check(&vm, page);
		if (rand_r(&s) & 4)
			minivm_host_write(&vm, page);
	}
	return NULL;
}

static int stress(void)
{
	unsigned int owners = config.vcpus + hosts, i;
	struct host host[8];
	unsigned long errors = 0;

	for (uint32_t round = 0; round < rounds && !errors; round++) {
		for (i = 0; i < hosts; i++) {
			host[i] = (struct host) { .owner = config.vcpus + i, .owners = owners };
			if (pthread_create(&host[i].thread, NULL, host_thread, &host[i]))
				die("pthread_create failed");
		}
		errors += minivm_run_all(&vm, owners, ops, seed + round, 1, config.smm && round % 2);
		for (i = 0; i < hosts; i++) {
			pthread_join(host[i].thread, NULL);
			errors += host[i].errors;
		}
	}
	errors += sweep(0, vm.npages, false);
	for (i = 0; hosts && i < vm.npages; i++)
		errors += !minivm_host_check(&vm, i);
	return errors != 0;
}

/* --- dirty log ------------------------------------------------------------ */

static int dirty_log(void)
{
	const uint32_t n = vm.npages, some = n / 10;
	unsigned long errors = 0;

	errors += sweep(0, n, true);
	errors += expect(minivm_dirty(&vm, 0, n), n, "dirty after the first write of all");
	errors += sweep(0, n, false);
	errors += expect(minivm_dirty(&vm, 0, n), 0, "dirty after reading all");
	errors += sweep(some, some, true);
	errors += expect(minivm_dirty(&vm, some, 2 * some), some, "dirty after writing some");
	errors += sweep(some, some, true);
	errors += sweep(2 * some, n - 2 * some, false);
	errors += sweep(0, some, false);
	errors += expect(minivm_dirty(&vm, 0, n), some, "dirty after writing some, then reading the rest");

	/* Pages written before the log is switched on are not in it. */
	minivm_set_slot(&vm, 0, true);
	errors += sweep(0, n, true);
	minivm_set_slot(&vm, KVM_MEM_LOG_DIRTY_PAGES, true);
	errors += expect(minivm_dirty(&vm, 0, n), 0, "dirty after switching the log on");
	errors += sweep(0, n, false);
	errors += expect(minivm_dirty(&vm, 0, n), 0, "dirty after reading all, log switched on");
	errors += sweep(0, some, true);
	errors += expect(minivm_dirty(&vm, 0, n), some, "dirty after writing some, log switched on");
	errors += sweep(0, n, false);
	return errors != 0;
}

static int dirty(void)
{
	return mini_dirty(&vm);
}

/* --- KVM_PRE_FAULT_MEMORY -------------------------------------------------- */

/* Write all, so that what comes first is remote, then make room. */
static void push_out(void)
{
	struct hermit_stats st;
	uint64_t before;

	if (sweep(0, vm.npages, true))
		die("the first sweep failed");
	minivm_region_stats(&vm, &st);
	if (!st.remote)
		die("nothing was evicted: --limit must be below --size");
	minivm_set_limit(&vm, config.size);
	do {	/* until reclaim has come to rest */
		before = st.zap_batches;
		usleep(500 * 1000);
		minivm_region_stats(&vm, &st);
	} while (st.zap_batches != before);
}

static int prefault(void)
{
	struct hermit_stats before, after;
	unsigned long errors = 0;
	const uint32_t n = 256;
	uint64_t faults;
	int r;

	push_out();
	minivm_region_stats(&vm, &before);
	r = minivm_prefault(&vm, 0, 0, n);
	if (r == -EOPNOTSUPP)
		return SKIPPED;
	if (r)
		die("KVM_PRE_FAULT_MEMORY: %s", strerror(-r));
	minivm_region_stats(&vm, &after);
	print("prefault_fetches", after.fetches - before.fetches);
	if (after.fetches == before.fetches)
		errors += expect(0, n, "pages that came from the server");
	faults = minivm_stat(&vm, 0, "pf_taken");
	errors += sweep(0, n, false);
	errors += expect(minivm_stat(&vm, 0, "pf_taken") - faults, 0, "faults on pages brought before");
	errors += sweep(0, vm.npages, false);
	return errors != 0;
}

/* --- parking --------------------------------------------------------------- */

static void on_alarm(int sig)
{
	static const char text[] = "mini: hangs: something waits behind the stalled vCPU\n";

	/* a stopped server would keep the region from ending */
	kill(server_pid, SIGCONT);
	_exit(write(2, text, sizeof(text) - 1) > 0 ? 1 : 2);
}

static void on_signal(int sig)
{
}

struct runner {
	pthread_t thread;
	bool prefault;
	bool done;		/* the program halted */
	volatile bool returned;
	int error;
};

static void *runner_thread(void *arg)
{
	struct runner *r = arg;

	if (r->prefault)
		r->error = minivm_prefault(&vm, 0, 0, vm.npages);
	else
		r->done = minivm_run(&vm, 0, true);
	r->returned = true;
	return NULL;
}

static void start_runner(struct runner *r, bool with_prefault)
{
	*r = (struct runner) { .prefault = with_prefault };
	if (pthread_create(&r->thread, NULL, runner_thread, r))
		die("pthread_create failed");
}

/* The guest makes no progress any more: nothing else than a stall does that. */
static void wait_stalled(const struct runner *r)
{
	volatile uint32_t *left = &vm.vcpu[0].args->ops;
	struct hermit_stats before, after;
	uint32_t seen;

	do {
		seen = *left;
		minivm_region_stats(&vm, &before);
		usleep(500 * 1000);
		minivm_region_stats(&vm, &after);
		if (r->returned)
			die("the vCPU went on although the server is stopped");
	} while (*left != seen || before.fetches != after.fetches ||
		 before.parked != after.parked || !after.parked);
}

/* What userspace does with its big lock held. */
static void update_memslots(const struct runner *r)
{
	static uint8_t page[MINIVM_PAGE] __attribute__((aligned(MINIVM_PAGE)));
	struct kvm_userspace_memory_region slot = {
		.slot = 2, .guest_phys_addr = 3UL << 30, .userspace_addr = (uintptr_t)page,
	};

	for (int i = 0; i < 20; i++) {
		slot.memory_size = i % 2 ? 0 : sizeof(page);
		if (ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &slot))
			die("memory slot 2: %s", strerror(errno));
		minivm_set_slot(&vm, i % 2 ? 0 : KVM_MEM_LOG_DIRTY_PAGES, true);
	}
	if (r->returned)
		die("the vCPU returned meanwhile");
}

static unsigned long interrupt(struct runner *r, const char *what)
{
	uint64_t exits = minivm_stat(&vm, 0, "signal_exits");
	unsigned long errors;
	double t = now();

	pthread_kill(r->thread, SIGUSR1);
	pthread_join(r->thread, NULL);
	printf("%s_ms %.1f\n", what, (now() - t) * 1e3);
	if (r->prefault)
		return expect(-r->error, EINTR, "error of an interrupted KVM_PRE_FAULT_MEMORY");
	errors = expect(r->done, false, "an interrupted vCPU halted");
	return errors + expect(minivm_stat(&vm, 0, "signal_exits") - exits, 1, "signal exits");
}

static sigjmp_buf away;

static void on_timer(int sig)
{
	siglongjmp(away, 1);
}

/* Have a page's read begun by one who goes away: nobody waits for it then. */
static uint32_t abandon_read(void)
{
	struct sigaction action = { .sa_handler = on_timer };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	struct itimerspec t = { .it_value.tv_nsec = 300 * 1000 * 1000 }, none = { 0 };
	volatile uint32_t page = vm.npages;
	timer_t timer;

	sigaction(SIGUSR2, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		die("timer_create: %s", strerror(errno));
	while (page--) {
		timer_settime(timer, 0, &t, NULL);
		if (sigsetjmp(away, 1))
			break;
		(void)*(volatile uint8_t *)(vm.pages + page * MINIVM_PAGE);
		/* it was here */
		timer_settime(timer, 0, &none, NULL);
	}
	timer_delete(timer);
	if (page > vm.npages)
		die("no page is on the server");
	return page;
}

/* Is there an event of @type within @ms? Those before it are dropped. */
static bool told(uint32_t type, int ms)
{
	struct pollfd p = { .fd = vm.control, .events = POLLIN };
	struct hermit_event_record e;
	double end = now() + ms * 1e-3;

	while (now() < end) {
		if (poll(&p, 1, (end - now()) * 1e3 + 1) > 0 &&
		    read(vm.control, &e, sizeof(e)) == sizeof(e) && e.type == type)
			return true;
	}
	return false;
}

static int park(void)
{
	struct sigaction alarm_action = { .sa_handler = on_alarm };
	struct sigaction signal_action = { .sa_handler = on_signal };
	struct minivm_args *a = vm.vcpu[0].args;
	unsigned long errors = 0;
	struct hermit_stats st;
	struct runner r;

	if (!server_pid)
		die("park needs --pause PID, the memory server's");
	sigaction(SIGALRM, &alarm_action, NULL);
	sigaction(SIGUSR1, &signal_action, NULL);

	push_out();
	kill(server_pid, SIGSTOP);
	alarm(100);
	/* far above what each step takes, far below what the server is stopped */
	minivm_program(&vm, a, 0, 1);
	minivm_reset(&vm, 0, false);

	start_runner(&r, false);
	wait_stalled(&r);
	print("stalled_after_ops", a->count - a->ops);
	update_memslots(&r);
	errors += interrupt(&r, "interrupt");

	/* It comes back to the request it left. */
	start_runner(&r, false);
	wait_stalled(&r);
	errors += interrupt(&r, "interrupt_again");

	start_runner(&r, true);
	wait_stalled(&r);
	update_memslots(&r);
	errors += interrupt(&r, "interrupt_prefault");

	/*
	 * The only one to wait for a read that another began: a stall as well. It
	 * is one of its own a second after the last who gave up; within that it is
	 * the old one, which was told of.
	 */
	minivm_program(&vm, a, 0, 1);
	a->next = abandon_read();
	minivm_reset(&vm, 0, false);
	told(0, 1500);
	start_runner(&r, false);
	errors += expect(told(HERMIT_EVENT_STALL_BEGIN, 30000), true, "told of a stall behind another's read");
	errors += interrupt(&r, "interrupt_joined");

	start_runner(&r, false);
	usleep(500 * 1000);
	kill(server_pid, SIGCONT);
	pthread_join(r.thread, NULL);
	alarm(0);
	errors += expect(r.done, true, "the vCPU went on to the end");
	errors += expect(a->errors, 0, "errors");
	errors += sweep(0, vm.npages, false);
	minivm_region_stats(&vm, &st);
	print("wait_mmap_long", st.wait_mmap_long);
	return errors != 0;
}

/* --- order ----------------------------------------------------------------- */

/*
 * All pages are accessed as often, so who was there longest goes first: what is
 * left is the end of the last sweep.
 */
static int order(void)
{
	static uint8_t state[MINIVM_MAX_PAGES];
	struct hermit_pagemap m = { .size = sizeof(m), .nr_pages = vm.npages,
				    .states = (uintptr_t)state };
	unsigned long errors = 0, runs = 0, local = 0;

	minivm_set_policy(&vm, &(struct hermit_policy) {
		.set = HERMIT_POLICY_PREFETCH | HERMIT_POLICY_THREADS, .threads = 1,
	});
	errors += sweep(0, vm.npages, true);
	for (uint32_t i = 0; i < rounds; i++)
		errors += sweep(0, vm.npages, false);
	if (ioctl(vm.control, HERMIT_GET_PAGEMAP, &m))
		die("pagemap: %s", strerror(errno));
	for (uint32_t i = 0; i < vm.npages; i++) {
		bool here = state[i] == HERMIT_PAGE_LOCAL;

		local += here;
		runs += here && state[i ? i - 1 : vm.npages - 1] != HERMIT_PAGE_LOCAL;
	}
	print("local_pages", local);
	print("local_runs", runs);
	return errors != 0;
}

/* --- bench ----------------------------------------------------------------- */

static int bench(void)
{
	if (!config.anonymous && prefetch >= 0)
		minivm_set_policy(&vm, &(struct hermit_policy) {
			.set = HERMIT_POLICY_PREFETCH, .prefetch = prefetch,
		});
	return mini_bench(&vm, rounds, with_uffd);
}

/* --- burst ----------------------------------------------------------------- */

static void set_threads(uint32_t n)
{
	minivm_set_policy(&vm, &(struct hermit_policy) {
		.set = HERMIT_POLICY_THREADS, .threads = n,
	});
}

/* Pages given up so far, by whomever. */
static uint64_t evictions(void)
{
	struct hermit_stats st;

	minivm_region_stats(&vm, &st);
	return st.evicted_clean + st.evicted_dirty + st.evicted_zero;
}

/*
 * All vCPUs touch @ops pages each, at random, then nobody does anything for as
 * long as that took: half of the CPUs' time is idle if there are as many CPUs
 * as vCPUs. The second half of the bursts is measured, when feedback has
 * learned.
 */
static int burst(void)
{
	unsigned long errors = 0;
	struct hermit_stats st;
	uint64_t waits = 0, evicted = 0, faults = 0;
	double t, busy = 0;

	set_threads(threads);
	for (uint32_t i = 0; i < rounds; i++) {
		if (i == rounds / 2) {
			minivm_region_stats(&vm, &st);
			waits = st.room_waits;
			evicted = evictions();
			faults = st.fetches;
			busy = 0;
		}
		t = now();
		errors += minivm_run_all(&vm, config.vcpus, ops, seed + i, 1, false);
		t = now() - t;
		busy += t;
		usleep(t * 1000000);
	}
	minivm_region_stats(&vm, &st);
	printf("burst threads %u direct-reclaims %llu fetches %llu evictions %lu ms-per-burst %.1f threads-now %u\n",
	       threads, st.room_waits - waits, st.fetches - faults,
	       evictions() - evicted, busy * 1000 / (rounds - rounds / 2),
	       st.threads_now);
	return errors != 0;
}

/* --- main ------------------------------------------------------------------ */

static const struct command {
	const char *name;
	int (*run)(void);
	bool needs_region;
} commands[] = {
	{ "stress", stress, false },
	{ "dirty-log", dirty_log, false },
	{ "dirty", dirty, true },
	{ "prefault", prefault, true },
	{ "park", park, true },
	{ "order", order, true },
	{ "bench", bench, false },
	{ "burst", burst, true },
};

static const struct option options[] = {
	{ "size", required_argument, NULL, 's' },	/* MiB */
	{ "limit", required_argument, NULL, 'l' },	/* MiB */
	{ "spread", required_argument, NULL, 'w' },	/* for bench: the region is so many times --size */
	{ "server", required_argument, NULL, 'S' },
	{ "vcpus", required_argument, NULL, 'v' },
	{ "hosts", required_argument, NULL, 'h' },	/* host threads */
	{ "ops", required_argument, NULL, 'o' },	/* of each thread and round */
	{ "rounds", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 'x' },
	{ "pause", required_argument, NULL, 'p' },
	{ "threads", required_argument, NULL, 't' },	/* for burst; 0: by feedback */
	{ "prefetch", required_argument, NULL, 'f' },	/* for bench: pages beside a fault */
	{ "anon", no_argument, NULL, 'a' },		/* no region: for comparison */
	{ "huge", no_argument, NULL, 'H' },		/* with --anon: as large pages as the host likes */
	{ "uffd", no_argument, NULL, 'u' },		/* the same, for bench */
	{ "smm", no_argument, NULL, 'm' },		/* every other round in SMM */
	{ NULL, 0, NULL, 0 },
};

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': config.size = strtoull(optarg, NULL, 0) << 20; break;
		case 'l': config.limit = strtoull(optarg, NULL, 0) << 20; break;
		case 'w': config.spread = atoi(optarg); break;
		case 'S':
			config.servers[0] = optarg;
			config.nr_servers = 1;
			break;
		case 'v': config.vcpus = atoi(optarg); break;
		case 'h': hosts = atoi(optarg); break;
		case 'o': ops = strtoul(optarg, NULL, 0); break;
		case 'r': rounds = strtoul(optarg, NULL, 0); break;
		case 'x': seed = strtoul(optarg, NULL, 0); break;
		case 'p': server_pid = atoi(optarg); break;
		case 't': threads = atoi(optarg); break;
		case 'f': prefetch = atoi(optarg); break;
		case 'a': config.anonymous = true; break;
		case 'H': config.huge = true; break;
		case 'u': config.anonymous = with_uffd = true; break;
		case 'm': config.smm = true; break;
		default: exit(2);
		}
	}
	if (config.vcpus < 1 || config.vcpus > MINIVM_MAX_VCPUS)
		die("--vcpus must be 1 to %u", MINIVM_MAX_VCPUS);
	if (hosts > 8)
		die("--hosts must be 0 to 8");
	if (!seed)
		die("--seed must not be 0");
}

int main(int argc, char **argv)
{
	const struct command *cmd = NULL;
	double t;
	int r;

	parse_options(argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (optind == argc - 1 && !strcmp(argv[optind], commands[i].name))
			cmd = &commands[i];
	if (!cmd)
		die("which one: stress, dirty-log, dirty, prefault, park, order, bench or burst?");
	if (cmd->needs_region && config.anonymous)
		die("%s needs a region, not --anon", cmd->name);
	if (config.spread && cmd->run != bench)
		die("--spread is for bench");
	config.dirty_log = cmd->run == dirty_log;
	config.ends = cmd->run == bench || cmd->run == burst;
	config.fault_timeout_ms = cmd->run == park ? 3000 : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);	/* of what hangs, see how far it came */

	minivm_create(&vm, &config);
	t = now();
	r = cmd->run();
	printf("seconds %.2f\n", now() - t);
	if (vm.fd >= 0)
		print_stats();
	minivm_destroy(&vm);
	return r;
}
