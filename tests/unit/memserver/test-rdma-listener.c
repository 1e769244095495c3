/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rdma_listener.c without a device: what it wants of librdmacm, and of the
 * connections, is made up here.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "door.h"
#include "local-server.h"
#include "rdma_conn.h"
#include "rdma_listener.h"

/* Far more than the loop takes at one time. */
#define FLOOD 10000

static guint waiting;  /* connection requests, of nobody we know */
static guint ids;      /* that exist */
static guint rejected;

/* ---- librdmacm ---- */

struct rdma_event_channel *
rdma_create_event_channel (void)
{
  struct rdma_event_channel *channel = g_new0 (struct rdma_event_channel, 1);

  channel->fd = eventfd (1, EFD_CLOEXEC);
  return channel;
}

void
rdma_destroy_event_channel (struct rdma_event_channel *channel)
{
  close (channel->fd);
  g_free (channel);
}

int
rdma_create_id (struct rdma_event_channel *channel, struct rdma_cm_id **id,
                void *context G_GNUC_UNUSED,
                enum rdma_port_space ps G_GNUC_UNUSED)
{
  *id = g_new0 (struct rdma_cm_id, 1);
  (*id)->channel = channel;
  ids++;
  return 0;
}

int
rdma_destroy_id (struct rdma_cm_id *id)
{
  g_free (id);
  ids--;
  return 0;
}

int
rdma_bind_addr (struct rdma_cm_id *id G_GNUC_UNUSED,
                struct sockaddr *addr G_GNUC_UNUSED)
{
  return 0;
}

int
rdma_listen (struct rdma_cm_id *id G_GNUC_UNUSED, int backlog G_GNUC_UNUSED)
{
  return 0;
}

__be16
rdma_get_src_port (struct rdma_cm_id *id G_GNUC_UNUSED)
{
  return 0;
}

int
rdma_get_cm_event (struct rdma_event_channel *channel,
                   struct rdma_cm_event **event)
{
  if (!waiting)
    {
      errno = EAGAIN;
      return -1;
    }
  waiting--;
  *event = g_new0 (struct rdma_cm_event, 1);
  (*event)->event = RDMA_CM_EVENT_CONNECT_REQUEST;
  rdma_create_id (channel, &(*event)->id, NULL, RDMA_PS_TCP);
  (*event)->id->route.addr.dst_addr.sa_family = AF_INET;
  return 0;
}

int
rdma_ack_cm_event (struct rdma_cm_event *event)
{
  g_free (event);
  return 0;
}

int
rdma_reject (struct rdma_cm_id *id G_GNUC_UNUSED,
             const void *private_data G_GNUC_UNUSED,
             uint8_t length G_GNUC_UNUSED)
{
  rejected++;
  return 0;
}

void
rdma_destroy_qp (struct rdma_cm_id *id G_GNUC_UNUSED)
{
}

/* ---- rdma_conn.h: nobody gets so far ---- */

const HermitConnOps hermit_rdma_conn_ops;

HermitRdmaJoins *
hermit_rdma_joins_new (void)
{
  return NULL;
}

void
hermit_rdma_joins_unref (HermitRdmaJoins *joins G_GNUC_UNUSED)
{
}

guint32
hermit_rdma_joins_accept (HermitRdmaJoins *joins G_GNUC_UNUSED,
                          struct rdma_cm_id *id G_GNUC_UNUSED,
                          const guint8 token[HERMIT_RDMA_TOKEN_LEN]
                              G_GNUC_UNUSED,
                          char **why G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

HermitRdmaConn *
hermit_rdma_conn_new (struct rdma_cm_id *id G_GNUC_UNUSED,
                      HermitRdmaJoins *joins G_GNUC_UNUSED,
                      GError **error G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

/* However many knock, the loop looks at other things, too. */
static void
test_flood (void)
{
  const HermitAddress address
      = { .addr.ss_family = AF_INET, .length = sizeof (struct sockaddr_in) };
  g_autoptr (GError) error = NULL;
  HermitRdmaListener *listener;
  HermitServer server;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  listener = hermit_rdma_listener_new (&address, &server, &error);
  g_assert_no_error (error);
  waiting = FLOOD;
  g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (rejected, >, 0);
  g_assert_cmpint (rejected, <, FLOOD / 10);
  while (waiting)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (rejected, ==, FLOOD);
  hermit_rdma_listener_free (listener);
  g_assert_cmpint (ids, ==, 0);
  local_server_stop (&server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Strangers are warned of. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/rdma-listener/flood", test_flood);
  return g_test_run ();
}
