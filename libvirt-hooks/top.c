/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "top.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "region.h"
#include "size.h"

static guint64
evictions (const struct hermit_stats *st)
{
  return st->evicted_clean + st->evicted_dirty + st->evicted_zero;
}

/* The state of all of them, or how many are as they should be. */
static char *
servers_format (const struct hermit_stats *st)
{
  guint up = 0;

  for (guint i = 0; i < st->nr_servers; i++)
    up += st->servers[i].state == HERMIT_SERVER_UP;
  if (st->nr_servers > 1 && up < st->nr_servers)
    return g_strdup_printf ("%u/%u up", up, st->nr_servers);
  return g_strdup (st->nr_servers
                       ? hermit_server_state_name (st->servers[0].state)
                       : "-");
}

/* What happened between two looks; since the start without an earlier one. */
static void
print_row (const HermitRegion *now, const HermitRegion *before, double seconds)
{
  static const struct hermit_stats none;
  const struct hermit_stats *st = &now->st,
                            *old = before ? &before->st : &none;
  __u64 hist[HERMIT_HIST_BUCKETS];
  guint64 faults;
  g_autofree char *size = hermit_size_format (st->region_size);
  g_autofree char *limit = hermit_size_format (st->limit);
  g_autofree char *resident
      = hermit_size_format (st->resident * HERMIT_PAGE_SIZE);
  g_autofree char *servers = servers_format (st);
  g_autofree char *remote = hermit_size_format (st->remote * HERMIT_PAGE_SIZE);
  char rate[2][24] = { "-", "-" };

  for (guint i = 0; i < HERMIT_HIST_BUCKETS; i++)
    hist[i] = st->fault_hist[i] - old->fault_hist[i];
  faults = hermit_hist_count (hist);
  if (before)
    {
      snprintf (rate[0], sizeof (rate[0]), "%.0f", faults / seconds);
      snprintf (rate[1], sizeof (rate[1]), "%.0f",
                (evictions (st) - evictions (old)) / seconds);
    }
  printf ("%-16.16s %-10.10s %10s %10s %10s %10s %8s %8s %9.1f %9.1f %2u/%-2u "
          "%s",
          now->domain ?: "-", st->name, size, limit, resident, remote, rate[0],
          rate[1], hermit_hist_quantile (hist, 0.5) / 1e3,
          hermit_hist_quantile (hist, 0.99) / 1e3, st->threads_now,
          st->threads_max, servers);
  if (st->lost)
    printf (" LOST %" G_GUINT64_FORMAT " pages", (guint64)st->lost);
  putchar ('\n');
}

static const HermitRegion *
find (GPtrArray *regions, const char *uuid)
{
  for (guint i = 0; regions && i < regions->len; i++)
    if (!strcmp (((HermitRegion *)regions->pdata[i])->uuid, uuid))
      return regions->pdata[i];
  return NULL;
}

static void
print_table (GPtrArray *regions, GPtrArray *before, double seconds)
{
  time_t t = time (NULL);
  char clock[16];

  /* home, and clear what the shorter table of before leaves */
  if (isatty (STDOUT_FILENO))
    fputs ("\033[H\033[J", stdout);
  strftime (clock, sizeof (clock), "%T", localtime (&t));
  printf ("%s  %u regions\n", clock, regions->len);
  printf ("%-16s %-10s %10s %10s %10s %10s %8s %8s %9s %9s %5s %s\n", "DOMAIN",
          "REGION", "SIZE", "LIMIT", "RESIDENT", "REMOTE", "FAULTS/s",
          "EVICT/s", "P50 us", "P99 us", "THR", "SERVER");
  for (guint i = 0; i < regions->len; i++)
    {
      const HermitRegion *region = regions->pdata[i];

      print_row (region, find (before, region->uuid), seconds);
    }
  fflush (stdout);
}

gboolean
hermit_top (double interval, int count, GError **error)
{
  g_autoptr (GPtrArray) before = NULL;
  gint64 last = 0;

  for (int i = 0; !count || i < count; i++)
    {
      GPtrArray *regions;
      gint64 now;

      if (i)
        g_usleep (interval * G_USEC_PER_SEC);
      now = g_get_monotonic_time ();
      regions = hermit_regions_find (NULL, error);
      if (!regions)
        return FALSE;
      print_table (regions, before, (now - last) / 1e6);
      if (before)
        g_ptr_array_unref (before);
      before = regions;
      last = now;
    }
  return TRUE;
}
