/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SETTINGS_H
#define HERMIT_SETTINGS_H
/* What a domain's XML says of hermit-memory, and what keeps it from working.
 */
#include <glib.h>
#include <jansson.h>

typedef struct
{
  char *name;
  char *uuid;
  json_t *properties; /* of hermit-memory; NULL: the domain does not use it */
} HermitSettings;

void hermit_settings_free (HermitSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitSettings, hermit_settings_free)

/*
 * Read a domain's XML. With @schema the <hermit:memory> is validated and the
 * rest of the domain is checked for what cannot work with it: the error then
 * is a sentence for who started the domain.
 */
HermitSettings *hermit_settings_read (const char *xml, const char *schema,
                                      GError **error);

#endif
