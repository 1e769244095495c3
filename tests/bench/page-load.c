/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages at random, read or written, over TCP on this machine: the same client
 * for hermit-memserver and for NBD servers, so that what differs is the server.
 *
 *   page-load hermit|nbd PORT [OPTION]... CONNECTIONS:DEPTH:read|write...
 *
 * Each connection has a thread that keeps DEPTH requests outstanding: it takes
 * all answers that have come with one recv(), and asks for as many pages again
 * with one send(). All pages are written first, and each page that is read must
 * say which one it is.
 *
 * Prints a line of NAME FIGURE pairs for each point.
 *
 *   page-load hermit PORT --new-extents N
 *
 * One connection reads, one request outstanding, and another one writes a page
 * into each of N extents that had nothing before; then once more into the same.
 * A line for each: how long the writes waited, and the reads beside them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "store.h"

#define DEPTH_MAX 256
#define CONNECTIONS_MAX 64
#define WARM_UP_S 0.3
/* Latencies in microseconds; what took longer counts as this. */
#define LATENCY_MAX 100000
/* An answer that came later is counted. */
#define LATE_US 20000

/* NBD, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md */
#define NBD_INIT 0x4e42444d41474943ULL
#define NBD_OPTION 0x49484156454f5054ULL
#define NBD_REQUEST 0x25609513u
#define NBD_REPLY 0x67446698u

struct nbd_option
{
  guint64 magic;
  guint32 option;
  guint32 length;
} __attribute__ ((packed));

struct nbd_export
{
  guint64 size;
  guint16 flags;
} __attribute__ ((packed));

struct nbd_request
{
  guint32 magic;
  guint16 flags;
  guint16 type;
  guint64 tag;
  guint64 offset;
  guint32 length;
} __attribute__ ((packed));

struct nbd_reply
{
  guint32 magic;
  guint32 error;
  guint64 tag;
} __attribute__ ((packed));

typedef struct
{
  int fd;
  GThread *thread;
  guint32 random;
  gint ops; /* atomic */
  guint8 *in, *out;
  gsize in_length, out_length;
  guint64 offset[DEPTH_MAX];
  gint64 sent_ns[DEPTH_MAX];
  guint latency[LATENCY_MAX + 1];
} Conn;

static gboolean nbd, writes;
static gint port, megabytes = 512, connections, depth, server_pid;
static gint new_extents;
static double seconds = 2;
static guint32 pages;
static gint measuring, stopping; /* atomic */
static guint64 page[PAGE / 8];

static const GOptionEntry options[] = {
  { "size", 0, 0, G_OPTION_ARG_INT, &megabytes, "Of the region", "MiB" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "For each point", "S" },
  { "server-pid", 0, 0, G_OPTION_ARG_INT, &server_pid,
    "Whose CPU time to tell", "PID" },
  { "new-extents", 0, 0, G_OPTION_ARG_INT, &new_extents,
    "Write into so many that had nothing, in place of points", "N" },
  { NULL }
};

