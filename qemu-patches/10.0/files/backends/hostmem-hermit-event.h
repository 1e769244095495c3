/*
 * hermit-memory: what the kernel tells, and what follows from it
 *
 * A thread of its own listens, one for each object: the main loop may itself
 * wait for a page, with the BQL held, just when there is something to tell.
 * The thread takes no lock that is held across an access to guest memory.  The
 * functions below are the main thread's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BACKENDS_HOSTMEM_HERMIT_EVENT_H
#define BACKENDS_HOSTMEM_HERMIT_EVENT_H

#include "qapi/qapi-types-qom.h"
#include "qemu/event_notifier.h"
#include "qemu/thread.h"

typedef struct {
    HermitStallAction on_stall;     /* the owner's, before the start */

    /* private, all zeros until the start */
    int fd;
    char *id;                       /* NULL: nobody listens */
    uint64_t size;
    QemuThread thread;
    EventNotifier end;              /* the thread is to end */
    uint64_t stall_begin_ns;        /* CLOCK_MONOTONIC; 0: no stall */
} HermitEvents;

/* Listen to a control file, as the object of this id and size */
bool hermit_events_start(HermitEvents *e, int fd, const char *id,
                         uint64_t size, Error **errp);
/*
 * Before the control file is closed; also if they never started.  Waits for the
 * thread, which waits for nobody.
 */
void hermit_events_stop(HermitEvents *e);

#endif
