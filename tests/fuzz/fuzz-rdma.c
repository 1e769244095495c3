/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's RDMA connections without a device: rdma_conn.c unchanged, over
 * a device that is made up here and does in each poll of its completion queue
 * the next step of a script, the input. A client's messages, right or bent;
 * data connections that join; pages written through what was granted; calls
 * that fail.
 *
 * A grant names a registration that exists, and its memory. What was released
 * is granted again as zeros. Nothing of the device is left when a connection
 * is over, and nothing of the store when the region is.
 */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conn.h"
#include "door.h"
#include "fuzz-log.h"
#include "fuzz.h"
#include "rdma_conn.h"
#include "server.h"
#include "session.h"
#include "store.h"
#include "uuid.h"

#define CAPACITY (3ull * HERMIT_EXTENT_SIZE)
#define REGION_SIZE (5ull * HERMIT_EXTENT_SIZE + 4096)
#define EXTENTS 6
#define CONNS_MAX 3
#define STEPS_MAX 60

enum step
{
  HELLO,
  AUTH,
  GRANT,   /* extent, extents */
  RELEASE, /* extent, extents */
  PING,
  SAY_END,
  BEND,    /* which byte of the next message, xor */
  CUT,     /* the next message comes in two: where */
  RAW,     /* length, bytes */
  JOIN,    /* 0: with the token */
  WRITE,   /* extent: its first and last page */
  FAIL,    /* which call: see enum call */
  EVENT,   /* of the connection manager */
  LEAVE,   /* the connection ends; the next one goes on */
  NR_STEPS,
};

/* What can be made to fail, once. */
enum call
{
  CREATE_QP,
  ALLOC_PD,
  CREATE_CQ,
  REG_MR,
  DEREG_MR,
  POST_SEND,
  SENT,
  ACCEPT,
  NR_CALLS,
};

static HermitServer server;
static const guint8 region_uuid[16] = { 1 };
static const HermitPeer peer = { .name = "peer" };
static HermitRdmaJoins *joins;
static struct ibv_context verbs;

/* One run. */
static struct
{
  const uint8_t *at, *end;
  guint steps;
  gboolean fail[NR_CALLS];
  guint bend_at, cut;
  guint8 bend;

  /* the device's things that exist */
  guint pds, cqs, channels, qps, ids;
  GPtrArray *mrs;
  guint kept; /* whose deregistration failed */
  guint32 rkey;

  /* the control connection */
  struct rdma_cm_id *id;
  guint8 token[HERMIT_RDMA_TOKEN_LEN];
  struct ibv_cq *cq;
  GQueue receives; /* struct ibv_recv_wr */
  GQueue messages; /* GBytes that wait for one */
  gboolean sent;   /* a send is to be completed */
  guint64 sent_id;
  gboolean leaving, told;
  enum rdma_cm_event_type event; /* 0: none */
  guint answers;                 /* CHALLENGE and WELCOME come first */
  gboolean strange; /* a HELLO that was bent opened another region */
  GMutex lock;
  GCond gone;

  struct hermit_wire_grant grants[EXTENTS]; /* address 0: none */
  gboolean dirty[EXTENTS];                  /* written since its release */
} dev;

static guint8
next (void)
{
  return dev.at < dev.end ? *dev.at++ : 0;
}

static gboolean
fails (enum call call)
{
  gboolean yes = dev.fail[call];

  dev.fail[call] = FALSE;
  errno = ENOMEM;
  return yes;
}

/* ---- what the client says ---- */

static void
message (const void *data, gsize length)
{
  g_autofree guint8 *copy = g_memdup2 (data, length);
  gsize cut = dev.cut % length;

  copy[dev.bend_at % length] ^= dev.bend;
  dev.bend = 0;
  dev.cut = 0;
  if (cut)
    g_queue_push_tail (&dev.messages, g_bytes_new (copy, cut));
  g_queue_push_tail (&dev.messages, g_bytes_new (copy + cut, length - cut));
}

static void
frame (guint8 type, const void *payload, guint32 length)
{
  guint8 data[HERMIT_RDMA_MESSAGE];
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, 0, 0, 0, length);
  memcpy (data, &hdr, sizeof (hdr));
  memcpy (data + sizeof (hdr), payload, length);
  message (data, sizeof (hdr) + length);
}

static void
request (guint8 type, guint8 extent, guint8 extents)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, dev.steps,
                    (guint64)extent % EXTENTS * HERMIT_RDMA_EXTENT,
                    extents % EXTENTS * HERMIT_RDMA_EXTENT, 0);
  message (&hdr, sizeof (hdr));
}

