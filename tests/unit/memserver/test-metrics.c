/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is served over HTTP: that every line of the metrics is what Prometheus'
 * text format allows, by a parser that allows nothing else; the numbers
 * themselves; and that strangers there cost nobody else anything.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

/* ---- the format ---- */

#define NAME "[a-zA-Z_:][a-zA-Z0-9_:]*"
#define LABEL "[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\\\\\"]|\\\\[\\\\\"n])*\""
#define NUMBER "(?:[+-]?[0-9]+(?:\\.[0-9]+)?|\\+Inf|NaN)"

typedef struct
{
  GHashTable *types;   /* of families that were seen */
  GHashTable *samples; /* name and labels */
  char *family;
  char *type;
  gboolean sampled;    /* the family has begun */
  char *bad;
} Parser;

G_GNUC_PRINTF (2, 3)
static void
parse_bad (Parser *p, const char *format, ...)
{
  va_list args;

  if (p->bad)
    return;
  va_start (args, format);
  p->bad = g_strdup_vprintf (format, args);
  va_end (args);
}

/* Is @name one of the samples of the family at hand? */
static gboolean
parse_belongs (const Parser *p, const char *name)
{
  static const char *const suffixes[] = { "_bucket", "_sum", "_count" };
  gsize length = strlen (p->family);

  if (strcmp (p->type, "histogram"))
    return !strcmp (name, p->family);
  if (strncmp (name, p->family, length))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (!strcmp (name + length, suffixes[i]))
      return TRUE;
  return FALSE;
}

static void
parse_comment (Parser *p, const char *line)
{
  g_autoptr (GRegex) help
      = g_regex_new ("^# HELP (" NAME ") (?:[^\\\\]|\\\\[\\\\n])*$", 0, 0, NULL);
  g_autoptr (GRegex) type
      = g_regex_new ("^# TYPE (" NAME ") (counter|gauge|histogram)$", 0, 0,
                     NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *name = NULL;

  if (g_regex_match (help, line, 0, NULL))
    return;
  if (!g_regex_match (type, line, 0, &match))
    {
      parse_bad (p, "neither HELP nor TYPE: %s", line);
      return;
    }
  if (p->family && !p->sampled)
    parse_bad (p, "a family without samples: %s", p->family);
  name = g_match_info_fetch (match, 1);
  g_free (p->family);
  g_free (p->type);
  p->family = g_steal_pointer (&name);
  p->type = g_match_info_fetch (match, 2);
  p->sampled = FALSE;
  if (!g_hash_table_add (p->types, g_strdup (p->family)))
    parse_bad (p, "a family twice: %s", line);
  if ((strcmp (p->type, "counter") == 0)
      != g_str_has_suffix (p->family, "_total"))
    parse_bad (p, "a counter ends in _total, and nothing else does: %s", line);
}

static void
parse_sample (Parser *p, const char *line)
{
  g_autoptr (GRegex) sample = g_regex_new (
      "^((" NAME ")(?:\\{(" LABEL ")(?:," LABEL ")*\\})?) (" NUMBER ")$", 0, 0,
      NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *name = NULL;
  g_autofree char *value = NULL;

  if (!g_utf8_validate (line, -1, NULL)
      || !g_regex_match (sample, line, 0, &match))
    {
      parse_bad (p, "not a sample: %s", line);
      return;
    }
  name = g_match_info_fetch (match, 2);
  value = g_match_info_fetch (match, 4);
  if (!p->family || !parse_belongs (p, name))
    parse_bad (p, "not of the family at hand: %s", line);
  else if (!g_hash_table_insert (p->samples, g_match_info_fetch (match, 1),
                                 g_steal_pointer (&value)))
    parse_bad (p, "a sample twice: %s", line);
  p->sampled = TRUE;
}

/* What is wrong with @text, or NULL; what it says in @samples. */
static char *
parse (const char *text, GHashTable *samples)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  Parser p = { .samples = samples };

  p.types = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (!g_str_has_suffix (text, "\n"))
    parse_bad (&p, "the last line has no end");
  for (char **line = lines; *line && (line[1] || **line); line++)
    if (**line == '#')
      parse_comment (&p, *line);
    else
      parse_sample (&p, *line);
  g_hash_table_unref (p.types);
  g_free (p.family);
  g_free (p.type);
  return p.bad;
}

static GHashTable *
samples_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

/* The parser finds what it looks for. */
static void
test_parser (void)
{
  static const struct
  {
    const char *text;
    gboolean good;
  } cases[] = {
    { "# HELP a b\n# TYPE a gauge\na 1\n", TRUE },
    { "# TYPE a gauge\na{b=\"c\",d=\"\\\\ \\\" \\n \xc3\xa9\"} 1.5\n", TRUE },
    { "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n",
      TRUE },
    { "# TYPE a gauge\na 1", FALSE },
    { "a 1\n", FALSE },
    { "# TYPE a gauge\nb 1\n", FALSE },
    { "# TYPE a gauge\na 1\na 2\n", FALSE },
    { "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\na{c=\"d\"} 1\n", FALSE },
    { "# TYPE a gauge\na 1\n# TYPE a gauge\na{c=\"d\"} 1\n", FALSE },
    { "# TYPE a gauge\na{b=\"\\t\"} 1\n", FALSE },
    { "# TYPE a gauge\na{b=\"\\303\"} 1\n", FALSE },
    { "# TYPE a gauge\na{b=\"\xff\"} 1\n", FALSE },
    { "# TYPE a gauge\na{b=\"c\"d\"} 1\n", FALSE },
    { "# TYPE a gauge\na{b=\"c\",} 1\n", FALSE },
    { "# TYPE a gauge\na one\n", FALSE },
    { "# TYPE a counter\na 1\n", FALSE },
    { "# TYPE a_total gauge\na_total 1\n", FALSE },
    { "# TYPE a gauge\n# TYPE b gauge\nb 1\n", FALSE },
    { "# TYPE h histogram\nh 1\n", FALSE },
    { "# NOTE a b\n", FALSE },
    { "# TYPE a gauge\n\na 1\n", FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GHashTable) samples = samples_new ();
      g_autofree char *bad = parse (cases[i].text, samples);

      if ((bad == NULL) != cases[i].good)
        g_error ("'%s': %s", cases[i].text, bad ? bad : "nothing found");
    }
}

/* ---- HTTP ---- */

static guint
http_port (Server *server)
{
  g_autofree char *line = server_line (server);
  guint port;

  g_assert_cmpint (sscanf (line, "metrics on http://127.0.0.1:%u/metrics",
                           &port),
                   ==, 1);
  return port;
}

/* From 127.0.0.@host. */
static int
http_connect_from (guint host, guint port)
{
  struct sockaddr_in from = { .sin_family = AF_INET };
  struct sockaddr_in to = { .sin_family = AF_INET };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  from.sin_addr.s_addr = htonl ((INADDR_LOOPBACK & ~0xffu) + host);
  to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  to.sin_port = htons (port);
  g_assert_cmpint (bind (fd, (struct sockaddr *)&from, sizeof (from)), ==, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&to, sizeof (to)), ==, 0);
  return fd;
}

