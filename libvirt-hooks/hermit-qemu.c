/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermit-qemu: the <emulator> of domains with <hermit:memory>.
 *
 * libvirt knows no hermit-memory. This stands before QEMU and makes libvirt's
 * memory objects hermit-memory ones, with the settings that the qemu hook left
 * for the domain. Without settings the domain does not start: who names this
 * program wants a limit. The probing of capabilities goes to QEMU as it
 * came. Static, so that it needs nothing from the domain's mount namespace
 * and AppArmor profile but itself, QEMU and the settings.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"
#include "floor.h"
#include "region-uuid.h"

#define PROGRAM "hermit-qemu"

int
main (int argc, char **argv)
{
  const char *uuid = hermit_args_find (argc, argv, "-uuid");
  char path[sizeof (HERMIT_RUN_DIR) + HERMIT_UUID_TEXT + 8];
  char text[HERMIT_UUID_TEXT];
  char *error = NULL;
  json_error_t where;
  HermitUuid parsed;
  json_t *config;
  FILE *f;

  /* libvirt probes without one */
  if (uuid)
    {
      /* Parsed, since it becomes a path. */
      if (!hermit_uuid_parse (uuid, parsed))
        {
          fprintf (stderr, PROGRAM ": -uuid '%s' is not a UUID\n", uuid);
          return 1;
        }
      hermit_uuid_format (parsed, text);
      snprintf (path, sizeof (path), HERMIT_RUN_DIR "/%s.json", text);
      f = fopen (path, "re");
      if (!f && errno == ENOENT)
        {
          fprintf (stderr,
                   PROGRAM ": %s is missing: no settings for this domain. "
                   "Either libvirt did not run hermit-qemu-hook (it has to be "
                   "an executable file in libvirt's hooks/qemu.d before "
                   "libvirtd is started), or the domain has no "
                   "<hermit:memory> and <emulator> should name QEMU itself\n",
                   path);
          return 1;
        }
      if (!f)
        {
          fprintf (stderr, PROGRAM ": cannot open %s: %s\n", path,
                   strerror (errno));
          return 1;
        }
      config = json_loadf (f, 0, &where);
      fclose (f);
      if (!config)
        {
          fprintf (stderr, PROGRAM ": %s, line %d: %s\n", path, where.line,
                   where.text);
          return 1;
        }
      if (!hermit_backends_convert (argc, argv, config, hermit_floor, &error))
        {
          fprintf (stderr, PROGRAM ": %s: %s\n", path,
                   error ? error : strerror (ENOMEM));
          return 1;
        }
    }
  argv[0] = (char *)HERMIT_QEMU;
  execv (HERMIT_QEMU, argv);
  fprintf (stderr, PROGRAM ": cannot run %s: %s\n", HERMIT_QEMU,
           strerror (errno));
  return 127;
}
