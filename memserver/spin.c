/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spin.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* With more at a time there is enough to do to be worth a wake-up. */
#define REQUESTS_MAX 4
/* The share of looks while which a request came is of this; of the last sixteen. */
#define SPIN_ALL 4096
#define SPIN_OF 16
/* What one try that was not in vain makes of it: enough for some more. */
#define SPIN_TRIED (SPIN_ALL * 3 / 4)
/* Gaps until a look is tried; and after many tries. */
#define PATIENCE_MIN 32
#define PATIENCE_MAX 4096
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
  gboolean most_came = spin->came > SPIN_ALL / 2;

  spin->tries
      = !most_came && spin->unknown >= MAX (spin->patience, PATIENCE_MIN);
  return requests <= REQUESTS_MAX && (most_came || spin->tries)
         && !is_crowded ();
}

static void
spin_learn_try (HermitSpin *spin, gboolean came)
{
  spin->patience = MIN (2 * MAX (spin->patience, PATIENCE_MIN), PATIENCE_MAX);
  if (came)
    spin->came = SPIN_TRIED;
}

gboolean
hermit_spin_goes_on (HermitSpin *spin, gint64 us)
{
  struct rusage usage;

  if (us < HERMIT_SPIN_AWAY_US || getrusage (RUSAGE_THREAD, &usage) < 0
      || usage.ru_nivcsw == spin->switches)
    return TRUE;
  spin->switches = usage.ru_nivcsw;
  atomic_store (&crowded, TRUE);
  atomic_store (&looked_at, g_get_monotonic_time ());
  return FALSE;
}

void
hermit_spin_learn (HermitSpin *spin, gint64 gap, gboolean looked)
{
  gboolean came = gap < HERMIT_SPIN_US;

  if (!looked && !came && gap < HERMIT_SPIN_SLEPT_US)
    {
      spin->unknown++;
      return;
    }
  spin->unknown = 0;
  if (looked && spin->tries)
    spin_learn_try (spin, came);
  else
    spin->came += (came ? SPIN_ALL / SPIN_OF : 0) - spin->came / SPIN_OF;
  /* It lasts. */
  if (spin->came > SPIN_ALL * 7 / 8)
    spin->patience = 0;
}
