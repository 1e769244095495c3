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

#include "advise.h"
#include "doctor.h"
#include "export.h"
#include "follow.h"
#include "limit.h"
#include "policy.h"
#include "recall.h"
#include "region.h"
#include "server.h"
#include "size.h"
#include "store.h"
#include "top.h"

#define PROGRAM "hermitctl"

static gboolean opt_json, opt_config, opt_force, opt_version;
static char *opt_limit, *opt_ratio, *opt_output, *opt_key_file;
static double opt_interval = 2, opt_faults = 100;
static int opt_count;
static char **opt_rest;

static const GOptionEntry entries[]
    = { { "json", 'j', 0, G_OPTION_ARG_NONE, &opt_json,
          "print JSON (not follow and export)", NULL },
        { "limit", 'l', 0, G_OPTION_ARG_STRING, &opt_limit,
          "set: most memory of the VM to keep on this host", "SIZE" },
        { "ratio", 'r', 0, G_OPTION_ARG_STRING, &opt_ratio,
          "set: the same as a share of its size, above 0 and at most 1",
          "RATIO" },
        { "config", 'c', 0, G_OPTION_ARG_NONE, &opt_config,
          "set, policy: also for the next start of the domain", NULL },
        { "faults", 'f', 0, G_OPTION_ARG_DOUBLE, &opt_faults,
          "advise: how many faults per second are acceptable (100)", "N" },
        { "interval", 'i', 0, G_OPTION_ARG_DOUBLE, &opt_interval,
          "top: seconds between two tables (2)", "SECONDS" },
        { "count", 'n', 0, G_OPTION_ARG_INT, &opt_count,
          "top: end after so many tables", "N" },
        { "output", 'o', 0, G_OPTION_ARG_FILENAME, &opt_output,
          "export: replace this file at once, instead of printing", "FILE" },
        { "force", 0, 0, G_OPTION_ARG_NONE, &opt_force,
          "server drop: also what only it has", NULL },
        { "key-file", 'k', 0, G_OPTION_ARG_FILENAME, &opt_key_file,
          "server add, doctor: the key of the servers that are named", "FILE" },
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

/* @to_json or @print for each region of @which, as --json says. */
static gboolean
show (const char *which, json_t *(*to_json) (const HermitRegion *),
      void (*print) (const HermitRegion *), GError **error)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (which, error);
  json_t *all;

  if (!regions)
    return FALSE;
  all = json_array ();
  for (guint i = 0; i < regions->len; i++)
    {
      if (opt_json)
        json_array_append_new (all, to_json (regions->pdata[i]));
      else
        print (regions->pdata[i]);
    }
  if (opt_json)
    print_json (all);
  else
    json_decref (all);
  return TRUE;
}

/* After a change, with --json: as it is now; nothing of a domain that is off. */
static gboolean
show_change (GPtrArray *regions, GError **error)
{
  json_t *all = NULL;

  if (!opt_json)
    return TRUE;
  all = json_array ();
  for (guint i = 0; i < regions->len; i++)
    {
      HermitRegion *r = regions->pdata[i];

      if (!hermit_device_stats ((const unsigned char *)r->st.uuid, &r->st,
                                error))
        {
          json_decref (all);
          return FALSE;
        }
      json_array_append_new (all, hermit_region_to_json (r));
    }
  print_json (all);
  return TRUE;
}

static gboolean
cmd_stat (const char *which, GError **error)
{
  return show (which, hermit_region_to_json, hermit_region_print, error);
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
cmd_export (GError **error)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (NULL, error);
  g_autofree char *text = regions ? hermit_export (regions) : NULL;

  if (!text)
    return FALSE;
  if (!opt_output)
    {
      fputs (text, stdout);
      return TRUE;
    }
  /* Who collects it never sees a part, nor what is not in there any more. */
  return g_file_set_contents_full (opt_output, text, -1,
                                   G_FILE_SET_CONTENTS_CONSISTENT, 0644,
                                   error);
}

