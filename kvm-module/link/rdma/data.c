// SPDX-License-Identifier: GPL-2.0-only
/*
 * One data connection.
 *
 *	queue ─take─► slots ─one ib_post_send()─► send queue ─► the device
 *		       ▲				   │
 *		       └── completion of the last of a ◄───┘
 *			   chain, or of each READ; done()
 *
 * Each io has a slot while it is posted: work request, DMA address. Ios that
 * are taken together are chained: one doorbell. Writes of a chain ask for one
 * completion, that of the last: the device executes a send queue in order, so
 * it stands for all of them.
 *
 * Who may complete an io:
 *
 *  - the completion handler, for a chain whose last work request succeeded; it
 *    runs in a softirq, and in whoever waits for a page and polls meanwhile, at
 *    once perhaps: chains have nothing in common;
 *  - the link, with what stop() put back into the queue. Once a work request
 *    failed, what the completions after it say of single ones is not looked at:
 *    the queue pair is in error and executes nothing more, and what is still in
 *    a slot when it is drained is posted again in another epoch.
 *
 * data->lock guards the slots and excludes posting from stopping. The queue's
 * lock is taken inside it; done() is never called under it.
 */
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include "link/rdma/cm.h"
#include "link/rdma/ctl.h"
#include "link/rdma/data.h"
#include "link/rdma/queue.h"
#include "link/transport.h"

/* Handled in one poll, by one who waits for one of them. */
#define POLL_BUDGET	8
/* In one doorbell; as many as reclaim evicts at once. */
#define BATCH		32
/* As for tcp: a slow server that answers is not a dead one, for a while. */
#define DEADLINES_WITH_ANSWERS 10

struct slot {
	struct ib_cqe cqe;
	struct hermit_rdma_data *data;
	struct hermit_io *io;		/* NULL: not posted */
	u64 dma;
	u64 posted;			/* ns, local_clock() */
	struct ib_sge sge;
	struct ib_rdma_wr wr;
	struct slot *head;		/* of the chain, if signalled; else NULL */
	struct slot *next;		/* in the chain, or free */
};

struct hermit_rdma_data {
	struct hermit_rdma_env *env;
	struct hermit_rdma_queue *queue;
	unsigned int max_depth, index;
	struct slot *slots;

	/* set by open */
	struct hermit_rdma_cm cm;
	struct ib_cq *cq;
	u32 lkey;
	unsigned int depth, reserve;

	spinlock_t lock;		/* all below */
	bool started;
	struct slot *free;
	unsigned int nr_free;
	const char *broken;
	int error;
	u64 heard;			/* the last completion */
	u64 doorbells, completions, polled;
	struct hermit_rdma_target targets[BATCH];
};

static void data_break(struct hermit_rdma_data *data, const char *why,
		       int error)
{
	unsigned long flags;
	bool news;

	spin_lock_irqsave(&data->lock, flags);
	news = !data->broken && data->started;
	if (!data->broken) {
		data->broken = why;
		data->error = error;
	}
	spin_unlock_irqrestore(&data->lock, flags);
	if (news)
		data->env->kick(data->env);
}

static enum dma_data_direction direction(const struct hermit_io *io)
{
	return io->op == HERMIT_IO_READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
}

/* --- completions ----------------------------------------------------------- */

/* The io of a slot that the device is done with; the slot stays taken. */
static struct hermit_io *slot_finish(struct slot *s)
{
	struct hermit_rdma_data *data = s->data;
	struct hermit_io *io = s->io;

	ib_dma_unmap_page(data->cm.id->device, s->dma, PAGE_SIZE,
			  direction(io));
	s->io = NULL;
	return io;
}

