/*
 * hermit-memory: a region, what the user wants of it and what the kernel has
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit-region.h"
#include "hostmem-hermit-device.h"
#include "hostmem-hermit-server.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "trace.h"

void hermit_region_init(HermitRegion *r)
{
    r->fd = -1;
    /* What the kernel begins with, for who asks before it is created */
    r->policy = (struct hermit_policy) {
        .eager = 1,
        .async_io = 1,
        .prefetch = 32,
        .batch = 32,
        .weight = 100,
    };
    qemu_uuid_generate(&r->uuid);
}

void hermit_region_end(HermitRegion *r)
{
    if (r->fd >= 0) {
        close(r->fd);           /* ends the memory, here and on the servers */
    }
    qapi_free_strList(r->servers);
    g_free(r->key_file);
}

static uint64_t hermit_align(uint64_t limit)
{
    return QEMU_ALIGN_DOWN(limit, qemu_real_host_page_size());
}

uint64_t hermit_region_limit(HermitRegion *r, uint64_t size)
{
    struct hermit_stats st;

    /* hermitctl may have changed it behind our back */
    if (r->fd >= 0 && hermit_device_get_stats(r->fd, &st, NULL)) {
        return st.limit;
    }
    if (r->limit) {
        return hermit_align(r->limit);
    }
    return r->ratio ? hermit_align(size * r->ratio) : size;
}

int hermit_region_create(HermitRegion *r, uint64_t size, const char *name,
                         Error **errp)
{
    g_autofree struct hermit_create *create = g_new0(struct hermit_create, 1);
    g_auto(GStrv) addresses = NULL;
    int fd, ret = -EINVAL;

    create->region_size = size;
    create->limit = hermit_region_limit(r, size);
    create->replicas = r->replicas;
    create->reclaim_threads = r->reclaim_threads;
    create->fault_timeout_ms = r->fault_timeout;
    memcpy(create->uuid, r->uuid.data, sizeof(create->uuid));
    pstrcpy(create->name, sizeof(create->name), name);
    addresses = hermit_servers_fill(create, r->servers, errp);
    if (!addresses ||
        (r->key_file && !hermit_key_fill(create, r->key_file, errp))) {
        goto wipe;
    }
    fd = hermit_device_create(create, addresses, errp);
    if (fd < 0) {
        ret = fd;
        goto wipe;
    }
    if (!hermit_device_set_policy(fd, &r->policy, errp)) {
        /* The fds end the memory; the caller knows of neither */
        close(create->memory_fd);
        close(fd);
        goto wipe;
    }
    r->fd = fd;
    ret = create->memory_fd;
    trace_hermit_memory_create(name, size, create->limit, create->floor);
wipe:
    explicit_bzero(create->key, sizeof(create->key));
    return ret;
}

bool hermit_region_set_limit(HermitRegion *r, uint64_t limit, Error **errp)
{
    return hermit_device_set_limit(r->fd, hermit_align(limit), errp);
}

static uint32_t *hermit_policy_field(struct hermit_policy *p, uint32_t bit)
{
    switch (bit) {
    case HERMIT_POLICY_EAGER:
        return &p->eager;
    case HERMIT_POLICY_ASYNC_IO:
        return &p->async_io;
    case HERMIT_POLICY_PREFETCH:
        return &p->prefetch;
    case HERMIT_POLICY_BATCH:
        return &p->batch;
    case HERMIT_POLICY_THREADS:
        return &p->threads;
    case HERMIT_POLICY_WAIT:
        return &p->wait;
    case HERMIT_POLICY_WEIGHT:
        return &p->weight;
    case HERMIT_POLICY_ASYNC_PF:
        return &p->async_pf;
    default:
        g_assert_not_reached();
    }
}

bool hermit_region_set_policy(HermitRegion *r, uint32_t bit, uint32_t value,
                              Error **errp)
{
    struct hermit_policy p = { .set = bit };

    if (r->fd < 0) {
        r->policy.set |= bit;
        *hermit_policy_field(&r->policy, bit) = value;
        return true;
    }
    *hermit_policy_field(&p, bit) = value;
    return hermit_device_set_policy(r->fd, &p, errp);
}

bool hermit_region_get_policy(HermitRegion *r, uint32_t bit, uint32_t *value,
                              Error **errp)
{
    struct hermit_policy p = {};

    if (r->fd < 0) {
        p = r->policy;
    } else if (!hermit_device_set_policy(r->fd, &p, errp)) {
        return false;
    }
    *value = *hermit_policy_field(&p, bit);
    return true;
}
