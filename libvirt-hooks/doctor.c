/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#include "doctor-host.h"
#include "doctor-server.h"
#include "region.h"

/* What a server's state wants of the operator; NULL: nothing. */
static const char *
remedy_of (guint32 state)
{
  switch (state)
    {
    case HERMIT_SERVER_UP:
      return NULL;
    case HERMIT_SERVER_FULL:
      return "free capacity on it, or raise limits of VMs (docs/runbook.md, "
             "HermitServerFull)";
    case HERMIT_SERVER_DRAINING:
      return "move what it holds, or have it take pages again: "
             "hermit-memserver --control SOCKET drain off";
    case HERMIT_SERVER_DRAINED:
      return "stop it, or drop it with hermitctl server drop, or have it take "
             "pages again with undrain";
    case HERMIT_SERVER_STUCK:
      return "its pages find no room elsewhere: hermitctl server add another "
             "one, or free capacity of those there are";
    default:
      return "see that it runs and can be reached, and dmesg (docs/runbook.md, "
             "HermitServerAway)";
    }
}

/* What the module says of the servers of VMs that run. */
static void
check_regions (HermitFindings *findings)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (NULL, NULL);

  for (guint i = 0; regions && i < regions->len; i++)
    {
      const HermitRegion *r = regions->pdata[i];
      const char *name = r->domain ?: r->st.name;

      for (guint s = 0; s < MIN (r->st.nr_servers, HERMIT_MAX_SERVERS); s++)
        {
          guint32 state = r->st.servers[s].state;
          const char *remedy = remedy_of (state);

          hermit_find (findings,
                       !remedy                          ? HERMIT_WELL
                       : state == HERMIT_SERVER_DRAINING
                               || state == HERMIT_SERVER_DRAINED
                           ? HERMIT_NOTE
                           : HERMIT_BAD,
                       "vm", remedy, "%s: %s is %s", name,
                       r->st.servers[s].address,
                       hermit_server_state_name (state));
        }
      if (r->st.lost)
        hermit_find (findings, HERMIT_BAD, "vm",
                     "virsh reset and virsh resume it (docs/runbook.md, "
                     "HermitPagesLost)",
                     "%s: %" G_GUINT64_FORMAT " pages of its memory are lost",
                     name, (guint64)r->st.lost);
    }
}

/* Once with each key. */
static void
check_server (HermitFindings *findings, const char *server,
              const char *key_file, GHashTable *done)
{
  if (g_hash_table_add (done, g_strconcat (server, " ", key_file, NULL)))
    hermit_doctor_server (findings, server, key_file);
}

/* The servers of a domain that runs, as the hook left them. */
static void
check_domain (HermitFindings *findings, const char *path, GHashTable *done)
{
  json_t *j = json_load_file (path, 0, NULL), *one;
  json_t *properties = json_object_get (j, "properties");
  const char *key_file
      = json_string_value (json_object_get (properties, "key-file"));
  size_t i;

  json_array_foreach (json_object_get (properties, "server"), i, one)
    {
      const char *server = json_string_value (one);

      if (server && !g_str_has_prefix (server, "local:"))
        check_server (findings, server, key_file, done);
    }
  json_decref (j);
}

static void
check_domains (HermitFindings *findings, GHashTable *done)
{
  g_autoptr (GDir) dir = g_dir_open (HERMIT_RUN_DIR, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    {
      g_autofree char *path = g_build_filename (HERMIT_RUN_DIR, name, NULL);

      if (g_str_has_suffix (name, ".json"))
        check_domain (findings, path, done);
    }
}

gboolean
hermit_doctor (char **servers, const char *key_file, gboolean json,
               GError **error)
{
  g_autoptr (HermitFindings) findings = hermit_findings_new ();
  g_autoptr (GHashTable) done
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint bad;

  hermit_doctor_kernel (findings);
  hermit_doctor_libvirt (findings);
  check_regions (findings);
  check_domains (findings, done);
  for (; servers && *servers; servers++)
    check_server (findings, *servers, key_file, done);

  if (json)
    {
      json_t *all = hermit_findings_to_json (findings);

      json_dumpf (all, stdout, JSON_INDENT (2));
      putchar ('\n');
      json_decref (all);
    }
  else
    hermit_findings_print (findings);
  bad = hermit_findings_count (findings, HERMIT_BAD);
  if (!bad)
    return TRUE;
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
               "doctor: %u of these lines begin with bad, and end with what "
               "to do",
               bad);
  return FALSE;
}
