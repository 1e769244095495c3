/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl: what hermit.ko does for the VMs of this host, and its limits.
 *
 * It asks the module. Neither QEMU's monitor nor libvirt is in the way, so it
 * answers when they do not; libvirt is only told what it has to remember.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "limit.h"
#include "region.h"
#include "size.h"
#include "store.h"
#include "top.h"

#define PROGRAM "hermitctl"

static gboolean opt_json, opt_config, opt_version;
static char *opt_limit, *opt_ratio;
static double opt_interval = 2;
static int opt_count;
static char **opt_rest;

static const GOptionEntry entries[]
    = { { "json", 'j', 0, G_OPTION_ARG_NONE, &opt_json,
          "list, stat: print JSON, sizes in bytes and times in ns", NULL },
        { "limit", 'l', 0, G_OPTION_ARG_STRING, &opt_limit,
          "set: most memory of the VM to keep on this host", "SIZE" },
        { "ratio", 'r', 0, G_OPTION_ARG_STRING, &opt_ratio,
          "set: the same as a share of its size, above 0 and at most 1",
          "RATIO" },
        { "config", 'c', 0, G_OPTION_ARG_NONE, &opt_config,
          "set: also for the next start of the domain", NULL },
        { "interval", 'i', 0, G_OPTION_ARG_DOUBLE, &opt_interval,
          "top: seconds between two tables (2)", "SECONDS" },
        { "count", 'n', 0, G_OPTION_ARG_INT, &opt_count,
          "top: end after so many tables", "N" },
        { "version", 0, 0, G_OPTION_ARG_NONE, &opt_version,
          "Print the version", NULL },
        { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_rest, NULL,
          NULL },
        { NULL } };

static void
print_json (json_t *j)
{
  json_dumpf (j, stdout, JSON_INDENT (2));
  putchar ('\n');
  json_decref (j);
}

static gboolean
cmd_stat (const char *which, GError **error)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (which, error);
  json_t *all;

  if (!regions)
    return FALSE;
  all = json_array ();
  for (guint i = 0; i < regions->len; i++)
    {
      if (opt_json)
        json_array_append_new (all, hermit_region_to_json (regions->pdata[i]));
      else
        hermit_region_print (regions->pdata[i]);
    }
  if (opt_json)
    print_json (all);
  else
    json_decref (all);
  return TRUE;
}

static gboolean
cmd_list (GError **error)
{
  g_autoptr (GPtrArray) regions = NULL;

  if (opt_json)
    return cmd_stat (NULL, error);
  regions = hermit_regions_find (NULL, error);
  if (!regions)
    return FALSE;
  printf ("%-20s %-12s %-36s %11s %11s %11s\n", "DOMAIN", "REGION", "UUID",
          "SIZE", "LIMIT", "RESIDENT");
  for (guint i = 0; i < regions->len; i++)
    {
      const HermitRegion *r = regions->pdata[i];
      g_autofree char *size = hermit_size_format (r->st.region_size);
      g_autofree char *limit = hermit_size_format (r->st.limit);
      g_autofree char *resident
          = hermit_size_format (r->st.resident * HERMIT_PAGE_SIZE);

      printf ("%-20s %-12s %-36s %11s %11s %11s\n", r->domain ?: "-",
              r->st.name, r->uuid, size, limit, resident);
    }
  return TRUE;
}

static gboolean
cmd_set (const char *which, GError **error)
{
  g_autoptr (GPtrArray) regions = NULL;
  g_autoptr (GError) local = NULL;
  const char *attribute = opt_limit ? "limit" : "local-ratio";
  g_autofree char *value = NULL;
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  const char *domain = which;
  guint64 limit = 0;
  double ratio = 0;

  if (!opt_limit == !opt_ratio)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "set: give either --limit or --ratio");
      return FALSE;
    }
  if (opt_limit ? !hermit_size_parse (opt_limit, &limit, error)
                : !hermit_ratio_parse (opt_ratio, &ratio, error))
    return FALSE;
  value = limit ? g_strdup_printf ("%" G_GUINT64_FORMAT, limit)
                : g_strdup (g_ascii_dtostr (number, sizeof (number), ratio));

  regions = hermit_regions_find (which, &local);
  if (regions)
    {
      domain = ((HermitRegion *)regions->pdata[0])->domain;
      if (!hermit_limit_apply (regions, limit, ratio, error))
        return FALSE;
    }
  else if (!opt_config
           || !g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (!domain)
    {
      if (!opt_config)
        return TRUE;
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--config: libvirt does not run '%s'; the limit is set "
                   "until it ends",
                   which);
      return FALSE;
    }
  /* What a save or a migration takes along. It holds already. */
  if (regions && !hermit_store_set (domain, attribute, value, FALSE, &local))
    fprintf (stderr,
             PROGRAM ": warning: the limit is set, but libvirt does not know: "
                     "%s\n",
             local->message);
  return !opt_config
         || hermit_store_set (domain, attribute, value, TRUE, error);
}

static gboolean
run (int n, char **words, GError **error)
{
  const char *command = n ? words[0] : "";

  if (!strcmp (command, "list") && n == 1)
    return cmd_list (error);
  if (!strcmp (command, "stat") && n <= 2)
    return cmd_stat (n == 2 ? words[1] : NULL, error);
  if (!strcmp (command, "set") && n == 2)
    return cmd_set (words[1], error);
  if (!strcmp (command, "top") && n == 1)
    {
      if (opt_interval > 0 && opt_count >= 0)
        return hermit_top (opt_interval, opt_count, error);
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "top: --interval must be above 0, --count not below");
      return FALSE;
    }
  if (!strcmp (command, "follow") && n == 1)
    return hermit_follow (error);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
               "%s%s%s; see " PROGRAM " --help",
               n ? "do not understand '" : "no command", command,
               n ? "' with these arguments" : "");
  return FALSE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context
      = g_option_context_new ("list | stat [VM] | set VM | top | follow");
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (
      context, "VMs whose memory is larger than what this host keeps of it.\n"
               "VM is a libvirt domain, by name or UUID, or a region of the "
               "list.");
  if (g_option_context_parse (context, &argc, &argv, &error))
    {
      if (opt_version)
        {
          puts (PROGRAM " " HERMIT_VERSION);
          return 0;
        }
      if (run (opt_rest ? g_strv_length (opt_rest) : 0, opt_rest, &error))
        return 0;
    }
  fprintf (stderr, PROGRAM ": %s\n", error->message);
  return error->domain == G_OPTION_ERROR ? 2 : 1;
}