static void on_completion(struct ib_cq *cq, struct ib_wc *wc)
{
	struct slot *last = container_of(wc->wr_cqe, struct slot, cqe), *s;
	struct hermit_rdma_data *data = last->data;
	struct slot *head = last->head;
	u64 now = local_clock(), rtt = 0;
	unsigned int n = 0;
	unsigned long flags;
	LIST_HEAD(ios);

	if (wc->status != IB_WC_SUCCESS || !head) {
		data_break(data, ib_wc_status_msg(wc->status), wc->status);
		return;
	}
	/* From head to last: the slots are ours until they are free. */
	for (s = head;; s = s->next) {
		struct hermit_io *io = slot_finish(s);

		if (io->op == HERMIT_IO_READ)
			rtt = now > s->posted ? now - s->posted : 1;
		list_add_tail(&io->node, &ios);
		n++;
		if (s == last)
			break;
	}

	spin_lock_irqsave(&data->lock, flags);
	last->next = data->free;
	data->free = head;
	data->nr_free += n;
	data->heard = now;
	data->completions++;
	spin_unlock_irqrestore(&data->lock, flags);

	hermit_rdma_queue_done(data->queue, &ios, rtt);
	if (!hermit_rdma_queue_is_empty(data->queue))
		hermit_rdma_data_pump(data);
}

int hermit_rdma_data_poll(struct hermit_rdma_data *data)
{
	int n = ib_process_cq_direct(data->cq, POLL_BUDGET);
	unsigned long flags;

	if (n) {
		spin_lock_irqsave(&data->lock, flags);
		data->polled += n;
		spin_unlock_irqrestore(&data->lock, flags);
	}
	return n;
}

/* --- posting --------------------------------------------------------------- */

static struct slot *slot_fill(struct hermit_rdma_data *data,
			      const struct hermit_rdma_target *t, u64 now)
{
	struct ib_device *dev = data->cm.id->device;
	struct slot *s = data->free;
	u64 dma;

	lockdep_assert_held(&data->lock);
	dma = ib_dma_map_page(dev, t->io->page, 0, PAGE_SIZE,
			      direction(t->io));
	if (ib_dma_mapping_error(dev, dma))
		return NULL;
	data->free = s->next;
	data->nr_free--;
	s->io = t->io;
	s->dma = dma;
	s->posted = now;
	s->head = NULL;
	s->next = NULL;
	s->sge.addr = dma;
	s->sge.lkey = data->lkey;
	s->wr.wr.next = NULL;
	s->wr.wr.send_flags = 0;
	s->wr.remote_addr = t->address;
	s->wr.rkey = t->rkey;
	if (t->io->op == HERMIT_IO_READ) {
		s->wr.wr.opcode = IB_WR_RDMA_READ;
		s->wr.wr.send_flags = IB_SEND_SIGNALED;
		s->head = s;
	} else {
		s->wr.wr.opcode = IB_WR_RDMA_WRITE;
	}
	return s;
}

/* Post @n targets, all reads or all writes; returns how many could not be. */
static unsigned int post(struct hermit_rdma_data *data, unsigned int n)
{
	struct slot *head = NULL, *last = NULL;
	u64 now = local_clock();
	unsigned int i;
	int ret;

	lockdep_assert_held(&data->lock);
	for (i = 0; i < n; i++) {
		struct slot *s = slot_fill(data, &data->targets[i], now);

		if (!s)
			break;
		if (last) {
			last->wr.wr.next = &s->wr.wr;
			last->next = s;
		} else {
			head = s;
		}
		last = s;
	}
	if (!last)
		return n;
	if (!last->head) {
		last->head = head;
		last->wr.wr.send_flags = IB_SEND_SIGNALED;
	}
	ret = ib_post_send(data->cm.id->qp, &head->wr.wr, NULL);
	data->doorbells++;
	if (ret && !data->broken) {
		/* Some may be on the wire: leave all to stop(). */
		data->broken = "posting failed";
		data->error = ret;
	}
	return n - i;
}

/* Those at the end of the last batch could not be mapped: later. */
static void put_back(struct hermit_rdma_data *data, unsigned int n,
		     unsigned int left)
{
	LIST_HEAD(ios);

	for (; left; left--)
		list_add_tail(&data->targets[n - left].io->node, &ios);
	hermit_rdma_queue_return(data->queue, &ios);
}

