/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys with names and limits: who is who, and what is whose. */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "control.h"
#include "identity.h"

#define ALICE "the key of alice, long enough"
#define ALICE_NEXT "the next key of alice, as long"
#define BOB "the key of bob, who is another"

static char *dir;

static void
put (const char *name, const char *contents)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  g_assert_true (g_file_set_contents (path, contents, -1, NULL));
  g_assert_cmpint (g_chmod (path, 0600), ==, 0);
}

static void
take (const char *name)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  g_assert_cmpint (g_unlink (path), ==, 0);
}

static void
keys_new (void)
{
  dir = g_dir_make_tmp ("hermit-test-keys-XXXXXX", NULL);
  g_assert_nonnull (dir);
}

static void
keys_free (void)
{
  g_autoptr (GDir) open = g_dir_open (dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (open)))
    take (name);
  g_assert_cmpint (g_rmdir (dir), ==, 0);
  g_clear_pointer (&dir, g_free);
}

static HermitKey *
key (const char *contents)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("hermit-test-key-XXXXXX", &path, NULL);
  HermitKey *loaded;

  g_assert_cmpint (write (fd, contents, strlen (contents)), >, 0);
  close (fd);
  loaded = hermit_key_load (path, NULL);
  g_assert_nonnull (loaded);
  g_unlink (path);
  return loaded;
}

/* ---- the files ---- */

static void
test_bad (void)
{
  static const struct
  {
    const char *name, *contents, *words;
  } cases[] = {
    { "bob.key", "short", "*bob.key*16 to 64*" },
    { "bob.key", ALICE, "*alice and bob have the same key*" },
    { "alice.next", ALICE_NEXT "\n", NULL },
    { "alice.next", "short", "*alice.next*16 to 64*" },
    { "b b.key", BOB, "*b b.key*letters*" },
    { "default.key", BOB, "*default.key*" },
    { "alice.conf", "[limit]\nbytes=1G\n", "*alice.conf: *limit* is not*" },
    { "alice.conf", "[limits]\nbyte=1G\n", "*alice.conf: byte: *" },
    { "alice.conf", "[limits]\nbytes=many\n", "*alice.conf: bytes: *many*" },
    { "alice.conf", "[limits]\nregions=-1\n", "*alice.conf: regions: *" },
    { "alice.conf", "[limits]\nfrom=nowhere\n", "*alice.conf: from: *" },
    { "alice.conf", "[limits]\nfrom=2001:db8::/96\n", "*from: */64*" },
    { "alice.conf", "bytes=1G\n", "*alice.conf: *" },
    { "notes.txt", "nobody reads this", NULL },
    { "alice.conf",
      "[limits]\nbytes=1G\nregions=2\nconnections=9\n"
      "from=192.0.2.0/24; 2001:db8::/32\n",
      NULL },
  };

  keys_new ();
  put ("alice.key", ALICE);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (HermitIdentities) identities = NULL;
      g_autoptr (GError) error = NULL;

      put (cases[i].name, cases[i].contents);
      identities = hermit_identities_new (NULL, dir, &error);
      g_assert_cmpint (!identities, ==, cases[i].words != NULL);
      if (error && !g_pattern_match_simple (cases[i].words, error->message))
        g_error ("'%s' is not '%s'", error->message, cases[i].words);
      take (cases[i].name);
    }
  g_assert_cmpint (g_chmod (dir, 0770), ==, 0);
  g_assert_null (hermit_identities_new (NULL, dir, NULL));
  g_assert_cmpint (g_chmod (dir, 0700), ==, 0);
  keys_free ();
}

/* ---- who is it ---- */

static HermitPeer
peer_of (const char *text)
{
  HermitAddress address;
  HermitPeer peer;

  g_assert_true (hermit_address_parse (text, &address, NULL));
  hermit_peer_init (&peer, &address, "");
  return peer;
}

