/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_POLICY_H
#define HERMIT_POLICY_H
/*
 * The techniques' switches of a region, by the names that they have as
 * properties of QEMU's hermit-memory, and their values as text: in a domain's
 * XML, on the command line, in JSON.
 */
#include <glib.h>
#include <jansson.h>

#include "uapi/hermit.h"

/* The name of the @i-th switch, or NULL: there are no more. */
const char *hermit_policy_name (guint i);

/* Set it in @policy; the kernel says whether the number is in its range. */
gboolean hermit_policy_set (struct hermit_policy *policy, const char *name,
                            const char *value, GError **error);

/* "on", "off", "auto" or a number, as a word that is not known; free it. */
char *hermit_policy_text (const struct hermit_policy *policy,
                          const char *name);
/* As QEMU's properties have it, and a word that is not known as its number. */
json_t *hermit_policy_json (const struct hermit_policy *policy,
                            const char *name);

#endif
