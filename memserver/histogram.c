/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "histogram.h"

/* From a page by a near client's connection to the client's own deadline. */
const guint32 hermit_histogram_bounds[HERMIT_HISTOGRAM_BOUNDS]
    = { 10,    25,    50,     100,    250,     500,     1000,    2500,
        5000,  10000, 25000,  50000,  100000,  250000,  500000,  1000000 };

void
hermit_histogram_add (HermitHistogram *histogram, gint64 us, guint n)
{
  guint i = 0;

  /* Most are short. */
  while (i < HERMIT_HISTOGRAM_BOUNDS && us > hermit_histogram_bounds[i])
    i++;
  atomic_fetch_add_explicit (&histogram->counts[i], n, memory_order_relaxed);
  atomic_fetch_add_explicit (&histogram->sum, (guint64)us * n,
                             memory_order_relaxed);
}
