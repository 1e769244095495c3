/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DOMAIN_H
#define HERMIT_DOMAIN_H
/*
 * What the qemu hook leaves in /run/hermit/UUID.json for the emulator wrapper
 * while a domain runs. It also says which regions are the domain's: the UUID
 * of each is derived from `regions` and the id of its memory object.
 *
 *	{ "domain": "vm1", "uuid": "...", "regions": "...",
 *	  "properties": { "local-ratio": 0.5, "server": [ "tcp:..." ] } }
 *
 * The folder is HERMIT_RUN_DIR of meson.build; a test has its own.
 */
#include <glib.h>
#include <jansson.h>

#include "region-uuid.h"

typedef struct
{
  char *name;
  char *uuid;
  HermitUuid regions;
} HermitDomain;

void hermit_domain_free (HermitDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HermitDomain, hermit_domain_free)

/*
 * Of a domain on this host: the same after each start, so that a server finds
 * the memory of a host that crashed again, and another one on another host,
 * so that two hosts can be connected while the domain migrates.
 */
gboolean hermit_domain_derive (const char *domain_uuid,
                               const char *machine_id_file, HermitUuid regions,
                               GError **error);

/* Takes no reference of @properties. */
gboolean hermit_domain_save (const char *dir, const HermitDomain *domain,
                             json_t *properties, GError **error);
void hermit_domain_remove (const char *dir, const char *uuid);
/* All domains with a file in @dir; files that cannot be read are left out. */
GPtrArray *hermit_domains_load (const char *dir);

#endif