bool hermit_rdma_data_pump(struct hermit_rdma_data *data)
{
	unsigned int room, n, left;
	unsigned long flags;
	bool broken = false;

	spin_lock_irqsave(&data->lock, flags);
	while (data->started && !data->broken && data->nr_free &&
	       !hermit_rdma_queue_is_empty(data->queue)) {
		/* Writes must not keep the last from a read that is waited for. */
		bool demand = data->nr_free <= data->reserve;

		room = demand ? data->nr_free : data->nr_free - data->reserve;
		n = hermit_rdma_queue_take(data->queue, demand,
					   min(room, BATCH), data->targets);
		if (!n)
			break;
		left = post(data, n);
		broken = data->broken;
		if (left) {
			put_back(data, n, left);
			break;
		}
	}
	n = data->started;
	spin_unlock_irqrestore(&data->lock, flags);
	if (broken)
		data->env->kick(data->env);
	return n;
}

/* --- what the link calls --------------------------------------------------- */

struct hermit_rdma_data *hermit_rdma_data_create(struct hermit_rdma_env *env,
						 struct hermit_rdma_queue *queue,
						 unsigned int depth,
						 unsigned int index)
{
	struct hermit_rdma_data *data = kzalloc(sizeof(*data), GFP_KERNEL);
	unsigned int i;

	if (!data)
		return NULL;
	data->slots = kvcalloc(depth, sizeof(*data->slots), GFP_KERNEL);
	if (!data->slots) {
		kfree(data);
		return NULL;
	}
	data->env = env;
	data->queue = queue;
	data->max_depth = depth;
	data->index = index;
	spin_lock_init(&data->lock);
	for (i = 0; i < depth; i++) {
		struct slot *s = &data->slots[i];

		s->data = data;
		s->cqe.done = on_completion;
		s->sge.length = PAGE_SIZE;
		s->wr.wr.wr_cqe = &s->cqe;
		s->wr.wr.sg_list = &s->sge;
		s->wr.wr.num_sge = 1;
	}
	return data;
}

void hermit_rdma_data_destroy(struct hermit_rdma_data *data)
{
	WARN_ON_ONCE(data->started);
	kvfree(data->slots);
	kfree(data);
}

static int make_queue_pair(struct hermit_rdma_data *data,
			   struct hermit_rdma_ctl *ctl)
{
	struct ib_device *dev = data->cm.id->device;
	struct ib_qp_init_attr attr = {
		.qp_type = IB_QPT_RC,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.cap = { .max_send_sge = 1, .max_recv_sge = 1,
			 .max_recv_wr = 1 },
	};
	unsigned int i;

	/* One more each to drain it. */
	/* Linux 7 has them unsigned. */
	data->depth = min3((int)data->depth, (int)dev->attrs.max_qp_wr - 1,
			   (int)dev->attrs.max_cqe - 2);
	if ((int)data->depth < 1)
		return -ENOSPC;
	data->reserve = data->depth / 8;
	data->lkey = ctl->pd->local_dma_lkey;
	data->cq = ib_alloc_cq(dev, data, data->depth + 2,
			       data->index % dev->num_comp_vectors,
			       IB_POLL_SOFTIRQ);
	if (IS_ERR(data->cq)) {
		int ret = PTR_ERR(data->cq);

		data->cq = NULL;
		return ret;
	}
	data->free = NULL;
	for (i = data->depth; i--; ) {
		data->slots[i].next = data->free;
		data->free = &data->slots[i];
	}
	data->nr_free = data->depth;
	attr.send_cq = data->cq;
	attr.recv_cq = data->cq;
	attr.cap.max_send_wr = data->depth + 1;
	return rdma_create_qp(data->cm.id, ctl->pd, &attr);
}

