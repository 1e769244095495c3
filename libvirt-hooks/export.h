/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_EXPORT_H
#define HERMITCTL_EXPORT_H
/*
 * The figures in Prometheus' text format, as node_exporter's textfile collector
 * reads it: a metric hermit_NAME for each figure, with the region as labels
 * domain, region and uuid.
 */
#include <glib.h>

/* Of HermitRegion pointers; free the text. */
char *hermit_export (GPtrArray *regions);

#endif
