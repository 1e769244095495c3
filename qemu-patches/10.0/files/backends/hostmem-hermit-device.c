/*
 * hermit-memory: /dev/hermit
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit-device.h"
#include "qapi/error.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define HERMIT_DEVICE "/dev/hermit"

static void hermit_open_error(int err, Error **errp)
{
    struct stat st;
    struct group *group;

    switch (err) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        error_setg(errp, "%s is missing: load the kernel module with "
                   "\"modprobe hermit\"", HERMIT_DEVICE);
        break;
    case EACCES:
    case EPERM:
        group = stat(HERMIT_DEVICE, &st) ? NULL : getgrgid(st.st_gid);
        if (err == EACCES && group && st.st_gid) {
            error_setg(errp, "no permission to open %s: add the user who "
                       "runs QEMU to group %s", HERMIT_DEVICE,
                       group->gr_name);
        } else if (err == EACCES) {
            error_setg(errp, "no permission to open %s: give it to a "
                       "group of the user who runs QEMU (it belongs to group "
                       "%s)", HERMIT_DEVICE,
                       group ? group->gr_name : "unknown");
        } else {
            error_setg(errp, "no permission to open %s: allow it in the "
                       "device list of QEMU's control group",
                       HERMIT_DEVICE);
        }
        break;
    default:
        error_setg_errno(errp, err, "cannot open %s", HERMIT_DEVICE);
    }
}

/* What the kernel says, or else what errno says; text is from the kernel */
static void hermit_kernel_error(char *text, int err, Error **errp)
{
    text[HERMIT_ERROR_LEN - 1] = 0;
    if (*text) {
        error_setg(errp, "%s", text);
    } else if (err == ENOTTY || err == E2BIG || err == EPROTO) {
        error_setg(errp, "the loaded hermit.ko does not understand this "
                   "QEMU (interface version %d): use matching versions",
                   HERMIT_UAPI_VERSION);
    } else {
        error_setg_errno(errp, err, "%s refuses", HERMIT_DEVICE);
    }
}

/* Try one address after the other of the first server.  0, or an errno */
static int hermit_create_at(int fd, struct hermit_create *create,
                            char **addresses)
{
    int err, i = 0;

    for (;;) {
        if (!ioctl(fd, HERMIT_CREATE, create)) {
            return 0;
        }
        err = errno;
        if ((err != ECONNREFUSED && err != ENETUNREACH &&
             err != EHOSTUNREACH && err != ETIMEDOUT &&
             err != EADDRNOTAVAIL && err != EAFNOSUPPORT) ||
            !addresses[i] || !addresses[++i]) {
            return err;
        }
        pstrcpy(create->servers[0], HERMIT_SERVER_LEN, addresses[i]);
    }
}

int hermit_device_create(struct hermit_create *create, char **addresses,
                         Error **errp)
{
    int fd, err;

    create->size = sizeof(*create);
    create->version = HERMIT_UAPI_VERSION;
    create->memory_fd = -1;
    fd = RETRY_ON_EINTR(open(HERMIT_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (fd < 0) {
        err = errno;
        hermit_open_error(err, errp);
        return -err;
    }
    err = hermit_create_at(fd, create, addresses);
    if (err) {
        hermit_kernel_error(create->error, err, errp);
        close(fd);
        return -err;
    }
    return fd;
}

bool hermit_device_set_policy(int fd, struct hermit_policy *p, Error **errp)
{
    p->size = sizeof(*p);
    if (ioctl(fd, HERMIT_SET_POLICY, p) < 0) {
        hermit_kernel_error(p->error, errno, errp);
        return false;
    }
    return true;
}

bool hermit_device_set_limit(int fd, uint64_t limit, Error **errp)
{
    struct hermit_limit l = {
        .size = sizeof(l),
        .limit = limit,
    };

    if (ioctl(fd, HERMIT_SET_LIMIT, &l) < 0) {
        hermit_kernel_error(l.error, errno, errp);
        return false;
    }
    return true;
}

bool hermit_device_get_stats(int fd, struct hermit_stats *st, Error **errp)
{
    /* A kernel older than us fills in less */
    memset(st, 0, sizeof(*st));
    st->size = sizeof(*st);
    if (ioctl(fd, HERMIT_GET_STATS, st) < 0) {
        error_setg_errno(errp, errno, "cannot get statistics");
        return false;
    }
    return true;
}

struct hermit_vcpu_entry *hermit_device_get_vcpus(int fd, uint32_t *nr)
{
    struct hermit_vcpu_entry *v = NULL;
    struct hermit_vcpus l = {
        .size = sizeof(l),
        .entry_size = sizeof(*v),
    };
    uint32_t room;

    /* A vCPU may have its first wait between two calls: ask for one more */
    do {
        room = l.nr + 1;
        v = g_renew(struct hermit_vcpu_entry, v, room);
        l.nr = room;
        l.entries = (uintptr_t)v;
        if (ioctl(fd, HERMIT_GET_VCPUS, &l) < 0) {
            l.nr = 0;           /* an older kernel */
        }
    } while (l.nr > room);
    if (!l.nr) {
        g_clear_pointer(&v, g_free);
    }
    *nr = l.nr;
    return v;
}

const struct hermit_vcpu_entry *hermit_vcpu_find(
    const struct hermit_vcpu_entry *v, uint32_t nr, int thread_id)
{
    uint32_t i;

    for (i = 0; i < nr; i++) {
        if (v[i].tid == thread_id) {
            return &v[i];
        }
    }
    return NULL;
}

/* Set the bits of pages that are in this state */
static bool hermit_find_pages(int fd, uint8_t state, uint64_t first,
                              uint64_t npages, unsigned long *found)
{
    g_autofree uint8_t *states = g_malloc(npages);
    struct hermit_pagemap m = {
        .size = sizeof(m),
        .start_page = first,
        .nr_pages = npages,
        .states = (uintptr_t)states,
    };
    uint64_t i;

    if (ioctl(fd, HERMIT_GET_PAGEMAP, &m) < 0) {
        return false;
    }
    bitmap_zero(found, npages);
    for (i = 0; i < npages; i++) {
        if (states[i] == state) {
            set_bit(i, found);
        }
    }
    return true;
}

bool hermit_device_find_absent(int fd, uint64_t first, uint64_t npages,
                               unsigned long *absent)
{
    return hermit_find_pages(fd, HERMIT_PAGE_ABSENT, first, npages, absent);
}

bool hermit_device_find_lost(int fd, uint64_t first, uint64_t npages,
                             unsigned long *lost)
{
    return hermit_find_pages(fd, HERMIT_PAGE_LOST, first, npages, lost);
}
