// SPDX-License-Identifier: GPL-2.0-or-later
/* Coroutines, the choice of who goes on, virtual time, store buffers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include "fiber.h"

#define STACK		(128 * 1024)
#define MAX_FIBERS	512
#define MAX_STORES	16
#define POINT_NS	60		/* of virtual time that a switch point takes */

struct store {
	void *to;
	size_t size;
	unsigned char bytes[8];		/* what it stores, or hides, see below */
};

struct fiber {
	ucontext_t context;
	void *stack, *fake;
	const char *name;
	void (*fn)(void *);
	void *arg;
	uint64_t priority;
	bool over, softirq, begun, asleep, timed_out, alone;
	uint64_t until, stalled;	/* stalled: it has no CPU before then */
	int preempt, bh, rcu, cpu;
	uint64_t rcu_since;
	struct fiber *under;		/* softirq: the task that it interrupted */
	bool (*cond)(void *);
	void *cond_arg;
	struct store stores[MAX_STORES];
	int nr_stores;
	struct fiber_local local;
};

static struct fiber fibers[MAX_FIBERS], *self;
static int nr_fibers;
static ucontext_t home;
static void *home_fake;
static const void *home_stack;
static size_t home_size;
static uint64_t seed, rng, now, points, limit, drop_rate, lowest, rcu_clock;
static struct fiber *cpu_owner[FIBER_CPUS];
static bool quiet;			/* no switch now: the walk itself looks */
bool fiber_steady;

uint64_t fiber_random(uint64_t n)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15ULL);	/* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % n;
}

void fiber_fail(const char *fmt, ...)
{
	va_list ap;
	int i;

	fflush(stdout);
	fprintf(stderr, "FAILED, seed %llu, switch point %llu, %s: ",
		(unsigned long long)seed, (unsigned long long)points,
		self ? self->name : "walk");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	__sanitizer_print_stack_trace();
	for (i = 0; i < nr_fibers; i++)
		if (!fibers[i].over)
			fprintf(stderr, "  %s%s%s preempt=%d bh=%d rcu=%d\n",
				fibers[i].name,
				fibers[i].asleep ? " asleep" : "",
				fibers[i].until ? " until" : "",
				fibers[i].preempt, fibers[i].bh, fibers[i].rcu);
	exit(1);
}

struct fiber *fiber_self(void) { return self; }
bool fiber_rests(const struct fiber *f) { return f->asleep && !f->until; }
bool fiber_softirq(void) { return self && self->softirq; }
uint64_t fiber_now(void) { return now; }
uint64_t fiber_points(void) { return points; }
bool fiber_alone(void) { return self && self->alone; }
struct fiber_local *fiber_local(void)
{
	static struct fiber_local outside;

	return self ? &self->local : &outside;
}

struct fiber_local *fiber_local_of(struct fiber *f)
{
	return &f->local;
}

bool fiber_bh(void)
{
	return self && (self->bh || self->softirq);
}

/*
 * Memory holds what the fiber that runs sees. Its buffered stores are in memory,
 * and what they hide is in the buffer; when another one is to run they change
 * places, the youngest first, and back when it comes again. So plain loads need
 * no help, and a store of another fiber to the same word is not lost.
 */
static void store_swap(struct store *s)
{
	unsigned char tmp[8];

	if (__asan_region_is_poisoned(s->to, s->size))
		fiber_fail("a buffered store to memory that was freed, %p",
			   s->to);
	memcpy(tmp, s->to, s->size);
	memcpy(s->to, s->bytes, s->size);
	memcpy(s->bytes, tmp, s->size);
}

static void stores_hide(struct fiber *f)
{
	int i, n;

	if (!f->nr_stores)
		return;
	for (i = f->nr_stores; i--;)
		store_swap(&f->stores[i]);
	/* Some reach memory now, or none. */
	n = fiber_once_in(2) ? 0 : fiber_random(f->nr_stores + 1);
	for (i = 0; i < n; i++)
		memcpy(f->stores[i].to, f->stores[i].bytes, f->stores[i].size);
	f->nr_stores -= n;
	memmove(f->stores, f->stores + n, f->nr_stores * sizeof(f->stores[0]));
}

static void stores_show(struct fiber *f)
{
	int i;

	for (i = 0; i < f->nr_stores; i++)
		store_swap(&f->stores[i]);
}

void fiber_drain(void)
{
	if (self)
		self->nr_stores = 0;
}

void fiber_store(void *to, const void *from, size_t size)
{
	struct store *s;

	fiber_point();
	if (self && size <= sizeof(s->bytes)) {
		/* A full buffer waits for its oldest store. */
		if (self->nr_stores == MAX_STORES)
			self->nr_stores = 0;
		s = &self->stores[self->nr_stores++];
		s->to = to;
		s->size = size;
		memcpy(s->bytes, to, size);
	}
	memcpy(to, from, size);
}

