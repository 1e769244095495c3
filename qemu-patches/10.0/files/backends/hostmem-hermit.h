/*
 * hermit-memory: guest memory of which only a part is kept on this host
 *
 * Calls go down:
 *
 *    hostmem-hermit-query.c    query-hermit-memory and "info hermit"
 *    hostmem-hermit-stats.c    query-stats
 *      hostmem-hermit.c          the QOM object: properties, creation, end
 *        hostmem-hermit-event.c    what the kernel tells, what follows from it
 *        hostmem-hermit-region.c   what the user wants, what the kernel has
 *          hostmem-hermit-server.c   memory servers and their key
 *          hostmem-hermit-device.c   /dev/hermit
 *
 * The main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_H
#define BACKENDS_HOSTMEM_HERMIT_H

#include "qom/object.h"
#include <linux/hermit.h>

#define TYPE_HERMIT_MEMORY "hermit-memory"
OBJECT_DECLARE_SIMPLE_TYPE(HermitMemory, HERMIT_MEMORY)

typedef void HermitMemoryFn(HermitMemory *h, const struct hermit_stats *st,
                            void *opaque);
/*
 * Call fn for every object whose memory exists.  Ends with an error that names
 * the object when its statistics cannot be read.
 */
bool hermit_memory_foreach(HermitMemoryFn *fn, void *opaque, Error **errp);
/* Its control file, or -1 until the memory exists */
int hermit_memory_fd(HermitMemory *h);

#endif
