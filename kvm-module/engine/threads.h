/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_THREADS_H
#define HERMIT_THREADS_H
/*
 * The reclaim threads of a region: how many should run, and waking them. Only
 * wakes; what a thread does is said by who starts it.
 */
#include <linux/types.h>

struct hermit_region;
struct vhost_task;

#define HERMIT_MAX_THREADS	16
#define HERMIT_DEFAULT_THREADS	4

struct hermit_reclaimer {
	struct hermit_region *region;
	struct vhost_task *task;
	unsigned int index;
	unsigned int misses;		/* scans in a row that found too little */
	bool idle;			/* asleep, or about to look whether to */
	u64 reclaimed, busy_ns;		/* since its start; it alone writes them */
};

/*
 * Start @threads of them, each with fn(its reclaimer): true if it worked, false
 * if it wants to sleep until it is kicked. 0 or a negative errno, and then some
 * may run: see hermit_threads_stop(). The caller's threads, so in its cgroup.
 * Sleeps.
 */
int hermit_threads_start(struct hermit_region *r, unsigned int threads,
			 bool (*fn)(void *data));
/* Waits for the batches under way. The region is dead. Sleeps. */
void hermit_threads_stop(struct hermit_region *r);
/* Decide how many threads should run, and wake them. Any task context. */
void hermit_threads_kick(struct hermit_region *r);
/*
 * Called by the thread itself, TASK_INTERRUPTIBLE: true if it is not wanted now.
 * Then it is marked idle and may sleep; who takes room from now on kicks it.
 */
bool hermit_threads_rest(struct hermit_reclaimer *t);

#endif /* HERMIT_THREADS_H */