static void
hello (void)
{
  struct hermit_wire_hello hello = {
    .version_min = cpu_to_le16 (1),
    .version_max = cpu_to_le16 (1),
    .flags = cpu_to_le32 (HERMIT_HELLO_OPEN),
    .client_id = { 2 },
    .region_size = cpu_to_le64 (REGION_SIZE),
    .name = "fuzz",
  };

  memcpy (hello.uuid, region_uuid, sizeof (hello.uuid));
  frame (HERMIT_MSG_HELLO, &hello, sizeof (hello));
}

static struct ibv_mr *
find_mr (const struct hermit_wire_grant *grant)
{
  for (guint i = 0; i < dev.mrs->len; i++)
    {
      struct ibv_mr *mr = dev.mrs->pdata[i];

      if (mr->rkey == le32_to_cpu (grant->rkey)
          && (uintptr_t)mr->addr == le64_to_cpu (grant->address))
        return mr;
    }
  return NULL;
}

/* As the device does it for a client, whatever the server thinks of it. */
static void
write_pages (guint extent)
{
  struct ibv_mr *mr;

  if (!dev.grants[extent].address)
    return;
  mr = find_mr (&dev.grants[extent]);
  if (!mr)
    return;
  memset (mr->addr, 0xaa, HERMIT_WIRE_PAGE);
  dev.dirty[extent] = TRUE;
  memset ((char *)mr->addr + mr->length - HERMIT_WIRE_PAGE, 0xaa,
          HERMIT_WIRE_PAGE);
}

static struct rdma_cm_id *
id_new (void)
{
  struct rdma_cm_id *id = g_new0 (struct rdma_cm_id, 1);

  id->verbs = &verbs;
  dev.ids++;
  return id;
}

static void
join (gboolean right)
{
  struct rdma_cm_id *id = id_new ();
  guint8 token[HERMIT_RDMA_TOKEN_LEN];
  g_autofree char *why = NULL;
  guint32 code;

  memcpy (token, dev.token, sizeof (token));
  token[7] ^= !right;
  code = hermit_rdma_joins_accept (joins, id, token, &why);
  require (!code == !why);
  /* Not before WELCOME, and not by guessing. */
  if (!right || dev.answers < 2)
    require (code);
  if (code)
    {
      if (id->qp)
        rdma_destroy_qp (id);
      rdma_destroy_id (id);
    }
}

static void
step (void)
{
  static const struct hermit_wire_auth auth;
  static const enum rdma_cm_event_type events[]
      = { RDMA_CM_EVENT_ESTABLISHED, RDMA_CM_EVENT_DISCONNECTED,
          RDMA_CM_EVENT_DEVICE_REMOVAL, RDMA_CM_EVENT_TIMEWAIT_EXIT };
  guint8 raw[HERMIT_RDMA_MESSAGE] = { 0 };
  guint8 a, b;
  gsize n;

  if (dev.at == dev.end || dev.steps++ == STEPS_MAX)
    {
      dev.leaving = TRUE;
      return;
    }
  switch (next () % NR_STEPS)
    {
    case HELLO:
      hello ();
      break;
    case AUTH:
      frame (HERMIT_MSG_AUTH, &auth, sizeof (auth));
      break;
    case GRANT:
      a = next ();
      request (HERMIT_MSG_GRANT, a, next ());
      break;
    case RELEASE:
      a = next ();
      b = next ();
      request (HERMIT_MSG_RELEASE, a, b);
      break;
    case PING:
      request (HERMIT_MSG_PING, 0, 0);
      break;
    case SAY_END:
      request (HERMIT_MSG_END, 0, 0);
      break;
    case BEND:
      dev.bend_at = next ();
      dev.bend = next ();
      break;
    case CUT:
      dev.cut = next ();
      break;
    case RAW:
      n = next ();
      n = MIN (n, (gsize)(dev.end - dev.at));
      memcpy (raw, dev.at, n);
      dev.at += n;
      g_queue_push_tail (&dev.messages, g_bytes_new (raw, n));
      break;
    case JOIN:
      join (!next ());
      break;
    case WRITE:
      write_pages (next () % EXTENTS);
      break;
    case FAIL:
      dev.fail[next () % NR_CALLS] = TRUE;
      break;
    case EVENT:
      dev.event = events[next () % G_N_ELEMENTS (events)];
      break;
    case LEAVE:
      dev.leaving = TRUE;
      break;
    }
}

