/*
 * hermit-memory: guest memory of which only a part is kept on this host
 *
 *    hostmem-hermit.c         the QOM object: properties, creation, end
 *    hostmem-hermit-device.c  /dev/hermit, key file and server addresses
 *    hostmem-hermit-event.c   what the kernel tells, and what follows from it
 *    hostmem-hermit-query.c   query-hermit-memory and "info hermit"
 *    hostmem-hermit-stats.c   query-stats
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_H
#define BACKENDS_HOSTMEM_HERMIT_H

#include "system/hostmem.h"
#include "qapi/qapi-types-qom.h"
#include "qemu/uuid.h"
#include <linux/hermit.h>

#define TYPE_HERMIT_MEMORY "hermit-memory"
OBJECT_DECLARE_SIMPLE_TYPE(HermitMemory, HERMIT_MEMORY)

#define HERMIT_DEVICE "/dev/hermit"

struct HermitMemory {
    HostMemoryBackend parent_obj;

    /* as the user gave it; limit and ratio are 0 when not given */
    uint64_t limit;
    double ratio;
    strList *servers;
    char *key_file;
    QemuUUID uuid;
    uint32_t reclaim_threads;
    uint32_t fault_timeout;
    HermitStallAction on_stall;
    struct hermit_policy policy;    /* what .set names, until then */

    int control_fd;             /* -1 until the memory exists */
    bool discard_required;      /* holds ram_block_discard_require() */
    uint64_t stall_begin_ns;    /* CLOCK_MONOTONIC; 0: no stall */
    Error *cpr_blocker;
};

/* "hermit-memory 'ID'", or without the id while there is none.  Caller frees */
char *hermit_describe(HermitMemory *h);

/* --- hostmem-hermit-device.c: the main thread only --- */

/* The limit in force, from the kernel once the memory exists */
uint64_t hermit_limit(HermitMemory *h);
/*
 * Create the memory.  On success h->control_fd is open and the return value is
 * the fd of the memory, which the caller owns; otherwise nothing is left and
 * -1 is returned.
 */
int hermit_device_create(HermitMemory *h, const char *id, Error **errp);
/* Set the limit of existing memory.  Does not wait until it is reached. */
bool hermit_device_set_limit(HermitMemory *h, uint64_t limit, Error **errp);
/*
 * Change what p->set names; the policy in force comes back in *p.  Nothing is
 * changed by a p->set of 0.
 */
bool hermit_device_set_policy(HermitMemory *h, struct hermit_policy *p,
                              Error **errp);
bool hermit_device_get_stats(HermitMemory *h, struct hermit_stats *st,
                             Error **errp);
/*
 * How long vCPUs waited.  Returns as many as *nr says, to be freed; NULL and 0
 * when the kernel knows of none.
 */
struct hermit_vcpu_entry *hermit_device_get_vcpus(HermitMemory *h,
                                                  uint32_t *nr);
/* RAMBlockPageOps.find_absent of a HermitMemory; any thread */
bool hermit_device_find_absent(void *opaque, uint64_t first, uint64_t npages,
                               unsigned long *absent);

/* --- hostmem-hermit-event.c: the main thread only --- */

void hermit_events_start(HermitMemory *h);
void hermit_events_stop(HermitMemory *h);

/* --- hostmem-hermit-query.c, hostmem-hermit-stats.c --- */

/* Its entry of hermit_device_get_vcpus(), or NULL: it never waited */
const struct hermit_vcpu_entry *hermit_vcpu_find(
    const struct hermit_vcpu_entry *v, uint32_t nr, int thread_id);
void hermit_stats_register(void);

#endif
