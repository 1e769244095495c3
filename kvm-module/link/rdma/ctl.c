// SPDX-License-Identifier: GPL-2.0-only
/* The control connection: a stream of bytes over SEND, and calls over that. */
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include "link/rdma/ctl.h"
#include "uapi/hermit.h"

#define SEND_BUFFER	HERMIT_RDMA_RECEIVES
#define BUFFERS		(HERMIT_RDMA_RECEIVES + 1)
#define BUFFERS_LEN	(BUFFERS * HERMIT_RDMA_MESSAGE)
/* The server's device acknowledges a message in this time, or is gone. */
#define SEND_TIMEOUT	(2 * HZ)
#define LOOK_INTERVAL	((long)HZ / 8)

static void lose(struct hermit_rdma_ctl *ctl)
{
	WRITE_ONCE(ctl->cm.lost, true);
	wake_up_all(&ctl->cm.env->wait);
	if (ctl->cm.connected)
		ctl->cm.env->kick(ctl->cm.env);
}

static void on_received(struct ib_cq *cq, struct ib_wc *wc)
{
	struct hermit_rdma_ctl *ctl = cq->cq_context;
	unsigned int i = wc->wr_cqe - ctl->receive_cqes;
	unsigned int at;

	if (wc->status != IB_WC_SUCCESS) {
		lose(ctl);
		return;
	}
	spin_lock(&ctl->lock);
	at = (ctl->first + ctl->count) % HERMIT_RDMA_RECEIVES;
	ctl->ready[at].buffer = i;
	ctl->ready[at].length = wc->byte_len;
	WRITE_ONCE(ctl->count, ctl->count + 1);
	spin_unlock(&ctl->lock);
	wake_up_all(&ctl->cm.env->wait);
}

static void on_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct hermit_rdma_ctl *ctl = cq->cq_context;

	if (wc->status != IB_WC_SUCCESS)
		lose(ctl);
	WRITE_ONCE(ctl->sending, false);
	wake_up_all(&ctl->cm.env->wait);
}

static int post_receive(struct hermit_rdma_ctl *ctl, unsigned int i)
{
	struct ib_sge sge = {
		.addr = ctl->dma + i * HERMIT_RDMA_MESSAGE,
		.length = HERMIT_RDMA_MESSAGE,
		.lkey = ctl->pd->local_dma_lkey,
	};
	struct ib_recv_wr wr = {
		.wr_cqe = &ctl->receive_cqes[i],
		.sg_list = &sge,
		.num_sge = 1,
	};

	ib_dma_sync_single_for_device(ctl->pd->device, sge.addr, sge.length,
				      DMA_FROM_DEVICE);
	return ib_post_recv(ctl->cm.id->qp, &wr, NULL);
}

static bool is_over(const struct hermit_rdma_ctl *ctl)
{
	/* A call is bounded; ended early, its connection could not say END. */
	return READ_ONCE(ctl->cm.lost) ||
	       (!ctl->calling && READ_ONCE(ctl->cm.env->abort));
}

static bool is_sent(const struct hermit_rdma_ctl *ctl)
{
	return !READ_ONCE(ctl->sending);
}

static bool has_bytes(const struct hermit_rdma_ctl *ctl)
{
	return READ_ONCE(ctl->count);
}

/*
 * Until @ready, or there is no more sense in waiting: 0, or an errno. Whoever
 * makes a call is who looks after the data connections, too: their deadline is
 * shorter than that of a call.
 */
static int ctl_wait(struct hermit_rdma_ctl *ctl,
		    bool (*ready)(const struct hermit_rdma_ctl *ctl),
		    long timeout)
{
	struct hermit_rdma_env *env = ctl->cm.env;
	unsigned long end = jiffies + timeout;
	long ret = 0;

	for (;;) {
		long slice = clamp((long)(end - jiffies), 1L, LOOK_INTERVAL);

		if (env->deaf)
			wait_event_timeout(env->wait,
					   ready(ctl) || is_over(ctl), slice);
		else
			ret = wait_event_interruptible_timeout(env->wait,
					ready(ctl) || is_over(ctl), slice);
		if (ready(ctl))
			return 0;
		if (ret < 0)
			return ret;
		if (READ_ONCE(ctl->cm.lost))
			return -ECONNRESET;
		if (is_over(ctl))
			return -EINTR;
		if (ctl->calling && env->in_trouble && env->in_trouble(env))
			return -ECONNRESET;
		if (time_after_eq(jiffies, end))
			return -EAGAIN;
	}
}