/* Its regions; none of a domain that does not run, if --config is given. */
static GPtrArray *
find_to_change (const char *which, GError **error)
{
  g_autoptr (GError) local = NULL;
  GPtrArray *regions = hermit_regions_find (which, &local);

  if (regions)
    return regions;
  if (opt_config && g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return g_ptr_array_new ();
  g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

/*
 * Have libvirt remember a change that holds already: in the running domain,
 * for what a save or a migration takes along, and with --config for the next
 * start.
 */
static gboolean
remember (const char *which, GPtrArray *regions, const char *attribute,
          const char *value, GError **error)
{
  const char *domain
      = regions->len ? ((HermitRegion *)regions->pdata[0])->domain : which;
  g_autoptr (GError) local = NULL;

  if (!domain)
    {
      if (!opt_config)
        return TRUE;
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--config: libvirt does not run '%s'; it is set until it "
                   "ends",
                   which);
      return FALSE;
    }
  if (regions->len
      && !hermit_store_set (domain, attribute, value, FALSE, &local))
    fprintf (stderr,
             PROGRAM ": warning: %s is set, but libvirt does not know: %s\n",
             attribute, local->message);
  return !opt_config
         || hermit_store_set (domain, attribute, value, TRUE, error);
}

static gboolean
cmd_set (const char *which, GError **error)
{
  g_autoptr (GPtrArray) regions = NULL;
  const char *attribute = opt_limit ? "limit" : "local-ratio";
  g_autofree char *value = NULL;
  char number[G_ASCII_DTOSTR_BUF_SIZE];
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

  regions = find_to_change (which, error);
  if (!regions
      || (regions->len && !hermit_limit_apply (regions, limit, ratio, error)))
    return FALSE;
  return remember (which, regions, attribute, value, error)
         && show_change (regions, error);
}

/* As "set --ratio 1", and then all of it comes. */
static gboolean
cmd_recall (const char *which, GError **error)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (which, error);

  if (!regions || !hermit_limit_apply (regions, 0, 1, error)
      || !remember (which, regions, "local-ratio", "1", error))
    return FALSE;
  return hermit_recall (regions, error) && show_change (regions, error);
}

static gboolean
cmd_advise (const char *which, GError **error)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (which, error);

  if (!regions)
    return FALSE;
  if (opt_faults >= 0)
    return hermit_advise (regions, opt_faults, opt_json, error);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "advise: --faults must not be below 0");
  return FALSE;
}

static gboolean
print_policy (const HermitRegion *r, json_t *all, GError **error)
{
  struct hermit_policy policy = { 0 };
  const char *name;
  json_t *j = NULL;

  if (!hermit_device_policy ((const unsigned char *)r->st.uuid, &policy,
                             error))
    {
      g_prefix_error (error, "%s: ", r->st.name);
      return FALSE;
    }
  if (all)
    j = json_pack ("{s:s?, s:s, s:s}", "domain", r->domain, "id", r->st.name,
                   "uuid", r->uuid);
  else
    printf ("%s %s %s\n", r->domain ?: "-", r->st.name, r->uuid);
  for (guint i = 0; (name = hermit_policy_name (i)); i++)
    {
      g_autofree char *text = hermit_policy_text (&policy, name);

      if (all)
        json_object_set_new (j, name, hermit_policy_json (&policy, name));
      else
        printf ("  %-14s %s\n", name, text);
    }
  if (all)
    json_array_append_new (all, j);
  return TRUE;
}

static gboolean
show_policy (GPtrArray *regions, GError **error)
{
  json_t *all = opt_json ? json_array () : NULL;
  gboolean ok = TRUE;

  for (guint i = 0; ok && i < regions->len; i++)
    ok = print_policy (regions->pdata[i], all, error);
  if (all && ok)
    print_json (all);
  else
    json_decref (all);
  return ok;
}

/* policy VM [NAME=VALUE...] */
static gboolean
cmd_policy (char **words, GError **error)
{
  const char *which = words[1];
  g_autoptr (GPtrArray) regions = NULL;
  struct hermit_policy policy = { 0 };

  for (int i = 2; words[i]; i++)
    {
      char *value = strchr (words[i], '=');

      if (!value)
        {
          g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                       "policy: '%s' is not NAME=VALUE", words[i]);
          return FALSE;
        }
      *value++ = 0;
      if (!hermit_policy_set (&policy, words[i], value, error))
        return FALSE;
    }
  regions = policy.set ? find_to_change (which, error)
                       : hermit_regions_find (which, error);
  if (!regions)
    return FALSE;
  if (!policy.set)
    return show_policy (regions, error);
  if (!hermit_policy_apply (regions, &policy, error))
    return FALSE;
  for (int i = 2; words[i]; i++)
    if (!remember (which, regions, words[i], words[i] + strlen (words[i]) + 1,
                   error))
      return FALSE;
  return !opt_json || show_policy (regions, error);
}

