/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_LIMIT_H
#define HERMITCTL_LIMIT_H
#include <glib.h>

#include "uapi/hermit.h"

/*
 * Give all @regions (HermitRegion) @limit bytes together, split by size; or
 * each @ratio of its size, if that is not 0.
 */
gboolean hermit_limit_apply (GPtrArray *regions, guint64 limit, double ratio,
                             GError **error);

/* Change what policy->set names in all @regions. */
gboolean hermit_policy_apply (GPtrArray *regions,
                              const struct hermit_policy *policy,
                              GError **error);

#endif
