/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 2,000 connections from strangers, kept up: silent, slow, talking nonsense,
 * half closed, or with a wrong proof, from a hundred hosts and from the host
 * of a client that opens its region again and again meanwhile. What the server
 * has of threads, descriptors and log stays bounded, the client gets in every
 * time, and the operator is answered.
 *
 *   client, 127.0.0.1  ----.
 *   400 strangers from 127.0.0.1 --- hermit-memserver, 127.0.0.1
 *   1,600 from 127.0.1.1 .. 100 ---'
 *
 * Three seconds of it as a test; HERMIT_TEST_SECONDS=30 for more, and with
 * HERMIT_TEST_STRANGERS=0 without them, to compare. How long the handshakes
 * took is printed, and nothing is made of it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "door.h"

#define STRANGERS_MAX 2000
#define HOSTS 100
/* Strangers that come (again) in one round of TICK_US: 1,000 a second. */
#define PER_ROUND 50
#define TICK_US 50000
/* As a real client does, that is cut off: after a while. */
#define ATTEMPTS 50
/* The server's own: main, door, GLib's, control's; and a client's few. */
#define THREADS_MAX 24
#define DESCRIPTORS_MAX (HERMIT_DOOR_PLACES + 64)
#define LOG_LINES_MAX 100

typedef enum
{
  SILENT,
  SLOW,
  NONSENSE,
  HALF_OPEN,
  WRONG_PROOF,
  KINDS,
} Kind;

typedef struct
{
  int fd;
  guint sent; /* of a slow one */
} Stranger;

static Server *server;
static guint strangers = STRANGERS_MAX;
static guint64 came[KINDS];

static int
stranger_connect (guint n)
{
  struct sockaddr_in from = { .sin_family = AF_INET };
  struct sockaddr_in to = { .sin_family = AF_INET };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (fd, >=, 0);
  from.sin_addr.s_addr
      = htonl (n / KINDS % 5 ? 0x7f000101 + n % HOSTS : INADDR_LOOPBACK);
  to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  to.sin_port = htons (server->port);
  g_assert_cmpint (bind (fd, (struct sockaddr *)&from, sizeof (from)), ==, 0);
  if (connect (fd, (struct sockaddr *)&to, sizeof (to)) && errno != EINPROGRESS)
    {
      close (fd);
      return -1;
    }
  return fd;
}

/* One step of what it does; it may fail, the server need not listen. */
static void
stranger_act (Stranger *stranger, Kind kind)
{
  static const guint8 nonsense[64] = "GET / HTTP/1.1\r\n";
  struct
  {
    struct hermit_wire_hdr hdr;
    struct hermit_wire_hello hello;
    struct hermit_wire_hdr auth_hdr;
    struct hermit_wire_auth auth;
  } all;
  Client client = client_new (server, 9, 9, 4 * MIB);
  gsize from = 0, to = 0;

  memset (&all, 0, sizeof (all));
  hermit_wire_fill (&all.hdr, HERMIT_MSG_HELLO, 0, 0, 0, sizeof (all.hello));
  all.hello = client_hello (&client, TRUE);
  hermit_wire_fill (&all.auth_hdr, HERMIT_MSG_AUTH, 0, 0, 0,
                    sizeof (all.auth));
  switch (kind)
    {
    case SLOW:
      from = stranger->sent;
      to = from + 1;
      break;
    case NONSENSE:
      send (stranger->fd, nonsense, sizeof (nonsense), MSG_NOSIGNAL);
      return;
    case HALF_OPEN:
      to = 40;
      break;
    case WRONG_PROOF:
      to = sizeof (all);
      break;
    default:
      return;
    }
  if (stranger->sent && kind != SLOW)
    return;
  if (send (stranger->fd, (guint8 *)&all + from, to - from, MSG_NOSIGNAL)
      == (ssize_t)(to - from))
    stranger->sent = to;
  if (kind == HALF_OPEN)
    shutdown (stranger->fd, SHUT_WR);
}

