/*
 * hermit-memory: query-hermit-memory and "info hermit"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit.h"
#include "hostmem-hermit-device.h"
#include "hw/core/cpu.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-hermit.h"
#include "qemu/cutils.h"
#include "qobject/qdict.h"

QEMU_BUILD_BUG_ON(HERMIT_MODE_STOCK != (int)HERMIT_MEMORY_MODE_STOCK);
QEMU_BUILD_BUG_ON(HERMIT_MODE_EPT != (int)HERMIT_MEMORY_MODE_EPT_HOOK);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_NONE != (int)HERMIT_SERVER_STATE_NONE);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_UP != (int)HERMIT_SERVER_STATE_UP);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_RECONNECTING !=
                  (int)HERMIT_SERVER_STATE_RECONNECTING);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_FULL != (int)HERMIT_SERVER_STATE_FULL);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_FAILED != (int)HERMIT_SERVER_STATE_FAILED);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_DRAINING != (int)HERMIT_SERVER_STATE_DRAINING);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_DRAINED != (int)HERMIT_SERVER_STATE_DRAINED);
QEMU_BUILD_BUG_ON(HERMIT_SERVER_STUCK != (int)HERMIT_SERVER_STATE_STUCK);

/*
 * The latency below which a share of all faults lies.  Bucket i holds those
 * from 2^i to 2^(i+1) ns; within a bucket they are taken as evenly spread.
 */
static uint64_t hermit_percentile(const __u64 *hist, uint64_t count,
                                  double share)
{
    double rank = count * share, before = 0;
    int i;

    for (i = 0; i < HERMIT_HIST_BUCKETS; i++) {
        if (hist[i] && before + hist[i] >= rank) {
            return (1ull << i) * (1 + (rank - before) / hist[i]);
        }
        before += hist[i];
    }
    return 0;
}

static HermitMemoryLatency *hermit_latency(const struct hermit_stats *st)
{
    HermitMemoryLatency *l = g_new0(HermitMemoryLatency, 1);
    uint64List **tail = &l->histogram;
    int i;

    for (i = 0; i < HERMIT_HIST_BUCKETS; i++) {
        l->count += st->fault_hist[i];
        QAPI_LIST_APPEND(tail, st->fault_hist[i]);
    }
    l->p50 = hermit_percentile(st->fault_hist, l->count, 0.5);
    l->p99 = hermit_percentile(st->fault_hist, l->count, 0.99);
    l->p999 = hermit_percentile(st->fault_hist, l->count, 0.999);
    return l;
}

static HermitMemoryCounters *hermit_counters(const struct hermit_stats *st)
{
    HermitMemoryCounters *c = g_new0(HermitMemoryCounters, 1);

    c->faults_guest = st->faults_guest;
    c->faults_host = st->faults_host;
    c->first_touch = st->first_touch;
    c->fetches = st->fetches;
    c->prefetches = st->prefetches;
    c->prefetch_hits = st->prefetch_hits;
    c->prefetch_misses = st->prefetch_misses;
    c->early_refaults = st->refaults_early;
    c->eager_pauses = st->eager_pauses;
    c->conflicts = st->conflicts;
    c->read_errors = st->read_errors;
    c->mismatches = st->mismatches;
    c->evicted_clean = st->evicted_clean;
    c->evicted_dirty = st->evicted_dirty;
    c->evicted_zero = st->evicted_zero;
    c->rescued = st->rescued;
    c->moved = st->moved;
    c->pinned = st->pinned;
    c->kept = st->kept;
    c->write_errors = st->write_errors;
    c->discarded = st->discarded;
    c->poisoned = st->poisoned;
    c->direct_reclaims = st->direct_reclaims;
    c->zap_batches = st->zap_batches;
    c->zapped = st->zapped;
    c->scanned = st->scanned;
    c->unaged = st->unaged;
    c->room_waits = st->room_waits;
    c->turn_waits = st->reclaim_turn_waits;
    c->parked = st->parked;
    c->spun = st->spun;
    c->async_faults = st->async_faults;
    c->waits_in_kvm = st->wait_srcu;
    c->waits_mmap_long = st->wait_mmap_long;
    c->stall_time = st->stall_ns;
    return c;
}

static HermitMemoryReclaim *hermit_reclaim(const struct hermit_stats *st,
                                           uint64_t page)
{
    HermitMemoryReclaim *r = g_new0(HermitMemoryReclaim, 1);

    r->threads = st->threads_now;
    r->threads_max = st->threads_max;
    r->watermark_low = st->watermark_low * page;
    r->watermark_high = st->watermark_high * page;
    r->turnaround = st->turnaround_ns;
    r->busy_time = st->reclaim_busy_ns;
    return r;
}

