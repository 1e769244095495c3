/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"
#include "io.h"
#include "log.h"
#include "stream.h"
#include "uuid.h"

/* The whole handshake, where the door does not do it. */
#define HANDSHAKE_US (5 * G_USEC_PER_SEC)
/* How long a draining connection may take to deliver its answers. */
#define DRAIN_US (5 * G_USEC_PER_SEC)
/*
 * A peer that died is noticed after IDLE + COUNT * INTERVAL seconds, one that
 * takes no answers after USER_TIMEOUT. Longer than any client's own deadline:
 * the client knows best, and its new epoch ends the connection anyway.
 */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3
#define USER_TIMEOUT_MS 30000
typedef struct
{
  HermitMember member; /* first */
  HermitServer *server;
  int fd; /* -1: it has ops, or is closed */
  const HermitConnOps *ops;
  gpointer io; /* NULL: it is freed, or a socket */
  HermitPeer peer;
  gboolean waited_for;    /* by the drain; the conns' lock */
  gint stop;              /* HermitStop, atomic */
  HermitSession *session; /* while attached */
} HermitConn;

struct HermitConns
{
  GMutex lock;
  GCond gone;
  GPtrArray *all; /* not owned: the threads free themselves */
  guint waited_for; /* of them */
};

/* ---- the set of connections ---- */

HermitConns *
hermit_conns_new (void)
{
  HermitConns *conns = g_new0 (HermitConns, 1);

  g_mutex_init (&conns->lock);
  g_cond_init (&conns->gone);
  conns->all = g_ptr_array_new ();
  return conns;
}

void
hermit_conns_free (HermitConns *conns)
{
  g_assert (conns->all->len == 0);
  g_ptr_array_unref (conns->all);
  g_cond_clear (&conns->gone);
  g_mutex_clear (&conns->lock);
  g_free (conns);
}

/*
 * Any thread, as long as the connection is known to exist: it is attached to
 * a session and the sessions' lock is held, or the conns' lock is.
 */
static void
conn_stop (HermitConn *conn, HermitStop how)
{
  gint was = g_atomic_int_get (&conn->stop);

  while (was < (gint)how
         && !g_atomic_int_compare_and_exchange (&conn->stop, was, how))
    was = g_atomic_int_get (&conn->stop);
  /* It knows, and who was fenced is not told to answer first. */
  if (was >= (gint)how)
    return;
  if (conn->ops)
    {
      if (conn->io)
        conn->ops->stop (conn->io, how);
      return;
    }
  /* Wakes the thread; data already queued may still come out of recv(). */
  shutdown (conn->fd, how == HERMIT_STOP_FENCE ? SHUT_RDWR : SHUT_RD);
}

/* The lock is held. */
static void
conns_stop (HermitConns *conns, HermitStop how)
{
  for (guint i = 0; i < conns->all->len; i++)
    {
      HermitConn *conn = conns->all->pdata[i];

      if (conn->waited_for)
        conn_stop (conn, how);
    }
}

void
hermit_conns_drain (HermitConns *conns)
{
  gint64 deadline = g_get_monotonic_time () + DRAIN_US;
  gboolean fenced = FALSE;

  g_mutex_lock (&conns->lock);
  for (guint i = 0; i < conns->all->len; i++)
    ((HermitConn *)conns->all->pdata[i])->waited_for = TRUE;
  conns->waited_for = conns->all->len;
  conns_stop (conns, HERMIT_STOP_DRAIN);
  while (conns->waited_for)
    {
      if (fenced)
        g_cond_wait (&conns->gone, &conns->lock);
      else if (!g_cond_wait_until (&conns->gone, &conns->lock, deadline))
        {
          fenced = TRUE;
          conns_stop (conns, HERMIT_STOP_FENCE);
        }
    }
  g_mutex_unlock (&conns->lock);
}

/* The session's, see session.h. */
static void
conn_fence (HermitMember *member)
{
  conn_stop ((HermitConn *)member, HERMIT_STOP_FENCE);
}

static HermitConn *
conn_new (HermitServer *server, int fd, const HermitConnOps *ops, gpointer io,
          const HermitPeer *peer)
{
  HermitConns *conns = server->conns;
  HermitConn *conn = g_new0 (HermitConn, 1);

  conn->member.fence = conn_fence;
  conn->server = server;
  conn->fd = fd;
  conn->ops = ops;
  conn->io = io;
  conn->peer = *peer;
  g_mutex_lock (&conns->lock);
  g_ptr_array_add (conns->all, conn);
  g_mutex_unlock (&conns->lock);
  return conn;
}

/*
 * The peer is to read the last words before close() resets the connection: the
 * door waits for that, if there is one, and nobody stops the socket any more.
 */
static void
conn_close (HermitConn *conn)
{
  HermitConns *conns = conn->server->conns;
  HermitDoor *door = conn->server->door;
  gpointer io;
  int fd;

  g_mutex_lock (&conns->lock);
  fd = conn->fd;
  io = conn->io;
  conn->fd = -1;
  conn->io = NULL;
  g_mutex_unlock (&conns->lock);
  /*
   * Without the lock: a device takes its time, and the door, which has a lock of
   * its own, calls us.
   */
  if (conn->ops)
    conn->ops->free (io);
  else if (door && g_atomic_int_get (&conn->stop) != HERMIT_STOP_FENCE)
    hermit_door_linger (door, fd, &conn->peer);
  else
    close (fd);
}