/* A CPU that a softirq can run on now; -1: none. */
static int softirq_cpu(void)
{
	int first = fiber_random(FIBER_CPUS), i, cpu;

	for (i = 0; i < FIBER_CPUS; i++) {
		cpu = (first + i) % FIBER_CPUS;
		if (!cpu_owner[cpu] ||
		    (!cpu_owner[cpu]->bh && !cpu_owner[cpu]->softirq))
			return cpu;
	}
	return -1;
}

static bool can_run(struct fiber *f)
{
	int i;

	if (f->over || f->asleep || f->stalled > now)
		return false;
	if (f->softirq && !f->begun) {
		for (i = 0; i < FIBER_CPUS; i++)
			if (!cpu_owner[i] ||
			    (!cpu_owner[i]->bh && !cpu_owner[i]->softirq))
				return true;
		return false;
	}
	/* Interrupted: another one has its CPU. */
	return !f->preempt || cpu_owner[f->cpu] == f;
}

static struct fiber *best(void)
{
	struct fiber *f, *found = NULL;

	for (f = fibers; f < fibers + nr_fibers; f++) {
		if (f->asleep && f->until && f->until <= now) {
			f->asleep = false;
			f->timed_out = true;
		}
		if (can_run(f) && (!found || f->priority > found->priority))
			found = f;
	}
	return found;
}

/* Nobody can go on: the clock does. */
static struct fiber *next_timer(void)
{
	struct fiber *f, *found = NULL;
	bool left = false, stalled = false;
	uint64_t at, first = UINT64_MAX;

	for (f = fibers; f < fibers + nr_fibers; f++) {
		if (f->over)
			continue;
		left = true;
		at = f->asleep ? f->until : 0;
		stalled |= f->stalled > now;
		if (f->stalled > now && (!f->asleep || at))
			at = f->stalled > at ? f->stalled : at;
		if (at && at < first) {
			found = f;
			first = at;
		}
	}
	if (!found && left)
		fiber_fail("nobody can go on, and nobody waits for the time");
	if (!found)
		return NULL;
	quiet = true;
	/* Who is stalled may be about to tell. */
	for (f = fibers; f < fibers + nr_fibers && !stalled; f++)
		if (!f->over && f->asleep && f->cond && f->cond(f->cond_arg))
			fiber_fail("lost wake-up: all is at rest, what %s waits for is there, and nobody told it",
				   f->name);
	quiet = false;
	now = first;
	if (found->asleep) {
		found->asleep = false;
		found->timed_out = true;
		found->alone = !stalled;
	}
	return found;
}

static void switch_to(struct fiber *to)
{
	struct fiber *from = self;
	void **fake = from ? (from->over ? NULL : &from->fake) : &home_fake;

	if (to == from)
		return;
	if (from)
		stores_hide(from);
	self = to;
	if (to && to->softirq && !to->begun) {
		to->begun = true;
		to->cpu = softirq_cpu();
		to->under = cpu_owner[to->cpu];
		cpu_owner[to->cpu] = to;
	}
	if (to)
		stores_show(to);
	__sanitizer_start_switch_fiber(fake, to ? to->stack : home_stack,
				       to ? STACK : home_size);
	swapcontext(from ? &from->context : &home, to ? &to->context : &home);
	__sanitizer_finish_switch_fiber(from ? from->fake : home_fake, NULL,
					NULL);
}

static void go_on(void)
{
	struct fiber *to = best();

	switch_to(to ?: next_timer());
}

void fiber_point(void)
{
	if (!self || quiet)
		return;
	now += POINT_NS;
	if (++points > limit)
		fiber_fail("no end after %llu switch points",
			   (unsigned long long)limit);
	if (fiber_once_in(drop_rate)) {
		self->priority = fiber_once_in(2) ? --lowest :
						    lowest + fiber_random(1 << 20);
		/* Or its CPU is gone for a while. Those who spin for a lock would for as long. */
		if (!fiber_steady && fiber_once_in(4) && !self->asleep &&
		    !self->preempt && !self->bh && !self->softirq && !self->local.nr_held) {
			fiber_drain();
			self->stalled = now + fiber_random(1000ULL << fiber_random(16));
		}
	}
	go_on();
}

void fiber_yield(void)
{
	if (!self || quiet)
		return;
	self->priority = --lowest;
	fiber_point();
}

bool fiber_atomic(void)
{
	return self && (self->softirq || self->preempt || self->bh || self->rcu);
}

