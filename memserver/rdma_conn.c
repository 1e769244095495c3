/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rdma_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "auth.h"
#include "log.h"
#include "rdma_grants.h"
#include "request.h"

/* A client pings every second; one that is silent for so long is gone. */
#define SILENCE_US (30 * G_USEC_PER_SEC)
/* How long the client's device may take to acknowledge a message. */
#define SEND_US (5 * G_USEC_PER_SEC)

/* wr_id: the receive buffer's index, or this. */
#define SEND_ID HERMIT_RDMA_RECEIVES
#define BUFFERS (HERMIT_RDMA_RECEIVES + 1)

struct HermitRdmaConn
{
  HermitRdmaJoins *joins;
  struct rdma_cm_id *id;
  struct rdma_event_channel *events;
  struct ibv_pd *pd; /* of the epoch: all its rkeys are in it */
  struct ibv_comp_channel *completions;
  struct ibv_cq *cq;
  struct ibv_mr *buffers_mr;
  guint8 (*buffers)[HERMIT_RDMA_MESSAGE];
  guint8 token[HERMIT_RDMA_TOKEN_LEN];
  int wake; /* an eventfd */
  gint stop; /* HermitStop, atomic */

  gboolean dead;
  gboolean sending;
  /* messages received and not read, in order: a ring */
  struct
  {
    guint32 buffer, length;
  } ready[HERMIT_RDMA_RECEIVES];
  guint first, count;
  guint32 taken; /* bytes of the first one that were read */

  GPtrArray *data; /* of rdma_cm_id; under the joins' lock */
  HermitRdmaGrants *grants; /* memory of the session's, lent to its client */
};

static int
conn_create_qp (HermitRdmaConn *conn, struct rdma_cm_id *id, gboolean control)
{
  struct ibv_qp_init_attr attr = {
    .send_cq = conn->cq,
    .recv_cq = conn->cq,
    .qp_type = IBV_QPT_RC,
    .cap = {
      .max_send_wr = control ? 2 : 1,
      .max_recv_wr = control ? HERMIT_RDMA_RECEIVES : 1,
      .max_send_sge = 1,
      .max_recv_sge = 1,
    },
  };

  return rdma_create_qp (id, conn->pd, &attr);
}

static int
accept_id (struct rdma_cm_id *id, const guint8 *token)
{
  struct hermit_wire_rdma_accept accept = {
    .magic = cpu_to_le32 (HERMIT_WIRE_MAGIC),
    .version = cpu_to_le16 (HERMIT_WIRE_VERSION),
    .max_data = cpu_to_le16 (HERMIT_SESSION_CONNECTIONS),
  };
  struct rdma_conn_param param = {
    .private_data = &accept,
    .private_data_len = sizeof (accept),
    /* As much as the device can do and the client has asked for. */
    .responder_resources = RDMA_MAX_RESP_RES,
    .initiator_depth = RDMA_MAX_INIT_DEPTH,
    .rnr_retry_count = 7, /* for ever: the client posts enough */
  };

  if (token)
    memcpy (accept.token, token, sizeof (accept.token));
  return rdma_accept (id, &param);
}

guint32
hermit_rdma_joins_accept (HermitRdmaJoins *joins, struct rdma_cm_id *id,
                          const guint8 token[HERMIT_RDMA_TOKEN_LEN],
                          char **why)
{
  guint32 code = HERMIT_REFUSE_EPOCH;
  HermitRdmaConn *conn;

  conn = hermit_rdma_joins_lock (joins, token);
  if (!conn)
    *why = g_strdup ("the epoch to join is over");
  else if (conn->id->verbs != id->verbs)
    {
      /* It could not use the session's registrations. */
      code = HERMIT_REFUSE_PROTOCOL;
      *why = g_strdup ("the connection came to another device than the "
                       "session's first one");
    }
  else if (conn->data->len >= HERMIT_SESSION_CONNECTIONS)
    {
      code = HERMIT_REFUSE_BUSY;
      *why = g_strdup_printf ("the session has %u connections already",
                              conn->data->len);
    }
  else if (conn_create_qp (conn, id, FALSE)
           || rdma_migrate_id (id, conn->events) || accept_id (id, NULL))
    {
      code = HERMIT_REFUSE_BUSY;
      *why = g_strdup_printf ("the server's device cannot take one more "
                              "connection: %s",
                              g_strerror (errno));
    }
  else
    {
      code = 0;
      g_ptr_array_add (conn->data, id);
    }
  hermit_rdma_joins_unlock (joins);
  return code;
}

