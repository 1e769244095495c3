/*
 * hermit-memory: what the kernel tells, and what follows from it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit-event.h"
#include "hostmem-hermit-device.h"
#include "qapi/qapi-events-hermit.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "system/runstate.h"
#include "trace.h"

/* As the object names itself */
#define HERMIT_NAME "hermit-memory '%s'"

/*
 * The event first, then the action: whoever sees the VM stop has been told
 * why.  The request is remembered until the main loop stops the VM, so this
 * never waits for a virtual CPU, which may itself wait for a page.
 */
static void hermit_prepare_action(HermitEvents *e)
{
    if (e->on_stall == HERMIT_STALL_ACTION_STOP) {
        qemu_system_vmstop_request_prepare();
    }
}

static void hermit_act(HermitEvents *e, const char *what)
{
    switch (e->on_stall) {
    case HERMIT_STALL_ACTION_STOP:
        warn_report(HERMIT_NAME ": %s; stopping the VM, \"cont\" tries again",
                    e->id, what);
        qemu_system_vmstop_request(RUN_STATE_IO_ERROR);
        break;
    case HERMIT_STALL_ACTION_KILL:
        error_report(HERMIT_NAME ": %s; ending, as on-stall=kill asks",
                     e->id, what);
        exit(EXIT_FAILURE);
    default:
        g_assert_not_reached();
    }
}

static void hermit_server_event(HermitEvents *e,
                                const struct hermit_event_record *rec)
{
    struct hermit_stats st;
    const char *address = "";

    if (rec->arg1 >= HERMIT_SERVER_STATE__MAX) {
        return;         /* a newer kernel */
    }
    if (rec->arg0 < HERMIT_MAX_SERVERS &&
        hermit_device_get_stats(e->fd, &st, NULL)) {
        address = st.servers[rec->arg0].address;
        st.servers[rec->arg0].address[HERMIT_SERVER_LEN - 1] = 0;
    }
    qapi_event_send_hermit_memory_server_state(e->id, rec->arg0, address,
                                               rec->arg1);
}

static void hermit_stall_event(HermitEvents *e,
                               const struct hermit_event_record *rec)
{
    uint64_t ms = rec->arg0;
    g_autofree char *what = NULL;

    if (rec->type == HERMIT_EVENT_STALL_BEGIN) {
        e->stall_begin_ns = rec->time_ns - ms * SCALE_MS;
        hermit_prepare_action(e);
        qapi_event_send_hermit_memory_stall(e->id, HERMIT_STALL_STATE_BEGUN, ms,
                                            true, e->on_stall);
        what = g_strdup_printf("no page arrived for %" PRIu64 " ms", ms);
        hermit_act(e, what);
        return;
    }
    if (!ms && e->stall_begin_ns) {
        ms = (rec->time_ns - e->stall_begin_ns) / SCALE_MS;
    }
    e->stall_begin_ns = 0;
    qapi_event_send_hermit_memory_stall(e->id, HERMIT_STALL_STATE_ENDED, ms,
                                        false, 0);
}

static void hermit_lost_event(HermitEvents *e,
                              const struct hermit_event_record *rec)
{
    uint64_t page = qemu_real_host_page_size();
    g_autofree char *what = NULL;

    hermit_prepare_action(e);
    qapi_event_send_hermit_memory_pages_lost(e->id, rec->arg0 * page,
                                             rec->arg1 * page, e->on_stall);
    what = g_strdup_printf("%" PRIu64 " pages are lost, the first at 0x%"
                           PRIx64, (uint64_t)rec->arg0,
                           (uint64_t)rec->arg1 * page);
    hermit_act(e, what);
}

static void hermit_handle_event(HermitEvents *e,
                                const struct hermit_event_record *rec)
{
    trace_hermit_memory_event(e->id, rec->type, rec->arg0, rec->arg1);
    switch (rec->type) {
    case HERMIT_EVENT_SERVER_STATE:
        hermit_server_event(e, rec);
        break;
    case HERMIT_EVENT_STALL_BEGIN:
    case HERMIT_EVENT_STALL_END:
        hermit_stall_event(e, rec);
        break;
    case HERMIT_EVENT_PAGES_LOST:
        hermit_lost_event(e, rec);
        break;
    case HERMIT_EVENT_LIMIT_UNREACHABLE:
        qapi_event_send_hermit_memory_limit_unreachable(e->id, rec->arg1,
                                                        rec->arg0);
        break;
    case HERMIT_EVENT_LIMIT_CHANGED:
        qapi_event_send_hermit_memory_limit_changed(
            e->id, rec->arg0, (double)rec->arg0 / e->size);
        break;
    default:
        break;          /* a newer kernel */
    }
}

static void hermit_readable(void *opaque)
{
    HermitEvents *e = opaque;
    struct hermit_event_record recs[16];
    ssize_t n, i;

    n = read(e->fd, recs, sizeof(recs));
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            error_report(HERMIT_NAME ": no more events: %s", e->id,
                         strerror(errno));
            hermit_events_stop(e);
        }
        return;
    }
    for (i = 0; i < n / (ssize_t)sizeof(recs[0]); i++) {
        hermit_handle_event(e, &recs[i]);
    }
}

void hermit_events_start(HermitEvents *e, int fd, const char *id, uint64_t size)
{
    e->fd = fd;
    e->id = g_strdup(id);
    e->size = size;
    qemu_set_fd_handler(fd, hermit_readable, NULL, e);
}

void hermit_events_stop(HermitEvents *e)
{
    if (e->id) {
        qemu_set_fd_handler(e->fd, NULL, NULL, NULL);
        g_clear_pointer(&e->id, g_free);
    }
}
