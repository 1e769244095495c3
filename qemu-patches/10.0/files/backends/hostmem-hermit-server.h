/*
 * hermit-memory: memory servers and the key that is shared with them
 *
 * Both fill in what the kernel is asked for when the memory is created.  The
 * main thread only.  An error names the option, not the object.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_SERVER_H
#define BACKENDS_HOSTMEM_HERMIT_SERVER_H

#include "qapi/qapi-builtin-types.h"
#include <linux/hermit.h>

/*
 * Fill in create->servers, with addresses in numbers; waits for the resolver.
 * Returns the addresses of the first one, NULL-terminated, which are to be
 * tried in turn as others do with names; of the rest, the first counts.  The
 * caller frees them.  NULL on error.
 */
char **hermit_servers_fill(struct hermit_create *create, strList *servers,
                           Error **errp);
/* Fill in create->key from a file.  Whoever has it wipes it. */
bool hermit_key_fill(struct hermit_create *create, const char *file,
                     Error **errp);

#endif
