/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spin.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With more at a time there is enough to do to be worth a wake-up. */
#define REQUESTS_MAX 4
/* A gap counts as this at most, so that an idle hour is soon forgotten. */
#define GAP_MAX_US 1000
/* How often to ask how many threads want a processor. */
#define LOOK_US 10000

/* All connections share one look; a race costs one more. */
static _Atomic gint64 looked_at;
static _Atomic gboolean crowded;

/* The fourth field of /proc/loadavg: RUNNABLE/ALL, the reader included. */
static gboolean
look_for_crowd (void)
{
  char text[128];
  int fd = open ("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, text, sizeof (text) - 1) : -1;
  const char *at;

  if (fd >= 0)
    close (fd);
  if (n <= 0)
    return TRUE; /* nobody tells: leave the processors to others */
  text[n] = '\0';
  at = strchr (text, '/');
  while (at && at > text && g_ascii_isdigit (at[-1]))
    at--;
  return !at || strtoul (at, NULL, 10) > g_get_num_processors ();
}

static gboolean
is_crowded (void)
{
  gint64 now = g_get_monotonic_time ();

  if (now - atomic_load_explicit (&looked_at, memory_order_relaxed) > LOOK_US)
    {
      atomic_store (&looked_at, now);
      atomic_store (&crowded, look_for_crowd ());
    }
  return atomic_load_explicit (&crowded, memory_order_relaxed);
}

gboolean
hermit_spin_pays (HermitSpin *spin, guint requests)
{
  return requests <= REQUESTS_MAX && spin->known
         && spin->gap_us / 8 < HERMIT_SPIN_US && !is_crowded ();
}

void
hermit_spin_learn (HermitSpin *spin, gint64 gap)
{
  guint us = (guint)CLAMP (gap, 0, GAP_MAX_US);

  if (!spin->known)
    spin->gap_us = GAP_MAX_US * 8;
  spin->known = TRUE;
  spin->gap_us = spin->gap_us - spin->gap_us / 8 + us;
}
