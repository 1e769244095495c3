/*
 * hermit-memory: /dev/hermit, the key file and the addresses of servers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit.h"
#include "qapi/error.h"
#include "qapi/qapi-types-sockets.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include "qemu/sockets.h"
#include "trace.h"
#include <grp.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define KEY_MIN 16              /* as hermit-memserver wants it */

static void hermit_open_error(const char *who, int err, Error **errp)
{
    struct stat st;
    struct group *group;

    switch (err) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        error_setg(errp, "%s: %s is missing: load the kernel module with "
                   "\"modprobe hermit\"", who, HERMIT_DEVICE);
        break;
    case EACCES:
    case EPERM:
        group = stat(HERMIT_DEVICE, &st) ? NULL : getgrgid(st.st_gid);
        if (err == EACCES && group && st.st_gid) {
            error_setg(errp, "%s: no permission to open %s: add the user who "
                       "runs QEMU to group %s", who, HERMIT_DEVICE,
                       group->gr_name);
        } else if (err == EACCES) {
            error_setg(errp, "%s: no permission to open %s: give it to a "
                       "group of the user who runs QEMU (it belongs to group "
                       "%s)", who, HERMIT_DEVICE,
                       group ? group->gr_name : "unknown");
        } else {
            error_setg(errp, "%s: no permission to open %s: allow it in the "
                       "device list of QEMU's control group", who,
                       HERMIT_DEVICE);
        }
        break;
    default:
        error_setg_errno(errp, err, "%s: cannot open %s", who, HERMIT_DEVICE);
    }
}

/* As hermit-memserver reads it: a newline at the end does not belong to it */
static bool hermit_read_key(HermitMemory *h, struct hermit_create *create,
                            const char *who, Error **errp)
{
    char text[HERMIT_KEY_LEN + 2];      /* a newline, and one too many */
    struct stat st;
    ssize_t n;
    int fd;

    if (!h->key_file) {
        return true;
    }
    fd = RETRY_ON_EINTR(open(h->key_file, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s: key-file: cannot open %s", who,
                         h->key_file);
        goto fail;
    }
    if (st.st_mode & S_IRWXO) {
        error_setg(errp, "%s: key-file: %s is open to every user of this host "
                   "(mode %04o): chmod it to 0600 or 0640", who, h->key_file,
                   st.st_mode & 07777);
        goto fail;
    }
    n = RETRY_ON_EINTR(read(fd, text, sizeof(text)));
    if (n < 0) {
        error_setg_errno(errp, errno, "%s: key-file: cannot read %s", who,
                         h->key_file);
        goto fail;
    }
    if (n && text[n - 1] == '\n') {
        n--;
    }
    if (n >= KEY_MIN && n <= HERMIT_KEY_LEN) {
        memcpy(create->key, text, n);
        create->key_len = n;
    }
    explicit_bzero(text, sizeof(text));
    if (!create->key_len) {
        error_setg(errp, "%s: key-file: %s does not hold %d to %d bytes of "
                   "key", who, h->key_file, KEY_MIN, HERMIT_KEY_LEN);
        goto fail;
    }
    close(fd);
    return true;
fail:
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

/*
 * The kernel knows no names, so HOST:PORT becomes numbers here: as many
 * addresses as the name has, NULL-terminated.
 */
static char **hermit_resolve(const char *server, const char *address,
                             const char *who, Error **errp)
{
    g_autoptr(InetSocketAddress) inet = g_new0(InetSocketAddress, 1);
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    int scheme = strcspn(server, ":");
    struct addrinfo hints = {
        .ai_flags = AI_ADDRCONFIG,
        .ai_socktype = SOCK_STREAM,
    };
    char host[NI_MAXHOST], port[NI_MAXSERV];
    struct addrinfo *res = NULL, *ai;
    int rc;

    if (strchr(address, ',') || inet_parse(inet, address, NULL) < 0 ||
        !*inet->host) {
        error_setg(errp, "%s: server '%s' is not of the form %.*s:HOST:PORT",
                   who, server, scheme, server);
        return NULL;
    }
    rc = getaddrinfo(inet->host, inet->port, &hints, &res);
    for (ai = res; ai && !rc; ai = ai->ai_next) {
        rc = getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host),
                         port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
        if (!rc) {
            g_ptr_array_add(found, g_strdup_printf(
                strchr(host, ':') ? "%.*s:[%s]:%s" : "%.*s:%s:%s", scheme,
                server, host, port));
        }
    }
    if (res) {
        freeaddrinfo(res);
    }
    if (rc) {
        error_setg(errp, "%s: server '%s': cannot resolve the address: %s",
                   who, server, gai_strerror(rc));
        return NULL;
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&found), false);
}

