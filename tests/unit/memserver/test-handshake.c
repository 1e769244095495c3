/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is let in: versions, keys, regions, sizes, epochs. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

static void
expect_refused (Client *client, const struct hermit_wire_hello *hello,
                guint32 code)
{
  Attempt attempt = client_try (client, client_connect (client), hello);

  g_assert_cmpint (attempt.fd, ==, -1);
  g_assert_cmpstr (hermit_wire_refusal_name (attempt.code), ==,
                   hermit_wire_refusal_name (code));
}

static void
test_welcome (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt;
  guint8 page[PAGE] = { 1 };

  attempt = client_try (&client, client_connect (&client), &hello);
  g_assert_cmpint (attempt.fd, >=, 0);
  g_assert_cmpint (le64_to_cpu (attempt.welcome.capacity), ==, 64 * MIB);
  g_assert_cmpint (attempt.welcome.used, ==, 0);
  g_assert_cmpint (le32_to_cpu (attempt.welcome.max_connections), >, 1);
  g_assert_cmpint (le32_to_cpu (attempt.welcome.max_inflight), >, 1);
  g_assert_cmpint (do_write (attempt.fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_ping (attempt.fd), ==, PAGE);
  close (attempt.fd);

  attempt = client_try (&client, client_connect (&client), &hello);
  g_assert_cmpint (attempt.fd, >=, 0);
  g_assert_cmpint (le64_to_cpu (attempt.welcome.used), ==, PAGE);
  close (attempt.fd);
  server_wait_log (server, "created by 127.0.0.1:|\"test\"|8.0");
  server_wait_log (server, "attached again by 127.0.0.1:|\"test\"");
  server_stop (server);
}

static void
test_version (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt;
  guint8 page[PAGE];

  hello.version_min = hello.version_max = cpu_to_le16 (99);
  expect_refused (&client, &hello, HERMIT_REFUSE_VERSION);
  hello.version_min = hello.version_max = 0;
  expect_refused (&client, &hello, HERMIT_REFUSE_VERSION);
  server_wait_log (server, "warning: 127.0.0.1:|refused (version)");

  /* Capabilities of the future are no reason to refuse. */
  hello.version_max = cpu_to_le16 (99);
  hello.caps = cpu_to_le64 (~HERMIT_CAP_CHECKSUM); /* else the frames are others */
  attempt = client_try (&client, client_connect (&client), &hello);
  g_assert_cmpint (attempt.fd, >=, 0);
  g_assert_cmpint (do_read (attempt.fd, 0, page), ==, HERMIT_WIRE_ENOENT);
  close (attempt.fd);
  server_stop (server);
}

/* A key in a file; freed and removed by the caller. */
static char *
make_key (Server *server, const char *contents)
{
  char *path = g_build_filename (server ? server->dir : g_get_tmp_dir (),
                                 "hermit-test-key-XXXXXX", NULL);
  int fd = g_mkstemp_full (path, O_RDWR, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, contents, strlen (contents)), ==,
                   strlen (contents));
  close (fd);
  return path;
}

