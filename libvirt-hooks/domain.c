/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "domain.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

static char *
domain_path (const char *dir, const char *uuid)
{
  return g_strdup_printf ("%s/%s.json", dir, uuid);
}

void
hermit_domain_free (HermitDomain *domain)
{
  g_free (domain->name);
  g_free (domain->uuid);
  g_free (domain);
}

gboolean
hermit_domain_derive (const char *domain_uuid, const char *machine_id_file,
                      HermitUuid regions, GError **error)
{
  g_autofree char *machine = NULL, *name = NULL;
  HermitUuid domain;

  if (!hermit_uuid_parse (domain_uuid, domain))
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                   "'%s' is not a UUID", domain_uuid);
      return FALSE;
    }
  if (!g_file_get_contents (machine_id_file, &machine, NULL, error))
    {
      g_prefix_error (error,
                      "the id of this host is needed to name memory "
                      "on servers; systemd-machine-id-setup makes one: ");
      return FALSE;
    }
  g_strstrip (machine);
  /* as in an image that many hosts are made of: they would share regions */
  if (!*machine || !strcmp (machine, "uninitialized"))
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                   "%s is %s: the id of this host is needed to name memory on "
                   "servers; systemd-machine-id-setup makes one",
                   machine_id_file, *machine ? machine : "empty");
      return FALSE;
    }
  name = g_strconcat ("hermit ", machine, NULL);
  hermit_uuid_derive (domain, name, regions);
  return TRUE;
}

gboolean
hermit_domain_save (const char *dir, const HermitDomain *domain,
                    json_t *properties, GError **error)
{
  g_autofree char *path = domain_path (dir, domain->uuid);
  char regions[HERMIT_UUID_TEXT], *text;
  json_t *j;
  gboolean ok;

  if (g_mkdir_with_parents (dir, 0755) < 0)
    {
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errno),
                   "cannot create %s: %s", dir, g_strerror (errno));
      return FALSE;
    }
  hermit_uuid_format (domain->regions, regions);
  j = json_pack ("{s:s, s:s, s:s, s:O}", "domain", domain->name, "uuid",
                 domain->uuid, "regions", regions, "properties", properties);
  text = json_dumps (j, JSON_INDENT (2));
  json_decref (j);
  /* QEMU's user reads it; by rename, so that nobody sees half of it */
  ok = g_file_set_contents_full (path, text, -1,
                                 G_FILE_SET_CONTENTS_CONSISTENT, 0644, error);
  free (text);
  return ok;
}

void
hermit_domain_remove (const char *dir, const char *uuid)
{
  g_autofree char *path = domain_path (dir, uuid);

  g_unlink (path);
}

static HermitDomain *
domain_load (const char *path)
{
  g_autoptr (HermitDomain) domain = g_new0 (HermitDomain, 1);
  json_t *j = json_load_file (path, 0, NULL);
  const char *name, *uuid, *regions;
  gboolean ok = j
                && json_unpack (j, "{s:s, s:s, s:s}", "domain", &name, "uuid",
                                &uuid, "regions", &regions)
                       == 0
                && hermit_uuid_parse (regions, domain->regions);

  if (ok)
    {
      domain->name = g_strdup (name);
      domain->uuid = g_strdup (uuid);
    }
  json_decref (j);
  return ok ? g_steal_pointer (&domain) : NULL;
}

GPtrArray *
hermit_domains_load (const char *dir)
{
  GPtrArray *domains
      = g_ptr_array_new_with_free_func ((GDestroyNotify)hermit_domain_free);
  g_autoptr (GDir) d = g_dir_open (dir, 0, NULL);
  const char *name;

  while (d && (name = g_dir_read_name (d)))
    {
      g_autofree char *path = g_build_filename (dir, name, NULL);
      HermitDomain *domain
          = g_str_has_suffix (name, ".json") ? domain_load (path) : NULL;

      if (domain)
        g_ptr_array_add (domains, domain);
    }
  return domains;
}
