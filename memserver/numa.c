/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "numa.h"

#include <errno.h>
#include <gio/gio.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BITS (8 * sizeof (gulong))
#define WITH_MEMORY "/sys/devices/system/node/has_memory"

static gboolean
invalid (const char *text, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               "--numa: '%s' is not interleave[:NODES] or NODES, like 0-1,3",
               text);
  return FALSE;
}

/* "0-1,3" */
static gboolean
parse_nodes (const char *list, HermitNuma *numa)
{
  g_auto (GStrv) parts = g_strsplit (list, ",", -1);

  for (char **part = parts; *part; part++)
    {
      g_auto (GStrv) ends = g_strsplit (*part, "-", 2);
      guint64 first, last;

      if (!g_ascii_string_to_unsigned (ends[0] ? ends[0] : "", 10, 0,
                                       HERMIT_NUMA_NODES - 1, &first, NULL))
        return FALSE;
      last = first;
      if (ends[1]
          && !g_ascii_string_to_unsigned (ends[1], 10, first,
                                          HERMIT_NUMA_NODES - 1, &last, NULL))
        return FALSE;
      for (guint64 node = first; node <= last; node++)
        numa->nodes[node / BITS] |= 1UL << (node % BITS);
    }
  return *parts != NULL;
}

gboolean
hermit_numa_parse (const char *text, HermitNuma *numa, GError **error)
{
  g_autofree char *all = NULL;
  const char *nodes = text;

  memset (numa, 0, sizeof (*numa));
  numa->interleave = g_str_has_prefix (text, "interleave");
  if (numa->interleave)
    nodes = text + strlen ("interleave");
  if (numa->interleave && !*nodes)
    {
      if (!g_file_get_contents (WITH_MEMORY, &all, NULL, error))
        return FALSE;
      nodes = g_strchomp (all);
    }
  else if (numa->interleave && *nodes++ != ':')
    return invalid (text, error);
  return parse_nodes (nodes, numa) || invalid (text, error);
}

gboolean
hermit_numa_apply (const HermitNuma *numa, void *at, gsize length,
                   GError **error)
{
  if (syscall (SYS_mbind, at, length,
               numa->interleave ? MPOL_INTERLEAVE : MPOL_BIND, numa->nodes,
               HERMIT_NUMA_NODES + 1, 0)
      == 0)
    return TRUE;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
               "--numa: memory of these nodes cannot be had: %s; see "
               "%s, and cpuset.mems of the control group",
               g_strerror (errno), WITH_MEMORY);
  return FALSE;
}
