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
typedef struct
{
  double faults, evictions; /* per second; below 0: not known */
  double p50, p99;          /* us */
} Rates;

static Rates
rates_of (const HermitRegion *now, const HermitRegion *before, double seconds)
{
  static const struct hermit_stats none;
  const struct hermit_stats *st = &now->st,
                            *old = before ? &before->st : &none;
  __u64 hist[HERMIT_HIST_BUCKETS];
  Rates r = { -1, -1 };

  for (guint i = 0; i < HERMIT_HIST_BUCKETS; i++)
    hist[i] = st->fault_hist[i] - old->fault_hist[i];
  r.p50 = hermit_hist_quantile (hist, 0.5) / 1e3;
  r.p99 = hermit_hist_quantile (hist, 0.99) / 1e3;
  if (before)
    {
      r.faults = hermit_hist_count (hist) / seconds;
      r.evictions = (evictions (st) - evictions (old)) / seconds;
    }
  return r;
}

static void
print_row (const HermitRegion *now, const HermitRegion *before, double seconds)
{
  const struct hermit_stats *st = &now->st;
  Rates r = rates_of (now, before, seconds);
  g_autofree char *size = hermit_size_format (st->region_size);
  g_autofree char *limit = hermit_size_format (st->limit);
  g_autofree char *resident
      = hermit_size_format (st->resident * HERMIT_PAGE_SIZE);
  g_autofree char *servers = servers_format (st);
  g_autofree char *remote = hermit_size_format (st->remote * HERMIT_PAGE_SIZE);
  char rate[2][24] = { "-", "-" };

  if (before)
    {
      snprintf (rate[0], sizeof (rate[0]), "%.0f", r.faults);
      snprintf (rate[1], sizeof (rate[1]), "%.0f", r.evictions);
    }
  printf ("%-16.16s %-10.10s %10s %10s %10s %10s %8s %8s %9.1f %9.1f %2u/%-2u "
          "%s",
          now->domain ?: "-", st->name, size, limit, resident, remote, rate[0],
          rate[1], r.p50, r.p99, st->threads_now, st->threads_max, servers);
  if (st->lost)
    printf (" LOST %" G_GUINT64_FORMAT " pages", (guint64)st->lost);
  putchar ('\n');
}

/* The same; what is not known in the first table is null. */
static json_t *
row_to_json (const HermitRegion *now, const HermitRegion *before,
             double seconds)
{
  const struct hermit_stats *st = &now->st;
  Rates r = rates_of (now, before, seconds);
  json_t *servers = json_array ();

  for (guint i = 0; i < st->nr_servers; i++)
    json_array_append_new (
        servers,
        json_string (hermit_server_state_name (st->servers[i].state)));
  return json_pack (
      "{s:s?, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:f, s:i, s:i, "
      "s:o, s:I}",
      "domain", now->domain, "id", st->name, "uuid", now->uuid, "size",
      (json_int_t)st->region_size, "limit", (json_int_t)st->limit, "resident",
      (json_int_t)(st->resident * HERMIT_PAGE_SIZE), "remote",
      (json_int_t)(st->remote * HERMIT_PAGE_SIZE), "faults-per-second",
      before ? json_real (r.faults) : json_null (), "evictions-per-second",
      before ? json_real (r.evictions) : json_null (), "p50-us", r.p50,
      "p99-us", r.p99, "threads", (int)st->threads_now, "threads-max",
      (int)st->threads_max, "servers", servers, "lost",
      (json_int_t)(st->lost * HERMIT_PAGE_SIZE));
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

static void
print_json (GPtrArray *regions, GPtrArray *before, double seconds)
{
  json_t *rows = json_array (), *j;

  for (guint i = 0; i < regions->len; i++)
    {
      const HermitRegion *region = regions->pdata[i];

      json_array_append_new (
          rows, row_to_json (region, find (before, region->uuid), seconds));
    }
  j = json_pack ("{s:I, s:o}", "time", (json_int_t)time (NULL), "regions",
                 rows);
  json_dumpf (j, stdout, JSON_COMPACT);
  putchar ('\n');
  fflush (stdout);
  json_decref (j);
}

gboolean
hermit_top (double interval, int count, gboolean json, GError **error)
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
      (json ? print_json : print_table) (regions, before, (now - last) / 1e6);
      if (before)
        g_ptr_array_unref (before);
      before = regions;
      last = now;
    }
  return TRUE;
}
