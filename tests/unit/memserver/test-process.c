/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program: its options, its end, and the operator's side doors. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "config.h"
#include "control.h"

static void
test_sizes (void)
{
  static const struct
  {
    const char *text;
    guint64 size; /* 0: not a size */
  } cases[] = {
    { "1", 1 },
    { "4096", 4096 },
    { "2K", 2048 },
    { "2k", 2048 },
    { "3M", 3 * MIB },
    { "4G", 4ULL << 30 },
    { "5T", 5ULL << 40 },
    { "16777215T", 16777215ULL << 40 },
    { "", 0 },
    { "K", 0 },
    { "-1", 0 },
    { " 1", 0 },
    { "1 M", 0 },
    { "1MB", 0 },
    { "1.5G", 0 },
    { "1P", 0 },
    { "16777216T", 0 },
    { "99999999999999999999", 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      guint64 size = 0;

      g_assert_cmpint (hermit_size_parse (cases[i].text, &size, &error), ==,
                       cases[i].size != 0);
      g_assert_cmpint (size, ==, cases[i].size);
      g_assert_cmpint (error != NULL, ==, cases[i].size == 0);
    }
}

static void
test_durations (void)
{
  static const struct
  {
    const char *text;
    gboolean ok;
    guint64 seconds;
  } cases[] = {
    { "0s", TRUE, 0 },     { "7s", TRUE, 7 },
    { "2m", TRUE, 120 },   { "3h", TRUE, 10800 },
    { "4d", TRUE, 345600 }, { "1000000d", TRUE, 86400000000 },
    { "1000001s", FALSE, 0 }, { "", FALSE, 0 },
    { "s", FALSE, 0 },     { "5", FALSE, 0 },
    { "-1s", FALSE, 0 },   { "1 h", FALSE, 0 },
    { "1w", FALSE, 0 },    { "1hs", FALSE, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      guint64 seconds = 0;

      g_assert_cmpint (
          hermit_duration_parse (cases[i].text, &seconds, &error), ==,
          cases[i].ok);
      if (cases[i].ok)
        g_assert_cmpuint (seconds, ==, cases[i].seconds);
      g_assert_cmpint (error != NULL, ==, !cases[i].ok);
    }
}

static void
test_addresses (void)
{
  static const struct
  {
    const char *text;
    const char *canonical; /* NULL: not an address */
  } cases[] = {
    { "127.0.0.1:7471", "127.0.0.1:7471" },
    { "[::1]:7471", "[::1]:7471" },
    { "[::]:0", "[::]:0" },
    { "*:80", "0.0.0.0:80" },
    { "127.0.0.1", NULL },
    { "::1:7471", NULL },
    { "[127.0.0.1]:7471", NULL },
    { ":7471", NULL },
    { "[]:7471", NULL },
    { "127.0.0.1:", NULL },
    { "127.0.0.1:65536", NULL },
    { "127.0.0.1:-1", NULL },
    { "localhost:7471", NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *text = NULL;
      HermitAddress address;

      if (hermit_address_parse (cases[i].text, &address, &error))
        text = hermit_address_text (&address);
      g_assert_cmpstr (text, ==, cases[i].canonical);
      g_assert_cmpint (error != NULL, ==, cases[i].canonical == NULL);
    }
}

/* The longest path of a socket, and one that is longer. */
static void
test_paths (void)
{
  g_autoptr (GError) none = NULL, empty = NULL, longer = NULL;
  g_autofree char *path = g_strnfill (108, 'p'), *says = NULL;
  HermitAddress address;

  g_assert_false (hermit_address_unix ("", &address, &empty));
  g_assert_nonnull (empty);
  g_assert_false (hermit_address_unix (path, &address, &longer));
  says = g_strdup_printf ("'%s' is no path for a socket: 1 to 107 bytes", path);
  g_assert_cmpstr (longer->message, ==, says);
  path[107] = 0;
  g_assert_true (hermit_address_unix (path, &address, &none));
}

/* Run the program to its end; its words on the channel that @err says. */
static char *
run (gboolean expect_ok, gboolean err, const char *const *options)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *out_text = NULL;
  g_autofree char *err_text = NULL;

  g_ptr_array_add (argv, (char *)g_getenv ("HERMIT_MEMSERVER"));
  for (; *options; options++)
    g_ptr_array_add (argv, (char *)*options);
  g_ptr_array_add (argv, NULL);
  process = g_subprocess_newv ((const char *const *)argv->pdata,
                               G_SUBPROCESS_FLAGS_STDOUT_PIPE
                                   | G_SUBPROCESS_FLAGS_STDERR_PIPE,
                               &error);
  g_assert_no_error (error);
  g_subprocess_communicate_utf8 (process, NULL, NULL, &out_text, &err_text,
                                 &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_if_exited (process));
  g_assert_cmpint (g_subprocess_get_exit_status (process), ==,
                   expect_ok ? 0 : 1);
  return err ? g_steal_pointer (&err_text) : g_steal_pointer (&out_text);
}

static void
test_options (void)
{
#define LISTEN "--listen=tcp:127.0.0.1:0"
  static const struct
  {
    const char *options[5];
    const char *words; /* the last line of stderr */
  } cases[] = {
    { { "--capacity=1G" }, "*--listen is missing*" },
    { { LISTEN }, "*--capacity is missing*" },
    { { LISTEN, "--capacity=lots" }, "*--capacity: 'lots' is not a size*" },
    { { LISTEN, "--capacity=0" }, "*--capacity: 0*" },
    { { LISTEN, "--capacity=1G", "--min-free=x" }, "*--min-free: 'x'*" },
    { { "--listen=udp:127.0.0.1:0", "--capacity=1G" },
      "*--listen: 'udp:127.0.0.1:0' is not tcp:ADDR:PORT*" },
    { { "--listen=tcp:here", "--capacity=1G" }, "*--listen: 'here'*" },
    { { "--listen=tcp:192.0.2.1:1", "--capacity=1G", "--insecure" },
      "*cannot listen on 192.0.2.1:1: *" },
    { { LISTEN, "--capacity=1G", "--metrics=nowhere" },
      "*--metrics: 'nowhere'*" },
    { { LISTEN, "--capacity=1G", "--key-file=/nonexistent/key" },
      "*--key-file: /nonexistent/key: No such file*" },
    { { LISTEN, "--capacity=1G", "--keys=/nonexistent" },
      "*--keys: *nonexistent*" },
    { { "--listen=tcp:*:0", "--capacity=1G" },
      "*everybody who can reach 0.0.0.0:0*--insecure*" },
    { { LISTEN, "--listen=tcp:[::]:0", "--capacity=1G" },
      "*everybody who can reach [::]:0*--insecure*" },
    { { LISTEN, "--capacity=1G", "--log-level=loud" },
      "*--log-level: 'loud' is not*" },
    { { LISTEN, "--capacity=1G", "--control=/nonexistent/dir/socket" },
      "*cannot listen on /nonexistent/dir/socket: No such file*" },
    { { LISTEN, "--capacity=1G", "--frobnicate" }, "*--frobnicate*" },
    { { "list" }, "*'list': --control is missing*" },
    { { "--control=/nonexistent/socket", "list" },
      "*--control: /nonexistent/socket: No such file*" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *words = run (FALSE, TRUE, cases[i].options);

      g_strchomp (words);
      if (!g_pattern_match_simple (cases[i].words, words))
        g_error ("'%s' is not '%s'", words, cases[i].words);
      /* It says what is wrong, once. */
      g_assert_true (g_str_has_prefix (strrchr (words, '\n')
                                           ? strrchr (words, '\n') + 1
                                           : words,
                                       "hermit-memserver: "));
    }
}

static void
test_help (void)
{
  static const char *const help[] = { "--help", NULL };
  static const char *const version[] = { "--version", NULL };
  static const char *const options[]
      = { "--listen",     "--capacity", "--key-file",
          "--overcommit", "--min-free", "--control",
          "--metrics",    "--version",  "forget UUID",
          "--keys",       "--insecure", "--log-level" };
  g_autofree char *text = run (TRUE, FALSE, help);
  g_autofree char *number = run (TRUE, FALSE, version);

  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    g_assert_nonnull (strstr (text, options[i]));
  g_assert_cmpstr (number, ==, "hermit-memserver " HERMIT_VERSION "\n");
  hermit_config_free (NULL);
}

/* SIGTERM with clients attached, one of them in the middle of a request. */
static void
test_sigterm (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client a = client_new (server, 1, 1, 8 * MIB);
  Client b = client_new (server, 2, 2, 8 * MIB);
  int idle = client_open (&a), busy = client_open (&b);
  guint8 frame[FRAME_MAX], page[PAGE] = { 1 };

  make_frame (frame, HERMIT_MSG_WRITE, 1, 0, page);
  g_assert_true (send_all (busy, frame, 1000));
  server_stop (server);
  g_assert_true (is_closed (idle));
  g_assert_true (is_closed (busy));
  close (idle);
  close (busy);
}

/* Clients in their handshake are told to come again; one in its work is done. */
static void
test_draining (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_refuse refuse;
  struct hermit_wire_hdr hdr;
  guint8 page[PAGE] = { 1 };
  int newcomers[3];
  int fd;

  for (guint i = 0; i < G_N_ELEMENTS (newcomers); i++)
    newcomers[i] = client_connect (&client);
  fd = client_open (&client);

  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  server_stop (server);
  for (guint i = 0; i < G_N_ELEMENTS (newcomers); i++)
    {
      g_assert_true (receive_all (newcomers[i], &hdr, sizeof (hdr)));
      g_assert_cmpint (hdr.type, ==, HERMIT_MSG_REFUSE);
      g_assert_true (receive_all (newcomers[i], &refuse, sizeof (refuse)));
      g_assert_cmpint (le32_to_cpu (refuse.code), ==, HERMIT_REFUSE_DRAINING);
      close (newcomers[i]);
    }
  g_assert_true (is_closed (fd));
  close (fd);
}

/* A peer that takes no replies cannot keep the server from ending. */
static void
test_sigterm_stuck (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int fd = client_open (&client);
  guint8 frame[FRAME_MAX];
  gsize length = make_frame (frame, HERMIT_MSG_READ, 1, 0, NULL);

  while (send (fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL)
         == (ssize_t)length)
    ;
  server_stop (server);
  close (fd);
}

static void
expect_error (Server *server, const char *command, const char *pattern)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (hermit_control_ask (server->control, command, &error));
  g_assert_nonnull (error);
  if (!g_pattern_match_simple (pattern, error->message))
    g_error ("'%s' is not '%s'", error->message, pattern);
}

/*
 * The operator is answered when clients have all threads that there may be: his
 * are there from the start.
 */
static void
test_control_threads (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  g_autofree char *path
      = g_strdup_printf ("/proc/%s/task",
                         g_subprocess_get_identifier (server->process));
  g_autoptr (GDir) tasks = g_dir_open (path, 0, NULL);
  guint n = 0;

  g_assert_nonnull (tasks);
  while (g_dir_read_name (tasks))
    n++;
  /* The main loop, the door, the keeper, and four. */
  g_assert_cmpint (n, >=, 3 + 4);
  server_stop (server);
}

static void
test_control (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  const char *const list[] = { "--control", server->control, "list", NULL };
  const char *const forget[]
      = { "--control", server->control, "forget",
          "01000000-0000-0000-0000-0000000000ee", NULL };
  g_autofree char *text = NULL;
  g_autofree char *answer = NULL;
  g_autofree char *empty = NULL;
  g_autofree char *text_of_error = NULL;
  char question[9000] = "";
  guint8 page[PAGE] = { 1 };
  GStatBuf st;
  int fd;

  g_assert_cmpint (g_stat (server->control, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);

  expect_error (server, "frobnicate", "'frobnicate' is not one of*");
  expect_error (server, "", "'' is not one of*");
  expect_error (server, "forget", "usage*");
  expect_error (server, "forget me", "'me' is not a UUID");
  /* More than it reads gets an answer too, not a reset. */
  memset (question, 'x', sizeof (question) - 1);
  expect_error (server, question, "a question has 4096 bytes at most");
  expect_error (server, "forget 01000000-0000-0000-0000-0000000000ee",
                "there is no such region");

  fd = client_open (&client);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  expect_error (server, "forget 01000000-0000-0000-0000-0000000000ee",
                "*1 connections: add 'force'*");
  expect_error (server, "forget 01000000-0000-0000-0000-0000000000ee farce",
                "usage*");
  text = run (TRUE, FALSE, list);
  g_assert_true (g_pattern_match_simple (
      "01000000-0000-0000-0000-0000000000ee size 8388608 reserved 8388608 stored 4096 "
      "backed 65536 connections 1 epoch * owner anybody peer 127.0.0.1:* "
      "age * idle 0 name test\n",
      text));
  do_ping (fd);

  answer = server_ask (server,
                       "forget 01000000-0000-0000-0000-0000000000ee force");
  g_assert_cmpstr (answer, ==, "ok\n");
  g_assert_true (is_closed (fd));
  close (fd);
  server_wait_log (server, "ended by the operator|4.0");
  text_of_error = run (FALSE, TRUE, forget);
  g_assert_nonnull (strstr (text_of_error, "there is no such region"));
  empty = run (TRUE, FALSE, list);
  g_assert_cmpstr (empty, ==, "");
  server_stop (server);
}

/*
 * A server that is drained: nobody new comes, those who are there go on and come
 * again, and in the end nothing is left that a stop would lose.
 */
static void
test_drain (void)
{
  Server *server = server_start ("--capacity=16M", NULL);
  Client old = client_new (server, 1, 1, 8 * MIB);
  Client other = client_new (server, 2, 2, 8 * MIB);
  g_autofree char *drained = NULL;
  g_autofree char *told = NULL;
  g_autofree char *again = NULL;
  g_autofree char *empty = NULL;
  guint8 page[PAGE] = { 1 };
  Attempt attempt;
  struct hermit_wire_hello hello;
  int fd = client_open (&old);

  g_assert_cmpint (do_write (fd, 2 * MIB, page), ==, HERMIT_WIRE_OK);
  expect_error (server, "drain all", "usage*");
  expect_error (server, "drain off again", "usage*");
  expect_error (server, "drain regions off", "usage*");
  drained = server_ask (server, "drain");
  g_assert_cmpstr (drained, ==,
                   "Draining 16.0\302\240MiB: 1 region with 4.0\302\240KiB\n");
  told = server_ask (server, "status");
  g_assert_cmpstr (told, ==, drained);

  hello = client_hello (&other, TRUE);
  attempt = client_try (&other, client_connect (&other), &hello);
  g_assert_cmpint (attempt.code, ==, HERMIT_REFUSE_CAPACITY);
  g_assert_cmpstr (attempt.text, ==,
                   "the server is being drained, and takes no new region");
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_ENOSPC);
  server_wait_log (server, "writes are refused: the server is being drained");
  close (fd);
  fd = client_open (&old);
  g_assert_cmpint (do_write (fd, 3 * MIB, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_ENOSPC);
  g_assert_cmpint (do_read (fd, 2 * MIB, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_ping (fd), ==, 2 * PAGE);
  g_assert_cmpint (do_discard (fd, 2 * MIB, 2 * MIB), ==, HERMIT_WIRE_OK);
  /* New extents, but still no new region. */
  g_free (server_ask (server, "drain regions"));
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  client_refused (&other, TRUE, HERMIT_REFUSE_CAPACITY);

  again = server_ask (server, "drain off");
  g_assert_cmpstr (again, ==, "Lending 16.0\302\240MiB: 1 region with 4.0\302\240KiB\n");
  close (client_open (&other));
  g_free (server_ask (server, "drain"));
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
  fd = client_open (&other);
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
  server_wait_log (server, "drained: nothing is lent any more");
  empty = server_ask (server, "drain");
  g_assert_cmpstr (empty, ==, "Draining 16.0\302\240MiB: no regions\n");
  server_stop (server);
}

/* What a stop loses is told. */
static gboolean
drains (Server *server)
{
  g_autofree char *status = server_ask (server, "status");

  return g_str_has_prefix (status, "Draining");
}

/* Told to end it does so when nothing is lost any more, or when told twice. */
static void
test_when_empty (void)
{
  Server *server = server_start ("--capacity=16M", "--stop-when-empty", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  Client other = client_new (server, 2, 2, 8 * MIB);
  guint8 page[PAGE] = { 1 };
  int fd = client_open (&client), second;

  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_subprocess_send_signal (server->process, SIGTERM);
  server_wait_log (server, "warning: told to end|lose|Draining "
                           "16.0\302\240MiB: 1 region with 4.0");
  client_refused (&other, TRUE, HERMIT_REFUSE_CAPACITY);
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (page[0], ==, 1);
  g_free (server_ask (server, "drain off"));
  server_wait_log (server, "called off");
  second = client_open (&other);

  g_subprocess_send_signal (server->process, SIGTERM);
  while (!drains (server))
    g_usleep (10000);
  g_assert_cmpint (do_end (second), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_ping (fd), ==, PAGE);
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  server_wait (server);
  close (second);
  close (fd);
  server_stop (server);

  server = server_start ("--capacity=16M", "--stop-when-empty", NULL);
  client = client_new (server, 1, 1, 8 * MIB);
  fd = client_open (&client);
  g_subprocess_send_signal (server->process, SIGTERM);
  server_wait_log (server, "told to end");
  g_subprocess_send_signal (server->process, SIGTERM);
  server_wait (server);
  server_wait_log (server, "warning: shutting down; lost: ");
  close (fd);
  server_stop (server);
}

static void
test_lost (void)
{
  Server *server = server_start ("--capacity=16M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  guint8 page[PAGE] = { 1 };
  int fd = client_open (&client);

  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_subprocess_send_signal (server->process, SIGTERM);
  server_wait (server);
  server_wait_log (server, "warning: shutting down; lost: "
                           "Lending 16.0\302\240MiB: 1 region with 4.0\302\240KiB");
  close (fd);
  server_stop (server);
}

/* In one write, as the files of control groups want it. */
static gboolean
write_file (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);
  gboolean ok = fd >= 0 && write (fd, text, strlen (text)) > 0;

  if (fd >= 0)
    close (fd);
  return ok;
}

/* A group of version 1 or 2 below the test's own; NULL if none can be made. */
static char *
group_new (guint64 limit)
{
  static const char *const hierarchies[][3] = {
    { "0::", "/sys/fs/cgroup", "memory.max" },
    { ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
  };
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, limit);
  g_autofree char *self = NULL;

  g_file_get_contents ("/proc/self/cgroup", &self, NULL, NULL);
  for (guint i = 0; self && i < G_N_ELEMENTS (hierarchies); i++)
    {
      const char *at = strstr (self, hierarchies[i][0]);
      g_autofree char *path = NULL;
      g_autofree char *name = NULL;
      g_autofree char *group = NULL;
      g_autofree char *file = NULL;

      if (!at)
        continue;
      at += strlen (hierarchies[i][0]);
      path = g_strndup (at, strcspn (at, "\n"));
      name = g_strdup_printf ("hermit-test-%d", getpid ());
      group = g_build_filename (hierarchies[i][1], path, name, NULL);
      file = g_build_filename (group, hierarchies[i][2], NULL);
      if (g_mkdir (group, 0755))
        continue;
      if (g_file_test (file, G_FILE_TEST_EXISTS) && write_file (file, text))
        return g_steal_pointer (&group);
      g_rmdir (group);
    }
  return NULL;
}

/*
 * A limit of the control group below the capacity: it is warned of, and writes
 * are refused before the group would kill the server.
 */
static void
test_group (void)
{
  g_autofree char *group = group_new (256 * MIB);
  g_autofree char *procs = NULL;
  g_autofree char *back = NULL;
  guint8 page[PAGE] = { 1 };
  guint64 at = 0;
  Server *server;
  Client client;
  int fd;

  procs = group ? g_build_filename (group, "cgroup.procs", NULL) : NULL;
  if (!group || !write_file (procs, "0"))
    {
      if (group)
        g_rmdir (group);
      g_test_skip ("no control group can be made here");
      return;
    }
  server = server_start ("--capacity=1G", NULL);
  /* The test itself leaves again. */
  back = g_build_filename (group, "..", "cgroup.procs", NULL);
  g_assert_true (write_file (back, "0"));
  server_wait_log (server, "warning: the control group's limit|256.0");

  client = client_new (server, 1, 1, 512 * MIB);
  fd = client_open (&client);
  while (at < client.size && do_write (fd, at, page) == HERMIT_WIRE_OK)
    at += 16 * PAGE;
  g_assert_cmpint (at, <, client.size);
  server_wait_log (server, "writes are refused|control group");
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_ping (fd), ==, at / 16);
  close (fd);
  server_stop (server);
  g_assert_cmpint (g_rmdir (group), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/process/sizes", test_sizes);
  g_test_add_func ("/process/durations", test_durations);
  g_test_add_func ("/process/addresses", test_addresses);
  g_test_add_func ("/process/paths", test_paths);
  g_test_add_func ("/process/options", test_options);
  g_test_add_func ("/process/help", test_help);
  g_test_add_func ("/process/sigterm", test_sigterm);
  g_test_add_func ("/process/draining", test_draining);
  g_test_add_func ("/process/sigterm-stuck", test_sigterm_stuck);
  g_test_add_func ("/process/control", test_control);
  g_test_add_func ("/process/control-threads", test_control_threads);
  g_test_add_func ("/process/drain", test_drain);
  g_test_add_func ("/process/when-empty", test_when_empty);
  g_test_add_func ("/process/lost", test_lost);
  g_test_add_func ("/process/group", test_group);
  return g_test_run ();
}