static int ctl_send(struct hermit_channel *ch, const void *buf, size_t len)
{
	struct hermit_rdma_ctl *ctl =
		container_of(ch, struct hermit_rdma_ctl, channel);
	struct ib_sge sge = {
		.addr = ctl->dma + SEND_BUFFER * HERMIT_RDMA_MESSAGE,
		.length = len,
		.lkey = ctl->pd->local_dma_lkey,
	};
	struct ib_send_wr wr = {
		.wr_cqe = &ctl->send_cqe,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IB_WR_SEND,
		.send_flags = IB_SEND_SIGNALED,
	};
	int ret;

	if (WARN_ON_ONCE(len > HERMIT_RDMA_MESSAGE))
		return -EMSGSIZE;
	/* The one before is still the device's: it was interrupted. */
	if (READ_ONCE(ctl->sending) || READ_ONCE(ctl->cm.lost))
		return -ECONNRESET;
	memcpy(ctl->buffers + SEND_BUFFER * HERMIT_RDMA_MESSAGE, buf, len);
	ib_dma_sync_single_for_device(ctl->pd->device, sge.addr, len,
				      DMA_TO_DEVICE);
	WRITE_ONCE(ctl->sending, true);
	ret = ib_post_send(ctl->cm.id->qp, &wr, NULL);
	if (ret) {
		WRITE_ONCE(ctl->sending, false);
		return ret;
	}
	return ctl_wait(ctl, is_sent, SEND_TIMEOUT);
}

/* What there is of the first message, at most @len bytes. */
static int take_bytes(struct hermit_rdma_ctl *ctl, void *to, size_t len)
{
	unsigned int buffer, left;

	spin_lock_bh(&ctl->lock);
	buffer = ctl->ready[ctl->first].buffer;
	left = ctl->ready[ctl->first].length - ctl->taken;
	spin_unlock_bh(&ctl->lock);

	if (!left)
		return -EPROTO;		/* nobody sends nothing */
	if (!ctl->taken)
		ib_dma_sync_single_for_cpu(ctl->pd->device,
			ctl->dma + buffer * HERMIT_RDMA_MESSAGE,
			HERMIT_RDMA_MESSAGE, DMA_FROM_DEVICE);
	len = min_t(size_t, len, left);
	memcpy(to, ctl->buffers + buffer * HERMIT_RDMA_MESSAGE + ctl->taken,
	       len);
	ctl->taken += len;
	if (len == left) {
		int ret;

		spin_lock_bh(&ctl->lock);
		ctl->taken = 0;
		ctl->first = (ctl->first + 1) % HERMIT_RDMA_RECEIVES;
		WRITE_ONCE(ctl->count, ctl->count - 1);
		spin_unlock_bh(&ctl->lock);
		ret = post_receive(ctl, buffer);
		if (ret)
			return ret;
	}
	return len;
}

static int ctl_recv(struct hermit_channel *ch, void *buf, size_t len,
		    long timeout)
{
	struct hermit_rdma_ctl *ctl =
		container_of(ch, struct hermit_rdma_ctl, channel);
	int ret;

	while (len) {
		ret = ctl_wait(ctl, has_bytes, timeout);
		if (ret)
			return ret;
		ret = take_bytes(ctl, buf, len);
		if (ret < 0)
			return ret;
		buf += ret;
		len -= ret;
	}
	return 0;
}

int hermit_rdma_ctl_call(struct hermit_rdma_ctl *ctl, u8 type, u64 offset,
			 u32 extent, long timeout,
			 struct hermit_wire_hdr *reply, void *payload,
			 size_t max)
{
	struct hermit_wire_hdr hdr;
	const char *why;
	size_t len;
	int ret;

	ctl->calling = true;
	hermit_wire_fill(&hdr, type, ++ctl->tag, offset, extent, 0);
	ret = ctl_send(&ctl->channel, &hdr, sizeof(hdr));
	if (!ret)
		ret = ctl_recv(&ctl->channel, reply, sizeof(*reply), timeout);
	if (ret)
		return ret;
	len = le32_to_cpu(reply->length);
	if (hermit_wire_check_rdma_reply(reply, &why) ||
	    reply->type != (type | HERMIT_MSG_REPLY) ||
	    reply->tag != hdr.tag || len > max)
		return -EPROTO;
	return ctl_recv(&ctl->channel, payload, len, timeout);
}

