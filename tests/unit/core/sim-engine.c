// SPDX-License-Identifier: GPL-2.0-or-later
/* The world of the simulator: events, pages, CPUs. See sim.h. */
#include <math.h>
#include <stdlib.h>

#include "sim.h"
#include "check.h"

/* As in the paper and docs/anchors.md; see the struct. */
struct sim_costs sim_costs = {
	.access = 300,
	.fault = 1200,
	.fetch = 9000,
	.page = 4525,
	.direct_page = 13000,
	.wake_latency = 30 * US,
	.wake = 3 * US,
	.contention = 4,
};

#define ABSENT		0	/* never there yet */
#define RESIDENT	1
#define ACCESSED	2
#define REMOTE		4

enum agent_kind { VCPU, THREAD };
enum agent_state { WAITING, CHARGING, DIRECT, FETCHING, ASLEEP, WAKING, BATCH,
		   QUEUED };

struct vm;

struct agent {
	enum agent_kind kind;
	enum agent_state state;
	struct vm *vm;
	unsigned int index;
	u64 at;			/* when it does its next thing */
	u64 began;
	bool active;		/* on a CPU, or spinning there */
	/* of a vCPU */
	uint64_t random;
	u64 arrival;
	unsigned int phase;
	u32 page;
};

struct vm {
	struct sim *sim;
	unsigned int id;
	struct sim_vm_config c;
	u8 *pages;
	u64 *evicted_nr;		/* the number of the eviction */
	u64 evictions;
	u32 hand;
	u64 used, limit, limit_phase;
	unsigned int charges;
	struct hermit_sched sched;
	struct hermit_sched_counters counters;
	struct hermit_share share;
	struct agent vcpus[SIM_MAX_VCPUS], threads[SIM_MAX_THREADS];
	unsigned int wanted, running, changes;
	struct sim_result r;
};

struct sim {
	u64 now;
	unsigned int cpus, cap;
	unsigned int active, active_threads;	/* agents on CPUs */
	unsigned int running, running_max;	/* batches of the host */
	u64 host_pass;
	uint64_t seed;
	struct vm **vms;
	unsigned int nr_vms;
	struct agent **heap;
	unsigned int nr_heap, live_vcpus;
	struct agent **queue;			/* threads that wait for the cap */
	unsigned int nr_queue;
	struct sim_sample *samples;
	unsigned int nr_samples;
	u64 sampled_faults;
};

/* ---- a heap of agents by time ---- */

static bool before(const struct agent *a, const struct agent *b)
{
	return a->at < b->at;
}

