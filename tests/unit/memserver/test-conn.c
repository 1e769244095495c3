/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections served in this process, so that a test can look at both ends of
 * one, send signals to its thread, and count what the server keeps.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "conn.h"
#include "door.h"
#include "io.h"
#include "local-server.h"
#include "session.h"

#define SIZE (4 * MIB)

static HermitServer server;
static const HermitPeer peer = { .name = "peer" };
static const Client client = { .uuid = { 1 }, .id = { 2 }, .size = SIZE };

static void
count_session (const HermitSessionInfo *info G_GNUC_UNUSED, gpointer data)
{
  (*(guint *)data)++;
}

static guint
sessions (void)
{
  guint n = 0;

  hermit_sessions_visit (server.sessions, count_session, &n);
  return n;
}

/* A client's end; the other one is served by a thread. */
static int
start (void)
{
  int fd[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
  hermit_door_admit (server.door, fd[1], &peer);
  return fd[0];
}

static int
start_open (void)
{
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt = client_try (&client, start (), &hello);

  g_assert_cmpint (attempt.fd, >=, 0);
  return attempt.fd;
}

/* Both ends of a TCP connection over loopback: the client's and the server's. */
static void
tcp_pair (int fd[2])
{
  struct sockaddr_in at = { .sin_family = AF_INET };
  socklen_t length = sizeof (at);
  int door = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  at.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (bind (door, (struct sockaddr *)&at, sizeof (at)), ==, 0);
  g_assert_cmpint (listen (door, 1), ==, 0);
  getsockname (door, (struct sockaddr *)&at, &length);
  fd[0] = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (connect (fd[0], (struct sockaddr *)&at, sizeof (at)), ==,
                   0);
  fd[1] = accept4 (door, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (fd[1], >=, 0);
  close (door);
}

static int
option (int fd, int level, int name)
{
  socklen_t length = sizeof (int);
  int value = -1;

  g_assert_cmpint (getsockopt (fd, level, name, &value, &length), ==, 0);
  return value;
}

/* A peer that died without a word is noticed, and small answers do not wait. */
static void
test_options (void)
{
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt;
  int fd[2], idle, interval, count;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  tcp_pair (fd);
  hermit_door_admit (server.door, fd[1], &peer);
  attempt = client_try (&client, fd[0], &hello);
  g_assert_cmpint (attempt.fd, >=, 0);
  g_assert_cmpint (option (fd[1], IPPROTO_TCP, TCP_NODELAY), ==, 1);
  g_assert_cmpint (option (fd[1], SOL_SOCKET, SO_KEEPALIVE), ==, 1);
  idle = option (fd[1], IPPROTO_TCP, TCP_KEEPIDLE);
  interval = option (fd[1], IPPROTO_TCP, TCP_KEEPINTVL);
  count = option (fd[1], IPPROTO_TCP, TCP_KEEPCNT);
  g_assert_cmpint (idle + interval * count, ==, 30);
  g_assert_cmpint (interval, <, idle);
  g_assert_cmpint (option (fd[1], IPPROTO_TCP, TCP_USER_TIMEOUT), ==, 30000);
  close (attempt.fd);
  local_server_stop (&server);
}

/* One byte at a time, from the first of HELLO to the last of END. */
static void
trickle (int fd, const void *data, gsize length)
{
  for (gsize i = 0; i < length; i++)
    {
      g_assert_true (send_all (fd, (const guint8 *)data + i, 1));
      /* Let the server see it alone, as far as one can. */
      if (i % 64 < 2)
        g_usleep (200);
    }
}

static void
trickle_frame (int fd, guint8 type, const void *payload, guint32 length)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, 0, 0, 0, length);
  trickle (fd, &hdr, sizeof (hdr));
  trickle (fd, payload, length);
}

static void
test_trickle (void)
{
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  struct hermit_wire_challenge challenge;
  struct hermit_wire_welcome welcome;
  struct hermit_wire_auth auth = { { 0 } };
  struct hermit_wire_hdr hdr;
  guint8 page[PAGE], seen[PAGE];
  int fd;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  fd = start ();
  trickle_frame (fd, HERMIT_MSG_HELLO, &hello, sizeof (hello));
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_CHALLENGE);
  g_assert_true (receive_all (fd, &challenge, sizeof (challenge)));
  trickle_frame (fd, HERMIT_MSG_AUTH, &auth, sizeof (auth));
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_WELCOME);
  g_assert_true (receive_all (fd, &welcome, sizeof (welcome)));

  fill_page (page, 1, 0, 1);
  trickle_frame (fd, HERMIT_MSG_WRITE, page, sizeof (page));
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_WRITE | HERMIT_MSG_REPLY);
  g_assert_cmpint (hdr.status, ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd, 0, seen), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (seen, 1, 0, 1));
  trickle_frame (fd, HERMIT_MSG_END, NULL, 0);
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_END | HERMIT_MSG_REPLY);
  g_assert_true (is_closed (fd));
  close (fd);
  g_assert_cmpint (sessions (), ==, 0);
  local_server_stop (&server);
}