static gboolean
cmd_top (GError **error)
{
  if (opt_interval > 0 && opt_count >= 0)
    return hermit_top (opt_interval, opt_count, opt_json, error);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "top: --interval must be above 0, --count not below");
  return FALSE;
}

/* server add|drop|drain|undrain VM ADDRESS */
static gboolean
cmd_server (char **words, GError **error)
{
  g_autoptr (GPtrArray) regions = hermit_regions_find (words[2], error);

  return regions
         && hermit_server_apply (regions, words[1], words[3], opt_force,
                                 opt_key_file, error);
}

static gboolean
run (int n, char **words, GError **error)
{
  const char *command = n ? words[0] : "";

  if (opt_json && (!strcmp (command, "export") || !strcmp (command, "follow")))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "%s: there is no JSON of this; see stat", command);
      return FALSE;
    }
  if (!strcmp (command, "list") && n == 1)
    return cmd_list (error);
  if (!strcmp (command, "stat") && n <= 2)
    return cmd_stat (n == 2 ? words[1] : NULL, error);
  if (!strcmp (command, "server") && n == 3 && !strcmp (words[1], "list"))
    return show (words[2], hermit_region_servers_to_json,
                 hermit_region_print_servers, error);
  if (!strcmp (command, "server") && n == 4)
    return cmd_server (words, error);
  if (!strcmp (command, "set") && n == 2)
    return cmd_set (words[1], error);
  if (!strcmp (command, "policy") && n >= 2)
    return cmd_policy (words, error);
  if (!strcmp (command, "advise") && n == 2)
    return cmd_advise (words[1], error);
  if (!strcmp (command, "recall") && n == 2)
    return cmd_recall (words[1], error);
  if (!strcmp (command, "export") && n == 1)
    return cmd_export (error);
  if (!strcmp (command, "top") && n == 1)
    return cmd_top (error);
  if (!strcmp (command, "doctor") && n >= 1)
    return hermit_doctor (words + 1, opt_key_file, opt_json, error);
  if (!strcmp (command, "follow") && n == 1)
    return hermit_follow (error);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
               "%s%s%s; see " PROGRAM " --help",
               n ? "do not understand '" : "no command", command,
               n ? "' with these arguments" : "");
  return FALSE;
}

/* "-n1" as "-n 1", which GLib does not know and others' tools take. */
static char **
split_short (char **argv)
{
  GPtrArray *words = g_ptr_array_new ();
  gboolean options = TRUE;

  for (; *argv; argv++)
    {
      const char *word = *argv;

      options = options && strcmp (word, "--");
      if (options && word[0] == '-' && word[1] && strchr ("lrfinok", word[1])
          && word[2])
        {
          g_ptr_array_add (words, g_strndup (word, 2));
          g_ptr_array_add (words, g_strdup (word + 2));
        }
      else
        g_ptr_array_add (words, g_strdup (word));
    }
  g_ptr_array_add (words, NULL);
  return (char **)g_ptr_array_free (words, FALSE);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (
      "list | stat [VM] | server list VM | server add|drop|drain|undrain VM "
      "ADDRESS | set VM | policy VM "
      "[NAME=VALUE...] | advise VM | recall VM | top | doctor [SERVER...] | "
      "export | follow");
  g_auto (GStrv) words = split_short (argv);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  /* Ratios that are printed are to be given back, and programs read them. */
  setlocale (LC_NUMERIC, "C");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (
      context, "VMs whose memory is larger than what this host keeps of it.\n"
               "VM is a libvirt domain, by name or UUID, or a region of the "
               "list.");
  if (g_option_context_parse_strv (context, &words, &error))
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
