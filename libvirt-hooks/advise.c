/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a limit costs, by a law of steady states: as many pages come back from
 * beyond an age as grow beyond it, and that is how many there are of that age.
 * So if the youngest pages are kept, the faults per period are the pages of
 * the age where the rest begins, for each period of it.
 */
#include "advise.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "region.h"
#include "size.h"

#define LAST (HERMIT_IDLE_BUCKETS - 1)
/*
 * More than the pages that the guest works with: those that are about to
 * leave, and ready ones for the next faults.
 */
#define HEADROOM 1.2

guint64
hermit_ages_keep (const HermitAges *ages, guint i)
{
  guint64 n = 0;

  for (guint j = 0; j <= i; j++)
    n += ages->pages[j];
  return n;
}

double
hermit_ages_seconds (const HermitAges *ages, guint i)
{
  return i == LAST ? INFINITY : ages->period * (1u << i);
}

double
hermit_ages_faults (const HermitAges *ages, guint i)
{
  double most = 0;

  /*
   * A bucket is as wide as all before it. A sample is uneven, so what counts
   * is the most that there are of any age beyond. The last bucket is wider
   * than that by nobody knows how much: fewer faults then.
   */
  for (guint j = i + 1; j <= LAST; j++)
    most = MAX (most, (double)ages->pages[j] / (1u << (j - 1)));
  return most / ages->period;
}

guint
hermit_ages_choose (const HermitAges *ages, double faults)
{
  guint i = 0;

  while (i < LAST && hermit_ages_faults (ages, i) > faults)
    i++;
  return i;
}

static gboolean
sum_up (GPtrArray *regions, HermitAges *ages, struct hermit_stats *sum,
        GError **error)
{
  for (guint i = 0; i < regions->len; i++)
    {
      const struct hermit_stats *st
          = &((const HermitRegion *)regions->pdata[i])->st;

      if (!st->idle_period_ns)
        {
          g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                       "%s: nothing is known of its working set: KVM is not "
                       "patched (mode %s), or the guest has run a VM of its "
                       "own, or it started a moment ago, or idle_period_ms "
                       "of hermit.ko is 0",
                       st->name, hermit_mode_name (st->mode));
          return FALSE;
        }
      ages->period = MAX (ages->period, st->idle_period_ns / 1e9);
      for (guint j = 0; j < HERMIT_IDLE_BUCKETS; j++)
        ages->pages[j] += st->idle_hist[j];
      sum->region_size += st->region_size;
      sum->limit += st->limit;
      sum->floor += st->floor;
      sum->idle_sampled += st->idle_sampled;
    }
  return TRUE;
}

/* A share that hermitctl set takes, in hundredths, never too little. */
static double
ratio_of (guint64 bytes, const struct hermit_stats *sum)
{
  double share = ceil (100.0 * bytes / sum->region_size) / 100;

  return CLAMP (share, 0.01, 1);
}

static guint64
advised (const HermitAges *ages, guint i, const struct hermit_stats *sum)
{
  guint64 bytes = hermit_ages_keep (ages, i) * HERMIT_PAGE_SIZE * HEADROOM;

  return CLAMP (bytes, sum->floor, sum->region_size);
}

static void
print_json (const HermitAges *ages, const struct hermit_stats *sum, guint best)
{
  json_t *rows = json_array (), *j;

  for (guint i = 0; i < HERMIT_IDLE_BUCKETS; i++)
    {
      guint64 keep = hermit_ages_keep (ages, i) * HERMIT_PAGE_SIZE;

      j = json_pack ("{s:I, s:f, s:f}", "keep", (json_int_t)keep, "ratio",
                     ratio_of (keep, sum), "faults",
                     hermit_ages_faults (ages, i));
      if (i < LAST)
        json_object_set_new (j, "seconds",
                             json_real (hermit_ages_seconds (ages, i)));
      json_array_append_new (rows, j);
    }
  j = json_pack ("{s:I, s:I, s:I, s:o, s:{s:I, s:f, s:f}}", "size",
                 (json_int_t)sum->region_size, "limit", (json_int_t)sum->limit,
                 "sampled", (json_int_t)(sum->idle_sampled * HERMIT_PAGE_SIZE),
                 "ages", rows, "advice", "limit",
                 (json_int_t)advised (ages, best, sum), "ratio",
                 ratio_of (advised (ages, best, sum), sum), "faults",
                 hermit_ages_faults (ages, best));
  json_dumpf (j, stdout, JSON_INDENT (2));
  putchar ('\n');
  json_decref (j);
}

static void
print_text (const char *name, const HermitAges *ages,
            const struct hermit_stats *sum, guint best)
{
  g_autofree char *size = hermit_size_format (sum->region_size);
  g_autofree char *limit = hermit_size_format (sum->limit);
  g_autofree char *touched
      = hermit_size_format (hermit_ages_keep (ages, LAST) * HERMIT_PAGE_SIZE);
  g_autofree char *best_limit = hermit_size_format (advised (ages, best, sum));

  printf ("%s: %s, %s of it in use, limit now %s\n", name, size, touched,
          limit);
  printf ("%12s %6s  %-16s %s\n", "KEEP", "RATIO", "ACCESSED WITHIN",
          "FAULTS/s EXPECTED");
  for (guint i = 0; i < HERMIT_IDLE_BUCKETS; i++)
    {
      guint64 keep = hermit_ages_keep (ages, i) * HERMIT_PAGE_SIZE;
      g_autofree char *text = hermit_size_format (keep);
      char within[32] = "any time";

      if (i < LAST)
        snprintf (within, sizeof (within), "%.0f s",
                  hermit_ages_seconds (ages, i));
      printf ("%12s %6.2f  %-16s %.0f\n", text, ratio_of (keep, sum), within,
              hermit_ages_faults (ages, i));
    }
  printf ("advice: hermitctl set %s --ratio %.2f    (%s, about %.0f faults "
          "per second)\n",
          name, ratio_of (advised (ages, best, sum), sum), best_limit,
          hermit_ages_faults (ages, best));
}

gboolean
hermit_advise (GPtrArray *regions, double faults, gboolean json,
               GError **error)
{
  const HermitRegion *first = regions->pdata[0];
  struct hermit_stats sum = { 0 };
  HermitAges ages = { 0 };
  guint best;

  if (!sum_up (regions, &ages, &sum, error))
    return FALSE;
  best = hermit_ages_choose (&ages, faults);
  if (json)
    print_json (&ages, &sum, best);
  else
    print_text (first->domain ?: first->uuid, &ages, &sum, best);
  return TRUE;
}