/* ---- the control connection ---- */

static gboolean
conn_post_receive (HermitRdmaConn *conn, guint32 buffer)
{
  struct ibv_sge sge = {
    .addr = (uintptr_t)conn->buffers[buffer],
    .length = HERMIT_RDMA_MESSAGE,
    .lkey = conn->buffers_mr->lkey,
  };
  struct ibv_recv_wr wr = { .wr_id = buffer, .sg_list = &sge, .num_sge = 1 };
  struct ibv_recv_wr *bad;

  errno = ibv_post_recv (conn->id->qp, &wr, &bad);
  return errno == 0;
}

static void
conn_free (gpointer io)
{
  HermitRdmaConn *conn = io;

  /* What uses goes before what is used; everything may be missing. */
  if (conn->id->qp)
    rdma_destroy_qp (conn->id);
  if (conn->buffers_mr)
    ibv_dereg_mr (conn->buffers_mr);
  g_free (conn->buffers);
  if (conn->cq)
    ibv_destroy_cq (conn->cq);
  if (conn->completions)
    ibv_destroy_comp_channel (conn->completions);
  if (conn->pd && ibv_dealloc_pd (conn->pd))
    g_warning ("an RDMA protection domain stays: %s", g_strerror (errno));
  rdma_destroy_id (conn->id);
  if (conn->events)
    rdma_destroy_event_channel (conn->events);
  if (conn->wake >= 0)
    close (conn->wake);
  g_ptr_array_unref (conn->data);
  hermit_rdma_grants_free (conn->grants);
  hermit_rdma_joins_unref (conn->joins);
  g_free (conn);
}

static gboolean
conn_setup (HermitRdmaConn *conn)
{
  struct ibv_context *verbs = conn->id->verbs;

  conn->pd = ibv_alloc_pd (verbs);
  conn->completions = ibv_create_comp_channel (verbs);
  if (!conn->pd || !conn->completions)
    return FALSE;
  if (fcntl (conn->events->fd, F_SETFL, O_NONBLOCK) < 0
      || fcntl (conn->completions->fd, F_SETFL, O_NONBLOCK) < 0)
    return FALSE;
  conn->cq = ibv_create_cq (verbs, 2 * BUFFERS, NULL, conn->completions, 0);
  if (!conn->cq)
    return FALSE;
  conn->buffers = g_malloc0 (BUFFERS * HERMIT_RDMA_MESSAGE);
  conn->buffers_mr
      = ibv_reg_mr (conn->pd, conn->buffers, BUFFERS * HERMIT_RDMA_MESSAGE,
                    IBV_ACCESS_LOCAL_WRITE);
  if (!conn->buffers_mr)
    return FALSE;
  errno = ibv_req_notify_cq (conn->cq, 0);
  if (errno || conn_create_qp (conn, conn->id, TRUE))
    return FALSE;
  for (guint32 i = 0; i < HERMIT_RDMA_RECEIVES; i++)
    if (!conn_post_receive (conn, i))
      return FALSE;
  return accept_id (conn->id, conn->token) == 0;
}

static void
conn_set_error (HermitRdmaConn *conn, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
               "the RDMA device %s cannot serve one more client: %s%s",
               ibv_get_device_name (conn->id->verbs->device),
               g_strerror (errno),
               errno == ENOMEM || errno == EAGAIN
                   ? "; raise the limit of locked memory (ulimit -l)"
                   : "");
}

