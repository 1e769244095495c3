/*
 * hermit-memory: what the kernel tells, and what follows from it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit-event.h"
#include "hostmem-hermit-device.h"
#include "hw/core/cpu.h"
#include "qapi/error.h"
#include "qapi/qapi-events-hermit.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "system/runstate.h"
#include "trace.h"
#include <poll.h>

/* As the object names itself */
#define HERMIT_NAME "hermit-memory '%s'"

/* How long the main loop has to end QEMU in good order */
#define HERMIT_EXIT_US (2 * G_USEC_PER_SEC)

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

/*
 * The main loop stops virtual CPUs, when it comes to that.  As long as it waits
 * for a page it has the BQL: who has left the guest cannot enter it again, and
 * once the BQL is free the request comes first.
 */
static void hermit_kick_vcpus(void)
{
    CPUState *cpu;

    RCU_READ_LOCK_GUARD();
    CPU_FOREACH(cpu) {
        if (cpu->created) {
            qemu_cpu_kick(cpu);
        }
    }
}

static void hermit_exit(void *opaque)
{
    exit(EXIT_FAILURE);
}

static void hermit_act(HermitEvents *e, const char *what)
{
    switch (e->on_stall) {
    case HERMIT_STALL_ACTION_STOP:
        warn_report(HERMIT_NAME ": %s; stopping the VM, \"cont\" tries again",
                    e->id, what);
        qemu_system_vmstop_request(RUN_STATE_IO_ERROR);
        hermit_kick_vcpus();
        break;
    case HERMIT_STALL_ACTION_KILL:
        error_report(HERMIT_NAME ": %s; ending, as on-stall=kill asks",
                     e->id, what);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), hermit_exit, NULL);
        g_usleep(HERMIT_EXIT_US);
        /* It waits for a page, then: nothing of it can be put in order */
        _exit(EXIT_FAILURE);
    default:
        g_assert_not_reached();
    }
}

/* What the kernel calls the server, in @st; "" if it cannot be asked */
static const char *hermit_server_address(HermitEvents *e, uint64_t server,
                                         struct hermit_stats *st)
{
    char *address;

    if (server >= HERMIT_MAX_SERVERS ||
        !hermit_device_get_stats(e->fd, st, NULL)) {
        return "";
    }
    address = st->servers[server].address;
    address[HERMIT_SERVER_LEN - 1] = 0;
    return address;
}

static void hermit_server_event(HermitEvents *e,
                                const struct hermit_event_record *rec)
{
    struct hermit_stats st;

    if (rec->arg1 >= HERMIT_SERVER_STATE__MAX) {
        return;         /* a newer kernel */
    }
    qapi_event_send_hermit_memory_server_state(
        e->id, rec->arg0, hermit_server_address(e, rec->arg0, &st), rec->arg1);
}

static void hermit_mismatch_event(HermitEvents *e,
                                  const struct hermit_event_record *rec)
{
    struct hermit_stats st;

    qapi_event_send_hermit_memory_page_mismatch(
        e->id, rec->arg0, hermit_server_address(e, rec->arg0, &st),
        rec->arg1 * qemu_real_host_page_size());
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
    case HERMIT_EVENT_PAGE_MISMATCH:
        hermit_mismatch_event(e, rec);
        break;
    case HERMIT_EVENT_SHORT_COPIES:
        qapi_event_send_hermit_memory_short_copies(
            e->id, rec->arg0 * qemu_real_host_page_size());
        break;
    default:
        break;          /* a newer kernel */
    }
}

/* False: there is nothing more to be read */
static bool hermit_read(HermitEvents *e)
{
    struct hermit_event_record recs[16];
    ssize_t n, i;

    n = read(e->fd, recs, sizeof(recs));
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            error_report(HERMIT_NAME ": no more events: %s", e->id,
                         strerror(errno));
            return false;
        }
        return true;
    }
    for (i = 0; i < n / (ssize_t)sizeof(recs[0]); i++) {
        hermit_handle_event(e, &recs[i]);
    }
    return true;
}

static void *hermit_listen(void *opaque)
{
    HermitEvents *e = opaque;
    struct pollfd fds[] = {
        { .fd = e->fd, .events = POLLIN },
        { .fd = event_notifier_get_fd(&e->end), .events = POLLIN },
    };

    rcu_register_thread();
    for (;;) {
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
            continue;           /* EINTR */
        }
        if (fds[1].revents || (fds[0].revents && !hermit_read(e))) {
            break;
        }
    }
    rcu_unregister_thread();
    return NULL;
}

bool hermit_events_start(HermitEvents *e, int fd, const char *id,
                         uint64_t size, Error **errp)
{
    int ret = event_notifier_init(&e->end, false);

    if (ret) {
        error_setg_errno(errp, -ret, "no file to end its thread by");
        return false;
    }
    e->fd = fd;
    e->id = g_strdup(id);
    e->size = size;
    qemu_thread_create(&e->thread, "hermit-events", hermit_listen, e,
                       QEMU_THREAD_JOINABLE);
    return true;
}

void hermit_events_stop(HermitEvents *e)
{
    if (e->id) {
        event_notifier_set(&e->end);
        qemu_thread_join(&e->thread);
        event_notifier_cleanup(&e->end);
        g_clear_pointer(&e->id, g_free);
    }
}
