/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMITCTL_FOLLOW_H
#define HERMITCTL_FOLLOW_H
#include <glib.h>

/*
 * Let changes of <hermit:memory> in running domains take effect, whoever makes
 * them, until libvirtd goes away, which is the error.
 */
gboolean hermit_follow (GError **error);

#endif
