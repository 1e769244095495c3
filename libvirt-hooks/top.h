/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_TOP_H
#define HERMITCTL_TOP_H
#include <glib.h>

/*
 * A table of all regions every @interval seconds, or an object of JSON in a line;
 * @count 0: until a signal.
 */
gboolean hermit_top (double interval, int count, gboolean json,
                     GError **error);

#endif