static void
expect_found (HermitIdentities *identities, const HermitKey *tag,
              const char *from, const char *name)
{
  struct hermit_wire_hello hello = { .name = "test" };
  HermitPeer peer = peer_of (from);
  g_autoptr (HermitIdentity) found = NULL;
  const HermitKey *used;
  const char *why = NULL;

  hermit_random (hello.nonce, sizeof (hello.nonce));
  if (tag)
    hermit_key_tag (tag, &hello);
  found = hermit_identities_find (identities, &hello, &peer, &used, &why);
  g_assert_cmpstr (found ? found->name : NULL, ==, name);
  if (!found)
    g_assert_nonnull (why);
  else if (tag)
    g_assert_true (hermit_key_equal (used, tag));
  /* The tag is about all of HELLO. */
  hello.name[0]++;
  g_assert_false (tag && hermit_key_tagged (tag, &hello));
}

static void
test_find (void)
{
  g_autoptr (HermitKey) alice = key (ALICE);
  g_autoptr (HermitKey) next = key (ALICE_NEXT);
  g_autoptr (HermitKey) bob = key (BOB);
  g_autoptr (HermitKey) other = key ("a key that nobody here has");
  g_autoptr (HermitIdentities) identities = NULL;
  g_autoptr (GError) error = NULL;

  keys_new ();
  put ("alice.key", ALICE);
  put ("alice.next", ALICE_NEXT);
  identities = hermit_identities_new (NULL, dir, &error);
  g_assert_no_error (error);
  /* There is one: whoever does not say who he is must be that. */
  expect_found (identities, alice, "192.0.2.1:1", "alice");
  expect_found (identities, next, "192.0.2.1:1", "alice");
  expect_found (identities, NULL, "192.0.2.1:1", "alice");

  put ("bob.key", BOB);
  put ("bob.conf", "[limits]\nfrom=198.51.100.0/24;2001:db8:0:7::/64\n");
  g_assert_true (hermit_identities_reload (identities, &error));
  expect_found (identities, alice, "198.51.100.9:1", "alice");
  expect_found (identities, bob, "198.51.100.9:1", "bob");
  expect_found (identities, bob, "[2001:db8:0:7::9]:1", "bob");
  expect_found (identities, bob, "[2001:db8:0:8::9]:1", NULL);
  expect_found (identities, bob, "192.0.2.1:1", NULL);
  /* From bob's network only bob can mean it; from others, nobody. */
  expect_found (identities, NULL, "198.51.100.9:1", "bob");
  expect_found (identities, other, "192.0.2.1:1", NULL);
  expect_found (identities, NULL, "192.0.2.1:1", NULL);

  /* What cannot be read changes nothing. */
  put ("carol.key", "short");
  g_assert_false (hermit_identities_reload (identities, NULL));
  expect_found (identities, bob, "198.51.100.9:1", "bob");
  take ("carol.key");
  take ("alice.key");
  take ("alice.next");
  g_assert_true (hermit_identities_reload (identities, &error));
  expect_found (identities, alice, "192.0.2.1:1", NULL);
  keys_free ();
}

/* ---- the server ---- */

static void
expect_refused (Client *client, gboolean open, guint32 code,
                const char *pattern)
{
  struct hermit_wire_hello hello = client_hello (client, open);
  Attempt attempt = client_try (client, client_connect (client), &hello);

  g_assert_cmpint (attempt.fd, ==, -1);
  g_assert_cmpstr (hermit_wire_refusal_name (attempt.code), ==,
                   hermit_wire_refusal_name (code));
  if (!g_pattern_match_simple (pattern, attempt.text))
    g_error ("'%s' is not '%s'", attempt.text, pattern);
}

static void
expect_identities (Server *server, const char *expected)
{
  g_autofree char *text = server_ask (server, "identities");

  g_assert_cmpstr (text, ==, expected);
}

