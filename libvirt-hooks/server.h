/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_SERVER_H
#define HERMITCTL_SERVER_H
#include <glib.h>

/*
 * "add", "drop", "drain" or "undrain" the memory server @address of all
 * @regions (HermitRegion), as HERMIT_CHANGE_SERVER says: one after another, up
 * to the first that refuses. @force: drop it with what only it has. @key_file:
 * for "add", or NULL.
 */
gboolean hermit_server_apply (GPtrArray *regions, const char *what,
                              const char *address, gboolean force,
                              const char *key_file, GError **error);

#endif