static gboolean
conn_open (gpointer io, GError **error)
{
  HermitRdmaConn *conn = io;

  if (conn_setup (conn))
    return TRUE;
  conn_set_error (conn, error);
  return FALSE;
}

HermitRdmaConn *
hermit_rdma_conn_new (struct rdma_cm_id *id, HermitRdmaJoins *joins,
                      GError **error)
{
  HermitRdmaConn *conn = g_new0 (HermitRdmaConn, 1);

  conn->id = id;
  conn->joins = hermit_rdma_joins_ref (joins);
  conn->data = g_ptr_array_new ();
  conn->grants = hermit_rdma_grants_new ();
  hermit_random (conn->token, sizeof (conn->token));
  conn->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  conn->events = rdma_create_event_channel ();
  /* Now, while the listener, whose channel it has, is sure to be there. */
  if (conn->wake >= 0 && conn->events
      && rdma_migrate_id (conn->id, conn->events) == 0)
    return conn;
  conn_set_error (conn, error);
  conn_free (conn);
  return NULL;
}

static void
conn_take_completions (HermitRdmaConn *conn)
{
  struct ibv_wc wc;
  int n;

  while ((n = ibv_poll_cq (conn->cq, 1, &wc)) > 0)
    {
      if (wc.status != IBV_WC_SUCCESS)
        conn->dead = TRUE;
      if (wc.wr_id == SEND_ID)
        conn->sending = FALSE;
      else if (wc.status == IBV_WC_SUCCESS)
        {
          guint at = (conn->first + conn->count++) % HERMIT_RDMA_RECEIVES;

          conn->ready[at].buffer = (guint32)wc.wr_id;
          conn->ready[at].length = wc.byte_len;
        }
    }
  if (n < 0)
    conn->dead = TRUE;
}

static void
conn_take_events (HermitRdmaConn *conn)
{
  struct rdma_cm_event *event;

  while (rdma_get_cm_event (conn->events, &event) == 0)
    {
      /* A data connection that is lost is the client's to replace. */
      if (event->id == conn->id && event->event != RDMA_CM_EVENT_ESTABLISHED)
        conn->dead = TRUE;
      if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL)
        conn->dead = TRUE;
      rdma_ack_cm_event (event);
    }
}

/*
 * Sleep until something came, at most until @deadline; look at what it is.
 * FALSE after the deadline.
 */
static gboolean
conn_wait (HermitRdmaConn *conn, gint64 deadline)
{
  gint64 left = deadline - g_get_monotonic_time ();
  struct pollfd fds[] = {
    { .fd = conn->completions->fd, .events = POLLIN },
    { .fd = conn->events->fd, .events = POLLIN },
    { .fd = conn->wake, .events = POLLIN },
  };
  struct ibv_cq *cq;
  guint64 wakes;
  void *context;
  int n;

  if (left <= 0)
    return FALSE;
  n = poll (fds, G_N_ELEMENTS (fds), (int)(left / 1000 + 1));
  if (n < 0 && errno != EINTR)
    conn->dead = TRUE;
  if (n <= 0)
    return TRUE;
  if (fds[2].revents && read (conn->wake, &wakes, sizeof (wakes)) < 0)
    return TRUE;
  if (fds[1].revents)
    conn_take_events (conn);
  while (ibv_get_cq_event (conn->completions, &cq, &context) == 0)
    {
      ibv_ack_cq_events (cq, 1);
      if (ibv_req_notify_cq (cq, 0))
        conn->dead = TRUE;
    }
  /* After arming: what came before it makes no event. */
  conn_take_completions (conn);
  return TRUE;
}

