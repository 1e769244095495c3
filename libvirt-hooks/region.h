/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_REGION_H
#define HERMITCTL_REGION_H
/* A region as hermitctl shows it: the kernel's figures and whose it is. */
#include <glib.h>
#include <jansson.h>

#include "device.h"

typedef struct
{
  char *domain; /* its name; NULL for a QEMU that libvirt does not run */
  char uuid[HERMIT_UUID_TEXT];
  struct hermit_stats st;
} HermitRegion;

void hermit_region_free (HermitRegion *region);

/*
 * The regions of @which: a domain by name or UUID, a region by UUID or by the
 * id of its object if that is unique; NULL: all. By domain, then by name.
 * FALSE as well if there is none of @which.
 */
GPtrArray *hermit_regions_find (const char *which, GError **error);

/* Nanoseconds within which @share of the faults in @hist were done. */
guint64 hermit_hist_quantile (const __u64 hist[HERMIT_HIST_BUCKETS],
                              double share);
guint64 hermit_hist_count (const __u64 hist[HERMIT_HIST_BUCKETS]);

/* The name of the @i-th counter, and its value; NULL behind the last one. */
const char *hermit_region_counter (const struct hermit_stats *st, guint i,
                                   guint64 *value);

const char *hermit_mode_name (guint32 mode);
const char *hermit_server_state_name (guint32 state);

json_t *hermit_region_to_json (const HermitRegion *region);
void hermit_region_print (const HermitRegion *region);

/* The same of its servers alone. */
json_t *hermit_region_servers_to_json (const HermitRegion *region);
void hermit_region_print_servers (const HermitRegion *region);

#endif
