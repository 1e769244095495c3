/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who keeps a place at the door, and what strangers cost. The door is in this
 * process, so that a test can say which host a connection comes from.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "conn.h"
#include "door.h"
#include "handshake.h"
#include "local-server.h"

#define SIZE (4 * MIB)
#define PLACES 64 /* half for strangers, 4 for one of their hosts */
#define HOST_PLACES (PLACES / HERMIT_DOOR_STRANGER_SHARE)
#define KNOWN_PLACES (PLACES / HERMIT_DOOR_KNOWN_SHARE)

static HermitServer server;
static const Client client = { .uuid = { 1 }, .id = { 2 }, .size = SIZE };

static HermitPeer
host (guint n)
{
  HermitPeer peer = { .name = "stranger" };

  memcpy (peer.host, &n, sizeof (n));
  return peer;
}

/* The client's end of a connection from host @n. */
static int
knock (guint n)
{
  HermitPeer peer = host (n);
  int fd[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
  hermit_door_admit (server.door, fd[1], &peer);
  return fd[0];
}

static gboolean
is_open (int fd)
{
  guint8 byte;

  return recv (fd, &byte, 1, MSG_DONTWAIT) < 0;
}

static void
shake_hands (int fd)
{
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt = client_try (&client, fd, &hello);

  g_assert_cmpint (attempt.fd, >=, 0);
  do_ping (attempt.fd);
  close (attempt.fd);
}

static void
close_all (int *fds, guint n)
{
  for (guint i = 0; i < n; i++)
    close (fds[i]);
}

/* Too many from one host: the one that came first goes, and nobody else. */
static void
test_one_host (void)
{
  int fds[2 * HOST_PLACES], other;

  local_server_start (&server, PLACES);
  other = knock (7);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = knock (1);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_cmpint (is_open (fds[i]), ==, i >= HOST_PLACES);
  g_assert_true (is_open (other));
  g_assert_cmpint (
      hermit_door_usage (server.door).drops[HERMIT_DROP_CROWDED], ==,
      HOST_PLACES);
  /* And a client among them gets in. */
  shake_hands (knock (1));
  close_all (fds, G_N_ELEMENTS (fds));
  close (other);
  local_server_stop (&server);
}

/* Strangers from everywhere have half of the places, the newest of them. */
static void
test_strangers (void)
{
  int fds[2 * PLACES];

  local_server_start (&server, PLACES);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = knock (i);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_cmpint (is_open (fds[i]), ==,
                     i >= G_N_ELEMENTS (fds) - PLACES / 2);
  g_assert_cmpint (hermit_door_usage (server.door).taken, ==, PLACES / 2);
  /* The newest one of all is a client. */
  shake_hands (knock (1000));
  close_all (fds, G_N_ELEMENTS (fds));
  local_server_stop (&server);
}

/* A host that had a client here is displaced by no stranger. */
static void
test_known (void)
{
  int fds[2 * PLACES], slow[KNOWN_PLACES];

  local_server_start (&server, PLACES);
  shake_hands (knock (1));
  g_assert_cmpint (hermit_door_usage (server.door).known, ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (slow); i++)
    slow[i] = knock (1);
  /* What the client leaves behind, which lingers, displaces nobody. */
  hermit_conns_drain (server.conns);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = knock (2 + i);
  for (guint i = 0; i < G_N_ELEMENTS (slow); i++)
    g_assert_true (is_open (slow[i]));
  /* Only by its own. */
  close (knock (1));
  g_assert_false (is_open (slow[0]));
  shake_hands (slow[KNOWN_PLACES - 1]);
  close_all (slow, KNOWN_PLACES - 1);
  close_all (fds, G_N_ELEMENTS (fds));
  local_server_stop (&server);
}

/* Those who were refused and do not hang up have a place, and lose it too. */
static void
test_linger (void)
{
  static const guint8 nonsense[64] = "GET / HTTP/1.1\r\n";
  int fds[2 * HOST_PLACES];
  struct hermit_wire_hdr hdr;

  local_server_start (&server, PLACES);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      fds[i] = knock (1);
      g_assert_true (send_all (fds[i], nonsense, sizeof (nonsense)));
      g_assert_true (receive_all (fds[i], &hdr, sizeof (hdr)));
      g_assert_cmpint (hdr.type, ==, HERMIT_MSG_REFUSE);
    }
  g_assert_cmpint (hermit_door_usage (server.door).taken, <=, HOST_PLACES);
  /* They were refused, and are not counted again when they go. */
  for (guint i = 0; i < HERMIT_DROPS; i++)
    g_assert_cmpint (hermit_door_usage (server.door).drops[i], ==, 0);
  g_assert_cmpint (server.refusals[HERMIT_REFUSE_PROTOCOL], ==,
                   G_N_ELEMENTS (fds));
  shake_hands (knock (1));
  close_all (fds, G_N_ELEMENTS (fds));
  /* Their places are free when they have hung up. */
  while (hermit_door_usage (server.door).taken)
    g_usleep (1000);
  local_server_stop (&server);
}

