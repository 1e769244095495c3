/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RDMA_CTL_H
#define HERMIT_RDMA_CTL_H
/*
 * The control connection of an epoch. One user at a time; process context, may
 * sleep. Until the first call waiting ends early when env->abort is set.
 */
#include <linux/types.h>
#include <rdma/ib_verbs.h>

#include "link/handshake.h"
#include "link/rdma/cm.h"
#include "wire/rdma.h"

struct hermit_rdma_ctl {
	struct hermit_channel channel;
	struct hermit_rdma_cm cm;
	struct ib_pd *pd;		/* of all connections of the epoch */
	struct ib_cq *cq;
	u8 *buffers;			/* receives, and one to send from */
	u64 dma;
	struct ib_cqe receive_cqes[HERMIT_RDMA_RECEIVES];
	struct ib_cqe send_cqe;
	bool sending;

	spinlock_t lock;		/* what was received: a ring */
	struct {
		u16 buffer, length;
	} ready[HERMIT_RDMA_RECEIVES];
	unsigned int first, count;
	unsigned int taken;		/* bytes of the first one */
	u32 tag;
	bool calling;			/* the handshake is over */
};

/* Connect, without a handshake yet. 0, or a negative errno with env->why. */
int hermit_rdma_ctl_open(struct hermit_rdma_ctl *ctl,
			 struct hermit_rdma_env *env);
void hermit_rdma_ctl_close(struct hermit_rdma_ctl *ctl);

/*
 * Ask the server; the connection is of no more use unless this returns 0, with
 * the reply's header in @reply and what follows it, at most @max bytes, in
 * @payload.
 */
int hermit_rdma_ctl_call(struct hermit_rdma_ctl *ctl, u8 type, u64 offset,
			 u32 extent, long timeout,
			 struct hermit_wire_hdr *reply, void *payload,
			 size_t max);

#endif /* HERMIT_RDMA_CTL_H */
