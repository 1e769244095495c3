// SPDX-License-Identifier: GPL-2.0-or-later
/* Who runs when, and how a violation is told. See model.h. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model.h"
#include "check.h"

/* So many steps without an operation of an application: nobody gets on. */
#define STUCK_SERIAL	500000
#define STUCK_FREE	20000000	/* waiting threads spin there */

bool free_running;
enum bug bug;
_Atomic bool stopping;
_Atomic uint64_t steps;
_Thread_local int self = -1;

static _Thread_local uint64_t my_random;
static uint64_t seed, serial_random, max_steps;
static _Atomic uint64_t progress_step;
static _Atomic unsigned long progress_ops;
static unsigned int switch_rate;

static struct thread {
	pthread_t id;
	sem_t turn;
	void *(*fn)(void *);
	void *arg;
	bool alive;
	uint64_t asleep;		/* serial: not before this step */
} threads[NTHREADS];
static int nr_threads;

/* The last changes of words, for the report. */
#define TRACE 512
static struct {
	uint64_t step;
	int thread, page;
	const char *what;
	u64 old, new;
} ring[TRACE];
static _Atomic unsigned int ring_next;

uint64_t rnd(void)
{
	/* In serial mode one draw decides everything. */
	if (!free_running || self < 0)
		return check_random(&serial_random);
	return check_random(&my_random);
}

void sched_reset(uint64_t new_seed, uint64_t new_max)
{
	/* Long and short turns find different bugs. */
	static const unsigned int rates[] = { 2, 3, 6, 20, 60 };

	seed = new_seed;
	serial_random = new_seed * 0x9e3779b97f4a7c15ULL + 1;
	check_random(&serial_random);
	max_steps = new_max;
	switch_rate = rates[rnd() % 5];
	nr_threads = 0;
	ring_next = 0;
	stopping = false;
	steps = 0;
	progress_step = 0;
	progress_ops = 0;
}

static void switch_to(int next)
{
	if (next == self)
		return;
	sem_post(&threads[next].turn);
	if (threads[self].alive)
		while (sem_wait(&threads[self].turn))
			;
}

/* One of the threads that are awake, or of all that live. */
static int draw(bool other)
{
	int candidates[NTHREADS], n = 0, i, awake;

	for (awake = 1; awake >= 0 && !n; awake--)
		for (i = 0; i < nr_threads; i++)
			if (threads[i].alive && !(other && i == self) &&
			    (!awake || threads[i].asleep <= steps))
				candidates[n++] = i;
	return n ? candidates[rnd() % (unsigned int)n] : self;
}

static void count_step(void)
{
	const uint64_t n = atomic_fetch_add(&steps, 1) + 1;

	if (n >= max_steps)
		stopping = true;
	if (n & 0xffff)
		return;
	if (stats.ops != progress_ops) {
		progress_ops = stats.ops;
		progress_step = n;
	} else if (n - progress_step > (free_running ? STUCK_FREE : STUCK_SERIAL)) {
		violation(-1, "nobody gets on");
	}
}

void step(void)
{
	if (self < 0)
		return;
	count_step();
	if (free_running) {
		if (one_in(16))
			sched_yield();
		return;
	}
	if (!one_in(switch_rate))
		return;
	/* Preempted for long, wherever it is: windows open wide. */
	if (one_in(100))
		threads[self].asleep = steps + rnd() % 2000;
	switch_to(draw(false));
}

void step_wait(void)
{
	if (self < 0) {
		/* The threads have ended: nobody else answers. */
		server_serve();
		return;
	}
	count_step();
	if (free_running)
		sched_yield();
	else
		switch_to(draw(true));
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	self = (int)(t - threads);
	my_random = (seed << 8) + (uint64_t)self + 1;
	check_random(&my_random);
	if (!free_running)
		while (sem_wait(&t->turn))
			;
	t->fn(t->arg);
	if (!free_running) {
		t->alive = false;
		switch_to(draw(true));
	}
	return NULL;
}

void sched_start(void *(*fn)(void *), void *arg)
{
	struct thread *t = &threads[nr_threads++];

	t->fn = fn;
	t->arg = arg;
	t->alive = true;
	t->asleep = 0;
	sem_init(&t->turn, 0, 0);
}

void sched_run(void)
{
	cpu_set_t one;
	int i;

	/* One at a time: handing over on one CPU is far cheaper. */
	if (!free_running) {
		CPU_ZERO(&one);
		CPU_SET(sched_getcpu(), &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	for (i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i].id, NULL, thread_main,
				   &threads[i])) {
			fprintf(stderr, "model: cannot create a thread\n");
			exit(2);
		}
	if (!free_running)
		sem_post(&threads[0].turn);
	for (i = 0; i < nr_threads; i++)
		pthread_join(threads[i].id, NULL);
	for (i = 0; i < nr_threads; i++)
		sem_destroy(&threads[i].turn);
}

bool trylock(struct lock *l)
{
	step();
	return !atomic_exchange(&l->held, 1);
}

void lock(struct lock *l)
{
	step();
	while (atomic_exchange(&l->held, 1))
		step_wait();
}

void unlock(struct lock *l)
{
	atomic_store(&l->held, 0);
	step();
}

void trace(int page, const char *what, u64 old, u64 new)
{
	const unsigned int i = atomic_fetch_add(&ring_next, 1) % TRACE;

	/* Read by the one that tells a violation only. */
	if (free_running)
		return;
	ring[i].step = steps;
	ring[i].thread = self;
	ring[i].page = page;
	ring[i].what = what;
	ring[i].old = old;
	ring[i].new = new;
}

static void show(FILE *out, u64 w)
{
	fprintf(out, "%s%s%s%s%s%s%s(%llx)",
		hermit_state_name(hermit_word_state(w)),
		w & HERMIT_W_INFLIGHT ? "+W" : "",
		w & HERMIT_W_COPY ? "+C" : "",
		w & HERMIT_W_HOSTMAPPED ? "+H" : "",
		w & HERMIT_W_RESCUED ? "+R" : "",
		w & HERMIT_W_FOREIGN ? "+F" : "",
		w & HERMIT_W_PREFETCHED ? "+P" : "",
		(unsigned long long)hermit_word_value(w));
}

void violation(int page, const char *fmt, ...)
{
	static _Atomic bool told;
	unsigned int i, n;
	va_list ap;

	if (atomic_exchange(&told, true))
		for (;;)
			pause();
	printf("violation: seed %llu, step %llu, thread %d, page %d: ",
	       (unsigned long long)seed, (unsigned long long)steps, self, page);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	n = ring_next;
	for (i = n > TRACE ? n - TRACE : 0; !free_running && i < n; i++) {
		if (page >= 0 && ring[i % TRACE].page != page)
			continue;
		printf("  step %llu thread %d page %d %s: ",
		       (unsigned long long)ring[i % TRACE].step,
		       ring[i % TRACE].thread, ring[i % TRACE].page,
		       ring[i % TRACE].what);
		show(stdout, ring[i % TRACE].old);
		printf(" -> ");
		show(stdout, ring[i % TRACE].new);
		putchar('\n');
	}
	if (bug)
		printf("detected, as it should be\n");
	fflush(stdout);
	/* The other threads are still in the middle of things. */
	_exit(bug ? EXIT_SUCCESS : EXIT_FAILURE);
}
