/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_STORE_H
#define HERMITCTL_STORE_H
/* What libvirt remembers of a domain. Waits for libvirtd as long as that
 * takes. */
#include <glib.h>

/*
 * Write @attribute=@value into the domain's <hermit:memory>, in the XML of the
 * running domain or in the one for its next start.
 */
gboolean hermit_store_set (const char *domain, const char *attribute,
                           const char *value, gboolean next_start,
                           GError **error);

#endif
