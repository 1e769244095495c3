/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server that is restarted under its clients: by a service manager that
 * keeps its descriptors, whether it ended well or was killed, and by a process
 * that takes over from it. Whatever was acknowledged is there.
 */
#include <gio/gunixfdmessage.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "handover.h"

#define RESTARTS 20
#define SIZE (8 * MIB)
#define PAGES (SIZE / PAGE)
#define CAPACITY "--capacity=32M"

/* ---- a service manager ---- */

typedef struct
{
  GSocket *socket; /* where it is told things */
  char *path;
  int memory, ledger; /* what it keeps; -1: nothing */
  const char *watchdog; /* NULL: it does not watch */
} Manager;

static Manager
manager_new (Server *server)
{
  Manager m = { .memory = -1, .ledger = -1 };
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;

  m.path = g_build_filename (server->dir, "notify", NULL);
  address = g_unix_socket_address_new (m.path);
  m.socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM,
                           G_SOCKET_PROTOCOL_DEFAULT, &error);
  g_assert_no_error (error);
  g_assert_true (g_socket_bind (m.socket, address, FALSE, &error));
  return m;
}

/* Take what it was told, until that begins with @last. */
static void
manager_listen (Manager *m, const char *last)
{
  gboolean kept = m->memory >= 0;

  for (;;)
    {
      char text[256] = "";
      GInputVector vector = { text, sizeof (text) - 1 };
      GSocketControlMessage **messages = NULL;
      g_autoptr (GError) error = NULL;
      int n = 0, flags = 0, fd = -1;

      g_socket_receive_message (m->socket, NULL, &vector, 1, &messages, &n,
                                &flags, NULL, &error);
      g_assert_no_error (error);
      if (n)
        {
          g_autofree int *fds = g_unix_fd_message_steal_fds (
              G_UNIX_FD_MESSAGE (messages[0]), NULL);

          fd = fds[0];
          g_object_unref (messages[0]);
        }
      g_free (messages);
      /* What it has it keeps: not even for a moment has it nothing. */
      g_assert_false (kept && g_str_has_prefix (text, "FDSTORE"));
      if (!strcmp (text, "FDSTORE=1\nFDNAME=hermit-memory"))
        m->memory = fd;
      else if (!strcmp (text, "FDSTORE=1\nFDNAME=hermit-ledger"))
        m->ledger = fd;
      else if (g_str_has_prefix (text, last))
        return;
    }
}

/* Start the service, with what is kept for it. */
static void
manager_start (Manager *m, Server *server)
{
  g_autoptr (GSubprocessLauncher) launcher
      = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  static const char *const options[] = { CAPACITY, NULL };

  g_subprocess_launcher_setenv (launcher, "NOTIFY_SOCKET", m->path, TRUE);
  if (m->watchdog)
    g_subprocess_launcher_setenv (launcher, "WATCHDOG_USEC", m->watchdog,
                                  TRUE);
  if (m->memory >= 0)
    {
      g_subprocess_launcher_take_fd (launcher, dup (m->ledger), 3);
      g_subprocess_launcher_take_fd (launcher, dup (m->memory), 4);
      server_run (server, launcher,
                  "LISTEN_PID=$$ LISTEN_FDS=2 "
                  "LISTEN_FDNAMES=hermit-ledger:hermit-memory exec \"$@\"",
                  options);
    }
  else
    server_run (server, launcher, NULL, options);
  manager_listen (m, "READY=1");
  g_assert_cmpint (m->memory, >=, 0);
  g_assert_cmpint (m->ledger, >=, 0);
}

static void
manager_free (Manager *m)
{
  close (m->memory);
  close (m->ledger);
  unlink (m->path);
  g_free (m->path);
  g_object_unref (m->socket);
}

/* ---- a client that knows what it has stored ---- */

typedef struct
{
  Client client;
  int fd;
  guint64 stored[PAGES]; /* version; 0: none */
  guint64 sent[PAGES];   /* the last one that may or may not have come */
  guint64 version;
  gint acknowledged; /* atomic */
  gint64 lost;       /* when the writer's connection ended */
  gint64 longest;    /* from there until it had its memory again */
} Checker;

/* Write and discard at random until the connection ends. */
static gpointer
checker_write (gpointer data)
{
  Checker *c = data;
  guint8 page[PAGE];
  gboolean going_on = TRUE;

  while (going_on)
    {
      guint i = g_random_int_range (0, PAGES);
      gboolean discard = g_random_int_range (0, 8) == 0;
      struct hermit_wire_hdr hdr;
      guint8 frame[FRAME_MAX];
      gsize length = sizeof (hdr);

      c->sent[i] = discard ? 0 : ++c->version;
      if (discard)
        {
          hermit_wire_fill (&hdr, HERMIT_MSG_DISCARD, i, (guint64)i * PAGE,
                            PAGE, 0);
          memcpy (frame, &hdr, sizeof (hdr));
        }
      else
        {
          fill_page (page, 7, (guint64)i * PAGE, c->sent[i]);
          length = make_frame (frame, HERMIT_MSG_WRITE, i, (guint64)i * PAGE,
                               page);
        }
      going_on = send_all (c->fd, frame, length)
                 && receive_all (c->fd, &hdr, sizeof (hdr));
      if (going_on)
        {
          g_assert_cmpint (hdr.status, ==, HERMIT_WIRE_OK);
          c->stored[i] = c->sent[i];
          g_atomic_int_inc (&c->acknowledged);
        }
    }
  c->lost = g_get_monotonic_time ();
  return NULL;
}

