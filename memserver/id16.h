/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_ID16_H
#define HERMIT_ID16_H
/* For a GHashTable whose keys are 16 bytes: UUIDs, and hosts' addresses. */
#include <glib.h>

guint hermit_id16_hash (gconstpointer id);
gboolean hermit_id16_equal (gconstpointer a, gconstpointer b);

#endif /* HERMIT_ID16_H */
