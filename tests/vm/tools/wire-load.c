// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The load of tests/bench/run wire and wire-delay: one vCPU of the smallest VM
 * (minivm.h) goes over pages.
 *
 *	wire-load --server ADDRESS... [--replicas N] [--size MIB] [--limit MIB] [--batch N] [--latency N]
 *	wire-load --cgroup DIR [--size MIB] [--latency N]	anonymous memory
 *
 * With --latency: N accesses at random, half of them writes, and prints
 * "latency accesses N fetched N p50-us US p99-us US p99.9-us US max-us US ops/s N",
 * as the guest's TSC saw them, which must tick once a nanosecond.
 *
 * Otherwise in order, one access each, phases: `evict`, writing for the first time
 * more than fits, so that nothing is fetched and a dirty page leaves for each; `churn`,
 * reading more than fits, so that every access fetches a page and a clean one leaves;
 * `fetch`, reading what is remote after the limit was raised, so that nothing leaves.
 * Prefetch is off and waits are parked: one processor has to do what they wait for.
 *
 * Prints "phase NAME accesses N fetched N evicted N", and for each row of
 * hermit-count.ko "row PHASE ROW TICKS ENTRIES".
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minivm.h"

#define COUNT "/sys/kernel/debug/hermit_count/"

static struct minivm vm;
static const char *cgroup;

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		die("%s: %s", path, strerror(errno));
}

/* Pages read back from the device since the machine started. */
static uint64_t swapped_in(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	char name[64];
	uint64_t n;

	while (f && fscanf(f, "%63s %" SCNu64, name, &n) == 2)
		if (!strcmp(name, "pswpin")) {
			fclose(f);
			return n;
		}
	die("/proc/vmstat has no pswpin");
}

static uint64_t fetched(void)
{
	struct hermit_stats st;

	if (cgroup)
		return swapped_in();
	minivm_region_stats(&vm, &st);
	return st.fetches + st.prefetches;
}

/* Dirty ones; of anonymous memory 0. */
static uint64_t evicted(void)
{
	struct hermit_stats st;

	if (cgroup)
		return 0;
	minivm_region_stats(&vm, &st);
	return st.evicted_dirty;
}

static void sweep(bool write)
{
	struct minivm_args *a = vm.vcpu[0].args;

	minivm_program(&vm, a, 0, 1);
	a->ops = a->count = vm.npages;
	a->write_mask = write ? ~0u : 0;
	minivm_reset(&vm, 0, false);
	minivm_run(&vm, 0, false);
	if (a->errors)
		die("page %u is not what was written", a->bad_page);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void latency(uint32_t accesses)
{
	struct minivm_args *a = vm.vcpu[0].args;
	uint64_t before = fetched(), sum = 0;
	const uint32_t *t = vm.timings;

	minivm_program(&vm, a, 0, 1);
	minivm_time(a, accesses);
	a->seed = 20261122;
	a->write_mask = 1;
	minivm_reset(&vm, 0, false);
	minivm_run(&vm, 0, false);
	qsort(vm.timings, accesses, sizeof(*t), by_size);
	for (uint32_t i = 0; i < accesses; i++)
		sum += t[i];
	printf("latency accesses %u fetched %" PRIu64
	       " p50-us %.1f p99-us %.1f p99.9-us %.1f max-us %.1f ops/s %.0f\n",
	       accesses, fetched() - before, t[accesses / 2] * 1e-3,
	       t[accesses - 1 - accesses / 100] * 1e-3, t[accesses - 1 - accesses / 1000] * 1e-3,
	       t[accesses - 1] * 1e-3, accesses * 1e9 / sum);
}

static void phase(const char *name, bool write)
{
	uint64_t before = fetched(), out = evicted(), ticks, entries;
	char row[64];
	FILE *f;

	write_file(COUNT "ctl", "start");
	sweep(write);
	write_file(COUNT "ctl", "stop");
	printf("phase %s accesses %u fetched %" PRIu64 " evicted %" PRIu64 "\n", name, vm.npages,
	       fetched() - before, evicted() - out);
	f = fopen(COUNT "rows", "r");
	while (f && fscanf(f, "%63s %" SCNu64 " %" SCNu64, row, &ticks, &entries) == 3)
		printf("row %s %s %" PRIu64 " %" PRIu64 "\n", name, row, ticks, entries);
	if (!f)
		die(COUNT "rows: %s", strerror(errno));
	fclose(f);
}

static void set_policy(uint32_t batch)
{
	minivm_set_policy(&vm, &(struct hermit_policy) {
		.set = HERMIT_POLICY_PREFETCH | HERMIT_POLICY_WAIT | (batch ? HERMIT_POLICY_BATCH : 0),
		.prefetch = 0,
		.wait = HERMIT_POLICY_WAIT_PARK,
		.batch = batch,
	});
}

static void raise_limit(void)
{
	struct hermit_stats st;
	char path[256];
	uint64_t before;

	if (cgroup) {
		snprintf(path, sizeof(path), "%s/memory.max", cgroup);
		write_file(path, "max");
		return;
	}
	minivm_set_limit(&vm, vm.config.size);
	do {	/* until reclaim has come to rest */
		minivm_region_stats(&vm, &st);
		before = st.zap_batches;
		usleep(200 * 1000);
		minivm_region_stats(&vm, &st);
	} while (st.zap_batches != before);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "limit", required_argument, NULL, 'l' },
		{ "server", required_argument, NULL, 'S' },
		{ "replicas", required_argument, NULL, 'R' },
		{ "cgroup", required_argument, NULL, 'c' },
		{ "latency", required_argument, NULL, 'n' },
		{ "batch", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	struct minivm_config config = {
		.size = 64UL << 20, .limit = 16UL << 20, .vcpus = 1, .ends = true,
	};
	uint32_t accesses = 0, batch = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': config.size = strtoull(optarg, NULL, 0) << 20; break;
		case 'l': config.limit = strtoull(optarg, NULL, 0) << 20; break;
		case 'S':
			if (config.nr_servers == HERMIT_MAX_SERVERS)
				die("--server: %u at most", HERMIT_MAX_SERVERS);
			config.servers[config.nr_servers++] = optarg;
			break;
		case 'R': config.replicas = atoi(optarg); break;
		case 'c': cgroup = optarg; break;
		case 'b': batch = strtoul(optarg, NULL, 0); break;
		case 'n': accesses = strtoul(optarg, NULL, 0); break;
		default: exit(2);
		}
	}
	if (!config.nr_servers == !cgroup)
		die("either --server or --cgroup");
	config.anonymous = cgroup;
	setvbuf(stdout, NULL, _IOLBF, 0);

	minivm_create(&vm, &config);
	if (!cgroup)
		set_policy(batch);
	if (accesses)
		sweep(true);
	else
		phase("evict", true);
	/* This one still evicts what was written. */
	sweep(false);
	if (accesses) {
		latency(accesses);
		sweep(true);	/* and all that was written still stands */
	} else {
		phase("churn", false);
		raise_limit();
		phase("fetch", false);
	}
	minivm_destroy(&vm);
	return 0;
}
