/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "uuid.h"

/* ---- the server ---- */

Server *
server_new (void)
{
  Server *server = g_new0 (Server, 1);
  g_autoptr (GError) error = NULL;

  server->dir = g_dir_make_tmp ("hermit-test-XXXXXX", &error);
  g_assert_no_error (error);
  server->control = g_build_filename (server->dir, "control", NULL);
  server->log = g_build_filename (server->dir, "log", NULL);
  return server;
}

void
server_run (Server *server, GSubprocessLauncher *launcher, const char *wrapper,
            const char *const *options)
{
  g_autoptr (GSubprocessLauncher) own = NULL;
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;

  if (!launcher)
    launcher = own = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_subprocess_launcher_set_flags (launcher, G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_subprocess_launcher_set_stderr_file_path (launcher, server->log);
  if (wrapper)
    {
      g_ptr_array_add (argv, (char *)"sh");
      g_ptr_array_add (argv, (char *)"-c");
      g_ptr_array_add (argv, (char *)wrapper);
      g_ptr_array_add (argv, (char *)"sh");
    }
  g_assert_nonnull (g_getenv ("HERMIT_MEMSERVER"));
  g_ptr_array_add (argv, (char *)g_getenv ("HERMIT_MEMSERVER"));
  g_ptr_array_add (argv, (char *)"--listen=tcp:127.0.0.1:0");
  g_ptr_array_add (argv, (char *)"--control");
  g_ptr_array_add (argv, server->control);
  for (; *options; options++)
    g_ptr_array_add (argv, (char *)*options);
  g_ptr_array_add (argv, NULL);

  g_clear_object (&server->process);
  g_clear_object (&server->out);
  server->process
      = g_subprocess_launcher_spawnv (launcher,
                                      (const char *const *)argv->pdata,
                                      &error);
  g_assert_no_error (error);
  server->out = g_data_input_stream_new (
      g_subprocess_get_stdout_pipe (server->process));
  line = server_line (server);
  g_assert_cmpint (sscanf (line, "listening on tcp:127.0.0.1:%u",
                           &server->port),
                   ==, 1);
}

Server *
server_start (const char *option, ...)
{
  g_autoptr (GPtrArray) options = g_ptr_array_new ();
  Server *server = server_new ();
  va_list args;

  va_start (args, option);
  for (; option; option = va_arg (args, const char *))
    g_ptr_array_add (options, (char *)option);
  va_end (args);
  g_ptr_array_add (options, NULL);
  server_run (server, NULL, NULL, (const char *const *)options->pdata);
  return server;
}

void
server_kill (Server *server)
{
  g_subprocess_force_exit (server->process);
  g_assert_true (g_subprocess_wait (server->process, NULL, NULL));
}

void
server_wait (Server *server)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *log = NULL;

  g_subprocess_wait (server->process, NULL, &error);
  g_assert_no_error (error);
  if (!g_subprocess_get_if_exited (server->process)
      || g_subprocess_get_exit_status (server->process) != 0)
    {
      g_file_get_contents (server->log, &log, NULL, NULL);
      g_error ("the server did not end well:\n%s", log);
    }
}