/* Begin to write; and something was. */
static GThread *
checker_start (Checker *c)
{
  gint before = g_atomic_int_get (&c->acknowledged);
  GThread *writer = g_thread_new ("writer", checker_write, c);

  while (g_atomic_int_get (&c->acknowledged) == before)
    g_usleep (100);
  return writer;
}

/* Come again, to the memory that was there. */
static void
checker_reconnect (Checker *c)
{
  guint64 incarnation = c->client.incarnation, epoch = c->client.epoch;

  close (c->fd);
  c->fd = client_open (&c->client);
  c->longest = MAX (c->longest, g_get_monotonic_time () - c->lost);
  g_assert_cmpint (c->client.incarnation, ==, incarnation);
  g_assert_cmpint (c->client.epoch, >, epoch);
}

/* What a page has after @version was stored; 0: zeros. */
static void
page_of (guint8 *page, guint64 at, guint64 version)
{
  memset (page, 0, PAGE);
  if (version)
    fill_page (page, 7, at, version);
}

/*
 * A write that was not acknowledged came, came not, or came in part, if the
 * server was killed meanwhile: nothing else is there, and as any client this one
 * sends it again.
 */
static void
checker_settle (Checker *c, guint i, const guint8 *page)
{
  guint64 at = (guint64)i * PAGE;
  guint8 before[PAGE], after[PAGE];

  page_of (before, at, c->stored[i]);
  page_of (after, at, c->sent[i]);
  for (guint b = 0; b < PAGE; b++)
    g_assert_true (page[b] == before[b] || page[b] == after[b]);
  if (c->sent[i])
    g_assert_cmpint (do_write (c->fd, at, after), ==, HERMIT_WIRE_OK);
  else
    g_assert_cmpint (do_discard (c->fd, at, PAGE), ==, HERMIT_WIRE_OK);
  c->stored[i] = c->sent[i];
}

static void
checker_check (Checker *c)
{
  for (guint i = 0; i < PAGES; i++)
    {
      guint64 at = (guint64)i * PAGE;
      guint8 page[PAGE], right[PAGE];

      g_assert_cmpint (do_read (c->fd, at, page), ==, HERMIT_WIRE_OK);
      page_of (right, at, c->stored[i]);
      if (c->sent[i] != c->stored[i])
        checker_settle (c, i, page);
      else
        g_assert_true (!memcmp (page, right, PAGE));
    }
}

static Checker *
checker_new (Server *server)
{
  Checker *c = g_new0 (Checker, 1);

  c->client = client_new (server, 1, 1, SIZE);
  c->fd = client_open (&c->client);
  return c;
}

static void
checker_free (Checker *c)
{
  g_test_message ("without the server for %" G_GINT64_FORMAT " ms at most",
                  c->longest / 1000);
  g_assert_cmpint (do_end (c->fd), ==, HERMIT_WIRE_OK);
  close (c->fd);
  g_free (c);
}

/* ---- the tests ---- */

/* Killed, or ended, at any moment. */
static void
test_manager (void)
{
  Server *server = server_new ();
  Manager manager = manager_new (server);
  Checker *c;

  manager_start (&manager, server);
  c = checker_new (server);
  for (guint round = 0; round < RESTARTS; round++)
    {
      GThread *writer = checker_start (c);
      guint64 epoch = c->client.epoch;
      g_autofree char *list = NULL;

      g_usleep (g_random_int_range (0, 50000));
      if (round % 2)
        server_kill (server);
      else
        {
          g_subprocess_send_signal (server->process, SIGTERM);
          server_wait (server);
        }
      g_thread_join (writer);
      if (round % 2)
        unlink (server->control);
      else
        server_wait_log (server, "left with the service manager: "
                                 "Lending 32.0\302\240MiB: 1 region with ");
      manager_start (&manager, server);
      server_wait_log (server, "taken over|01000000-");
      list = server_ask (server, "list");
      g_assert_true (g_str_has_suffix (list, " name test\n"));
      /* Nobody joins what was. */
      client_refused (&c->client, FALSE, HERMIT_REFUSE_EPOCH);
      g_assert_cmpint (c->client.epoch, ==, epoch);
      checker_reconnect (c);
      checker_check (c);
    }
  checker_free (c);
  manager_free (&manager);
  server_stop (server);
}

