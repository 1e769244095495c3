/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_TOP_H
#define HERMITCTL_TOP_H
#include <glib.h>

/* A table of all regions every @interval seconds; @count 0: until a signal. */
gboolean hermit_top (double interval, int count, GError **error);

#endif
