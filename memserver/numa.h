/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_NUMA_H
#define HERMIT_NUMA_H

#include <glib.h>

/* Nodes by number, as the kernel has them. */
#define HERMIT_NUMA_NODES 1024

typedef struct
{
  gboolean interleave; /* from all of them by turns; else from no other */
  gulong nodes[HERMIT_NUMA_NODES / (8 * sizeof (gulong))];
} HermitNuma;

/*
 * "interleave": all nodes that have memory; "interleave:NODES"; or NODES: a
 * list as "0-1,3", from which memory comes and from no other.
 */
gboolean hermit_numa_parse (const char *text, HermitNuma *numa,
                            GError **error);

/* For what is not there yet of the shared memory at @at. */
gboolean hermit_numa_apply (const HermitNuma *numa, void *at, gsize length,
                            GError **error);

#endif /* HERMIT_NUMA_H */
