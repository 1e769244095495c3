/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is given back at once, over TCP on this machine: does anybody wait
 * for it to be freed?
 *
 *   give-back PORT
 *
 * One connection reads pages at random out of 64 MiB, one at a time. Another one
 * of the same client fills what lies behind, and gives it back by DISCARDs of
 * 16 MiB that are sent together; so a few times. At the end it is filled once
 * more, and the region is ended. Lines of NAME FIGURE pairs: the reads alone,
 * then, for each time, when the first and the last answer came and the reads
 * meanwhile, and how long END took.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define READ_SIZE (64 * MIB)
#define DISCARD (16 * MIB)
#define BATCH 32
/* The longest that is told apart, us. */
#define LATENCY_MAX 100000

static gint discards = 256, rounds = 5;
static double seconds = 2;

static const GOptionEntry options[] = {
  { "discards", 0, 0, G_OPTION_ARG_INT, &discards, "Sent together", "N" },
  { "rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "How often", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "To read alone", "S" },
  { NULL }
};

/* ---- the reader ---- */

typedef struct
{
  int fd;
  gint measuring, stopping; /* atomic */
  guint latency[LATENCY_MAX + 1];
} Reader;

static gpointer
reader_run (gpointer data)
{
  Reader *r = data;
  guint8 page[PAGE];
  GRand *rand = g_rand_new_with_seed (1);

  while (!g_atomic_int_get (&r->stopping))
    {
      guint64 offset
          = (guint64)g_rand_int_range (rand, 0, READ_SIZE / PAGE) * PAGE;
      gint64 since = g_get_monotonic_time ();
      gint measured = g_atomic_int_get (&r->measuring);

      if (do_read (r->fd, offset, page) != HERMIT_WIRE_OK
          || !page_is (page, 1, offset, 1))
        g_error ("the page at %" G_GUINT64_FORMAT " is not what was written",
                 offset);
      /* Also one that was under way when it began, or ended. */
      if (measured || g_atomic_int_get (&r->measuring))
        r->latency[MIN (g_get_monotonic_time () - since, LATENCY_MAX)]++;
    }
  g_rand_free (rand);
  return NULL;
}

static guint
percentile (const Reader *r, guint64 all, double share)
{
  guint64 seen = 0;
  guint us = 0;

  while (us < LATENCY_MAX && (seen += r->latency[us]) < all * share)
    us++;
  return us;
}

/* What was measured until now, which is forgotten. */
static void
reader_tell (Reader *r)
{
  guint64 all = 0;

  for (guint us = 0; us <= LATENCY_MAX; us++)
    all += r->latency[us];
  printf ("reads %" G_GUINT64_FORMAT " p50-us %u p99-us %u max-us %u\n", all,
          percentile (r, all, 0.5), percentile (r, all, 0.99),
          percentile (r, all, 1));
  fflush (stdout);
  memset (r->latency, 0, sizeof (r->latency));
}

/* ---- the giver ---- */

static void
receive_reply (int fd)
{
  struct hermit_wire_hdr hdr;

  if (!receive_all (fd, &hdr, sizeof (hdr)))
    g_error ("the connection is lost: %s", g_strerror (errno));
  if (hdr.status)
    g_error ("status %u", hdr.status);
}

/* Write the pages in [@at, @end). */
static void
fill (int fd, guint64 at, guint64 end)
{
  g_autofree guint8 *frames = g_malloc (BATCH * FRAME_MAX);
  guint8 page[PAGE];

  for (; at < end; at += BATCH * PAGE)
    {
      gsize length = 0;

      for (guint i = 0; i < BATCH; i++)
        {
          fill_page (page, 1, at + i * PAGE, 1);
          length += make_frame (frames + length, HERMIT_MSG_WRITE, i,
                                at + i * PAGE, page);
        }
      if (!send_all (fd, frames, length))
        g_error ("the connection is lost: %s", g_strerror (errno));
      for (guint i = 0; i < BATCH; i++)
        receive_reply (fd);
    }
}

static void
give_back (int fd, Reader *reader)
{
  gsize size = (gsize)discards * sizeof (struct hermit_wire_hdr);
  g_autofree struct hermit_wire_hdr *frames = g_malloc0 (size);
  gint64 since, first = 0, last;

  for (gint i = 0; i < discards; i++)
    hermit_wire_fill (&frames[i], HERMIT_MSG_DISCARD, (guint32)i,
                      READ_SIZE + (guint64)i * DISCARD, DISCARD, 0);
  g_atomic_int_set (&reader->measuring, 1);
  since = g_get_monotonic_time ();
  if (!send_all (fd, frames, size))
    g_error ("the connection is lost: %s", g_strerror (errno));
  for (gint i = 0; i < discards; i++)
    {
      receive_reply (fd);
      if (!i)
        first = g_get_monotonic_time ();
    }
  last = g_get_monotonic_time ();
  g_atomic_int_set (&reader->measuring, 0);
  printf ("discards %d first-us %" G_GINT64_FORMAT " last-us %" G_GINT64_FORMAT
          " beside ",
          discards, first - since, last - since);
  reader_tell (reader);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("PORT");
  g_autoptr (GError) error = NULL;
  Server server = { 0 };
  Reader reader = { 0 };
  GThread *thread;
  Client client;
  guint64 end;
  gint64 since;
  int fd;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  if (argc != 2 || discards < 1 || discards > 4096)
    g_error ("say the port, and 1 to 4096 --discards; see --help");
  server.port = (guint)atoi (argv[1]);
  end = READ_SIZE + (guint64)discards * DISCARD;
  client = client_new (&server, 1, 1, end);
  fd = client_open (&client);
  reader.fd = client_join (&client);
  fill (fd, 0, READ_SIZE);

  thread = g_thread_new ("reader", reader_run, &reader);
  reader.measuring = 1;
  g_usleep ((gulong)(seconds * G_USEC_PER_SEC));
  g_atomic_int_set (&reader.measuring, 0);
  printf ("alone ");
  reader_tell (&reader);
  for (gint i = 0; i < rounds; i++)
    {
      fill (fd, READ_SIZE, end);
      give_back (fd, &reader);
    }
  g_atomic_int_set (&reader.stopping, 1);
  g_thread_join (thread);

  fill (fd, READ_SIZE, end);
  since = g_get_monotonic_time ();
  if (do_end (fd) != HERMIT_WIRE_OK)
    g_error ("it is not ended");
  printf ("end-of-MiB %llu us %" G_GINT64_FORMAT,
          (unsigned long long)(end / MIB), g_get_monotonic_time () - since);
  since = g_get_monotonic_time ();
  client = client_new (&server, 1, 2, end);
  fd = client_open (&client);
  printf (" again-us %" G_GINT64_FORMAT "\n", g_get_monotonic_time () - since);
  if (do_end (fd) != HERMIT_WIRE_OK)
    g_error ("it is not ended");
  return 0;
}
