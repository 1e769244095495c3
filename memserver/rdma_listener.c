/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rdma_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <string.h>

#include "log.h"
#include "rdma_conn.h"

#define BACKLOG 128
#define RETRY_S 1
/* Events that are taken before the loop looks at anything else. */
#define BATCH 16

struct HermitRdmaListener
{
  HermitServer *server;
  HermitRdmaJoins *joins;
  struct rdma_event_channel *events;
  struct rdma_cm_id *id;
  guint source;
  guint retry; /* the device is gone, and looked for */
  HermitAddress address;
  char *name;
};

/* Say no, in the words of the handshake, and forget @id. */
static void
listener_refuse (HermitRdmaListener *listener, struct rdma_cm_id *id,
                 const char *peer, guint32 code, const char *why)
{
  struct hermit_wire_refuse refuse = { .code = cpu_to_le32 (code) };

  hermit_log_stranger (G_LOG_LEVEL_WARNING, (HermitLogAbout){ .peer = peer },
                       "%s: refused (%s): %s", peer,
                       hermit_wire_refusal_name (code), why);
  atomic_fetch_add (&listener->server->refusals[code], 1);
  g_strlcpy (refuse.text, why, sizeof (refuse.text));
  rdma_reject (id, &refuse, sizeof (refuse));
  if (id->qp)
    rdma_destroy_qp (id);
  rdma_destroy_id (id);
}

static void
peer_init (HermitPeer *peer, struct rdma_cm_id *id)
{
  struct sockaddr *addr = rdma_get_peer_addr (id);
  HermitAddress address = {
    .length = addr->sa_family == AF_INET6 ? sizeof (struct sockaddr_in6)
                                          : sizeof (struct sockaddr_in),
  };

  memcpy (&address.addr, addr, address.length);
  hermit_peer_init (peer, &address, "rdma:");
}

/* @request: the private data, @len bytes of it. */
static void
listener_request (HermitRdmaListener *listener, struct rdma_cm_id *id,
                  const void *request, gsize len)
{
  struct hermit_wire_rdma_request req;
  HermitPeer peer;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  HermitRdmaConn *conn;
  const char *why;
  guint32 code;

  peer_init (&peer, id);
  code = (guint32)hermit_wire_check_rdma_request (request, len, &why);
  if (code)
    {
      listener_refuse (listener, id, peer.name, code, why);
      return;
    }
  memcpy (&req, request, sizeof (req));
  if (req.role == HERMIT_RDMA_DATA)
    {
      code = hermit_rdma_joins_accept (listener->joins, id, req.token, &text);
      if (code)
        listener_refuse (listener, id, peer.name, code, text);
      return;
    }
  conn = hermit_rdma_conn_new (id, listener->joins, &error);
  if (conn)
    hermit_conn_start_with (listener->server, &hermit_rdma_conn_ops, conn,
                            &peer);
  else
    hermit_log_stranger (G_LOG_LEVEL_WARNING,
                         (HermitLogAbout){ .peer = peer.name }, "%s: %s",
                         peer.name, error->message);
}

/* FALSE with errno. */
static gboolean
listener_listen (HermitRdmaListener *listener)
{
  int code;

  if (rdma_create_id (listener->events, &listener->id, NULL, RDMA_PS_TCP))
    {
      listener->id = NULL;
      return FALSE;
    }
  if (rdma_bind_addr (listener->id, (struct sockaddr *)&listener->address.addr)
          == 0
      && rdma_listen (listener->id, BACKLOG) == 0)
    return TRUE;
  code = errno;
  rdma_destroy_id (listener->id);
  listener->id = NULL;
  errno = code;
  return FALSE;
}

static gboolean
listener_retry (gpointer data)
{
  HermitRdmaListener *listener = data;

  if (!listener_listen (listener))
    return G_SOURCE_CONTINUE;
  hermit_log (G_LOG_LEVEL_MESSAGE,
              (HermitLogAbout){ .listen = listener->name },
              "rdma:%s: listening again", listener->name);
  listener->retry = 0;
  return G_SOURCE_REMOVE;
}