/* What it is told while the server serves. */
static void
test_told (void)
{
  Server *server = server_new ();
  Manager manager = manager_new (server);
  g_autofree char *lent = NULL;
  g_autofree char *again = NULL;
  Client client;
  int fd;

  manager.watchdog = "200000"; /* us */
  manager_start (&manager, server);
  manager_listen (&manager, "WATCHDOG=1");
  manager_listen (&manager, "WATCHDOG=1");
  client = client_new (server, 1, 1, SIZE);
  fd = client_open (&client);
  manager_listen (&manager, "STATUS=Lending 32.0\302\240MiB: 1 region with ");
  lent = server_ask (server, "drain");
  manager_listen (&manager, "STATUS=Draining 32.0\302\240MiB: 1 region with ");
  /* Also of the next process, which is asked to go on with it. */
  server_kill (server);
  unlink (server->control);
  close (fd);
  manager_start (&manager, server);
  again = server_ask (server, "status");
  g_assert_cmpstr (again, ==, lent);
  fd = client_open (&client);
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
  manager_listen (&manager, "STATUS=Draining 32.0\302\240MiB: no regions");
  manager_free (&manager);
  server_stop (server);
}

/*
 * HERMIT_TEST_OLDER: the program of an earlier version, which has the memory in
 * every other round.
 */
static void
test_take_over (void)
{
  g_autofree char *today = g_strdup (g_getenv ("HERMIT_MEMSERVER"));
  const char *older = g_getenv ("HERMIT_TEST_OLDER");

  static const char *const taker[] = { CAPACITY, "--take-over", NULL };
  Server *server = server_new ();
  Checker *c;

  /* From nobody. */
  server_run (server, NULL, NULL, taker);
  c = checker_new (server);
  for (guint round = 0; round < RESTARTS; round++)
    {
      GThread *writer = checker_start (c);
      GSubprocess *old = g_object_ref (server->process);
      Server before = { .process = old, .log = server->log };

      g_usleep (g_random_int_range (0, 50000));
      if (older)
        g_setenv ("HERMIT_MEMSERVER", round % 2 ? today : older, TRUE);
      server_run (server, NULL, NULL, taker);
      server_wait (&before);
      g_object_unref (old);
      g_thread_join (writer);
      checker_reconnect (c);
      checker_check (c);
    }
  if (older)
    g_setenv ("HERMIT_MEMSERVER", today, TRUE);
  checker_free (c);
  server_stop (server);
}

/* Who asks for the memory and does not take it changes nothing. */
static void
test_not_taken (void)
{
  static const char *const answers[] = { NULL, "no\n" };
  Server *server = server_start (CAPACITY, NULL);
  Checker *c = checker_new (server);

  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      GThread *writer = checker_start (c);
      g_autoptr (GSocketAddress) address
          = g_unix_socket_address_new (server->control);
      g_autoptr (GSocket) socket
          = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                          G_SOCKET_PROTOCOL_DEFAULT, NULL);
      char byte;

      g_assert_true (g_socket_connect (socket, address, NULL, NULL));
      g_assert_cmpint (g_socket_send (socket, "hand-over\n", 10, NULL, NULL),
                       ==, 10);
      /* Its connections have ended by when it gives anything. */
      g_assert_cmpint (g_socket_receive (socket, &byte, 1, NULL, NULL), ==, 1);
      g_thread_join (writer);
      if (answers[i])
        g_socket_send (socket, answers[i], strlen (answers[i]), NULL, NULL);
      g_socket_close (socket, NULL);
      server_wait_log (server, "did not take over");
      checker_reconnect (c);
      checker_check (c);
    }
  checker_free (c);
  server_stop (server);
}

static pid_t peer_pid;

pid_t __wrap_g_credentials_get_unix_pid (GCredentials *c, GError **error);

pid_t
__wrap_g_credentials_get_unix_pid (GCredentials *c G_GNUC_UNUSED,
                                   GError **error G_GNUC_UNUSED)
{
  return peer_pid;
}

/* Whose end cannot be waited for is not asked for its memory. */
static void
test_no_process (void)
{
  static const struct
  {
    pid_t pid;
    const char *says;
  } cases[] = {
    { 0, "it runs in another PID namespace, where its end cannot be waited "
         "for: run this server in the same one" },
    { G_MAXINT, "process 2147483647: No such process" },
  };
  g_autofree char *dir = g_dir_make_tmp ("hermit-test-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "control", NULL);
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocket) socket
      = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                      G_SOCKET_PROTOCOL_DEFAULT, NULL);

  g_assert_true (g_socket_bind (socket, address, FALSE, NULL));
  g_assert_true (g_socket_listen (socket, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *says = g_strdup_printf (
          "--take-over: the server at %s: %s", path, cases[i].says);
      g_autoptr (GError) error = NULL;
      int memory = -1, ledger = -1;

      peer_pid = cases[i].pid;
      g_assert_false (hermit_handover_take (path, &memory, &ledger, &error));
      g_assert_nonnull (error);
      g_assert_cmpstr (error->message, ==, says);
      g_assert_cmpint (memory, ==, 0);
      g_assert_cmpint (ledger, ==, 0);
    }
  unlink (path);
  g_assert_cmpint (rmdir (dir), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/restart/manager", test_manager);
  g_test_add_func ("/restart/told", test_told);
  g_test_add_func ("/restart/take-over", test_take_over);
  g_test_add_func ("/restart/no-process", test_no_process);
  g_test_add_func ("/restart/not-taken", test_not_taken);
  return g_test_run ();
}
