/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fields of the journal: a message that names a region or a peer has it in
 * a field as well, and nothing else there.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "conn.h"
#include "door.h"
#include "local-server.h"
#include "log.h"
#include "session.h"
#include "store-fixture.h"

#define SIZE (4 * MIB)
#define REGION "01000000-0000-0000-0000-000000000000"
#define PEER "192.0.2.7:4711"

static HermitServer server;
static const HermitPeer peer = { .name = PEER };
static const Client client = { .uuid = { 1 }, .id = { 2 }, .size = SIZE };

/* ---- the log ---- */

static struct
{
  GMutex lock;
  GPtrArray *messages;
  GString *wrong;
  guint regions, peers; /* messages that name one */
  char *listen;         /* the last message's field */
} said;

static const char *
field (const GLogField *fields, gsize n, const char *key)
{
  const char *value = NULL;

  for (gsize i = 0; i < n; i++)
    if (!strcmp (fields[i].key, key))
      {
        g_assert_null (value);
        value = fields[i].value;
        g_assert_nonnull (value);
      }
  return value;
}

/* The field has what the text names; *@n are the messages that do. */
static void
check (const char *message, const char *name, const char *value,
       const char *wanted, guint *n)
{
  gboolean named = strstr (message, wanted) != NULL;

  *n += named;
  if (g_strcmp0 (value, named ? wanted : NULL))
    g_string_append_printf (said.wrong, "%s=%s of: %s\n", name,
                            value ? value : "(none)", message);
}

gboolean __wrap_g_log_writer_is_journald (gint fd);
GLogWriterOutput __wrap_g_log_writer_journald (GLogLevelFlags level,
                                               const GLogField *fields,
                                               gsize n, gpointer data);

/* Standard error is the journal, and this is what comes there. */
gboolean
__wrap_g_log_writer_is_journald (gint fd)
{
  return fd == STDERR_FILENO;
}

GLogWriterOutput
__wrap_g_log_writer_journald (GLogLevelFlags level G_GNUC_UNUSED,
                              const GLogField *fields, gsize n,
                              gpointer data G_GNUC_UNUSED)
{
  const char *message = field (fields, n, "MESSAGE");

  g_mutex_lock (&said.lock);
  check (message, "HERMIT_REGION", field (fields, n, "HERMIT_REGION"), REGION,
         &said.regions);
  check (message, "HERMIT_PEER", field (fields, n, "HERMIT_PEER"), PEER,
         &said.peers);
  g_free (said.listen);
  said.listen = g_strdup (field (fields, n, "HERMIT_LISTEN"));
  g_ptr_array_add (said.messages, g_strdup (message));
  g_mutex_unlock (&said.lock);
  return G_LOG_WRITER_HANDLED;
}

/* Wait for a message that has @text. */
static void
wait_said (const char *text)
{
  gboolean found = FALSE;

  while (!found)
    {
      g_mutex_lock (&said.lock);
      for (guint i = 0; i < said.messages->len; i++)
        found |= strstr (said.messages->pdata[i], text) != NULL;
      g_mutex_unlock (&said.lock);
      if (!found)
        g_usleep (1000);
    }
}

/* ---- what there is to say ---- */

