/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DEVICE_H
#define HERMIT_DEVICE_H
/*
 * /dev/hermit, from outside of the VMs: which regions there are, their
 * statistics, their limit and policy. Nothing here keeps a region alive or
 * waits for a QEMU, whatever state that is in.
 */
#include <glib.h>

#include "region-uuid.h"
#include "uapi/hermit.h"

#define HERMIT_DEVICE "/dev/hermit"

/* The regions of this host, struct hermit_list_entry each; free the array. */
GArray *hermit_device_list (GError **error);
/*
 * G_FILE_ERROR_NOENT if there is no such region (any more). What an older
 * kernel does not tell is 0.
 */
gboolean hermit_device_stats (const HermitUuid region, struct hermit_stats *st,
                              GError **error);
/* The kernel's own sentence is the error. Does not wait for reclaim. */
gboolean hermit_device_set_limit (const HermitUuid region, guint64 limit,
                                  GError **error);
/*
 * Set what policy->set names; the policy in force comes back, with nothing
 * set by a policy->set of 0.
 */
gboolean hermit_device_policy (const HermitUuid region,
                               struct hermit_policy *policy, GError **error);
/* Change a server, of a running VM; seconds. The kernel's own sentence is the error. */
gboolean hermit_device_change_server (const HermitUuid region,
                                      struct hermit_server_change *change,
                                      GError **error);
/*
 * Bring home what is remote of @pages pages from *@next on, and move *@next
 * on. G_FILE_ERROR_AGAIN if a page did not come for some seconds.
 */
gboolean hermit_device_recall (const HermitUuid region, guint64 *next,
                               guint64 pages, guint64 *fetched,
                               GError **error);
/*
 * How long its vCPUs waited, struct hermit_vcpu_entry each; free the array. NULL
 * if the module does not say.
 */
GArray *hermit_device_vcpus (const HermitUuid region);

#endif
