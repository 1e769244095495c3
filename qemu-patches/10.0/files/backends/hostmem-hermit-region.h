/*
 * hermit-memory: a region, what the user wants of it and what the kernel has
 *
 * The main thread only.  Errors do not name the object.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_REGION_H
#define BACKENDS_HOSTMEM_HERMIT_REGION_H

#include "qapi/qapi-builtin-types.h"
#include "qemu/uuid.h"
#include <linux/hermit.h>

typedef struct {
    /* as the user gave it; limit and ratio are 0 when not given */
    uint64_t limit;
    double ratio;
    strList *servers;
    uint32_t replicas;              /* 0: not given */
    char *key_file;
    QemuUUID uuid;
    uint32_t reclaim_threads;
    uint32_t fault_timeout;         /* ms */
    struct hermit_policy policy;    /* what .set names, until it exists */

    int fd;                         /* control file; -1 until it exists */
} HermitRegion;

/* All zeros before.  Takes the defaults and a random UUID. */
void hermit_region_init(HermitRegion *r);
/* End the region, here and on the servers, and free what was set */
void hermit_region_end(HermitRegion *r);
/*
 * Create it; waits for the server.  On success r->fd is open and the return
 * value is the fd of the memory, which the caller owns; otherwise nothing is
 * left and a negative errno is returned, -ERANGE only for the limit.
 */
int hermit_region_create(HermitRegion *r, uint64_t size, const char *name,
                         Error **errp);
/* The limit in force, from the kernel once the region exists */
uint64_t hermit_region_limit(HermitRegion *r, uint64_t size);
/* Set the limit of an existing region.  Does not wait until it is reached. */
bool hermit_region_set_limit(HermitRegion *r, uint64_t limit, Error **errp);
/* A technique's switch, by its HERMIT_POLICY_* bit */
bool hermit_region_set_policy(HermitRegion *r, uint32_t bit, uint32_t value,
                              Error **errp);
bool hermit_region_get_policy(HermitRegion *r, uint32_t bit, uint32_t *value,
                              Error **errp);

#endif