static void
test_key (void)
{
  g_autofree char *path = make_key (NULL, "a key that is long enough\n");
  g_autofree char *bare_path = make_key (NULL, "a key that is long enough");
  g_autofree char *wrong_path
      = make_key (NULL, "another that is long as well");
  g_autoptr (HermitKey) key = hermit_key_load (path, NULL);
  g_autoptr (HermitKey) bare = hermit_key_load (bare_path, NULL);
  g_autoptr (HermitKey) wrong = hermit_key_load (wrong_path, NULL);
  Server *server = server_start ("--capacity=64M", "--key-file", path, NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt;

  client_refused (&client, TRUE, HERMIT_REFUSE_KEY);
  client.key = wrong;
  client_refused (&client, TRUE, HERMIT_REFUSE_KEY);
  attempt = client_try (&client, client_connect (&client), &hello);
  /* And the client has seen that the server has another key. */
  g_assert_cmpint (attempt.welcome.epoch, ==, ~0ULL);

  client.key = key;
  close (client_open (&client));
  /* The end of the line that editors leave is not part of it. */
  client.key = bare;
  close (client_open (&client));
  server_stop (server);

  /* A key that the server does not have is not ignored. */
  server = server_start ("--capacity=64M", NULL);
  client = client_new (server, 1, 1, 8 * MIB);
  client.key = key;
  client_refused (&client, TRUE, HERMIT_REFUSE_KEY);
  server_stop (server);
  g_unlink (path);
  g_unlink (bare_path);
  g_unlink (wrong_path);
}

/*
 * The proof is for this challenge and this HELLO: what another connection
 * sent is of no use.
 */
static void
test_replay (void)
{
  g_autofree char *path = make_key (NULL, "a key that is long enough");
  g_autoptr (HermitKey) key = hermit_key_load (path, NULL);
  Server *server = server_start ("--capacity=64M", "--key-file", path, NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  struct
  {
    struct hermit_wire_hdr hdr;
    struct hermit_wire_challenge body;
  } challenge[2];
  struct
  {
    struct hermit_wire_hdr hdr;
    struct hermit_wire_auth body;
  } auth;
  struct hermit_wire_hdr hdr, answer;
  int fd[2];

  hermit_wire_fill (&hdr, HERMIT_MSG_HELLO, 0, 0, 0, sizeof (hello));
  for (guint i = 0; i < 2; i++)
    {
      fd[i] = client_connect (&client);
      g_assert_true (send_all (fd[i], &hdr, sizeof (hdr)));
      g_assert_true (send_all (fd[i], &hello, sizeof (hello)));
      g_assert_true (
          receive_all (fd[i], &challenge[i], sizeof (challenge[i])));
    }
  g_assert_cmpint (memcmp (challenge[0].body.nonce, challenge[1].body.nonce,
                           HERMIT_WIRE_NONCE_LEN),
                   !=, 0);

  hermit_wire_fill (&auth.hdr, HERMIT_MSG_AUTH, 0, 0, 0, sizeof (auth.body));
  hermit_key_mac (key, 'C', &hello, &challenge[0].body, auth.body.mac);
  g_assert_true (send_all (fd[1], &auth, sizeof (auth)));
  g_assert_true (receive_all (fd[1], &answer, sizeof (answer)));
  g_assert_cmpint (answer.type, ==, HERMIT_MSG_REFUSE);
  /* Nor is the server's own proof. */
  memcpy (auth.body.mac, challenge[0].body.mac, sizeof (auth.body.mac));
  g_assert_true (send_all (fd[0], &auth, sizeof (auth)));
  g_assert_true (receive_all (fd[0], &answer, sizeof (answer)));
  g_assert_cmpint (answer.type, ==, HERMIT_MSG_REFUSE);
  close (fd[0]);
  close (fd[1]);
  g_unlink (path);
  server_stop (server);
}

/* Files that this process has open; one that is left behind shows. */
static guint
open_files (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

static void
test_key_file (void)
{
  static const struct
  {
    const char *contents;
    mode_t mode;
  } good[] = {
    { "0123456789012345", 0600 },
    { "0123456789012345\n", 0640 },
    { "0123456789012345\r\n", 0600 },
    { "012345678901234567890123456789012345678901234567890123456789abcd\n",
      0400 },
  };
  static const struct
  {
    const char *contents;
    mode_t mode;
    const char *message;
  } cases[] = {
    { "a key that is long enough", 0644, "*chmod*" },
    { "a key that is long enough", 0604, "*chmod*" },
    { "a key that is long enough", 0660, "*group*chmod*" },
    { "xxxxxxxxxxxxxxxx\n", 0600, "*again and again*urandom*" },
    { "too short", 0600, "*16 to 64 bytes*" },
    { "012345678901234\r\n", 0600, "*16 to 64 bytes*" },
    { "012345678901234\n", 0600, "*16 to 64 bytes*" },
    { "", 0600, "*16 to 64 bytes*" },
    { "0123456789012345678901234567890123456789012345678901234567890123x",
      0600, "*16 to 64 bytes*" },
  };

  const guint fds = open_files ();
  g_autoptr (GError) error = NULL;
  g_autofree char *fifo = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = make_key (NULL, cases[i].contents);
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (g_chmod (path, cases[i].mode), ==, 0);
      g_assert_null (hermit_key_load (path, &error));
      g_assert_nonnull (error);
      g_assert_true (
          g_pattern_match_simple (cases[i].message, error->message));
      g_assert_nonnull (strstr (error->message, path));
      g_unlink (path);
    }
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autofree char *path = make_key (NULL, good[i].contents);
      g_autoptr (HermitKey) key = NULL;

      g_assert_cmpint (g_chmod (path, good[i].mode), ==, 0);
      key = hermit_key_load (path, NULL);
      g_assert_nonnull (key);
      g_unlink (path);
    }
  g_assert_null (hermit_key_load ("/nonexistent/key", NULL));
  g_assert_null (hermit_key_load (g_get_tmp_dir (), NULL));
  /* One that waits for its writer would hang here. */
  fifo = g_build_filename (g_get_tmp_dir (), "hermit-test-fifo", NULL);
  g_unlink (fifo);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_null (hermit_key_load (fifo, &error));
  g_assert_nonnull (strstr (error->message, "not a file"));
  g_unlink (fifo);
  hermit_key_free (NULL);
  g_assert_cmpint (open_files (), ==, fds);
}

static void
test_busy (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  Client other = client_new (server, 1, 2, 8 * MIB);
  g_autofree char *answer = NULL;
  int fd = client_open (&client);
  guint8 page[PAGE];

  fill_page (page, 1, 0, 1);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  client_refused (&other, TRUE, HERMIT_REFUSE_BUSY);
  other.epoch = client.epoch;
  client_refused (&other, FALSE, HERMIT_REFUSE_BUSY);
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);

  /* Falling silent gives the region to nobody. */
  close (fd);
  server_wait_log (server, "no connection left; its memory stays|01000000-");
  while (server_region (server, client.uuid, "connections"))
    g_usleep (1000);
  client_refused (&other, TRUE, HERMIT_REFUSE_BUSY);
  fd = client_open (&client);
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (page, 1, 0, 1));
  close (fd);
  while (server_region (server, client.uuid, "connections"))
    g_usleep (1000);

  /* But the operator may. */
  answer = server_ask (server, "forget 01000000-0000-0000-0000-0000000000ee");
  g_assert_cmpstr (answer, ==, "ok\n");
  fd = client_open (&other);
  g_assert_cmpint (other.incarnation, !=, client.incarnation);
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  client_refused (&client, TRUE, HERMIT_REFUSE_BUSY);
  close (fd);
  server_stop (server);
}