static ssize_t
conn_receive (gpointer io, void *to, gsize length, gint64 deadline)
{
  HermitRdmaConn *conn = io;
  guint32 left, buffer;

  while (!conn->count)
    {
      if (g_atomic_int_get (&conn->stop) != HERMIT_STOP_NONE || conn->dead)
        return 0;
      if (!conn_wait (conn, deadline))
        {
          errno = ETIMEDOUT;
          return -1;
        }
    }
  buffer = conn->ready[conn->first].buffer;
  left = conn->ready[conn->first].length - conn->taken;
  length = MIN (length, left);
  memcpy (to, conn->buffers[buffer] + conn->taken, length);
  conn->taken += length;
  if (length == left)
    {
      conn->taken = 0;
      conn->first = (conn->first + 1) % HERMIT_RDMA_RECEIVES;
      conn->count--;
      if (!conn_post_receive (conn, buffer))
        conn->dead = TRUE;
    }
  /* An empty message is not the stream's end: nobody sends one. */
  if (!length)
    conn->dead = TRUE;
  return (ssize_t)length;
}

static gboolean
conn_send (gpointer io, const void *data, gsize length)
{
  HermitRdmaConn *conn = io;
  struct ibv_sge sge = {
    .addr = (uintptr_t)conn->buffers[SEND_ID],
    .length = (guint32)length,
    .lkey = conn->buffers_mr->lkey,
  };
  struct ibv_send_wr wr = {
    .wr_id = SEND_ID,
    .sg_list = &sge,
    .num_sge = 1,
    .opcode = IBV_WR_SEND,
    .send_flags = IBV_SEND_SIGNALED,
  };
  gint64 deadline = g_get_monotonic_time () + SEND_US;
  struct ibv_send_wr *bad;

  g_assert (length <= HERMIT_RDMA_MESSAGE);
  if (conn->dead)
    {
      errno = ECONNRESET;
      return FALSE;
    }
  memcpy (conn->buffers[SEND_ID], data, length);
  conn->sending = TRUE;
  errno = ibv_post_send (conn->id->qp, &wr, &bad);
  if (errno)
    {
      conn->dead = TRUE;
      return FALSE;
    }
  /*
   * Its acknowledgment: then the message is the client's, whatever we do. A
   * fence does not wait for a client that may be gone.
   */
  while (conn->sending && !conn->dead)
    if (g_atomic_int_get (&conn->stop) == HERMIT_STOP_FENCE
        || !conn_wait (conn, deadline))
      conn->dead = TRUE;
  if (conn->dead)
    errno = ECONNRESET;
  return !conn->dead;
}

static void
conn_stop (gpointer io, HermitStop how)
{
  HermitRdmaConn *conn = io;
  guint64 one = 1;

  g_atomic_int_set (&conn->stop, how);
  if (write (conn->wake, &one, sizeof (one)) < 0)
    return; /* it is full of wake-ups already */
}

/* ---- the session's memory ---- */

/*
 * The fence: destroy the data connections, whose requests come to nothing from
 * then on, and the registrations. FALSE if a registration stays; then so does
 * its memory, unless @last: the control connection is gone as well, and nobody
 * can use what is registered.
 */
static gboolean
conn_revoke (HermitRdmaConn *conn, gboolean last)
{
  g_autoptr (GPtrArray) data = NULL;

  if (hermit_rdma_joins_lock (conn->joins, conn->token) == conn)
    hermit_rdma_joins_remove (conn->joins, conn->token);
  data = conn->data;
  conn->data = g_ptr_array_new ();
  hermit_rdma_joins_unlock (conn->joins);

  for (guint i = 0; i < data->len; i++)
    {
      rdma_destroy_qp (data->pdata[i]);
      rdma_destroy_id (data->pdata[i]);
    }
  return hermit_rdma_grants_revoke (conn->grants, last);
}