static void
conn_free (HermitConn *conn)
{
  HermitConns *conns = conn->server->conns;

  conn_close (conn);
  g_mutex_lock (&conns->lock);
  g_ptr_array_remove_fast (conns->all, conn);
  conns->waited_for -= conn->waited_for;
  g_cond_broadcast (&conns->gone);
  g_mutex_unlock (&conns->lock);
  g_free (conn);
}

/* ---- the socket ---- */

static void
conn_set_option (HermitConn *conn, int level, int name, int value)
{
  /* Fails on what is not TCP, which is how the tests talk to us. */
  setsockopt (conn->fd, level, name, &value, sizeof (value));
}

static void
conn_set_options (HermitConn *conn)
{
  /* Buffer sizes are left to the kernel, which measures the path. */
  conn_set_option (conn, IPPROTO_TCP, TCP_NODELAY, 1);
  conn_set_option (conn, SOL_SOCKET, SO_KEEPALIVE, 1);
  conn_set_option (conn, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
  conn_set_option (conn, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
  conn_set_option (conn, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
  conn_set_option (conn, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

static ssize_t
conn_io_receive (HermitConn *conn, void *to, gsize length, gint64 deadline)
{
  return conn->ops ? conn->ops->receive (conn->io, to, length, deadline)
                   : hermit_io_receive (conn->fd, to, length, deadline);
}

static gboolean
conn_io_send (HermitConn *conn, const void *data, gsize length)
{
  return conn->ops ? conn->ops->send (conn->io, data, length)
                   : hermit_io_send (conn->fd, data, length);
}

/* ---- the handshake ---- */

static gboolean
conn_refuse (HermitConn *conn, guint32 code, const char *why)
{
  HermitFrame frame;

  hermit_frame_refuse (&frame, code, why);
  conn_io_send (conn, frame.bytes, frame.length);
  atomic_fetch_add (&conn->server->refusals[code], 1);
  return FALSE;
}

static gboolean
conn_refuse_draining (HermitConn *conn)
{
  return conn_refuse (conn, HERMIT_REFUSE_DRAINING,
                      "the server is shutting down");
}

/* What the door does for sockets, in the connection's own thread. */
static gboolean
conn_prove (HermitConn *conn, HermitHandshake *handshake)
{
  gint64 deadline = g_get_monotonic_time () + HANDSHAKE_US;
  const char *peer = conn->peer.name;
  guint8 bytes[HERMIT_HANDSHAKE_FRAME];

  hermit_handshake_init (handshake, conn->server->identities, &conn->peer);
  while (handshake->state == HERMIT_HANDSHAKE_GOING)
    {
      ssize_t n = conn_io_receive (conn, bytes,
                                   hermit_handshake_wants (handshake),
                                   deadline);

      if (n <= 0 && g_atomic_int_get (&conn->stop) == HERMIT_STOP_DRAIN)
        return conn_refuse_draining (conn);
      if (n <= 0)
        {
          hermit_log_stranger (G_LOG_LEVEL_MESSAGE,
                               (HermitLogAbout){ .peer = peer },
                               "%s: no %s: %s", peer,
                               hermit_handshake_due (handshake),
                               n ? g_strerror (errno) : "the peer hung up");
          return FALSE;
        }
      hermit_handshake_feed (handshake, bytes, n);
      if (handshake->state == HERMIT_HANDSHAKE_GOING && handshake->out.length
          && !conn_io_send (conn, handshake->out.bytes, handshake->out.length))
        return FALSE;
    }
  if (handshake->state == HERMIT_HANDSHAKE_PROVED)
    return TRUE;
  hermit_log_stranger (G_LOG_LEVEL_WARNING, (HermitLogAbout){ .peer = peer },
                       "%s: refused (%s): %s", peer,
                       hermit_wire_refusal_name (handshake->refusal),
                       handshake->why);
  return conn_refuse (conn, handshake->refusal, handshake->why);
}

/* Of a client that has proved itself; waits for the fence. */
static gboolean
conn_attach (HermitConn *conn, const HermitHandshake *proved)
{
  struct hermit_wire_welcome welcome;
  g_autofree char *text = NULL;
  HermitFrame frame;
  guint32 code;

  if (g_atomic_int_get (&conn->stop) != HERMIT_STOP_NONE)
    return conn_refuse_draining (conn);
  code = hermit_sessions_attach (conn->server->sessions, &conn->member,
                                 conn->peer.name, proved->identity,
                                 &proved->hello, proved->unreserved,
                                 &conn->session, &welcome, &text);
  if (code)
    {
      g_autofree char *uuid = hermit_uuid_text (proved->hello.uuid);
      HermitLogAbout about = { .peer = conn->peer.name, .region = uuid };

      conn->session = NULL;
      if (proved->identity->keys[0])
        hermit_log (G_LOG_LEVEL_WARNING, about,
                    "%s: refused (%s): %s (region %s)", conn->peer.name,
                    hermit_wire_refusal_name (code), text, uuid);
      else
        /* Without keys whoever comes has proved nothing. */
        hermit_log_stranger (G_LOG_LEVEL_WARNING, about,
                             "%s: refused (%s): %s (region %s)",
                             conn->peer.name, hermit_wire_refusal_name (code),
                             text, uuid);
      return conn_refuse (conn, code, text);
    }
  if (conn->server->door)
    hermit_door_know (conn->server->door, &conn->peer);
  hermit_histogram_add (&conn->server->handshakes,
                        g_get_monotonic_time () - proved->begun, 1);
  if (conn->ops)
    conn->ops->attached (conn->io);
  hermit_frame_fill (&frame, HERMIT_MSG_WELCOME, &welcome, sizeof (welcome));
  return conn_io_send (conn, frame.bytes, frame.length);
}

/* From the proof on, to the end; frees it, and clears @proved. */
static void
conn_live (HermitConn *conn, HermitHandshake *proved)
{
  if (conn_attach (conn, proved))
    {
      if (conn->ops)
        conn->ops->serve (conn->io, conn->session, &conn->member,
                          proved->caps);
      else
        hermit_stream_serve (conn->server, conn->fd, &conn->peer,
                             conn->session, &conn->member, &conn->stop,
                             proved->caps);
    }
  if (conn->ops)
    conn->ops->leave (conn->io);
  if (conn->session)
    hermit_session_detach (conn->session, &conn->member);
  hermit_handshake_clear (proved);
  conn_free (conn);
}

static gboolean
conn_open (HermitConn *conn)
{
  g_autoptr (GError) error = NULL;

  if (!conn->ops || conn->ops->open (conn->io, &error))
    return TRUE;
  hermit_log_stranger (G_LOG_LEVEL_WARNING,
                       (HermitLogAbout){ .peer = conn->peer.name }, "%s: %s",
                       conn->peer.name, error->message);
  return FALSE;
}

/* Not proved yet. */
static gpointer
conn_main_stranger (gpointer data)
{
  HermitConn *conn = data;
  HermitHandshake handshake = { 0 };
  gboolean ok = conn_open (conn) && conn_prove (conn, &handshake);

  if (conn->ops)
    hermit_door_leave (conn->server->door, conn);
  if (ok)
    conn_live (conn, &handshake);
  else
    {
      if (conn->ops)
        conn->ops->leave (conn->io);
      hermit_handshake_clear (&handshake);
      conn_free (conn);
    }
  return NULL;
}

typedef struct
{
  HermitConn *conn;
  HermitHandshake proved;
} Proved;

static gpointer
conn_main (gpointer data)
{
  g_autofree Proved *start = data;

  conn_set_options (start->conn);
  conn_live (start->conn, &start->proved);
  return NULL;
}

void
hermit_conn_run (HermitServer *server, int fd, const HermitPeer *peer)
{
  HermitConn *conn = conn_new (server, fd, NULL, NULL, peer);

  conn_main_stranger (conn);
}

static gboolean
conn_thread (HermitConn *conn, GThreadFunc start, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GThread *thread = g_thread_try_new ("conn", start, data, &error);

  if (thread)
    g_thread_unref (thread);
  else
    hermit_log (G_LOG_LEVEL_WARNING,
                (HermitLogAbout){ .peer = conn->peer.name },
                "%s: connection closed: %s", conn->peer.name, error->message);
  return thread != NULL;
}

void
hermit_conn_start (HermitServer *server, int fd, const HermitPeer *peer,
                   HermitHandshake *proved)
{
  Proved *start = g_new (Proved, 1);

  start->conn = conn_new (server, fd, NULL, NULL, peer);
  start->proved = *proved;
  proved->identity = NULL;
  if (conn_thread (start->conn, conn_main, start))
    return;
  /* The door, which called, may be locked: close, do not linger. */
  conn_stop (start->conn, HERMIT_STOP_FENCE);
  conn_free (start->conn);
  hermit_handshake_clear (&start->proved);
  g_free (start);
}

/* The door's. */
static void
conn_evict (gpointer data)
{
  conn_stop (data, HERMIT_STOP_FENCE);
}

void
hermit_conn_start_with (HermitServer *server, const HermitConnOps *ops,
                        gpointer io, const HermitPeer *peer)
{
  HermitConn *conn = conn_new (server, -1, ops, io, peer);

  if (!hermit_door_enter (server->door, peer, conn_evict, conn))
    {
      hermit_log_stranger (G_LOG_LEVEL_WARNING,
                           (HermitLogAbout){ .peer = peer->name },
                           "%s: connection closed: too many others have not "
                           "said who they are",
                           peer->name);
      conn_free (conn);
      return;
    }
  if (conn_thread (conn, conn_main_stranger, conn))
    return;
  hermit_door_leave (server->door, conn);
  conn_free (conn);
}
