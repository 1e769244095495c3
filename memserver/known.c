/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "known.h"

#include "id16.h"

#define KNOWN_MAX 4096

struct HermitKnown
{
  GHashTable *hosts; /* host -> when its last client came */
};

HermitKnown *
hermit_known_new (void)
{
  HermitKnown *known = g_new (HermitKnown, 1);

  known->hosts = g_hash_table_new_full (hermit_id16_hash, hermit_id16_equal,
                                        g_free, g_free);
  return known;
}

void
hermit_known_free (HermitKnown *known)
{
  g_hash_table_unref (known->hosts);
  g_free (known);
}

/* Forget the host whose last client is the longest ago. */
static void
known_forget (HermitKnown *known)
{
  gpointer host, when, oldest = NULL;
  gint64 since = G_MAXINT64;
  GHashTableIter iter;

  g_hash_table_iter_init (&iter, known->hosts);
  while (g_hash_table_iter_next (&iter, &host, &when))
    if (*(gint64 *)when < since)
      {
        since = *(gint64 *)when;
        oldest = host;
      }
  g_hash_table_remove (known->hosts, oldest);
}

void
hermit_known_add (HermitKnown *known, const guint8 host[16])
{
  gint64 *now = g_new (gint64, 1);

  *now = g_get_monotonic_time ();
  g_hash_table_replace (known->hosts, g_memdup2 (host, 16), now);
  if (g_hash_table_size (known->hosts) > KNOWN_MAX)
    known_forget (known);
}

gboolean
hermit_known_has (HermitKnown *known, const guint8 host[16])
{
  return g_hash_table_contains (known->hosts, host);
}

guint
hermit_known_count (HermitKnown *known)
{
  return g_hash_table_size (known->hosts);
}
