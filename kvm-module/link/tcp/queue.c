// SPDX-License-Identifier: GPL-2.0-only
/* Ios between submit() and a connection. */
#include <linux/errno.h>

#include "link/tcp/queue.h"

void hermit_tcp_queue_init(struct hermit_tcp_queue *q)
{
	int i;

	spin_lock_init(&q->lock);
	for (i = 0; i < HERMIT_REMOTE_NR_LISTS; i++)
		INIT_LIST_HEAD(&q->lists[i]);
	INIT_LIST_HEAD(&q->idle);
	q->refuse = 0;
}

/*
 * One taker for each kind of io that came. It takes all it can; when it has
 * no room for the rest, the next reply has it go on.
 */
static void claim_takers(struct hermit_tcp_queue *q, unsigned int came,
			 struct hermit_tcp_takers *found)
{
	struct hermit_tcp_taker *t, *next;

	lockdep_assert_held(&q->lock);
	list_for_each_entry_safe(t, next, &q->idle, node) {
		if (!came)
			break;
		if (!(t->wants & came))
			continue;
		came &= ~t->wants;
		list_del_init(&t->node);
		found->taker[found->nr++] = t;
	}
}

void hermit_tcp_queue_add_one(struct hermit_tcp_queue *q, struct hermit_io *io,
			      struct hermit_tcp_takers *t)
{
	enum hermit_remote_list l = hermit_remote_list_of(io);
	unsigned long flags;
	int refuse;

	t->nr = 0;
	spin_lock_irqsave(&q->lock, flags);
	refuse = q->refuse;
	if (!refuse) {
		list_add_tail(&io->node, &q->lists[l]);
		claim_takers(q, BIT(l), t);
	}
	spin_unlock_irqrestore(&q->lock, flags);

	if (refuse)
		hermit_remote_complete(io, refuse);
}

void hermit_tcp_queue_add(struct hermit_tcp_queue *q, struct list_head *ios,
			  struct hermit_tcp_takers *t)
{
	struct hermit_io *io, *next;
	unsigned int came = 0;
	unsigned long flags;
	int refuse;

	t->nr = 0;
	spin_lock_irqsave(&q->lock, flags);
	refuse = q->refuse;
	if (!refuse) {
		list_for_each_entry_safe(io, next, ios, node) {
			list_move_tail(&io->node, &q->lists[hermit_remote_list_of(io)]);
			came |= BIT(hermit_remote_list_of(io));
		}
		claim_takers(q, came, t);
	}
	spin_unlock_irqrestore(&q->lock, flags);

	if (refuse)
		hermit_remote_complete_list(ios, refuse);
}

void hermit_tcp_queue_return(struct hermit_tcp_queue *q, struct list_head *ios)
{
	struct hermit_io *io, *next;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	list_for_each_entry_safe_reverse(io, next, ios, node)
		list_move(&io->node, &q->lists[hermit_remote_list_of(io)]);
	spin_unlock_irqrestore(&q->lock, flags);
}

void hermit_tcp_queue_refuse(struct hermit_tcp_queue *q, int status)
{
	unsigned long flags;
	LIST_HEAD(ios);
	int i;

	spin_lock_irqsave(&q->lock, flags);
	q->refuse = status;
	if (status)
		for (i = 0; i < HERMIT_REMOTE_NR_LISTS; i++)
			list_splice_tail_init(&q->lists[i], &ios);
	spin_unlock_irqrestore(&q->lock, flags);

	hermit_remote_complete_list(&ios, status);
}

unsigned int hermit_tcp_queue_take(struct hermit_tcp_queue *q,
				   struct hermit_tcp_taker *taker,
				   unsigned int wants, unsigned int max,
				   struct list_head *ios)
{
	struct hermit_io *io, *next;
	unsigned int n = 0;
	unsigned long flags;
	int i;

	spin_lock_irqsave(&q->lock, flags);
	list_del_init(&taker->node);
	for (i = 0; i < HERMIT_REMOTE_NR_LISTS; i++) {
		if (!(wants & BIT(i)))
			continue;
		list_for_each_entry_safe(io, next, &q->lists[i], node) {
			if (n == max)
				break;
			list_move_tail(&io->node, ios);
			n++;
		}
	}
	if (!n) {
		taker->wants = wants;
		list_add_tail(&taker->node, &q->idle);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return n;
}

void hermit_tcp_queue_forget(struct hermit_tcp_queue *q,
			     struct hermit_tcp_taker *taker)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	list_del_init(&taker->node);
	spin_unlock_irqrestore(&q->lock, flags);
}