char *
server_line (Server *server)
{
  g_autoptr (GError) error = NULL;
  char *line = g_data_input_stream_read_line (server->out, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (line);
  return line;
}

void
server_stop (Server *server)
{
  g_subprocess_send_signal (server->process, SIGTERM);
  server_wait (server);
  g_assert_false (g_file_test (server->control, G_FILE_TEST_EXISTS));
  g_unlink (server->log);
  g_assert_cmpint (g_rmdir (server->dir), ==, 0);
  g_object_unref (server->out);
  g_object_unref (server->process);
  g_free (server->control);
  g_free (server->log);
  g_free (server->dir);
  g_free (server);
}

char *
server_ask (Server *server, const char *command)
{
  g_autoptr (GError) error = NULL;
  char *answer = hermit_control_ask (server->control, command, &error);

  g_assert_no_error (error);
  return answer;
}

void
server_wait_log (Server *server, const char *needles)
{
  g_auto (GStrv) wanted = g_strsplit (needles, "|", -1);

  /* Until the test's own time is up. */
  for (;;)
    {
      g_autofree char *log = NULL;
      g_auto (GStrv) lines = NULL;

      g_assert_true (g_file_get_contents (server->log, &log, NULL, NULL));
      lines = g_strsplit (log, "\n", -1);
      for (char **line = lines; *line; line++)
        {
          guint found = 0;

          while (wanted[found] && strstr (*line, wanted[found]))
            found++;
          if (!wanted[found])
            return;
        }
      g_usleep (10000);
    }
}

guint64
server_region (Server *server, const guint8 uuid[16], const char *word)
{
  g_autofree char *id = hermit_uuid_text (uuid);
  g_autofree char *list = server_ask (server, "list");
  g_autofree char *needle = g_strdup_printf (" %s ", word);
  const char *at = strstr (list, id);

  g_assert_nonnull (at);
  at = strstr (at, needle);
  g_assert_nonnull (at);
  return g_ascii_strtoull (at + strlen (needle), NULL, 10);
}

/* ---- the handshake ---- */

Client
client_new (Server *server, guint8 region, guint8 id, guint64 size)
{
  Client client = { .server = server, .size = size };

  client.uuid[0] = region;
  client.uuid[15] = 0xee;
  client.id[0] = id;
  client.id[15] = 0xcc;
  return client;
}

gboolean
send_all (int fd, const void *data, gsize length)
{
  const guint8 *at = data;

  while (length)
    {
      ssize_t n = send (fd, at, length, MSG_NOSIGNAL);

      if (n <= 0)
        return FALSE;
      at += n;
      length -= n;
    }
  return TRUE;
}

gboolean
receive_all (int fd, void *to, gsize length)
{
  guint8 *at = to;

  while (length)
    {
      ssize_t n = recv (fd, at, length, 0);

      if (n <= 0)
        return FALSE;
      at += n;
      length -= n;
    }
  return TRUE;
}

gboolean
is_closed (int fd)
{
  guint8 byte;

  return recv (fd, &byte, 1, 0) <= 0;
}

int
client_connect (const Client *client)
{
  struct sockaddr_in to = {
    .sin_family = AF_INET,
    .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
    .sin_port = htons (client->server->port),
  };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&to, sizeof (to)), ==, 0);
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof (on));
  return fd;
}

struct hermit_wire_hello
client_hello (const Client *client, gboolean open)
{
  struct hermit_wire_hello hello = {
    .version_min = cpu_to_le16 (HERMIT_WIRE_VERSION),
    .version_max = cpu_to_le16 (HERMIT_WIRE_VERSION),
    .flags = cpu_to_le32 (open ? HERMIT_HELLO_OPEN : 0),
    .caps = cpu_to_le64 (
        HERMIT_CAP_DISCARD | HERMIT_CAP_MULTICONN
        | (client->unreserved ? HERMIT_CAP_UNRESERVED : 0)),
    .region_size = cpu_to_le64 (client->size),
    .epoch = cpu_to_le64 (open ? 0 : client->epoch),
    .name = "test",
  };

  memcpy (hello.uuid, client->uuid, sizeof (hello.uuid));
  memcpy (hello.client_id, client->id, sizeof (hello.client_id));
  hermit_random (hello.nonce, sizeof (hello.nonce));
  if (client->key)
    hermit_key_tag (client->key, &hello);
  return hello;
}

static void
send_frame (int fd, guint8 type, const void *payload, guint32 length)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, type, 0, 0, 0, length);
  send_all (fd, &hdr, sizeof (hdr));
  send_all (fd, payload, length);
}

