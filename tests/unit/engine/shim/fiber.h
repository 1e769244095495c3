/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SHIM_FIBER_H
#define HERMIT_SHIM_FIBER_H
/*
 * Tasks and softirqs as coroutines of one thread, and the one who decides which
 * of them goes on. Everything random comes from one seed: the same seed and the
 * same program give the same walk.
 *
 * The choice is PCT's (Burckhardt et al., "A Randomized Scheduler with
 * Probabilistic Guarantees of Finding Bugs", ASPLOS 2010): each fiber has a
 * random priority, the highest that can run runs, and at random moments the one
 * that runs falls below all others. A walk is longer than what that paper
 * bounds, so the moments come back at a rate that is drawn for each walk. Some of
 * those who fall, and hold nothing, have no CPU for up to 65 ms.
 *
 * Stores of shared words pass a store buffer, as on x86 (TSO): a fiber sees its
 * own at once, others see them in order, later. See fiber_store().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

/*
 * Begin a walk, and run it until every fiber is over. It fails if nobody can go
 * on, or if it takes more than @points switch points.
 */
void fiber_init(uint64_t seed);
void fiber_run(uint64_t points);
extern bool fiber_steady;		/* nobody loses its CPU for a while */

/*
 * A fiber that runs fn(arg), from @delay ns on. A softirq may not sleep; it
 * interrupts a task whose CPU is the task's and that has not turned it off, or
 * runs on a CPU that nobody holds.
 */
struct fiber *fiber_start(const char *name, void (*fn)(void *), void *arg,
			  bool softirq, uint64_t delay);
struct fiber *fiber_self(void);
bool fiber_softirq(void);
bool fiber_rests(const struct fiber *f);	/* asleep until it is woken */

/* A switch point: another fiber may go on here. */
void fiber_point(void);
/* The same, but this one waits for what another one does: it goes behind. */
void fiber_yield(void);
/* Sleep until fiber_wake(), or @until (ns of virtual time; 0: no end). */
bool fiber_sleep(uint64_t until);
/* No-op if it does not sleep; the wake is not kept. */
void fiber_wake(struct fiber *f);
/*
 * The sleep that follows waits for cond(arg), too: if everything else is at rest,
 * the condition holds and still nobody woke it, then a wake-up was lost.
 */
void fiber_expect(bool (*cond)(void *), void *arg);
/*
 * Did the last sleep end because nothing else could go on? Then no wake-up is on
 * its way, and a condition that holds was not told.
 */
bool fiber_alone(void);

/*
 * Preemption. While off the fiber has a CPU that no other task has; else it has
 * whichever it happens to get.
 */
void fiber_preempt_off(void);
void fiber_preempt_on(void);
void fiber_bh_off(void);
void fiber_bh_on(void);
bool fiber_bh(void);			/* is it off? */
void fiber_rcu_enter(void);
void fiber_rcu_leave(void);
void fiber_rcu_wait(void);		/* for those who are in it now */
int fiber_cpu(void);
bool fiber_atomic(void);		/* may it not sleep here? */
#define FIBER_CPUS	2

/* Virtual time, ns. */
uint64_t fiber_now(void);
uint64_t fiber_points(void);
/* The clock jumps ahead, and nobody has slept for longer. */
void fiber_shift(uint64_t ns);
/* A random number below @n, of the walk; and true once in @n. */
uint64_t fiber_random(uint64_t n);
static inline bool fiber_once_in(uint64_t n)
{
	return !fiber_random(n);
}

/* A store that others may see later, and what makes them all visible. */
void fiber_store(void *to, const void *from, size_t size);
void fiber_drain(void);

/* What the current fiber is for the shim's user. */
struct fiber_local {
	unsigned int state;		/* TASK_* */
	bool signal, killed, srcu;	/* srcu: KVM's, no long waits */
	unsigned int flags;
	uint64_t memstall;		/* since when it stalls for memory, ns; or 0 */
	unsigned int yields;		/* cond_resched(), so often */
	void *held[8];			/* locks, with their classes */
	int nr_held;
};
struct fiber_local *fiber_local(void);
struct fiber_local *fiber_local_of(struct fiber *f);

/* Say what is wrong and end the program, with the seed. */
void fiber_fail(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

#endif /* HERMIT_SHIM_FIBER_H */