/* Sessions keep their memory: it is not the device's. */
static void
listener_lose_device (HermitRdmaListener *listener)
{
  hermit_log (G_LOG_LEVEL_WARNING,
              (HermitLogAbout){ .listen = listener->name },
              "rdma:%s: the RDMA device was removed; listening again when one "
              "has this address",
              listener->name);
  if (listener->id)
    rdma_destroy_id (listener->id);
  listener->id = NULL;
  if (!listener->retry)
    listener->retry
        = g_timeout_add_seconds (RETRY_S, listener_retry, listener);
}

static gboolean
listener_ready (int fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED,
                gpointer data)
{
  HermitRdmaListener *listener = data;
  struct rdma_cm_event *event;

  for (guint i = 0;
       i < BATCH && rdma_get_cm_event (listener->events, &event) == 0; i++)
    {
      enum rdma_cm_event_type type = event->event;
      struct rdma_cm_id *id = event->id;
      guint8 request[64];
      gsize len
          = MIN (event->param.conn.private_data_len, sizeof (request));

      if (type == RDMA_CM_EVENT_CONNECT_REQUEST
          && event->param.conn.private_data)
        memcpy (request, event->param.conn.private_data, len);
      else
        len = 0;
      /* First: destroying or moving an id waits for it. */
      rdma_ack_cm_event (event);

      if (type == RDMA_CM_EVENT_CONNECT_REQUEST)
        listener_request (listener, id, request, len);
      else if (type == RDMA_CM_EVENT_DEVICE_REMOVAL && id == listener->id)
        listener_lose_device (listener);
    }
  return G_SOURCE_CONTINUE;
}

static const char *
advice (int code)
{
  switch (code)
    {
    case ENODEV:
    case ENOENT:
      return ": no RDMA device has this address; see 'rdma link' (for a try: "
             "rdma link add rxe0 type rxe netdev DEVICE), and load rdma_ucm "
             "and ib_uverbs; a service needs its drop-in as well "
             "(examples/rdma.conf of its documentation)";
    case EADDRNOTAVAIL:
      return ": no interface of this host has this address";
    default:
      return "";
    }
}

HermitRdmaListener *
hermit_rdma_listener_new (const HermitAddress *address, HermitServer *server,
                          GError **error)
{
  HermitRdmaListener *listener = g_new0 (HermitRdmaListener, 1);
  struct sockaddr_in *in = (struct sockaddr_in *)&listener->address.addr;

  listener->server = server;
  listener->address = *address;
  listener->joins = hermit_rdma_joins_new ();
  listener->name = hermit_address_text (address);
  listener->events = rdma_create_event_channel ();
  if (!listener->events
      || fcntl (listener->events->fd, F_SETFL, O_NONBLOCK) < 0
      || !listener_listen (listener))
    {
      int code = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                   "cannot listen on rdma:%s: %s%s", listener->name,
                   g_strerror (code), advice (code));
      hermit_rdma_listener_free (listener);
      return NULL;
    }
  /* At the same place in a v6 address. */
  in->sin_port = rdma_get_src_port (listener->id);
  g_free (listener->name);
  listener->name = hermit_address_text (&listener->address);
  listener->source = g_unix_fd_add (listener->events->fd, G_IO_IN,
                                    listener_ready, listener);
  return listener;
}

void
hermit_rdma_listener_free (HermitRdmaListener *listener)
{
  if (!listener)
    return;
  if (listener->source)
    g_source_remove (listener->source);
  if (listener->retry)
    g_source_remove (listener->retry);
  if (listener->id)
    rdma_destroy_id (listener->id);
  if (listener->events)
    rdma_destroy_event_channel (listener->events);
  hermit_rdma_joins_unref (listener->joins);
  g_free (listener->name);
  g_free (listener);
}

const char *
hermit_rdma_listener_name (HermitRdmaListener *listener)
{
  return listener->name;
}