/* The frame that is due; FALSE with @attempt if it was REFUSE, or the end. */
static gboolean
receive_frame (int fd, guint8 type, void *payload, gsize length,
               Attempt *attempt)
{
  struct hermit_wire_refuse refuse;
  struct hermit_wire_hdr hdr;
  const char *why;

  if (!receive_all (fd, &hdr, sizeof (hdr)))
    return FALSE;
  if (hdr.type == HERMIT_MSG_REFUSE)
    {
      g_assert_cmpint (hermit_wire_check_handshake (&hdr, HERMIT_MSG_REFUSE,
                                                    &why),
                       ==, 0);
      g_assert_true (receive_all (fd, &refuse, sizeof (refuse)));
      g_assert_cmpint (refuse.text[sizeof (refuse.text) - 1], ==, 0);
      g_assert_cmpint (strlen (refuse.text), >, 0);
      attempt->code = le32_to_cpu (refuse.code);
      memcpy (attempt->text, refuse.text, sizeof (attempt->text));
      g_assert_true (is_closed (fd));
      return FALSE;
    }
  g_assert_cmpint (hermit_wire_check_handshake (&hdr, type, &why), ==, 0);
  g_assert_true (hdr.tag == 0 && hdr.offset == 0 && hdr.extent == 0);
  return receive_all (fd, payload, length);
}

Attempt
client_try (const Client *client, int fd,
            const struct hermit_wire_hello *hello)
{
  struct hermit_wire_challenge challenge;
  struct hermit_wire_auth_more auth
      = { .unreserved = cpu_to_le64 (client->unreserved) };
  gboolean more;
  guint8 mac[HERMIT_WIRE_MAC_LEN];
  Attempt attempt = { .fd = -1 };

  send_frame (fd, HERMIT_MSG_HELLO, hello, sizeof (*hello));
  if (!receive_frame (fd, HERMIT_MSG_CHALLENGE, &challenge, sizeof (challenge),
                      &attempt))
    goto out;
  g_assert_cmpint (le16_to_cpu (challenge.version), ==, HERMIT_WIRE_VERSION);
  g_assert_cmpint (challenge.reserved, ==, 0);
  more = le64_to_cpu (challenge.caps & hello->caps) & HERMIT_CAP_UNRESERVED;
  if (client->key)
    {
      if (challenge.keyed)
        {
          hermit_key_mac (client->key, 'S', hello, &challenge, mac);
          /* A client with another key knows this server for a stranger. */
          if (!hermit_mac_equal (mac, challenge.mac))
            attempt.welcome.epoch = ~0ULL;
        }
      if (more)
        hermit_key_mac_more (client->key, hello, &challenge, &auth, auth.mac);
      else
        hermit_key_mac (client->key, 'C', hello, &challenge, auth.mac);
    }
  if (more)
    send_frame (fd, HERMIT_MSG_AUTH_MORE, &auth, sizeof (auth));
  else
    send_frame (fd, HERMIT_MSG_AUTH, &auth, sizeof (auth.mac));
  if (receive_frame (fd, HERMIT_MSG_WELCOME, &attempt.welcome,
                     sizeof (attempt.welcome), &attempt))
    attempt.fd = fd;
out:
  if (attempt.fd < 0)
    close (fd);
  return attempt;
}

static int
client_attach (Client *client, gboolean open)
{
  struct hermit_wire_hello hello = client_hello (client, open);
  Attempt attempt = client_try (client, client_connect (client), &hello);
  guint64 epoch = le64_to_cpu (attempt.welcome.epoch);

  if (attempt.fd < 0)
    g_error ("refused: %s: %s", hermit_wire_refusal_name (attempt.code),
             attempt.text);
  g_assert_cmpint (epoch, !=, 0);
  if (open)
    g_assert_cmpint (epoch, !=, client->epoch);
  else
    g_assert_cmpint (epoch, ==, client->epoch);
  g_assert_cmpint (attempt.welcome.incarnation, !=, 0);
  client->epoch = epoch;
  client->incarnation = le64_to_cpu (attempt.welcome.incarnation);
  return attempt.fd;
}

int
client_open (Client *client)
{
  return client_attach (client, TRUE);
}

int
client_join (Client *client)
{
  return client_attach (client, FALSE);
}

