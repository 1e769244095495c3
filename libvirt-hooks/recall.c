/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recall.h"

#include <stdio.h>
#include <unistd.h>

#include "region.h"
#include "size.h"

/* Pages in one call of the kernel: some hundred milliseconds. */
#define STEP 4096
/* Pages may leave again before a limit that was raised is in force. */
#define PASSES 3
/* Between two lines that say how far it is. */
#define LINE_SECONDS 2

typedef struct
{
  const char *name;
  guint64 total, home; /* pages */
  gint64 begin, said;  /* us */
} Progress;

static void
say (Progress *p, gboolean last)
{
  gint64 now = g_get_monotonic_time ();
  gboolean tty = isatty (STDERR_FILENO);
  g_autofree char *home = NULL, *total = NULL, *rate = NULL;

  if (!last
      && now - p->said
             < (tty ? G_USEC_PER_SEC / 5 : LINE_SECONDS * G_USEC_PER_SEC))
    return;
  p->said = now;
  p->total = MAX (p->total, p->home);
  home = hermit_size_format (p->home * HERMIT_PAGE_SIZE);
  total = hermit_size_format (p->total * HERMIT_PAGE_SIZE);
  rate = hermit_size_format (p->home * HERMIT_PAGE_SIZE
                             / ((now - p->begin) / 1e6 + 1e-6));
  fprintf (stderr, "%s%s: %s of %s are back, %s/s%s", tty ? "\r\033[K" : "",
           p->name, home, total, rate, tty && !last ? "" : "\n");
  fflush (stderr);
}

static gboolean
recall_pass (const HermitRegion *r, Progress *p, GError **error)
{
  guint64 pages = r->st.region_size / HERMIT_PAGE_SIZE, next = 0, fetched;

  while (next < pages)
    {
      g_autoptr (GError) local = NULL;
      gboolean ok
          = hermit_device_recall ((const unsigned char *)r->st.uuid, &next,
                                  MIN (pages - next, STEP), &fetched, &local);

      p->home += fetched;
      if (ok)
        {
          say (p, FALSE);
          continue;
        }
      if (!g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_AGAIN))
        {
          g_propagate_prefixed_error (error, g_steal_pointer (&local),
                                      "%s: ", r->st.name);
          return FALSE;
        }
      fprintf (stderr, "hermitctl: %s: %s; trying again\n", r->st.name,
               local->message);
    }
  return TRUE;
}

gboolean
hermit_recall (GPtrArray *regions, GError **error)
{
  for (guint i = 0; i < regions->len; i++)
    {
      HermitRegion *r = regions->pdata[i];
      gint64 now = g_get_monotonic_time ();
      Progress p = {
        .name = r->st.name, .total = r->st.remote, .begin = now, .said = now
      };
      guint pass = 0;

      do
        if (!recall_pass (r, &p, error)
            || !hermit_device_stats ((const unsigned char *)r->st.uuid, &r->st,
                                     error))
          return FALSE;
      while (r->st.remote && ++pass < PASSES);
      say (&p, TRUE);
      if (r->st.remote)
        {
          g_autofree char *left
              = hermit_size_format (r->st.remote * HERMIT_PAGE_SIZE);

          g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                       "%s: %s are still remote; is the limit lowered "
                       "meanwhile?",
                       r->st.name, left);
          return FALSE;
        }
    }
  return TRUE;
}