static char **hermit_server_addresses(const char *server, const char *who,
                                      Error **errp)
{
    g_auto(GStrv) addresses = NULL;
    const char *rest;
    int i;

    if (strstart(server, "local:", NULL)) {
        addresses = g_new0(char *, 2);
        addresses[0] = g_strdup(server);
    } else if (strstart(server, "tcp:", &rest) ||
               strstart(server, "rdma:", &rest)) {
        addresses = hermit_resolve(server, rest, who, errp);
    } else {
        error_setg(errp, "%s: server '%s': unknown transport; give "
                   "tcp:HOST:PORT, rdma:HOST:PORT or local:", who, server);
    }
    for (i = 0; addresses && addresses[i]; i++) {
        if (strlen(addresses[i]) >= HERMIT_SERVER_LEN) {
            error_setg(errp, "%s: server '%s': too long", who, server);
            return NULL;
        }
    }
    return g_steal_pointer(&addresses);
}

/*
 * Fill in the servers.  Returns the addresses of the first one, which are
 * tried in turn as others do with names; of the rest, the first counts.
 */
static char **hermit_fill_servers(HermitMemory *h,
                                  struct hermit_create *create,
                                  const char *who, Error **errp)
{
    g_auto(GStrv) first = NULL;
    strList *s;

    for (s = h->servers; s; s = s->next) {
        g_auto(GStrv) addresses = NULL;

        if (create->nr_servers == HERMIT_MAX_SERVERS) {
            error_setg(errp, "%s: server: at most %d can be given", who,
                       HERMIT_MAX_SERVERS);
            return NULL;
        }
        addresses = hermit_server_addresses(s->value, who, errp);
        if (!addresses) {
            return NULL;
        }
        pstrcpy(create->servers[create->nr_servers++], HERMIT_SERVER_LEN,
                addresses[0]);
        if (!first) {
            first = g_steal_pointer(&addresses);
        }
    }
    return first ? g_steal_pointer(&first) : g_new0(char *, 1);
}

static uint64_t hermit_align(uint64_t limit)
{
    return QEMU_ALIGN_DOWN(limit, qemu_real_host_page_size());
}

uint64_t hermit_limit(HermitMemory *h)
{
    uint64_t size = MEMORY_BACKEND(h)->size;
    struct hermit_stats st;

    /* hermitctl may have changed it behind our back */
    if (h->control_fd >= 0 && hermit_device_get_stats(h, &st, NULL)) {
        return st.limit;
    }
    if (h->limit) {
        return hermit_align(h->limit);
    }
    return h->ratio ? hermit_align(size * h->ratio) : size;
}