/* ---- what the server says ---- */

static void
look_at_session (const HermitSessionInfo *info, gpointer data)
{
  g_autofree char *uuid = hermit_uuid_text (region_uuid);
  gboolean *strange = data;

  if (info->connections && (strcmp (info->uuid, uuid) || info->size != REGION_SIZE))
    *strange = TRUE;
}

static void
check_grants (const struct hermit_wire_hdr *hdr,
              const struct hermit_wire_grant *grants)
{
  guint n = le32_to_cpu (hdr->length) / sizeof (*grants);
  guint first = le64_to_cpu (hdr->offset) / HERMIT_RDMA_EXTENT;

  require (n <= le32_to_cpu (hdr->extent) / HERMIT_RDMA_EXTENT);
  for (guint i = 0; i < n; i++)
    {
      struct ibv_mr *mr = find_mr (&grants[i]);
      require (mr && mr->length % HERMIT_WIRE_PAGE == 0);
      require (mr->length <= HERMIT_RDMA_EXTENT);
      if (dev.strange)
        continue;
      require (first + i < EXTENTS);
      dev.grants[first + i] = grants[i];
      for (guint at = 0; !dev.dirty[first + i] && at < mr->length;
           at += HERMIT_WIRE_PAGE)
        require (((guint8 *)mr->addr)[at] == 0);
    }
}

static void
check_sent (const guint8 *data, gsize length)
{
  struct hermit_wire_grant grants[HERMIT_RDMA_GRANT_MAX];
  struct hermit_wire_hdr hdr;
  const char *why;
  guint extent, n;

  require (length >= sizeof (hdr));
  memcpy (&hdr, data, sizeof (hdr));
  require (length == sizeof (hdr) + le32_to_cpu (hdr.length));
  if (dev.answers < 2 && hdr.type != HERMIT_MSG_REFUSE)
    {
      require (!hermit_wire_check_handshake (
          &hdr, dev.answers ? HERMIT_MSG_WELCOME : HERMIT_MSG_CHALLENGE, &why));
      dev.answers++;
      if (dev.answers == 2)
        hermit_sessions_visit (server.sessions, look_at_session, &dev.strange);
      return;
    }
  if (hdr.type == HERMIT_MSG_REFUSE)
    {
      require (dev.answers < 2);
      require (!hermit_wire_check_handshake (&hdr, HERMIT_MSG_REFUSE, &why));
      return;
    }
  require (!hermit_wire_check_rdma_reply (&hdr, &why));
  memcpy (grants, data + sizeof (hdr), length - sizeof (hdr));
  extent = le64_to_cpu (hdr.offset) / HERMIT_RDMA_EXTENT;
  n = le32_to_cpu (hdr.extent) / HERMIT_RDMA_EXTENT;
  if (hdr.type == (HERMIT_MSG_GRANT | HERMIT_MSG_REPLY) && !hdr.status)
    check_grants (&hdr, grants);
  if (hdr.type == (HERMIT_MSG_RELEASE | HERMIT_MSG_REPLY) && !hdr.status)
    for (guint i = 0; i < n && !dev.strange; i++)
      {
        /* Its memory is given back: no device may know it. */
        require (!find_mr (&dev.grants[extent + i]));
        memset (&dev.grants[extent + i], 0, sizeof (dev.grants[0]));
        dev.dirty[extent + i] = FALSE;
      }
  if (hdr.type == (HERMIT_MSG_END | HERMIT_MSG_REPLY))
    {
      /* All but that of the messages themselves. */
      require (dev.mrs->len <= 1 + dev.kept);
      if (!dev.strange)
        memset (dev.dirty, 0, sizeof (dev.dirty));
    }
}

/* ---- libibverbs ---- */

static int
poll_cq (struct ibv_cq *cq, int n G_GNUC_UNUSED, struct ibv_wc *wc)
{
  memset (wc, 0, sizeof (*wc));
  if (dev.sent)
    {
      dev.sent = FALSE;
      wc->wr_id = dev.sent_id;
      wc->status = fails (SENT) ? IBV_WC_RETRY_EXC_ERR : IBV_WC_SUCCESS;
      return 1;
    }
  if (cq != dev.cq || dev.leaving)
    return 0;
  /* When all that came was taken, the client says the next. */
  if (g_queue_is_empty (&dev.messages)
      && dev.receives.length == HERMIT_RDMA_RECEIVES)
    step ();
  if (!g_queue_is_empty (&dev.messages) && dev.receives.length)
    {
      g_autofree struct ibv_recv_wr *wr = g_queue_pop_head (&dev.receives);
      g_autoptr (GBytes) bytes = g_queue_pop_head (&dev.messages);
      gsize length;
      const void *data = g_bytes_get_data (bytes, &length);

      require (length <= HERMIT_RDMA_MESSAGE);
      if (length)
        memcpy ((void *)(uintptr_t)wr->next, data, length);
      wc->wr_id = wr->wr_id;
      wc->byte_len = length;
      return 1;
    }
  return 0;
}