static void data_close(struct hermit_rdma_data *data)
{
	if (data->cm.id->qp)
		rdma_destroy_qp(data->cm.id);
	if (data->cq)
		ib_free_cq(data->cq);
	data->cq = NULL;
	hermit_rdma_cm_close(&data->cm);
}

int hermit_rdma_data_open(struct hermit_rdma_data *data,
			  struct hermit_rdma_ctl *ctl, unsigned int depth)
{
	struct hermit_rdma_env *env = data->env;
	int ret;

	ret = hermit_rdma_cm_resolve(&data->cm, env);
	if (ret)
		return ret;
	if (data->cm.id->device != ctl->cm.id->device) {
		snprintf(env->why, HERMIT_ERROR_LEN,
			 "the route to it changed from device %s to %s meanwhile",
			 dev_name(&ctl->cm.id->device->dev),
			 dev_name(&data->cm.id->device->dev));
		ret = -EAGAIN;
		goto err_close;
	}
	data->depth = min(depth, data->max_depth);
	data->broken = NULL;
	data->error = 0;
	ret = make_queue_pair(data, ctl);
	if (ret) {
		snprintf(env->why, HERMIT_ERROR_LEN,
			 "the RDMA device %s has no room for a queue pair (error %d)",
			 dev_name(&data->cm.id->device->dev), -ret);
		ret = hermit_failed_here(ret);
		goto err_close;
	}
	ret = hermit_rdma_cm_connect(&data->cm, ctl->cm.accept.token);
	if (ret)
		goto err_close;
	return 0;

err_close:
	data_close(data);
	return ret;
}

void hermit_rdma_data_start(struct hermit_rdma_data *data)
{
	spin_lock_irq(&data->lock);
	data->heard = local_clock();
	data->started = true;
	spin_unlock_irq(&data->lock);
	hermit_rdma_data_pump(data);
}

void hermit_rdma_data_stop(struct hermit_rdma_data *data)
{
	LIST_HEAD(ios);
	unsigned int i;

	if (!data->cm.id)
		return;
	spin_lock_irq(&data->lock);
	data->started = false;
	spin_unlock_irq(&data->lock);

	/*
	 * Nothing is posted any more. When the queue pair is drained the device
	 * has let go of all pages, and every completion was handled.
	 */
	ib_drain_qp(data->cm.id->qp);
	for (i = 0; i < data->depth; i++)
		if (data->slots[i].io)
			list_add_tail(&slot_finish(&data->slots[i])->node,
				      &ios);
	data_close(data);
	hermit_rdma_queue_return(data->queue, &ios);
}

void hermit_rdma_data_check(struct hermit_rdma_data *data, u64 deadline_ns,
			    struct hermit_remote_check *check)
{
	u64 now, oldest, since;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&data->lock, flags);
	check->broken = data->broken;
	check->error = data->error;
	if (!check->broken)
		check->broken = hermit_rdma_cm_lost(&data->cm);
	now = local_clock();
	oldest = now;
	if (data->started && data->nr_free < data->depth)
		for (i = 0; i < data->depth; i++)
			if (READ_ONCE(data->slots[i].io))
				oldest = min(oldest, data->slots[i].posted);
	/* The clocks of two CPUs differ a little. */
	since = check->impatient ? oldest : max(oldest, data->heard);
	since = min(since, now);
	if (!check->broken &&
	    (now - since > deadline_ns ||
	     now - oldest > DEADLINES_WITH_ANSWERS * deadline_ns))
		check->broken = "no answer within the deadline";
	spin_unlock_irqrestore(&data->lock, flags);
}

void hermit_rdma_data_stats(struct hermit_rdma_data *data,
			    struct hermit_server_stats *st)
{
	unsigned long flags;

	spin_lock_irqsave(&data->lock, flags);
	st->doorbells += data->doorbells;
	st->completions += data->completions;
	st->polled += data->polled;
	if (data->started) {
		st->connections++;
		st->inflight += data->depth - data->nr_free;
	}
	spin_unlock_irqrestore(&data->lock, flags);
}