/* Nobody is there for ever, and each goes for a reason that is counted. */
static void
test_deadline (void)
{
  HermitDoorUsage usage;
  int silent, half;
  struct hermit_wire_hello hello = client_hello (&client, TRUE);

  local_server_start (&server, PLACES);
  silent = knock (1);
  half = knock (2);
  g_assert_true (send_all (half, &hello, 10));
  close (knock (3));
  g_assert_true (is_closed (silent));
  g_assert_true (is_closed (half));
  usage = hermit_door_usage (server.door);
  g_assert_cmpint (usage.drops[HERMIT_DROP_SILENT], ==, 2);
  g_assert_cmpint (usage.drops[HERMIT_DROP_LEFT], ==, 1);
  g_assert_cmpint (usage.drops[HERMIT_DROP_CROWDED], ==, 0);
  close (silent);
  close (half);
  local_server_stop (&server);
}

static gint evicted;

static void
evict (gpointer data)
{
  g_assert_true (data >= (gpointer)1);
  g_atomic_int_inc (&evicted);
}

/* Handshakes in threads: the oldest is told to go, and so many may be going. */
static void
test_threads (void)
{
  const guint share = HERMIT_DOOR_THREADS / HERMIT_DOOR_STRANGER_SHARE;
  HermitPeer peer = host (1), other = host (2);
  guint n = 0;

  local_server_start (&server, PLACES);
  evicted = 0;
  for (guint i = 1; i <= share; i++)
    g_assert_true (hermit_door_enter (server.door, &peer, evict,
                                      GUINT_TO_POINTER (++n)));
  g_assert_cmpint (evicted, ==, 0);
  while (hermit_door_enter (server.door, &peer, evict,
                            GUINT_TO_POINTER (n + 1)))
    n++;
  g_assert_cmpint (evicted, ==, HERMIT_DOOR_THREADS);
  g_assert_cmpint (n, ==, share + HERMIT_DOOR_THREADS);
  g_assert_false (hermit_door_enter (server.door, &other, evict,
                                     GUINT_TO_POINTER (n + 2)));
  /* As soon as one of them is gone there is room again. */
  hermit_door_leave (server.door, GUINT_TO_POINTER (1));
  g_assert_true (hermit_door_enter (server.door, &other, evict,
                                    GUINT_TO_POINTER (n + 2)));
  for (guint i = 1; i <= n + 2; i++)
    hermit_door_leave (server.door, GUINT_TO_POINTER (i));
  g_assert_cmpint (hermit_door_usage (server.door).taken, ==, 0);
  local_server_stop (&server);
}

/* ---- the handshake alone ---- */

/* A sentence that does not fit says so; none is cut in silence. */
static void
test_refuse_text (void)
{
  g_autofree char *text = g_strnfill (200, 'x');
  struct hermit_wire_refuse refuse;
  HermitFrame frame;

  hermit_frame_refuse (&frame, HERMIT_REFUSE_BUSY, text);
  g_assert_cmpint (frame.length, ==,
                   sizeof (struct hermit_wire_hdr) + sizeof (refuse));
  memcpy (&refuse, frame.bytes + sizeof (struct hermit_wire_hdr),
          sizeof (refuse));
  g_assert_cmpint (strlen (refuse.text), ==, sizeof (refuse.text) - 1);
  g_assert_true (g_str_has_suffix (refuse.text, "xx.."));
  text[sizeof (refuse.text) - 1] = '\0';
  hermit_frame_refuse (&frame, HERMIT_REFUSE_BUSY, text);
  memcpy (&refuse, frame.bytes + sizeof (struct hermit_wire_hdr),
          sizeof (refuse));
  g_assert_cmpstr (refuse.text, ==, text);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/door/one-host", test_one_host);
  g_test_add_func ("/door/strangers", test_strangers);
  g_test_add_func ("/door/known", test_known);
  g_test_add_func ("/door/linger", test_linger);
  g_test_add_func ("/door/deadline", test_deadline);
  g_test_add_func ("/door/threads", test_threads);
  g_test_add_func ("/door/refuse-text", test_refuse_text);
  return g_test_run ();
}