static gint64
clock_ns (clockid_t clock)
{
  struct timespec t;

  if (clock_gettime (clock, &t) < 0)
    g_error ("the clock of process %d: %s", server_pid, g_strerror (errno));
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* ---- the two protocols ---- */

static int
nbd_connect (const Client *client)
{
  struct nbd_option option = { GUINT64_TO_BE (NBD_OPTION), GUINT32_TO_BE (1),
                               0 }; /* export name, the default one */
  guint32 flags = GUINT32_TO_BE (3); /* fixed newstyle, no zeros */
  struct nbd_export export;
  guint64 magic[2];
  guint16 server_flags;
  int fd = client_connect (client);

  if (!receive_all (fd, magic, sizeof (magic))
      || magic[0] != GUINT64_TO_BE (NBD_INIT)
      || magic[1] != GUINT64_TO_BE (NBD_OPTION)
      || !receive_all (fd, &server_flags, sizeof (server_flags))
      || !send_all (fd, &flags, sizeof (flags))
      || !send_all (fd, &option, sizeof (option))
      || !receive_all (fd, &export, sizeof (export)))
    g_error ("port %d: no NBD server, or it refused", port);
  if (GUINT64_FROM_BE (export.size) < client->size)
    g_error ("port %d: the export is smaller than --size", port);
  return fd;
}

static void
request (Conn *conn, guint slot, gboolean write, guint64 offset)
{
  guint8 *to = conn->out + conn->out_length;
  gsize header;

  if (nbd)
    {
      struct nbd_request r
          = { GUINT32_TO_BE (NBD_REQUEST), 0,
              GUINT16_TO_BE (write ? 1 : 0), slot,
              GUINT64_TO_BE (offset),  GUINT32_TO_BE (PAGE) };

      header = sizeof (r);
      memcpy (to, &r, header);
    }
  else
    {
      struct hermit_wire_hdr hdr;

      header = sizeof (hdr);
      hermit_wire_fill (&hdr, write ? HERMIT_MSG_WRITE : HERMIT_MSG_READ, slot,
                        offset, write ? 0 : PAGE, write ? PAGE : 0);
      memcpy (to, &hdr, header);
    }
  if (write)
    {
      memcpy (to + header, page, PAGE);
      memcpy (to + header + 8, &offset, 8);
    }
  conn->out_length += header + (write ? PAGE : 0);
  conn->offset[slot] = offset;
  conn->sent_ns[slot] = clock_ns (CLOCK_MONOTONIC);
}

/* The answer at @at: how long it is, or 0 if it has not come whole. */
static gsize
answer (const guint8 *at, gsize there, gboolean write, guint *slot)
{
  gsize header = nbd ? sizeof (struct nbd_reply)
                     : sizeof (struct hermit_wire_hdr);
  gsize length = header + (write ? 0 : PAGE);

  if (there < length)
    return 0;
  if (nbd)
    {
      struct nbd_reply r;

      memcpy (&r, at, sizeof (r));
      if (r.magic != GUINT32_TO_BE (NBD_REPLY) || r.error)
        g_error ("NBD: a bad answer, error %u", GUINT32_FROM_BE (r.error));
      *slot = r.tag;
    }
  else
    {
      struct hermit_wire_hdr hdr;
      const char *why = "";

      memcpy (&hdr, at, sizeof (hdr));
      if (hermit_wire_check_reply (&hdr, &why) || hdr.status)
        g_error ("a bad answer, status %u: %s", hdr.status, why);
      *slot = le32_to_cpu (hdr.tag);
    }
  if (*slot >= (guint)depth)
    g_error ("an answer to request %u, which was never sent", *slot);
  return length;
}

static void
check_page (const Conn *conn, guint slot, const guint8 *at)
{
  guint64 offset;

  memcpy (&offset, at + 8, 8);
  if (offset != conn->offset[slot])
    g_error ("the page at %" G_GUINT64_FORMAT " says %" G_GUINT64_FORMAT,
             conn->offset[slot], offset);
}

/* ---- a connection ---- */

static void
flush (Conn *conn)
{
  if (!send_all (conn->fd, conn->out, conn->out_length))
    g_error ("port %d: the connection is lost: %s", port, g_strerror (errno));
  conn->out_length = 0;
}

static void
receive (Conn *conn)
{
  ssize_t n = recv (conn->fd, conn->in + conn->in_length,
                    DEPTH_MAX * FRAME_MAX - conn->in_length, 0);

  if (n <= 0)
    g_error ("port %d: the connection is lost: %s", port,
             n ? g_strerror (errno) : "closed by the server");
  conn->in_length += n;
}

/* Take the answers that have come; ask again for each, as long as @next. */
static guint
take_answers (Conn *conn, gboolean write, guint64 (*next) (Conn *))
{
  gint64 now = clock_ns (CLOCK_MONOTONIC);
  gsize at = 0, length;
  guint slot = 0, n = 0;

  while ((length = answer (conn->in + at, conn->in_length - at, write, &slot)))
    {
      if (!write)
        check_page (conn, slot, conn->in + at + length - PAGE);
      if (g_atomic_int_get (&measuring))
        conn->latency[MIN ((now - conn->sent_ns[slot]) / 1000, LATENCY_MAX)]++;
      if (next)
        request (conn, slot, write, next (conn));
      at += length;
      n++;
    }
  conn->in_length -= at;
  memmove (conn->in, conn->in + at, conn->in_length);
  return n;
}

static guint64
next_random (Conn *conn)
{
  conn->random = conn->random * 1664525 + 1013904223;
  return ((guint64)conn->random * pages >> 32) * PAGE;
}

static guint64
next_in_order (Conn *conn)
{
  return (guint64)(conn->random++ % pages) * PAGE;
}

/*
 * As many requests as the point says, until @ops are answered (0: until
 * stopped); then no more are made, and the last answers are waited for.
 */
static void
run (Conn *conn, gboolean write, guint64 (*next) (Conn *), guint32 ops)
{
  guint outstanding = depth, got;

  for (guint slot = 0; slot < (guint)depth; slot++)
    request (conn, slot, write, next (conn));
  while (outstanding)
    {
      gboolean more = ops ? (guint)g_atomic_int_get (&conn->ops) < ops
                          : !g_atomic_int_get (&stopping);

      flush (conn);
      receive (conn);
      got = take_answers (conn, write, more ? next : NULL);
      g_atomic_int_add (&conn->ops, got);
      if (!more)
        outstanding -= got;
    }
}

static gpointer
conn_run (gpointer data)
{
  run (data, writes, next_random, 0);
  return NULL;
}

/* ---- */

static guint64
total_ops (Conn **conn)
{
  guint64 sum = 0;

  for (gint i = 0; i < connections; i++)
    sum += (guint)g_atomic_int_get (&conn[i]->ops);
  return sum;
}

static guint
percentile (Conn **conn, double share)
{
  guint64 all = 0, seen = 0;
  guint us;

  for (us = 0; us <= LATENCY_MAX; us++)
    for (gint i = 0; i < connections; i++)
      all += conn[i]->latency[us];
  for (us = 0; us < LATENCY_MAX; us++)
    {
      for (gint i = 0; i < connections; i++)
        seen += conn[i]->latency[us];
      if (seen >= all * share)
        break;
    }
  return us;
}

static void
measure (Conn **conn)
{
  gint64 begin, own, server = 0;
  clockid_t server_clock = 0;
  guint64 ops;
  double took;

  if (server_pid && clock_getcpuclockid (server_pid, &server_clock))
    g_error ("--server-pid %d: no such process", server_pid);
  g_usleep (WARM_UP_S * G_USEC_PER_SEC);

  begin = clock_ns (CLOCK_MONOTONIC);
  own = clock_ns (CLOCK_PROCESS_CPUTIME_ID);
  if (server_pid)
    server = clock_ns (server_clock);
  ops = total_ops (conn);
  g_atomic_int_set (&measuring, 1);
  g_usleep (seconds * G_USEC_PER_SEC);
  g_atomic_int_set (&measuring, 0);
  ops = total_ops (conn) - ops;
  took = (clock_ns (CLOCK_MONOTONIC) - begin) * 1e-9;
  own = clock_ns (CLOCK_PROCESS_CPUTIME_ID) - own;
  if (server_pid)
    server = clock_ns (server_clock) - server;

  if (!ops)
    g_error ("port %d: no answer in %.1f s", port, took);
  printf ("connections %d depth %d access %s pages/s %.0f server-us %.2f "
          "client-us %.2f p50-us %u p99-us %u\n",
          connections, depth, writes ? "write" : "read", ops / took,
          server / 1e3 / ops, own / 1e3 / ops, percentile (conn, 0.5),
          percentile (conn, 0.99));
  fflush (stdout);
}

static void
run_point (Conn **conn)
{
  g_atomic_int_set (&stopping, 0);
  for (gint i = 0; i < connections; i++)
    {
      memset (conn[i]->latency, 0, sizeof (conn[i]->latency));
      g_atomic_int_set (&conn[i]->ops, 0);
      conn[i]->thread = g_thread_new ("load", conn_run, conn[i]);
    }
  measure (conn);
  g_atomic_int_set (&stopping, 1);
  for (gint i = 0; i < connections; i++)
    g_thread_join (conn[i]->thread);
}

static Conn *
conn_new (Client *client, guint i)
{
  Conn *conn = g_new0 (Conn, 1);

  conn->in = g_malloc (DEPTH_MAX * FRAME_MAX);
  conn->out = g_malloc (DEPTH_MAX * FRAME_MAX);
  if (nbd)
    conn->fd = nbd_connect (client);
  else
    conn->fd = i ? client_join (client) : client_open (client);
  return conn;
}

/* ---- memory that was never touched ---- */

/* Behind what is read. */
static guint64
next_extent (Conn *conn)
{
  return (guint64)pages * PAGE
         + (guint64)(conn->random++ % (guint)new_extents) * HERMIT_EXTENT_SIZE;
}

static void
run_extents (Conn **conn, const char *what)
{
  Conn *reader = conn[0], *writer = conn[1];
  guint late = 0;
  gint64 begin;
  double took;

  memset (reader->latency, 0, sizeof (reader->latency));
  memset (writer->latency, 0, sizeof (writer->latency));
  g_atomic_int_set (&writer->ops, 0);
  writer->random = 0;
  g_atomic_int_set (&stopping, 0);
  reader->thread = g_thread_new ("load", conn_run, reader);
  g_usleep (WARM_UP_S * G_USEC_PER_SEC);

  begin = clock_ns (CLOCK_MONOTONIC);
  g_atomic_int_set (&measuring, 1);
  /* With the one that it asks for before it knows that it has enough. */
  run (writer, TRUE, next_extent, new_extents - 1);
  g_atomic_int_set (&measuring, 0);
  took = (clock_ns (CLOCK_MONOTONIC) - begin) * 1e-9;
  g_atomic_int_set (&stopping, 1);
  g_thread_join (reader->thread);

  for (guint us = LATE_US; us <= LATENCY_MAX; us++)
    late += writer->latency[us];
  printf ("connections 2 access %s pages/s %.0f p50-us %u p99-us %u max-us %u "
          "over-20ms %u beside-p50-us %u beside-p99-us %u\n",
          what, new_extents / took, percentile (&writer, 0.5),
          percentile (&writer, 0.99), percentile (&writer, 1), late,
          percentile (&reader, 0.5), percentile (&reader, 0.99));
  fflush (stdout);
}

/* "4:32:read" */
static void
set_point (const char *text)
{
  char access[6] = "";

  if (sscanf (text, "%d:%d:%5s", &connections, &depth, access) != 3
      || (strcmp (access, "read") && strcmp (access, "write"))
      || connections < 1 || connections > CONNECTIONS_MAX || depth < 1
      || depth > DEPTH_MAX)
    g_error ("'%s' is not CONNECTIONS:DEPTH:read|write, up to %d and %d", text,
             CONNECTIONS_MAX, DEPTH_MAX);
  writes = !strcmp (access, "write");
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (
      "hermit|nbd PORT CONNECTIONS:DEPTH:read|write...");
  g_autoptr (GError) error = NULL;
  Conn *conn[CONNECTIONS_MAX];
  Server server = { 0 };
  Client client;
  gint most = 1;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  if (argc < (new_extents ? 3 : 4) || (strcmp (argv[1], "hermit") && strcmp (argv[1], "nbd")))
    g_error ("say hermit or nbd, the port, and points; see --help");
  nbd = !strcmp (argv[1], "nbd");
  if (new_extents < 0 || new_extents > 1 << 17 || (nbd && new_extents))
    g_error ("--new-extents %d: not 1 to %d of hermit's", new_extents, 1 << 17);
  if (new_extents)
    most = 2;
  server.port = port = atoi (argv[2]);
  if (megabytes < 1 || megabytes > 1 << 19)
    g_error ("--size %d: not 1 to %d", megabytes, 1 << 19);
  pages = (guint32)megabytes << 8;
  for (int i = 3; i < argc; i++)
    {
      set_point (argv[i]);
      most = MAX (most, connections);
    }

  fill_page (page, 0, 0, 1);
  client = client_new (&server, 1, 1,
                       (guint64)pages * PAGE
                           + (guint64)new_extents * HERMIT_EXTENT_SIZE);
  for (gint i = 0; i < most; i++)
    conn[i] = conn_new (&client, i);
  /* Every page is there before anything is measured. */
  depth = 32;
  run (conn[0], TRUE, next_in_order, pages);
  for (gint i = 0; i < most; i++)
    conn[i]->random = 12345 + i * 7919;

  if (new_extents)
    {
      connections = depth = 1;
      writes = FALSE;
      run_extents (conn, "new-extents");
      run_extents (conn, "same-extents");
    }
  for (int i = 3; i < argc; i++)
    {
      set_point (argv[i]);
      run_point (conn);
    }
  return 0;
}