static void
test_capacity (void)
{
  Server *server = server_start ("--capacity=16M", NULL);
  Client a = client_new (server, 1, 1, 10 * MIB);
  Client b = client_new (server, 2, 2, 10 * MIB);
  Client c = client_new (server, 3, 3, 6 * MIB);
  int fd = client_open (&a);

  client_refused (&b, TRUE, HERMIT_REFUSE_CAPACITY);
  close (client_open (&c));
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
  close (client_open (&b));
  server_stop (server);

  server = server_start ("--capacity=16M", "--overcommit", NULL);
  a = client_new (server, 1, 1, 1ULL << 30);
  b = client_new (server, 2, 2, 1ULL << 40);
  c = client_new (server, 3, 3, 1ULL << 60);
  close (client_open (&a));
  close (client_open (&b));
  client_refused (&c, TRUE, HERMIT_REFUSE_CAPACITY);
  server_stop (server);
}

/*
 * A client that wants less than its whole region reserved, with a key and
 * without; and what it says cannot be changed on the way.
 */
static void
test_share (void)
{
  g_autofree char *path = make_key (NULL, "a key that is long enough");
  g_autoptr (HermitKey) key = hermit_key_load (path, NULL);
  struct hermit_wire_hdr hdr, answer;
  struct hermit_wire_challenge challenge;
  struct hermit_wire_auth_more more = { .unreserved = cpu_to_le64 (56 * MIB) };
  struct hermit_wire_hello hello;
  int fd;

  for (gboolean keyed = FALSE; keyed <= TRUE; keyed++)
    {
      Server *server = keyed ? server_start ("--capacity=16M", "--key-file",
                                             path, NULL)
                             : server_start ("--capacity=16M", NULL);
      Client client = client_new (server, 1, 1, 64 * MIB);
      guint8 page[PAGE] = { 1 };

      client.key = keyed ? key : NULL;
      client_refused (&client, TRUE, HERMIT_REFUSE_CAPACITY);
      client.unreserved = 60 * MIB + 1;
      client_refused (&client, TRUE, HERMIT_REFUSE_SIZE);
      client.unreserved = 56 * MIB;
      fd = client_open (&client);
      g_assert_cmpint (server_region (server, client.uuid, "reserved"), ==,
                       8 * MIB);
      g_assert_cmpint (do_write (fd, 63 * MIB, page), ==, HERMIT_WIRE_OK);
      for (guint64 at = 0; at < 14 * MIB; at += PAGE)
        g_assert_cmpint (do_write (fd, at, page), ==, HERMIT_WIRE_OK);
      for (guint64 at = 14 * MIB; at < 16 * MIB; at += PAGE)
        do_write (fd, at, page);
      g_assert_cmpint (do_write (fd, 16 * MIB, page), ==, HERMIT_WIRE_ENOSPC);
      g_assert_cmpint (do_read (fd, 63 * MIB, page), ==, HERMIT_WIRE_OK);
      close (client_join (&client));
      close (fd);
      /* What is said later changes nothing. */
      client.unreserved = 0;
      fd = client_open (&client);
      g_assert_cmpint (server_region (server, client.uuid, "reserved"), ==,
                       8 * MIB);
      g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
      close (fd);
      if (!keyed)
        {
          server_stop (server);
          continue;
        }

      client.unreserved = 60 * MIB;
      hello = client_hello (&client, TRUE);
      fd = client_connect (&client);
      hermit_wire_fill (&hdr, HERMIT_MSG_HELLO, 0, 0, 0, sizeof (hello));
      g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
      g_assert_true (send_all (fd, &hello, sizeof (hello)));
      g_assert_true (receive_all (fd, &answer, sizeof (answer)));
      g_assert_true (receive_all (fd, &challenge, sizeof (challenge)));
      hermit_key_mac_more (key, &hello, &challenge, &more, more.mac);
      more.unreserved = cpu_to_le64 (60 * MIB);
      hermit_wire_fill (&hdr, HERMIT_MSG_AUTH_MORE, 0, 0, 0, sizeof (more));
      g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
      g_assert_true (send_all (fd, &more, sizeof (more)));
      g_assert_true (receive_all (fd, &answer, sizeof (answer)));
      g_assert_cmpint (answer.type, ==, HERMIT_MSG_REFUSE);
      close (fd);
      server_stop (server);
    }
  g_unlink (path);
}

