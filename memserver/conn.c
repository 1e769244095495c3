/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"

/* The whole handshake: a peer that says nothing holds a thread this long. */
#define HANDSHAKE_US (5 * G_USEC_PER_SEC)
/* Connections in their handshake at one time, against a flood of them. */
#define HANDSHAKES_MAX 256
/* How long to wait for the peer to have read the last words. */
#define LINGER_US (1 * G_USEC_PER_SEC)
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
/* What one recv() and one send() can carry: some 60 pages, to save calls. */
#define BUFFER_SIZE (256u << 10)

typedef struct
{
  HermitMember member; /* first */
  HermitServer *server;
  int fd; /* -1: it has ops */
  const HermitConnOps *ops;
  gpointer io;
  char *peer;
  gint stop;              /* HermitStop, atomic */
  HermitSession *session; /* while attached */
  guint8 *in;             /* received, from a frame's start */
  gsize in_length;
  guint8 *out; /* answers to send */
  gsize out_length;
} HermitConn;

struct HermitConns
{
  GMutex lock;
  GCond gone;
  GPtrArray *all; /* not owned: the threads free themselves */
  guint handshakes;
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
  if (conn->ops)
    {
      conn->ops->stop (conn->io, how);
      return;
    }
  /* Wakes the thread; data already queued may still come out of recv(). */
  shutdown (conn->fd, how == HERMIT_STOP_FENCE ? SHUT_RDWR : SHUT_RD);
}

