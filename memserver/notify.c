/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "notify.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixfdmessage.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <unistd.h>

/* Where passed descriptors begin. */
#define FIRST 3

static GHashTable *passed; /* name -> descriptor */

/* A number of the environment, which no child of ours shall see; 0 if none. */
static guint64
environment_number (const char *name)
{
  const char *text = g_getenv (name);
  guint64 n = text ? g_ascii_strtoull (text, NULL, 10) : 0;

  g_unsetenv (name);
  return n;
}

void
hermit_notify_init (void)
{
  guint64 pid = environment_number ("LISTEN_PID");
  guint64 n = environment_number ("LISTEN_FDS");
  g_auto (GStrv) names = g_strsplit (
      g_getenv ("LISTEN_FDNAMES") ? g_getenv ("LISTEN_FDNAMES") : "", ":", -1);

  g_unsetenv ("LISTEN_FDNAMES");
  passed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (pid != (guint64)getpid ())
    return;
  for (guint i = 0; i < n; i++)
    {
      int fd = FIRST + (int)i;

      fcntl (fd, F_SETFD, FD_CLOEXEC);
      /* The first of a name: the manager may have it twice. */
      if (i < g_strv_length (names)
          && !g_hash_table_contains (passed, names[i]))
        g_hash_table_insert (passed, g_strdup (names[i]),
                             GINT_TO_POINTER (fd));
      else
        close (fd);
    }
}

int
hermit_notify_take (const char *name)
{
  int fd = GPOINTER_TO_INT (g_hash_table_lookup (passed, name));

  g_hash_table_remove (passed, name);
  return fd;
}

gboolean
hermit_notify_listens (void)
{
  return g_getenv ("NOTIFY_SOCKET") != NULL;
}

/* With @fd, unless it is -1. */
static void
notify_send (const char *text, int fd)
{
  const char *path = g_getenv ("NOTIFY_SOCKET");
  GOutputVector vector = { text, strlen (text) };
  g_autoptr (GSocketControlMessage) message = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok;

  if (!path)
    return;
  address = *path == '@' ? g_unix_socket_address_new_with_type (
                path + 1, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT)
                         : g_unix_socket_address_new (path);
  socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM,
                         G_SOCKET_PROTOCOL_DEFAULT, &error);
  ok = socket != NULL;
  if (ok && fd >= 0)
    {
      message = g_unix_fd_message_new ();
      ok = g_unix_fd_message_append_fd (G_UNIX_FD_MESSAGE (message), fd,
                                        &error);
    }
  if (!ok
      || g_socket_send_message (socket, address, &vector, 1,
                                message ? &message : NULL, message ? 1 : 0, 0,
                                NULL, &error)
             < 0)
    g_warning ("cannot tell the service manager '%s': %s: %s", text, path,
               error->message);
}

void
hermit_notify (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  notify_send (text, -1);
}

void
hermit_notify_keep (const char *name, int fd)
{
  g_autofree char *text = g_strdup_printf ("FDSTORE=1\nFDNAME=%s", name);

  hermit_notify ("FDSTOREREMOVE=1\nFDNAME=%s", name);
  notify_send (text, fd);
}

guint
hermit_notify_watchdog (void)
{
  const char *pid = g_getenv ("WATCHDOG_PID");
  guint64 us;

  if (pid && g_ascii_strtoull (pid, NULL, 10) != (guint64)getpid ())
    return 0;
  us = environment_number ("WATCHDOG_USEC");
  /* Twice as often as has to be. */
  return (guint)MIN (us / 2000, G_MAXUINT);
}
