/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DEVICE_H
#define HERMIT_DEVICE_H
/*
 * /dev/hermit, from outside of the VMs: which regions there are, their
 * statistics, their limit. Nothing here keeps a region alive or waits for a
 * QEMU, whatever state that is in.
 */
#include <glib.h>

#include "region-uuid.h"
#include "uapi/hermit.h"

#define HERMIT_DEVICE "/dev/hermit"

/* The regions of this host, struct hermit_list_entry each; free the array. */
GArray *hermit_device_list (GError **error);
/* G_FILE_ERROR_NOENT if there is no such region (any more). */
gboolean hermit_device_stats (const HermitUuid region, struct hermit_stats *st,
                              GError **error);
/* The kernel's own sentence is the error. Does not wait for reclaim. */
gboolean hermit_device_set_limit (const HermitUuid region, guint64 limit,
                                  GError **error);

#endif
