/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_ELEMENT_H
#define HERMIT_ELEMENT_H
/* The <hermit:memory> element of a domain's <metadata>. */
#include <glib.h>

#include "uapi/hermit.h"

#define HERMIT_XML_NAMESPACE "https://hermit.example/xmlns/libvirt/1"
#define HERMIT_XML_PREFIX "hermit"

/* The limit that @xml sets; either *@limit or *@ratio is not 0 then. */
gboolean hermit_element_limit (const char *xml, guint64 *limit, double *ratio,
                               GError **error);

/* What it says of the techniques' switches; the rest is not set. */
gboolean hermit_element_policy (const char *xml, struct hermit_policy *policy,
                                GError **error);

/*
 * @xml, which libvirt gave, with @attribute=@value, which if it is limit or
 * local-ratio replaces both; free it.
 */
char *hermit_element_change (const char *xml, const char *attribute,
                             const char *value, GError **error);

#endif