void
hermit_conns_drain (HermitConns *conns)
{
  gint64 deadline = g_get_monotonic_time () + DRAIN_US;
  HermitStop how = HERMIT_STOP_DRAIN;

  g_mutex_lock (&conns->lock);
  for (guint i = 0; i < conns->all->len; i++)
    conn_stop (conns->all->pdata[i], how);
  while (conns->all->len)
    {
      if (how == HERMIT_STOP_FENCE)
        g_cond_wait (&conns->gone, &conns->lock);
      else if (!g_cond_wait_until (&conns->gone, &conns->lock, deadline))
        {
          how = HERMIT_STOP_FENCE;
          for (guint i = 0; i < conns->all->len; i++)
            conn_stop (conns->all->pdata[i], how);
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

/* NULL, and @fd or @io gone, if too many strangers are at the door. */
static HermitConn *
conn_new (HermitServer *server, int fd, const HermitConnOps *ops, gpointer io,
          const char *peer)
{
  HermitConns *conns = server->conns;
  HermitConn *conn = NULL;

  g_mutex_lock (&conns->lock);
  if (conns->handshakes < HANDSHAKES_MAX)
    {
      conn = g_new0 (HermitConn, 1);
      conn->member.fence = conn_fence;
      conn->server = server;
      conn->fd = fd;
      conn->ops = ops;
      conn->io = io;
      conn->peer = g_strdup (peer);
      g_ptr_array_add (conns->all, conn);
      conns->handshakes++;
    }
  g_mutex_unlock (&conns->lock);
  if (!conn)
    {
      g_warning ("%s: connection closed: %d others have not said who they are",
                 peer, HANDSHAKES_MAX);
      if (ops)
        ops->free (io);
      else
        close (fd);
    }
  return conn;
}

static void
conn_free (HermitConn *conn)
{
  HermitConns *conns = conn->server->conns;

  g_mutex_lock (&conns->lock);
  g_ptr_array_remove_fast (conns->all, conn);
  /* Under the lock, for those who stop what they find in the set. */
  if (conn->ops)
    conn->ops->free (conn->io);
  else
    close (conn->fd);
  g_cond_broadcast (&conns->gone);
  g_mutex_unlock (&conns->lock);
  g_free (conn->peer);
  g_free (conn->in);
  g_free (conn->out);
  g_free (conn);
}

static void
conn_handshake_over (HermitConn *conn)
{
  HermitConns *conns = conn->server->conns;

  g_mutex_lock (&conns->lock);
  conns->handshakes--;
  g_mutex_unlock (&conns->lock);
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

/* Let the peer read what was sent before close() resets the connection. */
static void
conn_linger (HermitConn *conn)
{
  gint64 deadline = g_get_monotonic_time () + LINGER_US;
  guint8 junk[4096];

  if (g_atomic_int_get (&conn->stop) == HERMIT_STOP_FENCE)
    return;
  shutdown (conn->fd, SHUT_WR);
  while (hermit_io_receive (conn->fd, junk, sizeof (junk), deadline) > 0
         && g_get_monotonic_time () < deadline)
    ;
}

/* ---- the handshake ---- */

G_GNUC_PRINTF (3, 4)
static gboolean
conn_refuse (HermitConn *conn, guint32 code, const char *format, ...)
{
  struct
  {
    struct hermit_wire_hdr hdr;
    struct hermit_wire_refuse refuse;
  } frame;
  g_autofree char *why = NULL;
  va_list args;

  va_start (args, format);
  why = g_strdup_vprintf (format, args);
  va_end (args);
  g_warning ("%s: refused (%s): %s", conn->peer,
             hermit_wire_refusal_name (code), why);

  memset (&frame, 0, sizeof (frame));
  hermit_wire_fill (&frame.hdr, HERMIT_MSG_REFUSE, 0, 0, 0,
                    sizeof (frame.refuse));
  frame.refuse.code = cpu_to_le32 (code);
  g_strlcpy (frame.refuse.text, why, sizeof (frame.refuse.text));
  conn_io_send (conn, &frame, sizeof (frame));
  atomic_fetch_add (&conn->server->refusals[code], 1);
  return FALSE;
}

static gboolean
conn_send_frame (HermitConn *conn, guint8 type, const void *payload,
                 guint32 length)
{
  guint8 frame[512];
  struct hermit_wire_hdr hdr;

  g_assert (sizeof (hdr) + length <= sizeof (frame));
  hermit_wire_fill (&hdr, type, 0, 0, 0, length);
  memcpy (frame, &hdr, sizeof (hdr));
  memcpy (frame + sizeof (hdr), payload, length);
  return conn_io_send (conn, frame, sizeof (hdr) + length);
}

static gboolean
conn_receive (HermitConn *conn, void *to, gsize length, gint64 deadline,
              const char *what)
{
  guint8 *at = to;

  while (length)
    {
      ssize_t n = conn_io_receive (conn, at, length, deadline);

      if (n <= 0 && g_atomic_int_get (&conn->stop) != HERMIT_STOP_NONE)
        return conn_refuse (conn, HERMIT_REFUSE_DRAINING,
                            "the server is shutting down");
      if (n <= 0)
        {
          g_message ("%s: no %s: %s", conn->peer, what,
                     n ? g_strerror (errno) : "the peer hung up");
          return FALSE;
        }
      at += n;
      length -= n;
    }
  return TRUE;
}

/* The header of the handshake frame that is due; checks it. */
static gboolean
conn_receive_handshake (HermitConn *conn, guint8 type, void *payload,
                        gsize length, gint64 deadline, const char *what)
{
  struct hermit_wire_hdr hdr;
  const char *why;

  if (!conn_receive (conn, &hdr, sizeof (hdr), deadline, what))
    return FALSE;
  if (hermit_wire_check_handshake (&hdr, type, &why))
    return conn_refuse (conn, HERMIT_REFUSE_PROTOCOL, "%s", why);
  return conn_receive (conn, payload, length, deadline, what);
}

/* Both prove that they have the key, or that there is none. */
static gboolean
conn_authenticate (HermitConn *conn, const struct hermit_wire_hello *hello,
                   guint16 version, guint64 caps, gint64 deadline)
{
  const HermitKey *key = conn->server->key;
  struct hermit_wire_challenge challenge = {
    .version = cpu_to_le16 (version),
    .keyed = cpu_to_le16 (key != NULL),
    .caps = cpu_to_le64 (caps),
  };
  guint8 expected[HERMIT_WIRE_MAC_LEN] = { 0 };
  struct hermit_wire_auth auth;

  hermit_random (challenge.nonce, sizeof (challenge.nonce));
  if (key)
    {
      hermit_key_mac (key, 'S', hello, &challenge, challenge.mac);
      hermit_key_mac (key, 'C', hello, &challenge, expected);
    }
  if (!conn_send_frame (conn, HERMIT_MSG_CHALLENGE, &challenge,
                        sizeof (challenge)))
    return FALSE;
  if (!conn_receive_handshake (conn, HERMIT_MSG_AUTH, &auth, sizeof (auth),
                               deadline, "AUTH"))
    return FALSE;
  if (!hermit_mac_equal (auth.mac, expected))
    return conn_refuse (conn, HERMIT_REFUSE_KEY, "%s",
                        key ? "the client does not have the server's key"
                            : "the client has a key and the server has none");
  return TRUE;
}

static gboolean
conn_handshake (HermitConn *conn, guint64 *caps)
{
  gint64 deadline = g_get_monotonic_time () + HANDSHAKE_US;
  struct hermit_wire_hello hello;
  struct hermit_wire_welcome welcome;
  g_autofree char *text = NULL;
  const char *why;
  guint16 version;
  guint32 code;

  if (!conn_receive_handshake (conn, HERMIT_MSG_HELLO, &hello, sizeof (hello),
                               deadline, "HELLO"))
    return FALSE;
  code = hermit_wire_check_hello (&hello, &version, &why);
  if (code)
    return conn_refuse (conn, code, "%s", why);
  *caps
      = le64_to_cpu (hello.caps) & (HERMIT_CAP_DISCARD | HERMIT_CAP_MULTICONN);
  if (!conn_authenticate (conn, &hello, version, *caps, deadline))
    return FALSE;
  if (g_atomic_int_get (&conn->stop) != HERMIT_STOP_NONE)
    return conn_refuse (conn, HERMIT_REFUSE_DRAINING,
                        "the server is shutting down");

  code = hermit_sessions_attach (conn->server->sessions, &conn->member,
                                 conn->peer, &hello, &conn->session, &welcome,
                                 &text);
  if (code)
    {
      g_autofree char *uuid = hermit_uuid_text (hello.uuid);

      conn->session = NULL;
      return conn_refuse (conn, code, "%s (region %s)", text, uuid);
    }
  if (conn->ops)
    conn->ops->attached (conn->io);
  return conn_send_frame (conn, HERMIT_MSG_WELCOME, &welcome,
                          sizeof (welcome));
}

/* ---- the requests ---- */

static gboolean
conn_flush (HermitConn *conn)
{
  gsize length = conn->out_length;

  conn->out_length = 0;
  return hermit_io_send (conn->fd, conn->out, length);
}

static void
conn_violation (HermitConn *conn, const struct hermit_wire_hdr *hdr,
                const char *why)
{
  g_warning ("%s, %s: %s (type %u, offset 0x%" G_GINT64_MODIFIER
             "x, extent %u, payload %u): connection closed",
             hermit_session_label (conn->session), conn->peer, why, hdr->type,
             le64_to_cpu (hdr->offset), le32_to_cpu (hdr->extent),
             le32_to_cpu (hdr->length));
}

/* Always FALSE: whatever comes of it, the connection is over. */
static gboolean
conn_end (HermitConn *conn, const struct hermit_wire_hdr *hdr)
{
  struct hermit_wire_hdr reply;

  if (!conn_flush (conn) || !hermit_session_end (conn->session, &conn->member))
    return FALSE;
  hermit_request_fill_reply (&reply, hdr, HERMIT_WIRE_OK, 0);
  hermit_io_send (conn->fd, &reply, sizeof (reply));
  return FALSE;
}

/*
 * The page of the request at @at of the buffer will be needed next: it is
 * fetched from memory while the one before is answered, since no processor can
 * guess where it is. Nothing has checked that request yet, and nothing acts on
 * it.
 */
static void
conn_expect (HermitConn *conn, HermitRegion *region, guint64 size, gsize at)
{
  struct hermit_wire_hdr hdr;
  guint64 offset;

  if (conn->in_length < at + sizeof (hdr))
    return;
  memcpy (&hdr, conn->in + at, sizeof (hdr));
  offset = le64_to_cpu (hdr.offset);
  if (offset < size)
    hermit_region_expect (region, offset & -(guint64)HERMIT_WIRE_PAGE);
}

/*
 * Answer the whole frames in the buffer. FALSE if the connection is over. A
 * fence is obeyed between two requests, whatever is left in the buffer.
 */
static gboolean
conn_answer (HermitConn *conn, HermitRegion *region, guint64 size,
             guint64 caps)
{
  HermitCounters *counters = hermit_session_counters (conn->session);
  gsize at = 0;

  while (conn->in_length - at >= sizeof (struct hermit_wire_hdr))
    {
      struct hermit_wire_hdr hdr;
      const char *why;
      gsize length;

      if (g_atomic_int_get (&conn->stop) == HERMIT_STOP_FENCE)
        return FALSE;
      memcpy (&hdr, conn->in + at, sizeof (hdr));
      if (hermit_wire_check_request (&hdr, size, &why))
        {
          conn_violation (conn, &hdr, why);
          conn_flush (conn);
          return FALSE;
        }
      if (hdr.type == HERMIT_MSG_DISCARD && !(caps & HERMIT_CAP_DISCARD))
        {
          conn_violation (conn, &hdr, "DISCARD was not agreed upon");
          conn_flush (conn);
          return FALSE;
        }
      length = sizeof (hdr) + le32_to_cpu (hdr.length);
      if (conn->in_length - at < length)
        break;
      if (hdr.type == HERMIT_MSG_END)
        return conn_end (conn, &hdr);

      conn_expect (conn, region, size, at + length);
      conn->out_length += hermit_request_answer (region, counters, &hdr,
                                                 conn->in + at + sizeof (hdr),
                                                 conn->out + conn->out_length);
      at += length;
      if (conn->out_length + HERMIT_REPLY_MAX > BUFFER_SIZE
          && !conn_flush (conn))
        return FALSE;
    }

  conn->in_length -= at;
  memmove (conn->in, conn->in + at, conn->in_length);
  return conn_flush (conn);
}

static void
conn_serve (HermitConn *conn, guint64 caps)
{
  HermitRegion *region = hermit_session_region (conn->session);
  guint64 size = hermit_region_size (region);

  conn->in = g_malloc (BUFFER_SIZE);
  conn->out = g_malloc (BUFFER_SIZE);
  while (g_atomic_int_get (&conn->stop) == HERMIT_STOP_NONE)
    {
      /* A frame is much smaller than the buffer: there is always room. */
      ssize_t n = recv (conn->fd, conn->in + conn->in_length,
                        BUFFER_SIZE - conn->in_length, 0);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        g_message ("%s, %s: connection lost: %s",
                   hermit_session_label (conn->session), conn->peer,
                   g_strerror (errno));
      if (n <= 0)
        break;
      conn->in_length += n;
      if (!conn_answer (conn, region, size, caps))
        break;
    }
}

/* The life of a connection; frees it. */
static gpointer
conn_main (gpointer data)
{
  HermitConn *conn = data;
  guint64 caps = 0;
  gboolean ok;

  if (!conn->ops)
    conn_set_options (conn);
  ok = conn_handshake (conn, &caps);
  conn_handshake_over (conn);
  if (ok && conn->ops)
    conn->ops->serve (conn->io, conn->session, &conn->member);
  else if (ok)
    conn_serve (conn, caps);
  if (conn->ops)
    conn->ops->leave (conn->io);
  if (conn->session)
    hermit_session_detach (conn->session, &conn->member);
  if (!conn->ops)
    conn_linger (conn);
  conn_free (conn);
  return NULL;
}

void
hermit_conn_run (HermitServer *server, int fd, const char *peer)
{
  HermitConn *conn = conn_new (server, fd, NULL, NULL, peer);

  if (conn)
    conn_main (conn);
}

static void
conn_start (HermitServer *server, int fd, const HermitConnOps *ops,
            gpointer io, const char *peer)
{
  HermitConn *conn = conn_new (server, fd, ops, io, peer);
  g_autoptr (GError) error = NULL;
  GThread *thread;

  if (!conn)
    return;
  thread = g_thread_try_new ("conn", conn_main, conn, &error);
  if (thread)
    {
      g_thread_unref (thread);
      return;
    }
  g_warning ("%s: connection closed: %s", peer, error->message);
  conn_handshake_over (conn);
  conn_free (conn);
}

void
hermit_conn_start (HermitServer *server, int fd, const char *peer)
{
  conn_start (server, fd, NULL, NULL, peer);
}

void
hermit_conn_start_with (HermitServer *server, const HermitConnOps *ops,
                        gpointer io, const char *peer)
{
  conn_start (server, -1, ops, io, peer);
}