static void
send_hello (int fd)
{
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, HERMIT_MSG_HELLO, 0, 0, 0, sizeof (hello));
  g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
  g_assert_true (send_all (fd, &hello, sizeof (hello)));
}

static void
send_auth (int fd, guint8 type)
{
  struct hermit_wire_auth auth = { { 0 } };
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, 0, 0, 0, sizeof (auth));
  g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
  send_all (fd, &auth, sizeof (auth));
}

/* A handshake that failed is over: no second word, and no session. */
static void
test_failed_handshake (void)
{
  struct hermit_wire_challenge challenge;
  struct hermit_wire_refuse refuse;
  struct hermit_wire_hdr hdr;
  int fd[2];

  local_server_start (&server, HERMIT_DOOR_PLACES);
  /* The challenge cannot be sent: the AUTH that is there counts for nothing. */
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
  send_hello (fd[0]);
  send_auth (fd[0], HERMIT_MSG_AUTH);
  shutdown (fd[0], SHUT_RD);
  shutdown (fd[0], SHUT_WR);
  hermit_conn_run (&server, fd[1], &peer);
  g_assert_cmpint (sessions (), ==, 0);
  close (fd[0]);

  /* Not AUTH at all, and then what would have been its payload. */
  fd[0] = start ();
  send_hello (fd[0]);
  g_assert_true (receive_all (fd[0], &hdr, sizeof (hdr)));
  g_assert_true (receive_all (fd[0], &challenge, sizeof (challenge)));
  send_auth (fd[0], HERMIT_MSG_PING);
  g_assert_true (receive_all (fd[0], &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_REFUSE);
  g_assert_true (receive_all (fd[0], &refuse, sizeof (refuse)));
  g_assert_cmpint (le32_to_cpu (refuse.code), ==, HERMIT_REFUSE_PROTOCOL);
  g_assert_true (is_closed (fd[0]));
  close (fd[0]);
  g_assert_cmpint (sessions (), ==, 0);
  for (guint code = 0; code < G_N_ELEMENTS (server.refusals); code++)
    g_assert_cmpint (server.refusals[code], ==, code == HERMIT_REFUSE_PROTOCOL);
  local_server_stop (&server);
}

/* The welcome cannot be sent: the session stays, without a connection. */
static void
see_no_connection (const HermitSessionInfo *info, gpointer data)
{
  g_assert_cmpint (info->connections, ==, 0);
  count_session (info, data);
}

static void
test_lost_after_auth (void)
{
  struct hermit_wire_challenge challenge;
  struct hermit_wire_hdr hdr;
  guint seen = 0;
  int fd;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  fd = start ();
  send_hello (fd);
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_true (receive_all (fd, &challenge, sizeof (challenge)));
  shutdown (fd, SHUT_RD);
  send_auth (fd, HERMIT_MSG_AUTH);
  /* The server closes: what it is sent has no reader. */
  while (send (fd, &hdr, sizeof (hdr), MSG_NOSIGNAL) > 0)
    g_usleep (1000);
  close (fd);
  /* One more is served when the thread has detached. */
  fd = start_open ();
  close (fd);
  hermit_conns_drain (server.conns);
  hermit_sessions_visit (server.sessions, see_no_connection, &seen);
  g_assert_cmpint (seen, ==, 1);
  local_server_stop (&server);
}

/*
 * Peers that take no answers do not keep the server from ending. Over TCP its
 * own timeout would end them as well, half a minute later; here nothing does.
 */
static void
test_drain_stuck (void)
{
  guint8 frame[FRAME_MAX];
  gsize length = make_frame (frame, HERMIT_MSG_READ, 1, 0, NULL);
  int fds[2];

  local_server_start (&server, HERMIT_DOOR_PLACES);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      Client other = client;
      struct hermit_wire_hello hello;

      other.uuid[0] += i;
      hello = client_hello (&other, TRUE);
      fds[i] = client_try (&other, start (), &hello).fd;
      g_assert_cmpint (fds[i], >=, 0);
      while (send (fds[i], frame, length, MSG_DONTWAIT | MSG_NOSIGNAL)
             == (ssize_t)length)
        ;
    }
  hermit_conns_drain (server.conns);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  local_server_stop (&server);
}