static int
post_recv (struct ibv_qp *qp G_GNUC_UNUSED, struct ibv_recv_wr *wr,
           struct ibv_recv_wr **bad G_GNUC_UNUSED)
{
  struct ibv_recv_wr *copy = g_memdup2 (wr, sizeof (*wr));

  require (wr->num_sge == 1 && wr->sg_list->length == HERMIT_RDMA_MESSAGE);
  /* Where to; the list itself is the caller's. */
  copy->next = (void *)(uintptr_t)wr->sg_list->addr;
  g_queue_push_tail (&dev.receives, copy);
  require (dev.receives.length <= HERMIT_RDMA_RECEIVES);
  return 0;
}

static int
post_send (struct ibv_qp *qp G_GNUC_UNUSED, struct ibv_send_wr *wr,
           struct ibv_send_wr **bad G_GNUC_UNUSED)
{
  if (fails (POST_SEND))
    return ENOMEM;
  require (!dev.sent && wr->num_sge == 1 && wr->opcode == IBV_WR_SEND);
  check_sent ((guint8 *)(uintptr_t)wr->sg_list->addr, wr->sg_list->length);
  dev.sent = TRUE;
  dev.sent_id = wr->wr_id;
  return 0;
}

static int
req_notify_cq (struct ibv_cq *cq G_GNUC_UNUSED, int solicited G_GNUC_UNUSED)
{
  return 0;
}

struct ibv_pd *
ibv_alloc_pd (struct ibv_context *context)
{
  struct ibv_pd *pd;

  if (fails (ALLOC_PD))
    return NULL;
  pd = g_new0 (struct ibv_pd, 1);
  pd->context = context;
  dev.pds++;
  return pd;
}

int
ibv_dealloc_pd (struct ibv_pd *pd)
{
  for (guint i = 0; i < dev.mrs->len; i++)
    {
      struct ibv_mr *mr = dev.mrs->pdata[i];

      if (mr->pd != pd)
        continue;
      /* Left, unless its deregistration failed: then it goes here. */
      require (dev.kept > 0);
      dev.kept--;
      g_ptr_array_remove_index (dev.mrs, i--);
      g_free (mr);
    }
  g_free (pd);
  dev.pds--;
  return 0;
}

#undef ibv_reg_mr
struct ibv_mr *
ibv_reg_mr (struct ibv_pd *pd, void *addr, size_t length,
            int access G_GNUC_UNUSED)
{
  struct ibv_mr *mr;

  if (fails (REG_MR))
    return NULL;
  mr = g_new0 (struct ibv_mr, 1);
  mr->pd = pd;
  mr->addr = addr;
  mr->length = length;
  mr->rkey = ++dev.rkey;
  /* A registration pins: all of it has to be there. */
  for (gsize at = 0; at < length; at += HERMIT_WIRE_PAGE)
    ((volatile guint8 *)addr)[at] = ((volatile guint8 *)addr)[at];
  g_ptr_array_add (dev.mrs, mr);
  return mr;
}

int
ibv_dereg_mr (struct ibv_mr *mr)
{
  if (fails (DEREG_MR))
    {
      dev.kept++;
      return errno = EBUSY;
    }
  require (g_ptr_array_remove (dev.mrs, mr));
  g_free (mr);
  return 0;
}

/* It is always readable: whoever waits polls. */
struct ibv_comp_channel *
ibv_create_comp_channel (struct ibv_context *context)
{
  struct ibv_comp_channel *channel = g_new0 (struct ibv_comp_channel, 1);

  channel->context = context;
  channel->fd = eventfd (1, EFD_CLOEXEC);
  dev.channels++;
  return channel;
}

int
ibv_destroy_comp_channel (struct ibv_comp_channel *channel)
{
  close (channel->fd);
  g_free (channel);
  dev.channels--;
  return 0;
}

