/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_RDMA_CM_H
#define HERMIT_RDMA_CM_H
/*
 * One RDMA connection as the connection manager sees it: an address, then a
 * device, then a queue pair that the caller makes, then the server's word.
 *
 * resolve, connect and close exclude each other; they are process context and
 * may sleep. Between connect and close the caller learns from `lost`, and from
 * the wake-up and kick() that come with it, that the connection is over.
 */
#include <linux/types.h>
#include <linux/wait.h>
#include <rdma/rdma_cm.h>

#include "wire/rdma.h"

struct net;
struct sockaddr_storage;

/* What all connections of a link share. */
struct hermit_rdma_env {
	struct net *net;
	const struct sockaddr_storage *addr;
	wait_queue_head_t wait;		/* something happened somewhere */
	long connect_timeout;		/* jiffies; set before a connection opens */
	bool abort;			/* close() wants every wait to end */
	bool deaf;			/* waits are not for signals to end */
	char *why;			/* HERMIT_ERROR_LEN: of a failure */
	/* Is a data connection? Asked during calls; NULL: there is none. */
	bool (*in_trouble)(struct hermit_rdma_env *env);
	/* A connection is lost: any context but interrupts. */
	void (*kick)(struct hermit_rdma_env *env);
};

struct hermit_rdma_cm {
	struct hermit_rdma_env *env;
	struct rdma_cm_id *id;		/* NULL: closed */
	bool lost;			/* READ_ONCE; once set it stays */
	bool changed;			/* lost, since a neighbour's address changed */
	bool connected;

	/* of the step that is waited for; set by the event handler */
	bool waiting;
	int error;
	enum rdma_cm_event_type event;
	bool refused;			/* with this: */
	struct hermit_wire_refuse refuse;
	struct hermit_wire_rdma_accept accept;
};

/*
 * Find the device: afterwards cm->id->device and cm->id->port_num are set. 0,
 * or a negative errno with env->why; then it is closed again.
 */
int hermit_rdma_cm_resolve(struct hermit_rdma_cm *cm,
			   struct hermit_rdma_env *env);

/*
 * Connect the queue pair that was made with rdma_create_qp(). @token is NULL
 * for the control connection. 0 with cm->accept, checked; or a negative errno
 * (those of hermit_handshake() for a refusal) with env->why.
 */
int hermit_rdma_cm_connect(struct hermit_rdma_cm *cm, const u8 *token);

/* Why the connection is over, or NULL. Any context. */
const char *hermit_rdma_cm_lost(const struct hermit_rdma_cm *cm);

/* Also the queue pair, if there is one: it must be drained. */
void hermit_rdma_cm_close(struct hermit_rdma_cm *cm);

#endif /* HERMIT_RDMA_CM_H */