/* ---- signals ---- */

static gint signals; /* atomic */

static void
on_signal (int signo G_GNUC_UNUSED)
{
  g_atomic_int_inc (&signals);
}

typedef struct
{
  int fd;
  gint tid_known; /* atomic */
  pthread_t thread;
  gint done; /* atomic */
} Served;

static gpointer
serve (gpointer data)
{
  Served *served = data;

  served->thread = pthread_self ();
  g_atomic_int_set (&served->tid_known, 1);
  hermit_conn_run (&server, served->fd, &peer);
  g_atomic_int_set (&served->done, 1);
  return NULL;
}

/* Interrupt whatever it waits in, some times; each is taken before the next. */
static void
interrupt (Served *served)
{
  for (guint i = 0; i < 20; i++)
    {
      gint before = g_atomic_int_get (&signals);

      g_assert_cmpint (pthread_kill (served->thread, SIGUSR1), ==, 0);
      while (g_atomic_int_get (&signals) == before)
        g_usleep (50);
      g_usleep (200);
    }
}

/* A signal that a thread takes ends no wait, wherever it is. */
static void
test_signals (void)
{
  struct sigaction sa = { .sa_handler = on_signal }; /* without SA_RESTART */
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Served served = { .fd = -1 };
  guint8 page[PAGE], *frames;
  const guint reads = 600;
  GThread *thread;
  Attempt attempt;
  gsize length = 0;
  int fd[2];

  sigaction (SIGUSR1, &sa, NULL);
  local_server_start (&server, HERMIT_DOOR_PLACES);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
  served.fd = fd[1];
  thread = g_thread_new ("serve", serve, &served);
  while (!g_atomic_int_get (&served.tid_known))
    g_usleep (100);
  interrupt (&served); /* waits for HELLO */
  attempt = client_try (&client, fd[0], &hello);
  g_assert_cmpint (attempt.fd, >=, 0);
  interrupt (&served); /* for a request */
  fill_page (page, 1, 0, 1);
  g_assert_cmpint (do_write (attempt.fd, 0, page), ==, HERMIT_WIRE_OK);

  /* And in send(), with more answers than the sockets take. */
  frames = g_malloc (reads * FRAME_MAX);
  for (guint i = 0; i < reads; i++)
    length += make_frame (frames + length, HERMIT_MSG_READ, i, 0, NULL);
  g_assert_true (send_all (attempt.fd, frames, length));
  g_usleep (20000);
  interrupt (&served);
  for (guint i = 0; i < reads; i++)
    {
      struct hermit_wire_hdr hdr;

      g_assert_true (receive_all (attempt.fd, &hdr, sizeof (hdr)));
      g_assert_cmpint (le32_to_cpu (hdr.tag), ==, i);
      g_assert_true (receive_all (attempt.fd, page, PAGE));
      g_assert_true (page_is (page, 1, 0, 1));
    }
  g_free (frames);
  g_assert_false (g_atomic_int_get (&served.done));
  close (attempt.fd);
  g_thread_join (thread);
  local_server_stop (&server);
}

/* ---- io.c ---- */