static void
test_limits (void)
{
  g_autoptr (HermitKey) alice_key = key (ALICE);
  g_autoptr (HermitKey) bob_key = key (BOB);
  Client alice, second, third, bob, thief;
  Server *server;
  int fds[4];

  keys_new ();
  put ("alice.key", ALICE);
  put ("alice.conf", "[limits]\nbytes=24M\nregions=2\nconnections=3\n");
  put ("bob.key", BOB);
  server = server_start ("--capacity=64M", "--keys", dir, NULL);
  alice = client_new (server, 1, 1, 8 * MIB);
  second = client_new (server, 2, 1, 20 * MIB);
  third = client_new (server, 3, 1, 1 * MIB);
  bob = client_new (server, 4, 2, 8 * MIB);
  alice.key = second.key = third.key = alice_key;
  bob.key = bob_key;

  /* What bob has is not alice's. */
  fds[3] = client_open (&bob);
  fds[0] = client_open (&alice);
  expect_refused (&second, TRUE, HERMIT_REFUSE_CAPACITY,
                  "alice may have 25165824 bytes and has 8388608");
  second.size = 16 * MIB;
  fds[1] = client_open (&second);
  expect_refused (&third, TRUE, HERMIT_REFUSE_CAPACITY,
                  "alice may have 2 regions and has them");
  fds[2] = client_join (&alice);
  expect_refused (&second, FALSE, HERMIT_REFUSE_BUSY,
                  "alice may have 3 connections and has them");
  /* A new epoch takes none: it ends those of the one before. */
  close (client_open (&alice));
  close (fds[2]);
  close (fds[0]);
  fds[0] = client_open (&alice);

  /* With all that bob can see on the wire: the region is not his. */
  thief = alice;
  thief.key = bob_key;
  expect_refused (&thief, TRUE, HERMIT_REFUSE_KEY,
                  "region 01000000-0000-0000-0000-0000000000ee was made with "
                  "another key than that of bob");
  do_ping (fds[0]);
  expect_identities (server,
                     "alice keys 1 bytes 25165824 of 25165824 regions 2 of 2 "
                     "connections 2 of 3\n"
                     "bob keys 1 bytes 8388608 regions 1 connections 1\n");
  close (fds[0]);
  close (fds[1]);
  close (fds[3]);
  server_stop (server);
  keys_free ();
}

/* From one key to the next without anybody noticing. */
static void
test_rotation (void)
{
  g_autoptr (HermitKey) old = key (ALICE);
  g_autoptr (HermitKey) new = key (ALICE_NEXT);
  g_autofree char *answer = NULL;
  g_autoptr (GError) error = NULL;
  guint8 page[PAGE];
  Server *server;
  Client client;
  int fd;

  keys_new ();
  put ("alice.key", ALICE);
  put ("bob.key", BOB);
  server = server_start ("--capacity=64M", "--keys", dir, NULL);
  client = client_new (server, 1, 1, 8 * MIB);
  client.key = old;
  fd = client_open (&client);
  fill_page (page, 1, 0, 1);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  client.key = new;
  client_refused (&client, TRUE, HERMIT_REFUSE_KEY);

  put ("alice.next", ALICE_NEXT);
  g_subprocess_send_signal (server->process, SIGHUP);
  server_wait_log (server, "the keys were read again");
  do_ping (fd);
  close (client_open (&client));
  client.key = old;
  close (client_open (&client));
  close (fd);

  put ("alice.key", ALICE_NEXT);
  take ("alice.next");
  answer = server_ask (server, "reload");
  g_assert_cmpstr (answer, ==, "ok\n");
  client_refused (&client, TRUE, HERMIT_REFUSE_KEY);
  client.key = new;
  fd = client_open (&client);
  /* It is the same identity: its memory is still there. */
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (page, 1, 0, 1));

  put ("alice.key", "short");
  g_assert_null (hermit_control_ask (server->control, "reload", &error));
  g_assert_nonnull (strstr (error->message, "the keys stay as they were"));
  g_subprocess_send_signal (server->process, SIGHUP);
  server_wait_log (server, "warning: |alice.key|stay as they were");
  close (client_open (&client));
  close (fd);
  server_stop (server);
  keys_free ();
}

