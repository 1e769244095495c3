/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_ADVISE_H
#define HERMIT_ADVISE_H
/*
 * Which limit would do: from the ages of a VM's pages, which the module knows
 * by a sample of accessed bits.
 */
#include <glib.h>

#include "uapi/hermit.h"

/*
 * Pages by age, all regions of a VM together. Bucket 0: accessed within the
 * last period; i: 2^(i-1) up to 2^i periods ago; the last: any time before.
 */
typedef struct
{
  guint64 pages[HERMIT_IDLE_BUCKETS];
  double period; /* seconds */
} HermitAges;

/* How many pages were accessed within the periods of buckets 0 to @i. */
guint64 hermit_ages_keep (const HermitAges *ages, guint i);
/* Seconds ago that the younger of them were accessed; infinity for the last.
 */
double hermit_ages_seconds (const HermitAges *ages, guint i);
/* Faults per second to expect if just these pages are kept. */
double hermit_ages_faults (const HermitAges *ages, guint i);
/* The least @i with at most @faults per second; the last bucket has none. */
guint hermit_ages_choose (const HermitAges *ages, double faults);

/*
 * Print which limits of @regions (HermitRegion, of one VM) go with how many
 * faults, and the one for at most @faults per second; or all that as JSON.
 */
gboolean hermit_advise (GPtrArray *regions, double faults, gboolean json,
                        GError **error);

#endif