static int
http_connect (guint port)
{
  return http_connect_from (1, port);
}

/* What @request is answered with, from the status line on. */
static char *
http_ask (guint port, const char *request)
{
  GString *answer = g_string_new (NULL);
  int fd = http_connect (port);
  char part[4096];
  ssize_t n;

  g_assert_true (send_all (fd, request, strlen (request)));
  while ((n = recv (fd, part, sizeof (part), 0)) > 0)
    g_string_append_len (answer, part, n);
  close (fd);
  return g_string_free (answer, FALSE);
}

static GHashTable *
http_metrics (guint port)
{
  g_autofree char *answer
      = http_ask (port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  const char *body = strstr (answer, "\r\n\r\n");
  GHashTable *samples = samples_new ();
  g_autofree char *bad = NULL;

  g_assert_true (g_str_has_prefix (answer, "HTTP/1.1 200 OK\r\n"));
  g_assert_nonnull (strstr (answer, "Content-Type: text/plain; "
                                    "version=0.0.4; charset=utf-8\r\n"));
  g_assert_nonnull (body);
  bad = parse (body + 4, samples);
  if (bad)
    g_error ("%s", bad);
  return samples;
}

static guint64
sample (GHashTable *samples, const char *name)
{
  g_autofree char *whole = g_strconcat ("hermit_memserver_", name, NULL);
  const char *value = g_hash_table_lookup (samples, whole);

  if (!value)
    g_error ("there is no %s", whole);
  return g_ascii_strtoull (value, NULL, 10);
}

#define REGION                                                                \
  "{region=\"01000000-0000-0000-0000-0000000000ee\",name=\"test\","           \
  "owner=\"anybody\"}"

static void
test_numbers (void)
{
  Server *server
      = server_start ("--capacity=8M", "--metrics=127.0.0.1:0", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  Client other = client_new (server, 1, 2, 8 * MIB);
  g_autoptr (GHashTable) samples = NULL;
  guint port = http_port (server);
  guint8 page[PAGE] = { 1 };
  int fd = client_open (&client);

  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd, 0, page), ==, HERMIT_WIRE_OK);
  client_refused (&other, TRUE, HERMIT_REFUSE_BUSY);
  /* A stranger who leaves; his end may be seen a little later. */
  close (client_connect (&client));
  do
    {
      g_clear_pointer (&samples, g_hash_table_unref);
      samples = http_metrics (port);
    }
  while (!sample (samples, "strangers_dropped_total{reason=\"left\"}")
         /* counted when it has been answered */
         || !sample (samples, "request_seconds_count{op=\"read\"}"));

  g_assert_cmpint (sample (samples, "capacity_bytes"), ==, 8 * MIB);
  g_assert_cmpint (sample (samples, "taken_bytes"), ==, 8 * MIB);
  g_assert_cmpint (sample (samples, "regions"), ==, 1);
  g_assert_cmpint (sample (samples, "refused_total{reason=\"busy\"}"), ==, 1);
  g_assert_cmpint (sample (samples, "refused_total{reason=\"key\"}"), ==, 0);
  g_assert_cmpint (sample (samples, "region_writes_total" REGION), ==, 2);
  g_assert_cmpint (sample (samples, "region_reads_total" REGION), ==, 1);
  g_assert_cmpint (sample (samples, "region_stored_bytes" REGION), ==, PAGE);
  g_assert_cmpint (sample (samples, "region_idle_seconds" REGION), ==, 0);
  g_assert_cmpint (sample (samples, "known_hosts"), ==, 1);
  g_assert_cmpint (sample (samples, "handshake_seconds_count"), ==, 1);
  g_assert_cmpint (sample (samples, "request_seconds_count{op=\"write\"}"), ==,
                   2);
  g_assert_cmpint (sample (samples, "request_seconds_count{op=\"read\"}"), ==,
                   1);
  g_assert_cmpint (
      sample (samples, "request_seconds_bucket{op=\"read\",le=\"+Inf\"}"), ==,
      1);
  g_assert_cmpint (sample (samples, "received_bytes_total"), ==,
                   3 * sizeof (struct hermit_wire_hdr) + 2 * PAGE);
  g_assert_cmpint (sample (samples, "sent_bytes_total"), ==,
                   3 * sizeof (struct hermit_wire_hdr) + PAGE);
  close (fd);
  server_stop (server);
}