/* What the kernel says, or else what errno says; text is from the kernel */
static void hermit_kernel_error(const char *who, char *text, int err,
                                Error **errp)
{
    text[HERMIT_ERROR_LEN - 1] = 0;
    if (*text) {
        error_setg(errp, "%s: %s", who, text);
    } else if (err == ENOTTY || err == E2BIG || err == EPROTO) {
        error_setg(errp, "%s: the loaded hermit.ko does not understand this "
                   "QEMU (interface version %d): use matching versions", who,
                   HERMIT_UAPI_VERSION);
    } else {
        error_setg_errno(errp, err, "%s: %s refuses", who, HERMIT_DEVICE);
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

int hermit_device_create(HermitMemory *h, const char *id, Error **errp)
{
    g_autofree struct hermit_create *create = g_new0(struct hermit_create, 1);
    g_autofree char *who = hermit_describe(h);
    g_auto(GStrv) addresses = NULL;
    int fd, err;

    create->size = sizeof(*create);
    create->version = HERMIT_UAPI_VERSION;
    create->region_size = MEMORY_BACKEND(h)->size;
    create->limit = hermit_limit(h);
    create->reclaim_threads = h->reclaim_threads;
    create->fault_timeout_ms = h->fault_timeout;
    create->memory_fd = -1;
    memcpy(create->uuid, h->uuid.data, sizeof(create->uuid));
    pstrcpy(create->name, sizeof(create->name), id);
    addresses = hermit_fill_servers(h, create, who, errp);
    if (!addresses || !hermit_read_key(h, create, who, errp)) {
        goto out;
    }

    fd = RETRY_ON_EINTR(open(HERMIT_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (fd < 0) {
        hermit_open_error(who, errno, errp);
        goto out;
    }
    err = hermit_create_at(fd, create, addresses);
    if (err) {
        if (h->ratio && err == ERANGE) {
            /* The kernel speaks of the limit that came out of it */
            g_autofree char *of = who;

            who = g_strdup_printf("%s (local-ratio %g)", of, h->ratio);
        }
        hermit_kernel_error(who, create->error, err, errp);
        close(fd);
        goto out;
    }
    h->control_fd = fd;
    if (!hermit_device_set_policy(h, &h->policy, errp)) {
        /* The fds end the memory; the caller knows of neither */
        close(create->memory_fd);
        close(fd);
        h->control_fd = -1;
        goto out;
    }
    trace_hermit_memory_create(id, create->region_size, create->limit,
                               create->floor);
out:
    explicit_bzero(create->key, sizeof(create->key));
    return h->control_fd >= 0 ? create->memory_fd : -1;
}

bool hermit_device_set_policy(HermitMemory *h, struct hermit_policy *p,
                              Error **errp)
{
    p->size = sizeof(*p);
    if (ioctl(h->control_fd, HERMIT_SET_POLICY, p) < 0) {
        int err = errno;
        g_autofree char *who = hermit_describe(h);

        hermit_kernel_error(who, p->error, err, errp);
        return false;
    }
    return true;
}

bool hermit_device_set_limit(HermitMemory *h, uint64_t limit, Error **errp)
{
    struct hermit_limit l = {
        .size = sizeof(l),
        .limit = hermit_align(limit),
    };

    if (ioctl(h->control_fd, HERMIT_SET_LIMIT, &l) < 0) {
        int err = errno;
        g_autofree char *who = hermit_describe(h);

        hermit_kernel_error(who, l.error, err, errp);
        return false;
    }
    trace_hermit_memory_set_limit(
        object_get_canonical_path_component(OBJECT(h)), l.limit);
    return true;
}

bool hermit_device_get_stats(HermitMemory *h, struct hermit_stats *st,
                             Error **errp)
{
    /* A kernel older than us fills in less */
    memset(st, 0, sizeof(*st));
    st->size = sizeof(*st);
    if (ioctl(h->control_fd, HERMIT_GET_STATS, st) < 0) {
        g_autofree char *who = hermit_describe(h);

        error_setg_errno(errp, errno, "%s: cannot get statistics", who);
        return false;
    }
    return true;
}

struct hermit_vcpu_entry *hermit_device_get_vcpus(HermitMemory *h,
                                                  uint32_t *nr)
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
        if (ioctl(h->control_fd, HERMIT_GET_VCPUS, &l) < 0) {
            l.nr = 0;           /* an older kernel */
        }
    } while (l.nr > room);
    if (!l.nr) {
        g_clear_pointer(&v, g_free);
    }
    *nr = l.nr;
    return v;
}

bool hermit_device_find_absent(void *opaque, uint64_t first, uint64_t npages,
                               unsigned long *absent)
{
    g_autofree uint8_t *states = g_malloc(npages);
    HermitMemory *h = opaque;
    struct hermit_pagemap m = {
        .size = sizeof(m),
        .start_page = first,
        .nr_pages = npages,
        .states = (uintptr_t)states,
    };
    uint64_t i;

    if (ioctl(h->control_fd, HERMIT_GET_PAGEMAP, &m) < 0) {
        return false;
    }
    bitmap_zero(absent, npages);
    for (i = 0; i < npages; i++) {
        if (states[i] == HERMIT_PAGE_ABSENT) {
            set_bit(i, absent);
        }
    }
    return true;
}