void
client_refused (Client *client, gboolean open, guint32 code)
{
  struct hermit_wire_hello hello = client_hello (client, open);
  Attempt attempt = client_try (client, client_connect (client), &hello);

  g_assert_cmpint (attempt.fd, ==, -1);
  g_assert_cmpstr (hermit_wire_refusal_name (attempt.code), ==,
                   hermit_wire_refusal_name (code));
}

/* ---- requests ---- */

gsize
make_frame (guint8 *frame, guint8 type, guint32 tag, guint64 offset,
            const void *page)
{
  struct hermit_wire_hdr hdr;
  gboolean write = type == HERMIT_MSG_WRITE;

  hermit_wire_fill (&hdr, type, tag, offset, write ? 0 : PAGE,
                    write ? PAGE : 0);
  memcpy (frame, &hdr, sizeof (hdr));
  if (!write)
    return sizeof (hdr);
  memcpy (frame + sizeof (hdr), page, PAGE);
  return FRAME_MAX;
}

static struct hermit_wire_hdr
do_request (int fd, guint8 type, guint64 offset, guint32 extent,
            const void *payload, void *to)
{
  static gint last_tag;
  guint32 tag = (guint32)g_atomic_int_add (&last_tag, 1);
  struct hermit_wire_hdr hdr, reply;
  const char *why = "";

  hermit_wire_fill (&hdr, type, tag, offset, extent, payload ? PAGE : 0);
  g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
  if (payload)
    g_assert_true (send_all (fd, payload, PAGE));

  g_assert_true (receive_all (fd, &reply, sizeof (reply)));
  if (hermit_wire_check_reply (&reply, &why))
    g_error ("bad reply: %s", why);
  g_assert_cmpint (reply.type, ==, type | HERMIT_MSG_REPLY);
  g_assert_cmpint (le32_to_cpu (reply.tag), ==, tag);
  if (type != HERMIT_MSG_PING)
    g_assert_cmpint (le64_to_cpu (reply.offset), ==, offset);
  if (reply.length)
    g_assert_true (receive_all (fd, to, PAGE));
  return reply;
}

guint8
do_read (int fd, guint64 offset, void *page)
{
  return do_request (fd, HERMIT_MSG_READ, offset, PAGE, NULL, page).status;
}

guint8
do_write (int fd, guint64 offset, const void *page)
{
  return do_request (fd, HERMIT_MSG_WRITE, offset, 0, page, NULL).status;
}

guint8
do_discard (int fd, guint64 offset, guint32 length)
{
  return do_request (fd, HERMIT_MSG_DISCARD, offset, length, NULL, NULL)
      .status;
}

guint8
do_end (int fd)
{
  return do_request (fd, HERMIT_MSG_END, 0, 0, NULL, NULL).status;
}

guint64
do_ping (int fd)
{
  struct hermit_wire_hdr reply
      = do_request (fd, HERMIT_MSG_PING, 0, 0, NULL, NULL);

  g_assert_cmpint (reply.status, ==, HERMIT_WIRE_OK);
  return le64_to_cpu (reply.offset);
}

/* ---- pages ---- */

void
fill_page (void *page, guint64 owner, guint64 offset, guint64 version)
{
  guint64 *words = page;

  for (guint i = 0; i < PAGE / 8; i += 4)
    {
      words[i] = owner;
      words[i + 1] = offset;
      words[i + 2] = version;
      words[i + 3] = i ^ version * 0x9e3779b97f4a7c15ULL;
    }
}

gboolean
page_is (const void *page, guint64 owner, guint64 offset, guint64 version)
{
  guint64 expected[PAGE / 8];

  fill_page (expected, owner, offset, version);
  return memcmp (page, expected, PAGE) == 0;
}

gboolean
page_is_zero (const void *page)
{
  static const guint8 zeros[PAGE];

  return memcmp (page, zeros, PAGE) == 0;
}

guint
server_count (Server *server, const char *what)
{
  g_autofree char *path
      = g_strdup_printf ("/proc/%s/%s",
                         g_subprocess_get_identifier (server->process), what);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir))
    n++;
  return n;
}
