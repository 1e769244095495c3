/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SIZE_H
#define HERMIT_SIZE_H
/* Sizes and ratios as people write them. */
#include <glib.h>

#define HERMIT_PAGE_SIZE 4096

/* "512M", "2GiB", "1048576"; above 0, in whole pages after rounding down. */
gboolean hermit_size_parse (const char *text, guint64 *size, GError **error);
/* "0.25" or "25%": above 0, at most 1. */
gboolean hermit_ratio_parse (const char *text, double *ratio, GError **error);
/* "512.0 MiB", always binary; free it. */
char *hermit_size_format (guint64 size);
/* Rounded down to whole pages. */
guint64 hermit_ratio_of (guint64 size, double ratio);

#endif
