/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listener.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* Of hosts that come back all at once; the kernel has its own limit. */
#define BACKLOG 1024
/* Connections that are accepted before the loop looks at anything else. */
#define BATCH 64
/* How long to leave the door alone when there are no more descriptors. */
#define PAUSE_MS 1000

struct HermitListener
{
  int fd;
  char *name;
  char *path; /* to unlink, or NULL */
  guint source;
  HermitAccept accept;
  gpointer data;
};

static gboolean listener_ready (int fd, GIOCondition condition, gpointer data);

static gboolean
listener_resume (gpointer data)
{
  HermitListener *listener = data;

  listener->source
      = g_unix_fd_add (listener->fd, G_IO_IN, listener_ready, listener);
  return G_SOURCE_REMOVE;
}

static gboolean
listener_failed (HermitListener *listener, int code)
{
  if (code != EMFILE && code != ENFILE && code != ENOBUFS && code != ENOMEM)
    return G_SOURCE_CONTINUE;
  /* The connection stays in the queue and the socket readable: do not spin. */
  hermit_log (G_LOG_LEVEL_WARNING,
              (HermitLogAbout){ .listen = listener->name },
              "%s: cannot accept: %s", listener->name, g_strerror (code));
  listener->source = g_timeout_add (PAUSE_MS, listener_resume, listener);
  return G_SOURCE_REMOVE;
}

static gboolean
listener_ready (int fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
  HermitListener *listener = data;

  for (guint i = 0; i < BATCH; i++)
    {
      HermitAddress address = { .length = sizeof (address.addr) };
      int conn = accept4 (fd, (struct sockaddr *)&address.addr,
                          &address.length, SOCK_CLOEXEC);
      HermitPeer peer;

      if (conn < 0)
        return listener_failed (listener, errno);
      hermit_peer_init (&peer, &address, "");
      listener->accept (conn, &peer, listener->data);
    }
  return G_SOURCE_CONTINUE;
}

/* Bind, listen, and watch. Takes @fd, which may be -1 with errno. */
static HermitListener *
listener_new (int fd, const HermitAddress *address, const char *name,
              HermitAccept accept, gpointer data, GError **error)
{
  HermitListener *listener;

  if (fd < 0
      || bind (fd, (const struct sockaddr *)&address->addr, address->length)
             < 0
      || listen (fd, BACKLOG) < 0)
    {
      int code = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code),
                   "cannot listen on %s: %s", name, g_strerror (code));
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  listener = g_new0 (HermitListener, 1);
  listener->fd = fd;
  listener->accept = accept;
  listener->data = data;
  listener_resume (listener);
  return listener;
}

HermitListener *
hermit_listener_tcp_new (const HermitAddress *address, HermitAccept accept,
                         gpointer data, GError **error)
{
  HermitAddress bound = { .length = sizeof (bound.addr) };
  g_autofree char *wanted = hermit_address_text (address);
  HermitListener *listener;
  int fd = socket (address->addr.ss_family,
                   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;

  if (fd >= 0)
    setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof (on));
  /* So that [::] and 0.0.0.0 can be listened on side by side. */
  if (fd >= 0 && address->addr.ss_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof (on));
  listener = listener_new (fd, address, wanted, accept, data, error);
  if (!listener)
    return NULL;
  getsockname (fd, (struct sockaddr *)&bound.addr, &bound.length);
  listener->name = hermit_address_text (&bound);
  return listener;
}

/* True if @path is a socket that nobody listens on any more. */
static gboolean
unix_stale (const HermitAddress *address, const char *path)
{
  struct stat st;
  int fd;
  gboolean stale;

  if (lstat (path, &st) < 0 || !S_ISSOCK (st.st_mode))
    return FALSE;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stale
      = connect (fd, (const struct sockaddr *)&address->addr, address->length)
            < 0
        && errno == ECONNREFUSED;
  close (fd);
  return stale;
}

HermitListener *
hermit_listener_unix_new (const char *path, HermitAccept accept, gpointer data,
                          GError **error)
{
  HermitAddress address;
  HermitListener *listener;
  mode_t mask;
  int fd;

  if (!hermit_address_unix (path, &address, error))
    return NULL;
  if (unix_stale (&address, path))
    unlink (path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mask = umask (0177);
  listener = listener_new (fd, &address, path, accept, data, error);
  umask (mask);
  if (!listener)
    return NULL;
  listener->name = g_strdup (path);
  listener->path = g_strdup (path);
  return listener;
}

void
hermit_listener_free (HermitListener *listener)
{
  if (!listener)
    return;
  g_source_remove (listener->source);
  close (listener->fd);
  if (listener->path)
    unlink (listener->path);
  g_free (listener->path);
  g_free (listener->name);
  g_free (listener);
}

const char *
hermit_listener_name (HermitListener *listener)
{
  return listener->name;
}
