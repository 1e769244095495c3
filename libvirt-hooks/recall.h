/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_RECALL_H
#define HERMITCTL_RECALL_H
#include <glib.h>

/*
 * Bring home all remote pages of @regions (HermitRegion), whose limits have
 * room for them, and say on stderr how far it is. Pages that do not come are
 * asked for again, until a signal ends the program.
 */
gboolean hermit_recall (GPtrArray *regions, GError **error);

#endif