struct ibv_cq *
ibv_create_cq (struct ibv_context *context, int cqe G_GNUC_UNUSED,
               void *cq_context G_GNUC_UNUSED,
               struct ibv_comp_channel *channel, int vector G_GNUC_UNUSED)
{
  struct ibv_cq *cq;

  if (fails (CREATE_CQ))
    return NULL;
  cq = g_new0 (struct ibv_cq, 1);
  cq->context = context;
  cq->channel = channel;
  dev.cq = cq;
  dev.cqs++;
  return cq;
}

int
ibv_destroy_cq (struct ibv_cq *cq)
{
  g_free (cq);
  dev.cq = NULL;
  dev.cqs--;
  return 0;
}

int
ibv_get_cq_event (struct ibv_comp_channel *channel G_GNUC_UNUSED,
                  struct ibv_cq **cq G_GNUC_UNUSED,
                  void **context G_GNUC_UNUSED)
{
  errno = EAGAIN;
  return -1;
}

void
ibv_ack_cq_events (struct ibv_cq *cq G_GNUC_UNUSED, unsigned int n G_GNUC_UNUSED)
{
}

const char *
ibv_get_device_name (struct ibv_device *device G_GNUC_UNUSED)
{
  return "fuzz";
}

/* ---- librdmacm ---- */

int
rdma_create_qp (struct rdma_cm_id *id, struct ibv_pd *pd G_GNUC_UNUSED,
                struct ibv_qp_init_attr *attr G_GNUC_UNUSED)
{
  if (fails (CREATE_QP))
    return -1;
  id->qp = g_new0 (struct ibv_qp, 1);
  id->qp->context = id->verbs;
  dev.qps++;
  return 0;
}

void
rdma_destroy_qp (struct rdma_cm_id *id)
{
  require (id->qp != NULL);
  g_clear_pointer (&id->qp, g_free);
  dev.qps--;
}

int
rdma_migrate_id (struct rdma_cm_id *id, struct rdma_event_channel *channel)
{
  id->channel = channel;
  return 0;
}

int
rdma_accept (struct rdma_cm_id *id, struct rdma_conn_param *param)
{
  struct hermit_wire_rdma_accept accept;
  const char *why;

  if (fails (ACCEPT))
    return -1;
  require (!hermit_wire_check_rdma_accept (param->private_data,
                                           param->private_data_len, &why));
  memcpy (&accept, param->private_data, sizeof (accept));
  if (id == dev.id)
    memcpy (dev.token, accept.token, sizeof (dev.token));
  return 0;
}

int
rdma_disconnect (struct rdma_cm_id *id G_GNUC_UNUSED)
{
  return 0;
}

int
rdma_destroy_id (struct rdma_cm_id *id)
{
  require (id->qp == NULL);
  g_mutex_lock (&dev.lock);
  dev.ids--;
  if (id == dev.id)
    {
      dev.id = NULL;
      g_cond_signal (&dev.gone);
    }
  g_mutex_unlock (&dev.lock);
  g_free (id);
  return 0;
}

struct rdma_event_channel *
rdma_create_event_channel (void)
{
  struct rdma_event_channel *channel = g_new0 (struct rdma_event_channel, 1);

  channel->fd = eventfd (1, EFD_CLOEXEC);
  dev.channels++;
  return channel;
}

void
rdma_destroy_event_channel (struct rdma_event_channel *channel)
{
  close (channel->fd);
  g_free (channel);
  dev.channels--;
}

int
rdma_get_cm_event (struct rdma_event_channel *channel G_GNUC_UNUSED,
                   struct rdma_cm_event **event)
{
  static struct rdma_cm_event now;

  now = (struct rdma_cm_event){ .id = dev.id };
  if (dev.event)
    now.event = dev.event;
  else if (dev.leaving && !dev.told)
    now.event = RDMA_CM_EVENT_DISCONNECTED;
  else
    {
      errno = EAGAIN;
      return -1;
    }
  if (!dev.event)
    dev.told = TRUE;
  dev.event = 0;
  *event = &now;
  return 0;
}

int
rdma_ack_cm_event (struct rdma_cm_event *event G_GNUC_UNUSED)
{
  return 0;
}

/* ---- the run ---- */