static void
test_size (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int fd = client_open (&client);

  client.size = 4 * MIB;
  client_refused (&client, TRUE, HERMIT_REFUSE_SIZE);
  client_refused (&client, FALSE, HERMIT_REFUSE_SIZE);
  /* The connection there was is none the worse for it. */
  do_ping (fd);
  client = client_new (server, 2, 1, 0);
  client_refused (&client, TRUE, HERMIT_REFUSE_SIZE);
  client.size = PAGE + 512;
  client_refused (&client, TRUE, HERMIT_REFUSE_SIZE);
  close (fd);
  server_stop (server);
}

static void
test_epoch (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  guint64 first, incarnation;
  int fd[3];

  client.epoch = 1;
  client_refused (&client, FALSE, HERMIT_REFUSE_EPOCH);
  client.epoch = 0;
  fd[0] = client_open (&client);
  fd[1] = client_join (&client);
  do_ping (fd[0]);
  do_ping (fd[1]);
  first = client.epoch;
  incarnation = client.incarnation;

  fd[2] = client_open (&client);
  g_assert_cmpint (client.incarnation, ==, incarnation);
  g_assert_true (is_closed (fd[0]));
  g_assert_true (is_closed (fd[1]));
  do_ping (fd[2]);
  close (fd[0]);
  close (fd[1]);

  fd[0] = client_join (&client);
  client.epoch = first;
  client_refused (&client, FALSE, HERMIT_REFUSE_EPOCH);
  do_ping (fd[2]);
  close (fd[0]);
  close (fd[2]);
  server_stop (server);
}

