/*
 * hermit-memory: what the kernel tells, and what follows from it
 *
 * The main thread only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_EVENT_H
#define BACKENDS_HOSTMEM_HERMIT_EVENT_H

#include "qapi/qapi-types-qom.h"

typedef struct {
    HermitStallAction on_stall;     /* the owner's, before the start */

    /* private, all zeros until the start */
    int fd;
    char *id;
    uint64_t size;
    uint64_t stall_begin_ns;        /* CLOCK_MONOTONIC; 0: no stall */
} HermitEvents;

/* Listen to a control file, as the object of this id and size */
void hermit_events_start(HermitEvents *e, int fd, const char *id,
                         uint64_t size);
/* Before the control file is closed; also if they never started */
void hermit_events_stop(HermitEvents *e);

#endif
