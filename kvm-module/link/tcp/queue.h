/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TCP_QUEUE_H
#define HERMIT_TCP_QUEUE_H
/*
 * The ios of a link that no connection has taken yet, and who takes them: one taker
 * for each connection, which is idle from when it found nothing until something comes.
 * All functions are safe from any context; the lock is a leaf.
 */
#include <linux/bits.h>
#include <linux/list.h>
#include <linux/spinlock.h>

#include "link/remote.h"

struct task_struct;

#define HERMIT_TCP_ALL_LISTS	(BIT(HERMIT_REMOTE_NR_LISTS) - 1)

struct hermit_tcp_queue {
	spinlock_t lock;		/* all below */
	struct list_head lists[HERMIT_REMOTE_NR_LISTS];
	struct list_head idle;		/* takers that found nothing */
	int refuse;			/* if not 0, ios complete with it at once */
};

struct hermit_tcp_taker {
	struct list_head node;		/* in idle, or empty */
	struct task_struct *task;	/* its thread */
	unsigned int wants;		/* lists it would take from: a mask */
};

/* So many at most are to be told of what came. */
struct hermit_tcp_takers {
	struct hermit_tcp_taker *taker[HERMIT_REMOTE_NR_LISTS];
	unsigned int nr;
};

void hermit_tcp_queue_init(struct hermit_tcp_queue *q);

/*
 * Queue one io, or all of @ios (left empty). @t: who can take them and was idle. It is
 * not any more, so the caller has to see that it takes, now or in its thread.
 */
void hermit_tcp_queue_add_one(struct hermit_tcp_queue *q, struct hermit_io *io,
			      struct hermit_tcp_takers *t);
void hermit_tcp_queue_add(struct hermit_tcp_queue *q, struct list_head *ios,
			  struct hermit_tcp_takers *t);

/* Put back @ios that were taken, before all others. Wakes nobody. */
void hermit_tcp_queue_return(struct hermit_tcp_queue *q, struct list_head *ios);

/*
 * From now on complete every io at once with @status (see
 * hermit_remote_complete()), and first those that are queued. 0: queue again.
 */
void hermit_tcp_queue_refuse(struct hermit_tcp_queue *q, int status);

/*
 * Move up to @max ios of the lists in mask @wants to @ios; returns how many. If none,
 * @taker is idle. A thread has set its task state before this call, or it may miss that
 * it is woken for the next one.
 */
unsigned int hermit_tcp_queue_take(struct hermit_tcp_queue *q,
				   struct hermit_tcp_taker *taker,
				   unsigned int wants, unsigned int max,
				   struct list_head *ios);

/* @taker is idle no more. */
void hermit_tcp_queue_forget(struct hermit_tcp_queue *q,
			     struct hermit_tcp_taker *taker);

#endif /* HERMIT_TCP_QUEUE_H */