static void
test_connections (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  Attempt attempt = client_try (&client, client_connect (&client), &hello);
  guint max = le32_to_cpu (attempt.welcome.max_connections);
  g_autofree int *fds = g_new (int, max);

  fds[0] = attempt.fd;
  client.epoch = le64_to_cpu (attempt.welcome.epoch);
  for (guint i = 1; i < max; i++)
    fds[i] = client_join (&client);
  client_refused (&client, FALSE, HERMIT_REFUSE_BUSY);
  for (guint i = 0; i < max; i++)
    {
      do_ping (fds[i]);
      close (fds[i]);
    }
  server_stop (server);
}

static void
test_nonsense (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  guint8 frame[FRAME_MAX] = "GET / HTTP/1.1\r\nHost: somewhere else\r\n\r\n";
  struct hermit_wire_hdr reply;
  int fd;

  fd = client_connect (&client);
  g_assert_true (send_all (fd, frame, 64));
  g_assert_true (receive_all (fd, &reply, sizeof (reply)));
  g_assert_cmpint (reply.type, ==, HERMIT_MSG_REFUSE);
  close (fd);

  /* A request before the handshake. */
  fd = client_connect (&client);
  g_assert_true (
      send_all (fd, frame, make_frame (frame, HERMIT_MSG_READ, 1, 0, NULL)));
  g_assert_true (receive_all (fd, &reply, sizeof (reply)));
  g_assert_cmpint (reply.type, ==, HERMIT_MSG_REFUSE);
  close (fd);

  hello.flags = cpu_to_le32 (0x80);
  expect_refused (&client, &hello, HERMIT_REFUSE_PROTOCOL);
  hello = client_hello (&client, TRUE);
  memset (hello.uuid, 0, sizeof (hello.uuid));
  expect_refused (&client, &hello, HERMIT_REFUSE_PROTOCOL);

  /* A name cannot write lines of its own into the log. */
  hello = client_hello (&client, TRUE);
  strcpy (hello.name, "a\nwarning: b");
  close (client_try (&client, client_connect (&client), &hello).fd);
  server_wait_log (server, "created|a\\nwarning: b");

  /* Half a HELLO, and gone. */
  fd = client_connect (&client);
  g_assert_true (send_all (fd, &hello, 40));
  close (fd);
  server_stop (server);
}

/* A peer that says nothing is put out, and hinders nobody meanwhile. */
static void
test_silence (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int silent[8];

  for (guint i = 0; i < G_N_ELEMENTS (silent); i++)
    silent[i] = client_connect (&client);
  close (client_open (&client));
  for (guint i = 0; i < G_N_ELEMENTS (silent); i++)
    {
      g_assert_true (is_closed (silent[i]));
      close (silent[i]);
    }
  server_wait_log (server, "no HELLO");
  server_stop (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/handshake/welcome", test_welcome);
  g_test_add_func ("/handshake/version", test_version);
  g_test_add_func ("/handshake/key", test_key);
  g_test_add_func ("/handshake/replay", test_replay);
  g_test_add_func ("/handshake/key-file", test_key_file);
  g_test_add_func ("/handshake/busy", test_busy);
  g_test_add_func ("/handshake/capacity", test_capacity);
  g_test_add_func ("/handshake/share", test_share);
  g_test_add_func ("/handshake/size", test_size);
  g_test_add_func ("/handshake/epoch", test_epoch);
  g_test_add_func ("/handshake/connections", test_connections);
  g_test_add_func ("/handshake/nonsense", test_nonsense);
  g_test_add_func ("/handshake/silence", test_silence);
  return g_test_run ();
}