static void push(struct sim *s, struct agent *a)
{
	unsigned int i = s->nr_heap++;

	while (i && before(a, s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = a;
}

static struct agent *pop(struct sim *s)
{
	struct agent *top = s->heap[0], *last = s->heap[--s->nr_heap];
	unsigned int i = 0, child;

	while ((child = 2 * i + 1) < s->nr_heap) {
		if (child + 1 < s->nr_heap &&
		    before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

/* ---- CPUs ---- */

static void set_active(struct sim *s, struct agent *a, bool active)
{
	if (a->active == active)
		return;
	a->active = active;
	s->active += active ? 1 : -1U;
	if (a->kind == THREAD)
		s->active_threads += active ? 1 : -1U;
}

/* How long @ns of work take now; what reclaim adds to it goes to *@lost. */
static u64 stretch(const struct sim *s, u64 ns, u64 *lost)
{
	const unsigned int others = s->active - s->active_threads;
	u64 with = ns, without = ns;

	if (s->active > s->cpus)
		with = ns * s->active / s->cpus;
	if (others > s->cpus)
		without = ns * others / s->cpus;
	if (lost)
		*lost += with - without;
	return with;
}

/* ---- pages ---- */

/* The clock: evict up to @n pages. */
static unsigned int evict(struct vm *vm, unsigned int n)
{
	unsigned int done = 0, scanned;

	for (scanned = 0; done < n && scanned < 2 * vm->c.npages; scanned++) {
		u8 *p = &vm->pages[vm->hand];

		if (*p & ACCESSED) {
			*p &= (u8)~ACCESSED;
		} else if (*p & RESIDENT) {
			*p = REMOTE;
			vm->evicted_nr[vm->hand] = vm->evictions++;
			vm->used--;
			done++;
		}
		vm->hand = (vm->hand + 1) % vm->c.npages;
	}
	return done;
}

/* ---- the policy's part ---- */

static unsigned int ask(struct vm *vm)
{
	struct sim *s = vm->sim;
	const struct sim_policy *p = &vm->c.policy;
	unsigned int wanted;

	if (p->feedback)
		wanted = hermit_sched_update(&vm->sched, s->now, vm->used,
					     vm->limit, vm->running,
					     &vm->counters);
	else
		wanted = vm->used + p->threshold > vm->limit ? p->threads : 0;
	vm->changes += wanted != vm->wanted;
	vm->wanted = wanted;
	return wanted;
}

static void kick(struct vm *vm)
{
	struct sim *s = vm->sim;
	const unsigned int wanted = ask(vm);
	unsigned int i;

	for (i = 0; i < wanted; i++) {
		struct agent *a = &vm->threads[i];

		if (a->state != ASLEEP)
			continue;
		if (!vm->running)
			hermit_share_join(&vm->share, s->host_pass);
		a->state = WAKING;
		a->at = s->now + sim_costs.wake_latency;
		vm->running++;
		vm->r.wakes++;
		vm->r.cpu += sim_costs.wake;
		push(s, a);
	}
}

static void begin_batch(struct agent *a)
{
	struct vm *vm = a->vm;
	struct sim *s = vm->sim;
	unsigned int batches = 0, i;
	u64 ns;

	s->running++;
	if (s->running > s->running_max)
		s->running_max = s->running;
	set_active(s, a, true);
	for (i = 0; i < vm->c.policy.threads; i++)
		batches += vm->threads[i].state == BATCH;
	ns = SIM_BATCH * sim_costs.page;
	ns += ns * sim_costs.contention * batches / 100;
	vm->r.cpu += ns;
	a->state = BATCH;
	a->began = s->now;
	a->at = s->now + stretch(s, ns, NULL);
	push(s, a);
}

static void want_batch(struct agent *a)
{
	struct sim *s = a->vm->sim;

	if (s->cap && s->running >= s->cap) {
		a->state = QUEUED;
		s->queue[s->nr_queue++] = a;
		return;
	}
	begin_batch(a);
}

static void next_queued(struct sim *s)
{
	unsigned int i, first = 0;

	if (!s->nr_queue)
		return;
	for (i = 1; i < s->nr_queue; i++)
		if (hermit_share_before(&s->queue[i]->vm->share,
					&s->queue[first]->vm->share))
			first = i;
	begin_batch(s->queue[first]);
	s->queue[first] = s->queue[--s->nr_queue];
}

static void end_batch(struct agent *a)
{
	struct vm *vm = a->vm;
	struct sim *s = vm->sim;
	const unsigned int n = evict(vm, SIM_BATCH);

	s->running--;
	set_active(s, a, false);
	vm->r.reclaimed += n;
	vm->counters.reclaimed += n;
	vm->counters.busy_ns += s->now - a->began;
	hermit_share_charge(&vm->share, n, &s->host_pass);
	if (s->live_vcpus)
		next_queued(s);
	/* The trace is over when the last vCPU is. */
	if (s->live_vcpus && a->index < ask(vm)) {
		want_batch(a);
	} else {
		a->state = ASLEEP;
		vm->running--;
	}
}

/* ---- vCPUs ---- */

static void set_limit(struct vm *vm, u64 limit)
{
	if (!limit || limit == vm->limit)
		return;
	vm->limit = limit;
	kick(vm);
}

/* The next arrival of the trace; false at its end. */
static bool next_arrival(struct agent *a)
{
	struct vm *vm = a->vm;
	const struct sim_phase *ph;
	u64 end = 0;
	unsigned int i;
	double u;

	for (i = 0; i <= a->phase; i++)
		end += vm->c.phases[i].length;
	for (;;) {
		ph = &vm->c.phases[a->phase];
		if (ph->rate && a->index < ph->vcpus) {
			u = (double)(check_random(&a->random) >> 11) / 9007199254740992.0;
			a->arrival += 1 + (u64)(-log(1 - u) * 1e9 / ph->rate);
			if (a->arrival < end)
				break;
		}
		a->arrival = end;
		if (++a->phase == vm->c.nr_phases)
			return false;
		end += vm->c.phases[a->phase].length;
	}
	if (check_random(&a->random) % 100 < ph->hot_percent)
		a->page = (ph->hot_base + (u32)(check_random(&a->random) % ph->hot_pages)) %
			  vm->c.npages;
	else
		a->page = (u32)(check_random(&a->random) % ph->pages);
	return true;
}

/* The access is over: wait for the next one to arrive. */
static void rest(struct agent *a)
{
	struct sim *s = a->vm->sim;

	set_active(s, a, false);
	a->vm->r.accesses++;
	if (!next_arrival(a)) {
		s->live_vcpus--;
		return;
	}
	a->state = WAITING;
	a->at = a->arrival > s->now ? a->arrival : s->now;
	push(s, a);
}

static void fetch(struct agent *a)
{
	struct vm *vm = a->vm;
	struct sim *s = vm->sim;
	const u32 p = a->page;
	u64 ns = 0;

	vm->used++;
	vm->counters.charged++;
	if (vm->pages[p] & REMOTE) {
		vm->r.refaults++;
		vm->counters.refaults++;
		/* Had all of the limit been used it would still be there. */
		if (vm->evictions - vm->evicted_nr[p] < vm->limit - vm->used) {
			vm->r.early++;
			vm->counters.early++;
		}
		ns = sim_costs.fetch;
	}
	vm->r.stall_fetch += ns;
	if (++vm->charges % HERMIT_SCHED_CHARGES == 0)
		kick(vm);
	a->state = FETCHING;
	a->at = s->now + ns;
	push(s, a);
}

static void charge(struct agent *a)
{
	struct vm *vm = a->vm;
	struct sim *s = vm->sim;
	u64 ns = SIM_BATCH * sim_costs.direct_page;

	if (vm->used < vm->limit) {
		fetch(a);
		return;
	}
	vm->r.direct++;
	vm->counters.direct++;
	vm->r.cpu += ns;
	ns = stretch(s, ns, NULL);
	vm->r.stall_direct += ns;
	a->state = DIRECT;
	a->at = s->now + ns;
	push(s, a);
	kick(vm);
}

static void access_page(struct agent *a)
{
	struct vm *vm = a->vm;
	struct sim *s = vm->sim;
	u8 *p = &vm->pages[a->page];
	u64 ns = sim_costs.access;

	set_active(s, a, true);
	if (!(*p & RESIDENT)) {
		ns += sim_costs.fault;
		vm->r.stall_fetch += sim_costs.fault;
	}
	a->at = s->now + stretch(s, ns, &vm->r.stall_cpu);
	a->state = CHARGING;
	push(s, a);
}

static void vcpu_event(struct agent *a)
{
	struct vm *vm = a->vm;
	u8 *p = &vm->pages[a->page];

	switch (a->state) {
	case WAITING:
		/* A limit goes with its phase, whoever gets there first. */
		while (vm->limit_phase <= a->phase)
			set_limit(vm, vm->c.phases[vm->limit_phase++].limit);
		access_page(a);
		return;
	case CHARGING:
		if (*p & RESIDENT) {
			*p |= ACCESSED;
			rest(a);
			return;
		}
		vm->r.faults++;
		charge(a);
		return;
	case DIRECT:
		evict(vm, SIM_BATCH);
		charge(a);
		return;
	default:
		/* Another vCPU fetched it too: one of the two is freed. */
		if (*p & RESIDENT)
			vm->used--;
		*p = RESIDENT | ACCESSED;
		rest(a);
	}
}

/* ---- the world ---- */

static void sample(struct sim *s)
{
	struct vm *vm = s->vms[0];
	struct sim_sample *x;

	if ((s->nr_samples & (s->nr_samples - 1)) == 0) {
		s->samples = realloc(s->samples, sizeof(*x) *
				     (s->nr_samples ? 2 * s->nr_samples : 1));
		if (!s->samples)
			abort();
	}
	x = &s->samples[s->nr_samples++];
	x->used = vm->used;
	x->limit = vm->limit;
	hermit_sched_marks(&vm->sched, vm->limit, &x->low, &x->high);
	x->gap = vm->sched.gap;
	x->faults = vm->r.faults - s->sampled_faults;
	x->direct = vm->r.direct;
	x->wanted = vm->wanted;
	x->running = vm->running;
	x->changes = vm->changes;
	vm->changes = 0;
	s->sampled_faults = vm->r.faults;
}

void sim_run(struct sim *s)
{
	unsigned int i, v;
	u64 next = 0;

	for (v = 0; v < s->nr_vms; v++)
		for (i = 0; i < s->vms[v]->c.vcpus; i++) {
			struct agent *a = &s->vms[v]->vcpus[i];

			if (!next_arrival(a))
				continue;
			s->live_vcpus++;
			a->at = a->arrival;
			push(s, a);
		}
	while (s->nr_heap) {
		struct agent *a = pop(s);

		while (next <= a->at) {
			s->now = next;
			sample(s);
			next += MS;
		}
		s->now = a->at;
		/* Threads go on until they have nothing to do. */
		if (!s->live_vcpus && a->kind == THREAD && a->state != BATCH)
			continue;
		if (a->kind == VCPU)
			vcpu_event(a);
		else if (a->state == WAKING)
			want_batch(a);
		else
			end_batch(a);
	}
	for (v = 0; v < s->nr_vms; v++)
		s->vms[v]->r.end = s->now;
}

struct sim *sim_new(unsigned int cpus, unsigned int host_cap, uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->cpus = cpus;
	s->cap = host_cap;
	s->seed = seed;
	return s;
}

unsigned int sim_add_vm(struct sim *s, const struct sim_vm_config *c)
{
	const unsigned int id = s->nr_vms++;
	struct vm *vm = calloc(1, sizeof(*vm));
	unsigned int i, agents = s->nr_vms * (SIM_MAX_THREADS + SIM_MAX_VCPUS);

	if (!vm)
		abort();
	vm->sim = s;
	vm->id = id;
	vm->c = *c;
	vm->limit = c->phases[0].limit;
	vm->share.weight = c->weight;
	vm->pages = calloc(c->npages, 1);
	vm->evicted_nr = calloc(c->npages, sizeof(u64));
	s->vms = realloc(s->vms, s->nr_vms * sizeof(*s->vms));
	s->heap = realloc(s->heap, agents * sizeof(*s->heap));
	s->queue = realloc(s->queue, agents * sizeof(*s->queue));
	if (!vm->pages || !vm->evicted_nr || !s->vms ||
	    !s->heap || !s->queue)
		abort();
	s->vms[id] = vm;
	hermit_sched_init(&vm->sched, c->policy.threads, 0);
	for (i = 0; i < SIM_MAX_VCPUS; i++) {
		struct agent *a = &vm->vcpus[i];

		a->kind = VCPU;
		a->vm = vm;
		a->index = i;
		a->random = (s->seed << 20) + id * 64ULL + i + 1;
		check_random(&a->random);
	}
	for (i = 0; i < SIM_MAX_THREADS; i++) {
		vm->threads[i].kind = THREAD;
		vm->threads[i].state = ASLEEP;
		vm->threads[i].vm = vm;
		vm->threads[i].index = i;
	}
	return id;
}

void sim_free(struct sim *s)
{
	unsigned int v;

	for (v = 0; v < s->nr_vms; v++) {
		free(s->vms[v]->pages);
		free(s->vms[v]->evicted_nr);
		free(s->vms[v]);
	}
	free(s->vms);
	free(s->heap);
	free(s->queue);
	free(s->samples);
	free(s);
}

const struct sim_result *sim_vm_result(const struct sim *s, unsigned int vm)
{
	return &s->vms[vm]->r;
}

const struct sim_sample *sim_samples(const struct sim *s, unsigned int *n)
{
	*n = s->nr_samples;
	return s->samples;
}

unsigned int sim_host_running_max(const struct sim *s)
{
	return s->running_max;
}