/*
 * A host that crashed and is back: its domain's new client gets the region,
 * empty, and nobody else does; never one that is in use.
 */
static void
test_takeover (void)
{
  g_autoptr (HermitKey) alice_key = key (ALICE);
  g_autoptr (HermitKey) bob_key = key (BOB);
  g_autofree char *answer = NULL;
  Client before, after, bob;
  guint8 page[PAGE];
  Server *server;
  int fd;

  keys_new ();
  put ("alice.key", ALICE);
  put ("alice.conf", "[limits]\ntakeover=1d\n");
  put ("bob.key", BOB);
  put ("bob.conf", "[limits]\ntakeover=0s\n");
  server = server_start ("--capacity=8M", "--keys", dir, NULL);
  before = client_new (server, 1, 1, 8 * MIB);
  after = client_new (server, 1, 2, 8 * MIB);
  bob = client_new (server, 1, 3, 8 * MIB);
  before.key = after.key = alice_key;
  bob.key = bob_key;
  fd = client_open (&before);
  fill_page (page, 1, 0, 1);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  close (fd);
  while (server_region (server, before.uuid, "connections"))
    g_usleep (1000);
  client_refused (&after, TRUE, HERMIT_REFUSE_BUSY);
  client_refused (&bob, TRUE, HERMIT_REFUSE_KEY);

  put ("alice.conf", "[limits]\ntakeover=0s\n");
  answer = server_ask (server, "reload");
  /* Not while it is in use. */
  fd = client_open (&before);
  client_refused (&after, TRUE, HERMIT_REFUSE_BUSY);
  do_ping (fd);
  close (fd);
  while (server_region (server, before.uuid, "connections"))
    g_usleep (1000);
  after.epoch = before.epoch;
  client_refused (&after, FALSE, HERMIT_REFUSE_BUSY);
  client_refused (&bob, TRUE, HERMIT_REFUSE_KEY);

  fd = client_open (&after);
  g_assert_cmpint (after.incarnation, !=, before.incarnation);
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  /* Who had it finds it in use, and has not got it back. */
  client_refused (&before, TRUE, HERMIT_REFUSE_BUSY);
  close (fd);
  server_wait_log (server, "ended by another client of its owner");
  server_stop (server);
  keys_free ();
}

static void
test_older (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client gone = client_new (server, 1, 1, 8 * MIB);
  Client here = client_new (server, 2, 1, 8 * MIB);
  const char *const forget[]
      = { g_getenv ("HERMIT_MEMSERVER"), "--control", server->control,
          "forget", "--older", "0s", NULL };
  g_autofree char *none = NULL;
  g_autofree char *one = NULL;
  g_autoptr (GError) error = NULL;
  int fd = client_open (&here);
  int status;

  close (client_open (&gone));
  while (server_region (server, gone.uuid, "connections"))
    g_usleep (1000);
  none = server_ask (server, "forget --older 1d");
  g_assert_cmpstr (none, ==, "0 regions forgotten, 0 bytes freed\n");
  g_assert_null (hermit_control_ask (server->control, "forget --older soon",
                                     &error));
  g_assert_nonnull (strstr (error->message, "'soon' is not a time"));
  g_assert_cmpint (server_region (server, gone.uuid, "idle"), <, 86400);

  /* By the program: what begins with -- after the command is the command's. */
  g_assert_true (g_spawn_sync (NULL, (char **)forget, NULL, G_SPAWN_DEFAULT,
                               NULL, NULL, &one, NULL, &status, NULL));
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpstr (one, ==, "1 regions forgotten, 0 bytes freed\n");
  do_ping (fd);
  close (fd);
  server_stop (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/identity/bad", test_bad);
  g_test_add_func ("/identity/find", test_find);
  g_test_add_func ("/identity/limits", test_limits);
  g_test_add_func ("/identity/rotation", test_rotation);
  g_test_add_func ("/identity/takeover", test_takeover);
  g_test_add_func ("/identity/older", test_older);
  return g_test_run ();
}