/* FALSE if the connection is over. */
static gboolean
conn_answer (HermitRdmaConn *conn, HermitSession *session,
             HermitMember *member, const struct hermit_wire_hdr *hdr,
             guint64 caps)
{
  HermitCounters *counters = hermit_session_counters (session);
  struct
  {
    struct hermit_wire_hdr hdr;
    struct hermit_wire_grant grants[HERMIT_RDMA_GRANT_MAX];
  } reply;
  guint8 status = HERMIT_WIRE_OK;
  gboolean going_on = TRUE;
  guint n = 0;

  switch (hdr->type)
    {
    case HERMIT_MSG_GRANT:
      status = hermit_rdma_grants_answer (conn->grants, conn->pd, session, hdr,
                                          reply.grants, &n);
      break;
    case HERMIT_MSG_RELEASE:
      status = hermit_rdma_grants_release (conn->grants, session, hdr);
      atomic_fetch_add (&counters->discards, 1);
      break;
    case HERMIT_MSG_END:
      if (!conn_revoke (conn, FALSE) || !hermit_session_end (session, member))
        return FALSE;
      going_on = FALSE;
      break;
    }
  if (status == HERMIT_WIRE_ENOSPC)
    atomic_fetch_add (&counters->no_space, 1);
  else if (status != HERMIT_WIRE_OK)
    atomic_fetch_add (&counters->errors, 1);

  hermit_request_fill_reply (&reply.hdr, hdr, status,
                             n * sizeof (reply.grants[0]));
  if (hdr->type == HERMIT_MSG_PING)
    hermit_request_pong (&reply.hdr, hdr, hermit_session_region (session),
                         caps);
  return conn_send (conn, &reply,
                    sizeof (reply.hdr) + n * sizeof (reply.grants[0]))
         && going_on;
}

static gboolean
conn_receive_request (HermitRdmaConn *conn, HermitSession *session,
                      struct hermit_wire_hdr *hdr)
{
  gint64 deadline = g_get_monotonic_time () + SILENCE_US;
  guint8 *at = (guint8 *)hdr;
  gsize left = sizeof (*hdr);
  const char *why;

  while (left)
    {
      ssize_t n = conn_receive (conn, at, left, deadline);

      if (n < 0)
        hermit_rdma_log (G_LOG_LEVEL_MESSAGE, session,
                  "the client is silent: connection closed");
      if (n <= 0)
        return FALSE;
      at += n;
      left -= (gsize)n;
    }
  if (hermit_wire_check_rdma_control (
          hdr, hermit_region_size (hermit_session_region (session)), &why))
    {
      hermit_rdma_log (G_LOG_LEVEL_WARNING, session,
                "%s (type %u, offset 0x%" G_GINT64_MODIFIER
                "x, extent %u, payload %u): connection closed",
                why, hdr->type, le64_to_cpu (hdr->offset),
                le32_to_cpu (hdr->extent), le32_to_cpu (hdr->length));
      return FALSE;
    }
  return TRUE;
}

/* From here data connections may join: the client does not wait for us. */
static void
conn_attached (gpointer io)
{
  HermitRdmaConn *conn = io;

  hermit_rdma_joins_lock (conn->joins, conn->token);
  hermit_rdma_joins_add (conn->joins, conn->token, conn);
  hermit_rdma_joins_unlock (conn->joins);
}

static void
conn_serve (gpointer io, HermitSession *session, HermitMember *member,
            guint64 caps)
{
  HermitRdmaConn *conn = io;
  struct hermit_wire_hdr hdr;

  while (g_atomic_int_get (&conn->stop) == HERMIT_STOP_NONE)
    if (!conn_receive_request (conn, session, &hdr)
        || !conn_answer (conn, session, member, &hdr, caps))
      break;
}

static void
conn_leave (gpointer io)
{
  HermitRdmaConn *conn = io;

  if (conn->id->qp) /* else it was never opened */
    {
      rdma_disconnect (conn->id);
      rdma_destroy_qp (conn->id);
    }
  conn_revoke (conn, TRUE);
}

const HermitConnOps hermit_rdma_conn_ops = {
  .open = conn_open,
  .receive = conn_receive,
  .send = conn_send,
  .stop = conn_stop,
  .attached = conn_attached,
  .serve = conn_serve,
  .leave = conn_leave,
  .free = conn_free,
};
