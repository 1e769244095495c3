// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connecting. Events come from the connection manager's own work queue; the
 * caller waits for one step after the other, since it has nothing else to do.
 */
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/string.h>
#include <rdma/ib_cm.h>
#include <rdma/rdma_cm.h>

#include "link/handshake.h"
#include "link/rdma/cm.h"
#include "uapi/hermit.h"

#define RESOLVE_MS	2000

static void lose(struct hermit_rdma_cm *cm)
{
	WRITE_ONCE(cm->lost, true);
	wake_up_all(&cm->env->wait);
	if (cm->connected)
		cm->env->kick(cm->env);
}

/* A step is over. Everything written before is seen by who waits. */
static void step_done(struct hermit_rdma_cm *cm,
		      const struct rdma_cm_event *ev, int error)
{
	cm->event = ev->event;
	cm->error = error;
	smp_store_release(&cm->waiting, false);
	wake_up_all(&cm->env->wait);
}

static int take_accept(struct hermit_rdma_cm *cm,
		       const struct rdma_conn_param *param)
{
	const char *why;

	if (hermit_wire_check_rdma_accept(param->private_data,
					  param->private_data_len, &why))
		return -EPROTO;
	memcpy(&cm->accept, param->private_data, sizeof(cm->accept));
	return 0;
}

static void take_refusal(struct hermit_rdma_cm *cm, struct rdma_cm_event *ev)
{
	const void *data;
	u8 len = 0;

	data = rdma_consumer_reject_data(cm->id, ev, &len);
	if (!data || len < sizeof(cm->refuse))
		return;
	memcpy(&cm->refuse, data, sizeof(cm->refuse));
	/*
	 * A process that ends, or hands over, with our request before it has it refused
	 * by its kernel, with zeros: nobody has said anything, and the next one may.
	 */
	cm->refused = cm->refuse.code;
}

static int on_event(struct rdma_cm_id *id, struct rdma_cm_event *ev)
{
	struct hermit_rdma_cm *cm = id->context;

	switch (ev->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		step_done(cm, ev, 0);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		step_done(cm, ev, take_accept(cm, &ev->param.conn));
		break;
	case RDMA_CM_EVENT_REJECTED:
		take_refusal(cm, ev);
		/* The status is the manager's reason, a positive number. */
		step_done(cm, ev, ev->status == IB_CM_REJ_INVALID_SERVICE_ID ?
				  -ECONNREFUSED : -ECONNABORTED);
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
		step_done(cm, ev, ev->status < 0 ? ev->status : -EIO);
		break;
	case RDMA_CM_EVENT_UNREACHABLE:
		if (ev->status != -ETIMEDOUT) {
			step_done(cm, ev, ev->status < 0 ? ev->status : -EIO);
			break;
		}
		/*
		 * The manager gives up a connection request after a minute, we
		 * long before: it is what it says of a neighbour whose address
		 * changed, and at any time.
		 */
		fallthrough;
	case RDMA_CM_EVENT_ADDR_CHANGE:
		WRITE_ONCE(cm->changed, true);
		lose(cm);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		lose(cm);
		break;
	default:
		break;
	}
	return 0;		/* never destroy the id from here */
}

static int say(struct hermit_rdma_cm *cm, int err, const char *sentence)
{
	strscpy(cm->env->why, sentence, HERMIT_ERROR_LEN);
	return err;
}

static int say_error(struct hermit_rdma_cm *cm, int err)
{
	if (cm->refused)
		return hermit_refused(&cm->refuse, cm->env->why);
	switch (err) {
	case -ECONNREFUSED:
		return say(cm, err, "connection refused: no hermit-memserver listens for RDMA there");
	case -EPROTO:
		return say(cm, err, "it does not speak the hermit protocol, or another version; is it a hermit-memserver?");
	case -ENODEV:
		return say(cm, err, "no RDMA device leads there: the interface of the route has none (see 'rdma link')");
	case -EAGAIN:
		return say(cm, err, "the way to it changed meanwhile: a neighbour's address, or a device");
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -EADDRNOTAVAIL:
		return say(cm, err, "unreachable: no route to that address");
	case -ETIMEDOUT:
		return say(cm, err, "unreachable: no answer to the connection request");
	case -EINTR:
	case -ERESTARTSYS:
		return say(cm, -EINTR, "interrupted by a signal");
	case -ECANCELED:
		return say(cm, err, "the link is being closed");
	}
	snprintf(cm->env->why, HERMIT_ERROR_LEN,
		 "cannot connect by RDMA (%s, error %d)",
		 rdma_event_msg(cm->event), -err);
	return hermit_failed_here(err);
}