static void
connection (void)
{
  g_autoptr (GError) error = NULL;
  HermitRdmaConn *conn;

  dev.leaving = dev.told = dev.sent = FALSE;
  dev.event = 0;
  dev.answers = 0;
  dev.strange = FALSE;
  memset (dev.grants, 0, sizeof (dev.grants));
  dev.id = id_new ();
  conn = hermit_rdma_conn_new (dev.id, joins, &error);
  require (!conn == !!error);
  if (conn)
    hermit_conn_start_with (&server, &hermit_rdma_conn_ops, conn, &peer);
  g_mutex_lock (&dev.lock);
  while (dev.id)
    g_cond_wait (&dev.gone, &dev.lock);
  g_mutex_unlock (&dev.lock);
  hermit_conns_drain (server.conns);

  require (!dev.mrs->len && !dev.pds && !dev.cqs && !dev.channels && !dev.qps
           && !dev.ids);
  g_queue_clear_full (&dev.receives, g_free);
  g_queue_clear_full (&dev.messages, (GDestroyNotify)g_bytes_unref);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  HermitStoreUsage usage;
  guint8 failing;
  guint64 bytes;

  if (!server.store)
    {
      fuzz_log_off ();
      server.identities = hermit_identities_new (NULL, NULL, NULL);
      server.store = hermit_store_new (
          &(HermitStoreConfig){ .capacity = CAPACITY, .overcommit = TRUE },
          NULL);
      server.sessions = hermit_sessions_new (server.store);
      server.conns = hermit_conns_new ();
      server.door = hermit_door_new (&server, HERMIT_DOOR_PLACES,
                                     hermit_conn_start, NULL);
      joins = hermit_rdma_joins_new ();
      verbs.ops.poll_cq = poll_cq;
      verbs.ops.post_send = post_send;
      verbs.ops.post_recv = post_recv;
      verbs.ops.req_notify_cq = req_notify_cq;
      verbs.device = g_new0 (struct ibv_device, 1);
    }
  memset (&dev, 0, sizeof (dev));
  dev.mrs = g_ptr_array_new ();
  dev.at = data;
  dev.end = data + size;
  failing = next ();
  if (failing < NR_CALLS)
    dev.fail[failing] = TRUE;
  for (guint i = 0; i < CONNS_MAX && dev.at < dev.end; i++)
    connection ();
  g_ptr_array_unref (dev.mrs);
  /* All of them, also a strange one. */
  hermit_sessions_forget_older (server.sessions, 0, &bytes);
  usage = hermit_store_usage (server.store);
  require (usage.taken == 0 && usage.backed == 0);
  return 0;
}

/* ---- seeds ---- */

size_t
fuzz_seed (unsigned int i, uint8_t *data)
{
#define SHAKE HELLO, AUTH
#define NONE NR_CALLS /* fails */
  static const uint8_t seeds[][48] = {
    { NONE, SHAKE, GRANT, 0, 2, WRITE, 0, JOIN, 0, JOIN, 1, PING, RELEASE, 0,
      1, GRANT, 0, 1, GRANT, 1, 1, SAY_END },
    /* more than there is, and the short one */
    { NONE, SHAKE, GRANT, 0, 4, WRITE, 2, RELEASE, 1, 2, GRANT, 5, 1, WRITE, 5,
      GRANT, 5, 1, RELEASE, 5, 1, GRANT, 5, 1 },
    /* the memory stays over a reconnection, the grants do not */
    { NONE, SHAKE, GRANT, 0, 1, WRITE, 0, JOIN, 0, LEAVE, SHAKE, JOIN, 0, GRANT,
      0, 1, LEAVE, JOIN, 0, HELLO, BEND, 1, 1, AUTH },
    { NONE, CUT, 10, HELLO, CUT, 40, AUTH, CUT, 1, GRANT, 1, 1, FAIL, REG_MR,
      GRANT, 2, 1, FAIL, DEREG_MR, RELEASE, 1, 1, RELEASE, 1, 1, FAIL, SENT,
      PING },
    { NONE, SHAKE, BEND, 16, 1, GRANT, 0, 1, LEAVE, SHAKE, FAIL, CREATE_QP,
      JOIN, 0, FAIL, ACCEPT, JOIN, 0, JOIN, 0, EVENT, 0, PING, EVENT, 2 },
    { CREATE_CQ, RAW, 0, LEAVE, FAIL, CREATE_QP, HELLO },
    { ACCEPT, HELLO, RAW, 3, 1, 2, 3, PING, LEAVE },
  };

  if (i >= G_N_ELEMENTS (seeds))
    return 0;
  memcpy (data, seeds[i], sizeof (seeds[i]));
  return sizeof (seeds[i]);
}
