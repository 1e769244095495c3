/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt's qemu hook for domains with <hermit:memory>:
 *
 *	prepare    check the domain, leave the settings for hermit-qemu
 *	started    refuse a domain that runs without hermit-memory after all
 *	reconnect  leave the settings again, if /run lost them
 *	release    take them away
 *
 * libvirt shows what a failed prepare or started writes to stderr to who
 * started the domain. It must not be called back from here.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "domain.h"
#include "region.h"
#include "settings.h"

static char *
read_stdin (void)
{
  GString *text = g_string_new (NULL);
  char buffer[8192];
  ssize_t n;

  while ((n = read (STDIN_FILENO, buffer, sizeof (buffer))) > 0)
    g_string_append_len (text, buffer, n);
  return g_string_free (text, FALSE);
}

static gboolean
save (const HermitSettings *settings, GError **error)
{
  HermitDomain domain = { .name = settings->name, .uuid = settings->uuid };

  if (hermit_domain_derive (settings->uuid, HERMIT_MACHINE_ID, domain.regions,
                            error)
      && hermit_domain_save (HERMIT_RUN_DIR, &domain, settings->properties,
                             error))
    return TRUE;
  if (geteuid ()
      && g_error_matches (*error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
    g_prefix_error (error, "<hermit:memory> works under qemu:///system only, "
                           "and this libvirt is a user's: ");
  return FALSE;
}

static gboolean
prepare (const char *xml, GError **error)
{
  g_autoptr (HermitSettings) settings
      = hermit_settings_read (xml, HERMIT_SCHEMA, error);

  if (!settings)
    return FALSE;
  if (settings->properties)
    return save (settings, error);
  /* from a start that ended badly */
  hermit_domain_remove (HERMIT_RUN_DIR, settings->uuid);
  return TRUE;
}

static gboolean
started (const char *xml, GError **error)
{
  g_autoptr (HermitSettings) settings
      = hermit_settings_read (xml, NULL, error);
  g_autoptr (GPtrArray) regions = NULL;

  if (!settings)
    return FALSE;
  if (!settings->properties)
    return TRUE;
  regions = hermit_regions_find (settings->uuid, error);
  if (!regions)
    g_prefix_error (error, "QEMU runs without hermit-memory: ");
  return regions != NULL;
}

/* A failure would have libvirt end a domain that runs well. */
static void
reconnect (const char *xml)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (HermitSettings) settings
      = hermit_settings_read (xml, NULL, &error);

  if (settings && (!settings->properties || save (settings, &error)))
    return;
  fprintf (stderr, "hermit: warning: hermitctl will not know the domain: %s\n",
           error->message);
}

static void
release (const char *xml)
{
  g_autoptr (HermitSettings) settings = hermit_settings_read (xml, NULL, NULL);

  if (settings)
    hermit_domain_remove (HERMIT_RUN_DIR, settings->uuid);
}

int
main (int argc, char **argv)
{
  g_autofree char *xml = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok = TRUE;
  const char *op;

  if (argc < 4)
    {
      fprintf (stderr,
               "usage: %s DOMAIN OPERATION SUB-OPERATION EXTRA < XML\n"
               "libvirt calls this as a qemu hook\n",
               argv[0]);
      return 2;
    }
  op = argv[2];
  if (strcmp (op, "prepare") && strcmp (op, "started")
      && strcmp (op, "reconnect") && strcmp (op, "release"))
    return 0;
  xml = read_stdin ();
  if (!strcmp (op, "prepare"))
    ok = prepare (xml, &error);
  else if (!strcmp (op, "started"))
    ok = started (xml, &error);
  else if (!strcmp (op, "reconnect"))
    reconnect (xml);
  else
    release (xml);
  if (!ok)
    fprintf (stderr, "hermit: %s\n", error->message);
  return ok ? 0 : 1;
}