bool fiber_sleep(uint64_t until)
{
	if (fiber_atomic())
		fiber_fail("sleeps where it may not");
	fiber_drain();
	self->asleep = true;
	self->timed_out = false;
	self->alone = false;
	self->until = until;
	fiber_point();
	self->until = 0;
	self->cond = NULL;
	return self->timed_out;
}

void fiber_wake(struct fiber *f)
{
	fiber_drain();
	f->asleep = false;
}

void fiber_expect(bool (*cond)(void *), void *arg)
{
	self->cond = cond;
	self->cond_arg = arg;
}

void fiber_shift(uint64_t ns)
{
	struct fiber *f;

	now += ns;
	for (f = fibers; f < fibers + nr_fibers; f++) {
		if (f->until)
			f->until += ns;
		f->stalled += ns;
	}
}

int fiber_cpu(void)
{
	if (!self)
		return 0;
	if (!self->preempt && !self->softirq)
		self->cpu = fiber_random(FIBER_CPUS);
	return self->cpu;
}

void fiber_preempt_off(void)
{
	int first, i, cpu;

	if (!self)
		return;
	if (self->softirq || self->preempt++)
		return;
	self->preempt = 0;
	for (;;) {
		first = fiber_random(FIBER_CPUS);
		for (i = 0; i < FIBER_CPUS; i++) {
			cpu = (first + i) % FIBER_CPUS;
			if (cpu_owner[cpu])
				continue;
			cpu_owner[cpu] = self;
			self->cpu = cpu;
			self->preempt = 1;
			return;
		}
		fiber_yield();
	}
}

void fiber_preempt_on(void)
{
	if (!self || self->softirq || --self->preempt)
		return;
	if (cpu_owner[self->cpu] != self)
		fiber_fail("its CPU is another one's");
	/* The buffer is the CPU's: who has it next sees these stores. */
	fiber_drain();
	cpu_owner[self->cpu] = NULL;
}

void fiber_bh_off(void)
{
	fiber_preempt_off();
	if (self)
		self->bh++;
}

void fiber_bh_on(void)
{
	if (self)
		self->bh--;
	fiber_preempt_on();
}

void fiber_rcu_enter(void)
{
	if (self && !self->rcu++)
		self->rcu_since = ++rcu_clock;
}

void fiber_rcu_leave(void)
{
	if (self)
		self->rcu--;
	fiber_point();
}

void fiber_rcu_wait(void)
{
	uint64_t start = rcu_clock;
	struct fiber *f;

	if (fiber_atomic())
		fiber_fail("waits for RCU where it may not");
	fiber_drain();
	for (f = fibers; f < fibers + nr_fibers; f++)
		while (!f->over && f->rcu && f->rcu_since <= start)
			fiber_yield();
}

static void fiber_main(void)
{
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(NULL, &bottom, &size);
	/* The very first one comes from home. */
	if (!home_size) {
		home_stack = bottom;
		home_size = size;
	}
	self->fn(self->arg);
	fiber_drain();
	if (self->local.nr_held || self->preempt || self->bh || self->rcu)
		fiber_fail("ends with a lock held");
	if (self->softirq)
		cpu_owner[self->cpu] = self->under;
	self->over = true;
	go_on();
	abort();
}

struct fiber *fiber_start(const char *name, void (*fn)(void *), void *arg,
			  bool softirq, uint64_t delay)
{
	struct fiber *f = fibers;
	void *stack;

	while (f < fibers + nr_fibers && (!f->over || f == self))
		f++;
	if (f == fibers + nr_fibers && nr_fibers++ == MAX_FIBERS)
		fiber_fail("more than %d fibers at once", MAX_FIBERS);
	stack = f->stack ?: malloc(STACK);
	__asan_unpoison_memory_region(stack, STACK);
	memset(f, 0, sizeof(*f));
	f->stack = stack;
	f->name = name;
	f->fn = fn;
	f->arg = arg;
	f->softirq = softirq;
	f->priority = lowest + 1 + fiber_random(1 << 20);
	f->asleep = delay;
	f->until = delay ? now + delay : 0;
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stack;
	f->context.uc_stack.ss_size = STACK;
	makecontext(&f->context, fiber_main, 0);
	fiber_drain();
	return f;
}

void fiber_init(uint64_t with)
{
	int i;

	for (i = 0; i < nr_fibers; i++)
		fibers[i].over = true;
	seed = rng = with;
	now = 1000000000;
	points = rcu_clock = 0;
	lowest = 1ULL << 40;
	/* From a switch at nearly every point to one in a thousand. */
	drop_rate = 2ULL << fiber_random(10);
	memset(cpu_owner, 0, sizeof(cpu_owner));
}

void fiber_run(uint64_t max)
{
	limit = max;
	go_on();
}