static HermitLocalPoolInfo *hermit_local_pool(
    const struct hermit_server_stats *s, uint64_t page)
{
    HermitLocalPoolInfo *p = g_new0(HermitLocalPoolInfo, 1);

    p->stored = s->pool_pages * page;
    p->same_filled = s->pool_same * page;
    p->incompressible = s->pool_raw * page;
    p->compressed = s->pool_bytes;
    p->ratio = s->bytes_used ? (double)p->stored / s->bytes_used : 0;
    p->compress_time = s->compress_ns;
    p->decompress_time = s->decompress_ns;
    return p;
}

static HermitServerInfoList *hermit_servers(const struct hermit_stats *st,
                                            uint64_t page)
{
    HermitServerInfoList *list = NULL, **tail = &list;
    unsigned i;

    for (i = 0; i < MIN(st->nr_servers, HERMIT_MAX_SERVERS); i++) {
        const struct hermit_server_stats *s = &st->servers[i];
        HermitServerInfo *info;

        /* A number that no server has any more */
        if (s->state == HERMIT_SERVER_NONE && !s->address[0]) {
            continue;
        }
        info = g_new0(HermitServerInfo, 1);
        info->address = g_strndup(s->address, sizeof(s->address) - 1);
        /* A state this QEMU does not know comes from a newer kernel */
        info->state = s->state < HERMIT_SERVER_STATE__MAX ?
            s->state : HERMIT_SERVER_STATE_NONE;
        info->state_time = st->server_state_ns[i];
        info->connections = s->connections;
        info->epoch = s->epoch;
        info->incarnation = s->incarnation;
        info->used = s->bytes_used;
        info->reads = s->reads;
        info->writes = s->writes;
        info->discards = s->discards;
        info->errors = s->errors;
        info->reconnects = s->reconnects;
        info->in_flight = s->inflight;
        info->round_trip = s->rtt_ns;
        if (strstart(info->address, "local:", NULL)) {
            info->local_pool = hermit_local_pool(s, page);
        }
        if (strstart(info->address, "rdma:", NULL)) {
            info->rdma = g_new0(HermitRdmaInfo, 1);
            info->rdma->doorbells = s->doorbells;
            info->rdma->completions = s->completions;
            info->rdma->polled = s->polled;
        }
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}

/* Buckets 0 to i: accessed less than 2^i periods ago */
#define WORKING_SET_BUCKETS 5

static HermitMemoryIdle *hermit_idle(const struct hermit_stats *st,
                                     uint64_t page)
{
    HermitMemoryIdle *d = g_new0(HermitMemoryIdle, 1);
    sizeList **tail = &d->histogram;
    int i;

    d->period = st->idle_period_ns;
    d->sampled = st->idle_sampled * page;
    d->busy = st->idle_busy_ns;
    for (i = 0; i < HERMIT_IDLE_BUCKETS; i++) {
        if (i < WORKING_SET_BUCKETS) {
            d->working_set += st->idle_hist[i] * page;
        }
        QAPI_LIST_APPEND(tail, st->idle_hist[i] * page);
    }
    return d;
}

static HermitVcpuInfoList *hermit_vcpus(HermitMemory *h)
{
    g_autofree struct hermit_vcpu_entry *v = NULL;
    HermitVcpuInfoList *list = NULL, **tail = &list;
    CPUState *cpu;
    uint32_t nr;

    v = hermit_device_get_vcpus(hermit_memory_fd(h), &nr);
    CPU_FOREACH(cpu) {
        const struct hermit_vcpu_entry *e = hermit_vcpu_find(v, nr,
                                                             cpu->thread_id);
        HermitVcpuInfo *info;

        if (!e) {
            continue;
        }
        info = g_new0(HermitVcpuInfo, 1);
        info->cpu_index = cpu->cpu_index;
        info->thread_id = cpu->thread_id;
        info->waits = e->waits;
        info->stall_time = e->stall_ns;
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}

static HermitMemoryInfo *hermit_info(HermitMemory *h,
                                     const struct hermit_stats *st)
{
    HermitMemoryInfo *info = g_new0(HermitMemoryInfo, 1);
    uint64_t page = qemu_real_host_page_size();
    uint64_t somewhere = st->local + st->remote + st->lost;

    info->id = g_strdup(object_get_canonical_path_component(OBJECT(h)));
    info->uuid = object_property_get_str(OBJECT(h), "uuid", &error_abort);
    info->size = st->region_size;
    info->limit = st->limit;
    info->local_ratio = (double)st->limit / st->region_size;
    info->floor = st->floor;
    info->mode = st->mode == HERMIT_MODE_EPT ? HERMIT_MEMORY_MODE_EPT_HOOK
                                             : HERMIT_MEMORY_MODE_STOCK;
    info->bindings = st->bindings;
    info->resident = st->resident * page;
    info->resident_max = st->resident_max * page;
    info->local = st->local * page;
    info->in_flight = st->inflight * page;
    info->pool = st->pool * page;
    info->remote = st->remote * page;
    /* The figures are not of one moment and may overlap a little */
    info->zero = st->region_size - MIN(somewhere * page, st->region_size);
    info->lost = st->lost * page;
    info->short_copies = st->short_copies * page;
    info->replicas = st->replicas;
    info->host_mapped = st->host_mapped * page;
    info->metadata = st->metadata_bytes;
    info->counters = hermit_counters(st);
    info->reclaim = hermit_reclaim(st, page);
    info->fault_latency = hermit_latency(st);
    if (st->idle_period_ns) {
        info->idle = hermit_idle(st, page);
    }
    info->vcpus = hermit_vcpus(h);
    info->servers = hermit_servers(st, page);
    return info;
}

static void hermit_append_info(HermitMemory *h, const struct hermit_stats *st,
                               void *opaque)
{
    HermitMemoryInfoList ***tail = opaque;

    QAPI_LIST_APPEND(*tail, hermit_info(h, st));
}

HermitMemoryInfoList *qmp_query_hermit_memory(Error **errp)
{
    HermitMemoryInfoList *list = NULL, **tail = &list;

    if (!hermit_memory_foreach(hermit_append_info, &tail, errp)) {
        g_clear_pointer(&list, qapi_free_HermitMemoryInfoList);
    }
    return list;
}

static void hermit_print_size(Monitor *mon, const char *what, uint64_t bytes)
{
    g_autofree char *text = size_to_str(bytes);

    monitor_printf(mon, "  %-14s %12s\n", what, text);
}

static void hermit_print(Monitor *mon, const HermitMemoryInfo *i)
{
    const HermitMemoryCounters *c = i->counters;
    HermitServerInfoList *s;
    HermitVcpuInfoList *v;

    monitor_printf(mon, "%s: local-ratio %.3g, mode %s, uuid %s\n", i->id,
                   i->local_ratio, HermitMemoryMode_str(i->mode), i->uuid);
    hermit_print_size(mon, "size", i->size);
    hermit_print_size(mon, "limit", i->limit);
    hermit_print_size(mon, "resident", i->resident);
    hermit_print_size(mon, "remote", i->remote);
    hermit_print_size(mon, "zero", i->zero);
    if (i->lost) {
        hermit_print_size(mon, "lost", i->lost);
    }
    if (i->short_copies) {
        hermit_print_size(mon, "too few copies", i->short_copies);
    }
    if (i->idle) {
        hermit_print_size(mon, "working set", i->idle->working_set);
    }
    monitor_printf(mon, "  faults: %" PRIu64 " by the guest, %" PRIu64
                   " by the host, %" PRIu64 " first touches; %" PRIu64
                   " fetched, %" PRIu64 " read ahead (%" PRIu64 " used)\n",
                   c->faults_guest, c->faults_host, c->first_touch,
                   c->fetches, c->prefetches, c->prefetch_hits);
    monitor_printf(mon, "  fault latency: p50 %.1f us, p99 %.1f us, "
                   "p99.9 %.1f us\n", i->fault_latency->p50 / 1e3,
                   i->fault_latency->p99 / 1e3, i->fault_latency->p999 / 1e3);
    monitor_printf(mon, "  evicted: %" PRIu64 " clean, %" PRIu64 " dirty, %"
                   PRIu64 " zero; %" PRIu64 " rescued, %" PRIu64
                   " direct\n", c->evicted_clean, c->evicted_dirty,
                   c->evicted_zero, c->rescued, c->direct_reclaims);
    monitor_printf(mon, "  reclaim threads: %" PRIu32 " of %" PRIu32 "\n",
                   i->reclaim->threads, i->reclaim->threads_max);
    for (v = i->vcpus; v; v = v->next) {
        monitor_printf(mon, "  CPU #%" PRId64 ": waited %" PRIu64 " times, "
                       "%.1f ms\n", v->value->cpu_index, v->value->waits,
                       v->value->stall_time / 1e6);
    }
    if (i->replicas) {
        monitor_printf(mon, "  each page on %" PRIu32 " servers\n",
                       i->replicas);
    }
    for (s = i->servers; s; s = s->next) {
        g_autofree char *used = size_to_str(s->value->used);

        monitor_printf(mon, "  server %s: %s for %.0f s, holds %s, round trip "
                       "%.1f us, %" PRIu64 " errors, %" PRIu64 " reconnects\n",
                       s->value->address,
                       HermitServerState_str(s->value->state),
                       s->value->state_time / 1e9, used,
                       s->value->round_trip / 1e3, s->value->errors,
                       s->value->reconnects);
        if (s->value->local_pool) {
            monitor_printf(mon, "  local pool: ratio %.2f\n",
                           s->value->local_pool->ratio);
        }
    }
}

void hmp_info_hermit(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    HermitMemoryInfoList *list = qmp_query_hermit_memory(&err), *e;

    if (hmp_handle_error(mon, err)) {
        return;
    }
    if (!list) {
        monitor_printf(mon, "no hermit-memory object\n");
    }
    for (e = list; e; e = e->next) {
        hermit_print(mon, e->value);
    }
    qapi_free_HermitMemoryInfoList(list);
}