static void
test_receive (void)
{
  gint64 now = g_get_monotonic_time ();
  guint8 byte;
  int fd[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
  errno = 0;
  g_assert_cmpint (hermit_io_receive (fd[0], &byte, 1, now), ==, -1);
  g_assert_cmpint (errno, ==, ETIMEDOUT);
  errno = 0;
  g_assert_cmpint (hermit_io_receive (fd[0], &byte, 1,
                                      g_get_monotonic_time () + 20000),
                   ==, -1);
  g_assert_cmpint (errno, ==, ETIMEDOUT);
  g_assert_cmpint (g_get_monotonic_time () - now, >=, 20000);
  g_assert_true (hermit_io_send (fd[1], "x", 1));
  /* What is there after the deadline comes too late. */
  g_assert_cmpint (hermit_io_receive (fd[0], &byte, 1, now), ==, -1);
  g_assert_cmpint (hermit_io_receive (fd[0], &byte, 1, now + G_USEC_PER_SEC
                                                           * 60),
                   ==, 1);
  g_assert_cmpint (byte, ==, 'x');
  close (fd[1]);
  g_assert_cmpint (hermit_io_receive (fd[0], &byte, 1, now + G_USEC_PER_SEC
                                                           * 60),
                   ==, 0);
  g_assert_false (hermit_io_send (fd[0], "x", 1));
  close (fd[0]);
}

/* ---- connections that are no sockets ---- */

/*
 * One whose peer says nothing, and that goes when the test says so; and one
 * whose device takes its time in the end.
 */
typedef struct
{
  gint silent, slow; /* atomic: it waits for them to be 0 */
  gint freeing;      /* atomic */
  gint stop;         /* atomic: the last that it was told, HermitStop */
} Fake;

static gboolean
fake_open (gpointer io G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
  return TRUE;
}

static void
wait_for (gint *word, gint value)
{
  while (g_atomic_int_get (word) != value)
    g_usleep (1000);
}

static ssize_t
fake_receive (gpointer io, void *to G_GNUC_UNUSED,
              gsize length G_GNUC_UNUSED, gint64 deadline G_GNUC_UNUSED)
{
  wait_for (&((Fake *)io)->silent, 0);
  return 0;
}

static gboolean
fake_send (gpointer io G_GNUC_UNUSED, const void *data G_GNUC_UNUSED,
           gsize length G_GNUC_UNUSED)
{
  return TRUE;
}

static void
fake_stop (gpointer io, HermitStop how)
{
  g_atomic_int_set (&((Fake *)io)->stop, how);
}

static void
fake_leave (gpointer io G_GNUC_UNUSED)
{
}

static void
fake_free (gpointer io)
{
  g_atomic_int_set (&((Fake *)io)->freeing, 1);
  wait_for (&((Fake *)io)->slow, 0);
}

static const HermitConnOps fake_ops = {
  .open = fake_open,
  .receive = fake_receive,
  .send = fake_send,
  .stop = fake_stop,
  .leave = fake_leave,
  .free = fake_free,
};

/* A device that takes its time to let a connection go holds nobody else up. */
static void
test_slow_device (void)
{
  Fake fake = { .slow = 1 };
  int fd;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  hermit_conn_start_with (&server, &fake_ops, &fake, &peer);
  wait_for (&fake.freeing, 1);
  fd = start_open ();
  do_ping (fd);
  g_atomic_int_set (&fake.slow, 0);
  close (fd);
  local_server_stop (&server);
}

static gpointer
drain (gpointer data G_GNUC_UNUSED)
{
  hermit_conns_drain (server.conns);
  return NULL;
}

/*
 * Those that there are are drained, but for who was fenced before; who comes
 * meanwhile keeps nobody waiting.
 */
static void
test_drain (void)
{
  Fake fakes[HERMIT_DOOR_THREADS / HERMIT_DOOR_STRANGER_SHARE + 1] = { 0 };
  Fake late = { .silent = 1 };
  const HermitPeer other = { .name = "other", .host = { 1 } };
  const guint n = G_N_ELEMENTS (fakes);
  GThread *thread;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  for (guint i = 0; i < n; i++)
    {
      fakes[i].silent = 1;
      hermit_conn_start_with (&server, &fake_ops, &fakes[i], &peer);
    }
  /* Its place was needed. */
  g_assert_cmpint (g_atomic_int_get (&fakes[0].stop), ==, HERMIT_STOP_FENCE);
  thread = g_thread_new ("drain", drain, NULL);
  /* The last to be told. */
  while (g_atomic_int_get (&fakes[n - 1].stop) == HERMIT_STOP_NONE)
    g_usleep (1000);
  g_assert_cmpint (g_atomic_int_get (&fakes[0].stop), ==, HERMIT_STOP_FENCE);
  hermit_conn_start_with (&server, &fake_ops, &late, &other);
  for (guint i = 0; i < n; i++)
    g_atomic_int_set (&fakes[i].silent, 0);
  g_thread_join (thread);
  g_assert_cmpint (g_atomic_int_get (&late.freeing), ==, 0);
  g_assert_cmpint (g_atomic_int_get (&late.stop), ==, HERMIT_STOP_NONE);
  g_atomic_int_set (&late.silent, 0);
  local_server_stop (&server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Warnings are what many of these are about. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_test_add_func ("/conn/options", test_options);
  g_test_add_func ("/conn/trickle", test_trickle);
  g_test_add_func ("/conn/failed-handshake", test_failed_handshake);
  g_test_add_func ("/conn/lost-after-auth", test_lost_after_auth);
  g_test_add_func ("/conn/drain-stuck", test_drain_stuck);
  g_test_add_func ("/conn/signals", test_signals);
  g_test_add_func ("/conn/receive", test_receive);
  g_test_add_func ("/conn/slow-device", test_slow_device);
  g_test_add_func ("/conn/drain", test_drain);
  return g_test_run ();
}