static int make_queue_pair(struct hermit_rdma_ctl *ctl)
{
	struct ib_device *dev = ctl->cm.id->device;
	struct ib_qp_init_attr attr = {
		.qp_type = IB_QPT_RC,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.cap = {
			/* and one each to drain it */
			.max_send_wr = 2,
			.max_recv_wr = HERMIT_RDMA_RECEIVES + 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
	};
	unsigned int i;
	int ret;

	ctl->pd = ib_alloc_pd(dev, 0);
	if (IS_ERR(ctl->pd)) {
		ret = PTR_ERR(ctl->pd);
		ctl->pd = NULL;
		return ret;
	}
	ctl->cq = ib_alloc_cq_any(dev, ctl, 2 * (BUFFERS + 1),
				  IB_POLL_SOFTIRQ);
	if (IS_ERR(ctl->cq)) {
		ret = PTR_ERR(ctl->cq);
		ctl->cq = NULL;
		return ret;
	}
	ctl->buffers = kzalloc(BUFFERS_LEN, GFP_KERNEL);
	if (!ctl->buffers)
		return -ENOMEM;
	ctl->dma = ib_dma_map_single(dev, ctl->buffers, BUFFERS_LEN,
				     DMA_BIDIRECTIONAL);
	if (ib_dma_mapping_error(dev, ctl->dma)) {
		kfree(ctl->buffers);
		ctl->buffers = NULL;
		return -ENOMEM;
	}
	attr.send_cq = ctl->cq;
	attr.recv_cq = ctl->cq;
	ret = rdma_create_qp(ctl->cm.id, ctl->pd, &attr);
	for (i = 0; !ret && i < HERMIT_RDMA_RECEIVES; i++) {
		ctl->receive_cqes[i].done = on_received;
		ret = post_receive(ctl, i);
	}
	return ret;
}

int hermit_rdma_ctl_open(struct hermit_rdma_ctl *ctl,
			 struct hermit_rdma_env *env)
{
	struct ib_device *dev;
	int ret;

	memset(ctl, 0, sizeof(*ctl));
	ctl->channel.send = ctl_send;
	ctl->channel.recv = ctl_recv;
	ctl->send_cqe.done = on_sent;
	spin_lock_init(&ctl->lock);

	ret = hermit_rdma_cm_resolve(&ctl->cm, env);
	if (ret)
		return ret;
	dev = ctl->cm.id->device;
	if (rdma_protocol_iwarp(dev, ctl->cm.id->port_num)) {
		/* A READ's target would need a registration the peer may use. */
		snprintf(env->why, HERMIT_ERROR_LEN,
			 "the RDMA device %s is iWARP: use InfiniBand or RoCE",
			 dev_name(&dev->dev));
		ret = -EOPNOTSUPP;
		goto err_close;
	}
	ret = make_queue_pair(ctl);
	if (ret) {
		snprintf(env->why, HERMIT_ERROR_LEN,
			 "the RDMA device %s has no room for a connection (error %d)",
			 dev_name(&dev->dev), -ret);
		ret = hermit_failed_here(ret);
		goto err_close;
	}
	ret = hermit_rdma_cm_connect(&ctl->cm, NULL);
	if (ret)
		goto err_close;
	return 0;

err_close:
	hermit_rdma_ctl_close(ctl);
	return ret;
}

void hermit_rdma_ctl_close(struct hermit_rdma_ctl *ctl)
{
	struct ib_device *dev;

	if (!ctl->cm.id)
		return;
	dev = ctl->cm.id->device;
	/* So that no completion comes after the buffers are gone. */
	if (ctl->cm.connected)
		ib_drain_qp(ctl->cm.id->qp);
	ctl->cm.connected = false;
	if (ctl->cm.id->qp)
		rdma_destroy_qp(ctl->cm.id);
	if (ctl->cq)
		ib_free_cq(ctl->cq);
	if (ctl->buffers) {
		ib_dma_unmap_single(dev, ctl->dma, BUFFERS_LEN,
				    DMA_BIDIRECTIONAL);
		kfree_sensitive(ctl->buffers);
	}
	if (ctl->pd)
		ib_dealloc_pd(ctl->pd);
	ctl->cq = NULL;
	ctl->buffers = NULL;
	ctl->pd = NULL;
	hermit_rdma_cm_close(&ctl->cm);
}