static Attempt
try (const Client *who)
{
  struct hermit_wire_hello hello = client_hello (who, TRUE);
  int fd[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
  hermit_door_admit (server.door, fd[1], &peer);
  return client_try (who, fd[0], &hello);
}

/* A region's life. */
static void
test_session (void)
{
  static const Client another = { .uuid = { 1 }, .id = { 3 }, .size = SIZE };
  static const Client larger = { .uuid = { 1 }, .id = { 2 }, .size = 2 * SIZE };
  struct hermit_wire_hdr hdr;
  guint8 uuid[16] = { 1 };
  guint regions = said.regions, peers = said.peers;
  Attempt attempt;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  attempt = try (&client);
  wait_said ("created by " PEER);
  g_assert_cmpint (try (&another).code, ==, HERMIT_REFUSE_BUSY);
  g_assert_cmpint (try (&larger).code, ==, HERMIT_REFUSE_SIZE);
  wait_said ("refused (busy)");
  wait_said ("refused (size)");
  /* A request that breaks the rules. */
  hermit_wire_fill (&hdr, HERMIT_MSG_READ, 1, 1, PAGE, 0);
  g_assert_true (send_all (attempt.fd, &hdr, sizeof (hdr)));
  g_assert_true (is_closed (attempt.fd));
  close (attempt.fd);
  wait_said ("connection closed");
  wait_said ("no connection left");
  attempt = try (&client);
  wait_said ("attached again by " PEER);
  close (attempt.fd);
  g_assert_true (
      hermit_sessions_forget (server.sessions, uuid, TRUE, NULL));
  wait_said ("ended by the operator");
  local_server_stop (&server);
  g_assert_cmpint (said.regions - regions, >=, 7);
  g_assert_cmpint (said.peers - peers, >=, 5);
}

/* A region's memory. */
static void
test_full (void)
{
  HermitStore *store = store_new (4 * MIB, TRUE);
  HermitRegion *region = hermit_region_new (store, 64 * MIB, 64 * MIB, "new", NULL);
  guint8 page[PAGE] = { 1 };
  guint64 at = 0;

  hermit_region_set_label (region, "region " REGION, REGION);
  while (hermit_region_write (region, at, page) == HERMIT_WIRE_OK)
    at += PAGE;
  wait_said ("writes are refused");
  hermit_region_discard (region, 0, HERMIT_EXTENT_SIZE);
  while (hermit_region_write (region, 0, page) != HERMIT_WIRE_OK)
    g_usleep (1000);
  wait_said ("there is memory again");
  hermit_region_free (region);
  hermit_store_free (store);
}

/* Who does not get as far as a region. */
static void
test_stranger (void)
{
  static const char nonsense[] = "GET / HTTP/1.1\r\nHost: memory\r\n\r\n"
                                 "and so on, longer than any header is";
  int fd[2];

  local_server_start (&server, HERMIT_DOOR_PLACES);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
      hermit_door_admit (server.door, fd[1], &peer);
      if (i)
        send_all (fd[0], nonsense, sizeof (nonsense));
      shutdown (fd[0], SHUT_WR);
      is_closed (fd[0]);
      close (fd[0]);
    }
  wait_said ("the peer hung up");
  wait_said ("refused (protocol)");
  local_server_stop (&server);
}

/* An address of our own; and a message about nobody has no fields. */
static void
test_listen (void)
{
  hermit_log (G_LOG_LEVEL_WARNING, (HermitLogAbout){ .listen = "[::1]:7471" },
              "[::1]:7471: cannot accept");
  g_assert_cmpstr (said.listen, ==, "[::1]:7471");
  g_message ("it goes on");
  g_assert_null (said.listen);
}

/* Both ways of being wrong are found. */
static void
test_found (void)
{
  said.regions = said.peers = 0;
  g_assert_cmpstr (said.wrong->str, ==, "");
  hermit_log (G_LOG_LEVEL_MESSAGE, (HermitLogAbout){ .peer = PEER },
              "region " REGION " of " PEER);
  g_assert_cmpstr (said.wrong->str, ==,
                   "HERMIT_REGION=(none) of: region " REGION " of " PEER "\n");
  g_string_truncate (said.wrong, 0);
  hermit_log (G_LOG_LEVEL_MESSAGE,
              (HermitLogAbout){ .peer = "somebody", .region = REGION },
              "region " REGION " of " PEER);
  g_assert_cmpstr (said.wrong->str, ==,
                   "HERMIT_PEER=somebody of: region " REGION " of " PEER "\n");
  g_string_truncate (said.wrong, 0);
  g_assert_cmpint (said.regions, ==, 2);
  g_assert_cmpint (said.peers, ==, 2);
}

/* After a test: everything that was named is right. */
static void
right (gconstpointer test)
{
  ((void (*) (void))test) ();
  g_assert_cmpstr (said.wrong->str, ==, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  said.messages = g_ptr_array_new_with_free_func (g_free);
  said.wrong = g_string_new (NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  hermit_log_init ("test-log");
  g_test_add_data_func ("/log/found", test_found, right);
  g_test_add_data_func ("/log/listen", test_listen, right);
  g_test_add_data_func ("/log/session", test_session, right);
  g_test_add_data_func ("/log/full", test_full, right);
  g_test_add_data_func ("/log/stranger", test_stranger, right);
  return g_test_run ();
}
