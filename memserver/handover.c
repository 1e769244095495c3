/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handover.h"

#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixconnection.h>
#include <gio/gunixsocketaddress.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ledger.h"

#define TAKEN "taken\n"
/* For the other side to look at two descriptors. */
#define GIVE_S 10
/* For it to stop its connections, and for its end. */
#define TAKE_S 60

static GUnixConnection *
connection_of (GSocket *socket, guint timeout)
{
  g_socket_set_timeout (socket, timeout);
  return G_UNIX_CONNECTION (
      g_socket_connection_factory_create_connection (socket));
}

gboolean
hermit_handover_give (int peer, int memory, int ledger, GError **error)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (peer, error);
  g_autoptr (GUnixConnection) conn = NULL;
  char answer[sizeof (TAKEN)] = "";
  GInputStream *in;
  gsize n;

  if (!socket)
    {
      close (peer);
      return FALSE;
    }
  conn = connection_of (socket, GIVE_S);
  in = g_io_stream_get_input_stream (G_IO_STREAM (conn));
  if (!g_unix_connection_send_fd (conn, memory, NULL, error)
      || !g_unix_connection_send_fd (conn, ledger, NULL, error)
      || !g_input_stream_read_all (in, answer, strlen (TAKEN), &n, NULL,
                                   error))
    return FALSE;
  if (!strcmp (answer, TAKEN))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "it did not take it");
  return FALSE;
}

/* FALSE with @error if it lives longer than one waits. */
static gboolean
wait_for_death (int pidfd, GError **error)
{
  struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
  int n;

  do
    n = poll (&pfd, 1, TAKE_S * 1000);
  while (n < 0 && errno == EINTR);
  if (n > 0)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
               "it gave its memory away and does not end: end it");
  return FALSE;
}

/* The two descriptors, each with a byte. */
static gboolean
receive (GUnixConnection *conn, int *memory, int *ledger, GError **error)
{
  *memory = g_unix_connection_receive_fd (conn, NULL, error);
  if (*memory < 0)
    return FALSE;
  *ledger = g_unix_connection_receive_fd (conn, NULL, error);
  if (*ledger >= 0 && hermit_ledger_check (*ledger, error))
    return TRUE;
  close (*memory);
  if (*ledger >= 0)
    close (*ledger);
  return FALSE;
}

static gboolean
take (GSocket *socket, int *memory, int *ledger, GError **error)
{
  g_autoptr (GUnixConnection) conn = connection_of (socket, TAKE_S);
  g_autoptr (GCredentials) peer = g_socket_get_credentials (socket, error);
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (conn));
  pid_t pid = peer ? g_credentials_get_unix_pid (peer, error) : -1;
  gboolean ok;
  int pidfd;

  if (pid < 0)
    return FALSE;
  /* While it is there, so that it is this one whose end is waited for. */
  pidfd = (int)syscall (SYS_pidfd_open, pid, 0);
  if (pidfd < 0)
    {
      if (pid)
        g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                     "process %d: %s", pid, g_strerror (errno));
      else
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                     "it runs in another PID namespace, where its end cannot "
                     "be waited for: run this server in the same one");
      return FALSE;
    }
  ok = g_output_stream_write_all (out, HERMIT_HANDOVER_COMMAND "\n",
                                  strlen (HERMIT_HANDOVER_COMMAND "\n"), NULL,
                                  NULL, error)
       && receive (conn, memory, ledger, error);
  if (ok
      && (!g_output_stream_write_all (out, TAKEN, strlen (TAKEN), NULL, NULL,
                                      error)
          || !wait_for_death (pidfd, error)))
    {
      close (*memory);
      close (*ledger);
      ok = FALSE;
    }
  close (pidfd);
  return ok;
}

gboolean
hermit_handover_take (const char *control, int *memory, int *ledger,
                      GError **error)
{
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (control);
  g_autoptr (GError) nobody = NULL;
  g_autoptr (GSocket) socket
      = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                      G_SOCKET_PROTOCOL_DEFAULT, error);

  *memory = *ledger = 0;
  if (!socket)
    return FALSE;
  if (!g_socket_connect (socket, address, NULL, &nobody))
    {
      if (g_error_matches (nobody, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)
          || g_error_matches (nobody, G_IO_ERROR,
                              G_IO_ERROR_CONNECTION_REFUSED))
        return TRUE;
      g_propagate_error (error, g_steal_pointer (&nobody));
    }
  else if (take (socket, memory, ledger, error))
    return TRUE;
  g_prefix_error (error, "--take-over: the server at %s: ", control);
  *memory = *ledger = 0;
  return FALSE;
}
