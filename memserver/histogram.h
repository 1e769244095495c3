/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_HISTOGRAM_H
#define HERMIT_HISTOGRAM_H

#include <glib.h>
#include <stdatomic.h>

/* Times up to each of hermit_histogram_bounds[], in us, and longer ones. */
#define HERMIT_HISTOGRAM_BOUNDS 16
extern const guint32 hermit_histogram_bounds[HERMIT_HISTOGRAM_BOUNDS];

/* Any thread. All zeros is an empty one. */
typedef struct
{
  _Atomic guint64 counts[HERMIT_HISTOGRAM_BOUNDS + 1];
  _Atomic guint64 sum; /* us */
} HermitHistogram;

/* @n things took @us each. */
void hermit_histogram_add (HermitHistogram *histogram, gint64 us, guint n);

#endif /* HERMIT_HISTOGRAM_H */