/* Whatever a client calls itself, the format holds. */
static void
test_names (void)
{
  static const char *const names[]
      = { "a\nb \"c\" {d=\"e\"}\\", "\xff\xfe", "\xc3\xa9\t\r\x01\x7f", "\\",
          "\"", "}", "# HELP x" };
  Server *server
      = server_start ("--capacity=64M", "--metrics=127.0.0.1:0", NULL);
  guint port = http_port (server);
  g_autoptr (GHashTable) samples = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      Client client = client_new (server, 1 + i, 1, 1 * MIB);
      struct hermit_wire_hello hello = client_hello (&client, TRUE);
      Attempt attempt;

      memset (hello.name, 0, sizeof (hello.name));
      strcpy (hello.name, names[i]);
      attempt = client_try (&client, client_connect (&client), &hello);
      g_assert_cmpint (attempt.fd, >=, 0);
      close (attempt.fd);
    }
  samples = http_metrics (port);
  g_assert_cmpint (sample (samples, "regions"), ==, G_N_ELEMENTS (names));
  server_stop (server);
}

static void
expect_status (guint port, const char *request, const char *status)
{
  g_autofree char *answer = http_ask (port, request);
  g_autofree char *line = g_strdup_printf ("HTTP/1.1 %s\r\n", status);

  if (!g_str_has_prefix (answer, line))
    g_error ("'%s' is answered with '%s'", request, answer);
}

static void
test_http (void)
{
  Server *server
      = server_start ("--capacity=64M", "--metrics=127.0.0.1:0", NULL);
  guint port = http_port (server);
  g_autofree char *list = NULL;
  int fds[40];

  expect_status (port, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK");
  expect_status (port, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK");
  expect_status (port, "GET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
                 "404 Not Found");
  expect_status (port,
                 "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: "
                 "0\r\n\r\n",
                 "405 Method Not Allowed");

  /* Silent strangers: the control socket and the end do not wait for them. */
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = http_connect (port);
  list = server_ask (server, "list");
  g_assert_cmpstr (list, ==, "");
  server_stop (server);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
}

/* Is it still open? Nothing is expected to come. */
static gboolean
is_held (int fd)
{
  char byte;

  return recv (fd, &byte, 1, MSG_DONTWAIT) < 0
         && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/*
 * Fifteen addresses with as many connections as they may have do not keep the
 * next one out. They are put out after some seconds of silence, which shows
 * nothing: then once more.
 */
static void
test_crowd (void)
{
  Server *server
      = server_start ("--capacity=64M", "--metrics=127.0.0.1:0", NULL);
  guint port = http_port (server);
  gboolean shown = FALSE;

  for (guint try = 0; !shown && try < 10; try++)
    {
      int fds[15 * 4];

      for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
        fds[i] = http_connect_from (2 + i / 4, port);
      expect_status (port, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
                     "200 OK");
      shown = TRUE;
      for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
        {
          shown &= is_held (fds[i]);
          close (fds[i]);
        }
    }
  g_assert_true (shown);
  server_stop (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/metrics/parser", test_parser);
  g_test_add_func ("/metrics/numbers", test_numbers);
  g_test_add_func ("/metrics/names", test_names);
  g_test_add_func ("/metrics/http", test_http);
  g_test_add_func ("/metrics/crowd", test_crowd);
  return g_test_run ();
}
