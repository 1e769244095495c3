/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_SIM_H
#define HERMIT_TEST_SIM_H
/*
 * A simulator for the policy core: the code of kvm-module/core/ itself, in a
 * world of events. VMs have vCPUs that access pages at given times (a trace:
 * the same for every policy), a limit, a clock over their pages, and reclaim
 * threads that the policy wakes. One host has so many CPUs.
 *
 *	arrival ─► access ─► hit ────────────────────────────► next arrival
 *			└──► fault ─► charge ─► fetch ─► done ──┘
 *					│  no room
 *					└► direct reclaim (a stall)
 *
 * Where more is runnable than there are CPUs all of it runs slower; what a
 * vCPU loses to reclaim threads by that is a stall too.
 */
#include "core/sched.h"
#include "core/share.h"

#define US		1000ULL
#define MS		1000000ULL
#define SEC		1000000000ULL

#define SIM_BATCH	32
#define SIM_MAX_THREADS	16
#define SIM_MAX_VCPUS	16

/*
 * Costs in ns, from the paper (sections 3 and 6.4) and docs/anchors: a fault
 * of 1.2 us of software and 9.0 us of fetch, 221 K pages/s reclaimed by one
 * thread, 77 K by one that neither batches nor pipelines, which is what a
 * fault does that reclaims by itself.
 */
struct sim_costs {
	u64 access, fault, fetch;
	u64 page, direct_page;		/* reclaiming one page */
	u64 wake_latency, wake;		/* of a thread: until it runs; of CPU */
	unsigned int contention;	/* per cent for each further thread */
};

extern struct sim_costs sim_costs;

/* One phase of a VM's trace. */
struct sim_phase {
	u64 length;			/* ns */
	unsigned int rate;		/* accesses per second and vCPU; 0: idle */
	unsigned int vcpus;		/* that take part */
	u32 hot_base, hot_pages;	/* the part that most accesses go to */
	unsigned int hot_percent;
	u32 pages;			/* of which all others go to any */
	u64 limit;			/* from its beginning; 0: as before */
};

struct sim_policy {
	bool feedback;			/* the scheduler; else static threads */
	unsigned int threads;		/* at most, or always */
	u64 threshold;			/* static: they run below so many free */
};

struct sim_vm_config {
	u32 npages;
	unsigned int vcpus;
	const struct sim_phase *phases;
	unsigned int nr_phases;
	struct sim_policy policy;
	u32 weight;
};

struct sim_result {
	u64 accesses, faults, refaults, early, reclaimed, direct, wakes;
	u64 stall_fetch, stall_direct, stall_cpu; /* ns, summed over vCPUs */
	u64 cpu;			/* ns of reclaim, wherever done */
	u64 end;
};

/* What vCPUs wait for memory, whatever for: uapi's stall_ns. */
static inline u64 sim_stall(const struct sim_result *r)
{
	return r->stall_fetch + r->stall_direct + r->stall_cpu;
}

/* What is recorded once a millisecond. */
struct sim_sample {
	u64 used, limit, low, high, gap;
	u64 faults;			/* since the one before */
	u64 direct;			/* so far */
	unsigned int wanted, running;
	unsigned int changes;		/* of wanted, since the one before */
};

struct sim;

struct sim *sim_new(unsigned int cpus, unsigned int host_cap, uint64_t seed);
unsigned int sim_add_vm(struct sim *s, const struct sim_vm_config *c);
void sim_run(struct sim *s);		/* until every trace has ended */
void sim_free(struct sim *s);

const struct sim_result *sim_vm_result(const struct sim *s, unsigned int vm);
/* Samples of the first VM. */
const struct sim_sample *sim_samples(const struct sim *s, unsigned int *n);
unsigned int sim_host_running_max(const struct sim *s);

/* sim-draw.c: @results of feedback and of 0 to 8 static threads. 0 or 1. */
int sim_draw(const char *path, const struct sim *s,
	     const struct sim_result results[10]);

#endif /* HERMIT_TEST_SIM_H */