static gboolean
stranger_is_out (Stranger *stranger)
{
  struct pollfd pfd = { .fd = stranger->fd, .events = POLLIN | POLLRDHUP };
  guint8 junk[512];

  if (stranger->fd < 0)
    return TRUE;
  if (poll (&pfd, 1, 0) == 0)
    return FALSE;
  /* Read what it says, to see its end. */
  while (recv (stranger->fd, junk, sizeof (junk), MSG_DONTWAIT) > 0)
    ;
  return pfd.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static gint over; /* atomic */

static gpointer
strangers_main (gpointer data)
{
  Stranger *all = g_new0 (Stranger, strangers);
  guint next = 0;

  for (guint i = 0; i < strangers; i++)
    all[i].fd = -1;
  while (!g_atomic_int_get (&over))
    {
      guint left = PER_ROUND, first = next;

      /* In turn, so that those who are put out soon do not come alone. */
      for (guint n = 0; n < strangers; n++)
        {
          guint i = (first + n) % strangers;
          Kind kind = i % KINDS;

          if (!stranger_is_out (&all[i]))
            stranger_act (&all[i], kind);
          else if (left)
            {
              left--;
              next = i + 1;
              if (all[i].fd >= 0)
                close (all[i].fd);
              all[i] = (Stranger){ .fd = stranger_connect (i) };
              came[kind]++;
            }
        }
      g_usleep (TICK_US);
    }
  for (guint i = 0; i < strangers; i++)
    if (all[i].fd >= 0)
      close (all[i].fd);
  g_free (all);
  return NULL;
}

static int
compare (const void *a, const void *b)
{
  const gint64 *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

static void
test_flood (void)
{
  const char *text = g_getenv ("HERMIT_TEST_SECONDS");
  const gint64 seconds = text ? g_ascii_strtoll (text, NULL, 10) : 3;
  gint64 end;
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autofree char *key_path = NULL;
  g_autofree char *log = NULL;
  g_autoptr (HermitKey) key = NULL;
  g_auto (GStrv) lines = NULL;
  guint threads = 0, descriptors = 0, again = 0;
  struct rlimit limit;
  GThread *thread;
  Client client;
  int fd;

  if (g_getenv ("HERMIT_TEST_STRANGERS"))
    strangers = MIN (STRANGERS_MAX, atoi (g_getenv ("HERMIT_TEST_STRANGERS")));
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < strangers + 64)
    {
      g_test_skip ("too few descriptors: raise ulimit -Hn");
      return;
    }
  fd = g_file_open_tmp ("hermit-test-key-XXXXXX", &key_path, NULL);
  g_assert_cmpint (write (fd, "a key that is long enough", 25), ==, 25);
  close (fd);
  key = hermit_key_load (key_path, NULL);
  server = server_start ("--capacity=64M", "--key-file", key_path, NULL);
  client = client_new (server, 1, 1, 8 * MIB);
  client.key = key;

  thread = g_thread_new ("strangers", strangers_main, NULL);
  end = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
  while (g_get_monotonic_time () < end)
    {
      struct hermit_wire_hello hello = client_hello (&client, TRUE);
      gint64 start = g_get_monotonic_time ();
      g_autofree char *list = NULL;
      Attempt attempt;
      guint n = 0;

      do
        {
          attempt = client_try (&client, client_connect (&client), &hello);
          g_assert_cmpint (attempt.code, ==, 0);
        }
      while (attempt.fd < 0 && ++n < ATTEMPTS);
      g_assert_cmpint (attempt.fd, >=, 0);
      start = g_get_monotonic_time () - start;
      g_array_append_val (times, start);
      again += n;
      do_ping (attempt.fd);
      close (attempt.fd);

      list = server_ask (server, "list");
      g_assert_nonnull (strstr (list, "01000000-"));
      threads = MAX (threads, server_count (server, "task"));
      descriptors = MAX (descriptors, server_count (server, "fd"));
      g_usleep (20000);
    }
  g_atomic_int_set (&over, 1);
  g_thread_join (thread);

  g_assert_true (g_file_get_contents (server->log, &log, NULL, NULL));
  lines = g_strsplit (log, "\n", -1);
  qsort (times->data, times->len, sizeof (gint64), compare);
  /* Half-open and silent strangers were there, and so were the others. */
  for (guint kind = 0; kind < KINDS && strangers; kind++)
    g_assert_cmpint (came[kind], >, 0);
  g_test_message ("strangers that came: %" G_GUINT64_FORMAT " silent, %"
                  G_GUINT64_FORMAT " slow, %" G_GUINT64_FORMAT
                  " with nonsense, %" G_GUINT64_FORMAT
                  " half-open, %" G_GUINT64_FORMAT " with a wrong proof",
                  came[SILENT], came[SLOW], came[NONSENSE], came[HALF_OPEN],
                  came[WRONG_PROOF]);
  g_test_message ("client: %u handshakes, %u tried again, p50 %" G_GINT64_FORMAT
                  " us, p99 %" G_GINT64_FORMAT " us",
                  times->len, again,
                  g_array_index (times, gint64, times->len / 2),
                  g_array_index (times, gint64, times->len * 99 / 100));
  g_test_message ("server: at most %u threads, %u descriptors, %u log lines",
                  threads, descriptors, g_strv_length (lines));
  g_assert_cmpint (threads, <=, THREADS_MAX);
  g_assert_cmpint (descriptors, <=, DESCRIPTORS_MAX);
  /* The client's own lines, one or two for each handshake, are not theirs. */
  {
    guint n = 0;

    for (char **line = lines; *line; line++)
      n += **line && !strstr (*line, "region 01000000-");
    g_test_message ("of those, %u are about strangers", n);
    g_assert_cmpint (!n, ==, !strangers);
    g_assert_cmpint (n, <, LOG_LINES_MAX);
  }
  server_stop (server);
  unlink (key_path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/strangers/flood", test_flood);
  return g_test_run ();
}