static void step_begin(struct hermit_rdma_cm *cm)
{
	cm->error = 0;
	cm->refused = false;
	cm->waiting = true;
}

static int step_wait(struct hermit_rdma_cm *cm, long timeout)
{
	struct hermit_rdma_env *env = cm->env;
	long left;

	left = wait_event_interruptible_timeout(env->wait,
			!smp_load_acquire(&cm->waiting) ||
			READ_ONCE(cm->lost) || READ_ONCE(env->abort), timeout);
	if (left < 0)
		return left;
	if (READ_ONCE(env->abort))
		return -ECANCELED;
	if (!left)
		return -ETIMEDOUT;
	if (smp_load_acquire(&cm->waiting))
		return -EAGAIN;		/* lost */
	return cm->error;
}

int hermit_rdma_cm_resolve(struct hermit_rdma_cm *cm,
			   struct hermit_rdma_env *env)
{
	struct rdma_cm_id *id;
	int ret;

	memset(cm, 0, sizeof(*cm));
	cm->env = env;
	id = rdma_create_id(env->net, on_event, cm, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(id))
		return say_error(cm, PTR_ERR(id));
	cm->id = id;

	step_begin(cm);
	ret = rdma_resolve_addr(id, NULL, (struct sockaddr *)env->addr,
				RESOLVE_MS);
	if (!ret)
		ret = step_wait(cm, 2 * msecs_to_jiffies(RESOLVE_MS));
	if (!ret) {
		step_begin(cm);
		ret = rdma_resolve_route(id, RESOLVE_MS);
	}
	if (!ret)
		ret = step_wait(cm, 2 * msecs_to_jiffies(RESOLVE_MS));
	if (ret) {
		ret = say_error(cm, ret);
		hermit_rdma_cm_close(cm);
	}
	return ret;
}

const char *hermit_rdma_cm_lost(const struct hermit_rdma_cm *cm)
{
	if (!READ_ONCE(cm->lost))
		return NULL;
	return READ_ONCE(cm->changed) ? "its neighbour's address changed" :
					"the server closed the connection";
}

int hermit_rdma_cm_connect(struct hermit_rdma_cm *cm, const u8 *token)
{
	const struct ib_device_attr *attrs = &cm->id->device->attrs;
	struct hermit_wire_rdma_request req = {
		.magic = cpu_to_le32(HERMIT_WIRE_MAGIC),
		.version = cpu_to_le16(HERMIT_WIRE_VERSION),
		.role = token ? HERMIT_RDMA_DATA : HERMIT_RDMA_CONTROL,
	};
	struct rdma_conn_param param = {
		.private_data = &req,
		.private_data_len = sizeof(req),
		/* READs at a time: as many as the device can have. */
		.initiator_depth = clamp(attrs->max_qp_init_rd_atom, 1, 128),
		.responder_resources = 1,
		.retry_count = 7,
		.rnr_retry_count = 7,	/* for ever; the deadline is ours */
	};
	int ret;

	if (token)
		memcpy(req.token, token, sizeof(req.token));
	step_begin(cm);
	ret = rdma_connect(cm->id, &param);
	if (!ret)
		ret = step_wait(cm, cm->env->connect_timeout);
	if (ret)
		return say_error(cm, ret);
	cm->connected = true;
	return 0;
}

void hermit_rdma_cm_close(struct hermit_rdma_cm *cm)
{
	struct rdma_cm_id *id = cm->id;

	if (!id)
		return;
	cm->connected = false;
	if (id->qp)
		rdma_destroy_qp(id);
	/* No event handler runs any more after this. */
	rdma_destroy_id(id);
	cm->id = NULL;
}
