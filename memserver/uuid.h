/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_UUID_H
#define HERMIT_UUID_H
/* The 16 bytes that name a region. */
#include <glib.h>

/* The usual text of a UUID; and back, FALSE if @text is none. */
char *hermit_uuid_text (const guint8 uuid[16]);
gboolean hermit_uuid_parse (const char *text, guint8 uuid[16]);

#endif /* HERMIT_UUID_H */
