/*
 * hermit-memory: query-stats, for what fits it: of the whole VM, over all
 * objects, and how long each virtual CPU waited
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit.h"
#include "hostmem-hermit-device.h"
#include "hw/core/cpu.h"
#include "qapi/error.h"
#include "qapi/qapi-types-stats.h"
#include "qemu/module.h"
#include "system/stats.h"

/* A __u64 of struct hermit_stats, or the histogram of faults */
typedef struct {
    const char *name;
    size_t offset;
    StatsType type;
    bool is_time, is_pages;
} HermitStat;

#define STAT(name, field, ...) \
    { name, offsetof(struct hermit_stats, field), __VA_ARGS__ }

static const HermitStat vm_stats[] = {
    STAT("resident", resident, STATS_TYPE_INSTANT, .is_pages = true),
    STAT("remote", remote, STATS_TYPE_INSTANT, .is_pages = true),
    STAT("faults-guest", faults_guest, STATS_TYPE_CUMULATIVE),
    STAT("faults-host", faults_host, STATS_TYPE_CUMULATIVE),
    STAT("fetches", fetches, STATS_TYPE_CUMULATIVE),
    STAT("prefetches", prefetches, STATS_TYPE_CUMULATIVE),
    STAT("evicted-clean", evicted_clean, STATS_TYPE_CUMULATIVE),
    STAT("evicted-dirty", evicted_dirty, STATS_TYPE_CUMULATIVE),
    STAT("evicted-zero", evicted_zero, STATS_TYPE_CUMULATIVE),
    STAT("stall-time", stall_ns, STATS_TYPE_CUMULATIVE, .is_time = true),
    STAT("fault-latency", fault_hist, STATS_TYPE_LOG2_HISTOGRAM,
         .is_time = true),
};

static const HermitStat vcpu_stats[] = {
    { "waits", offsetof(struct hermit_vcpu_entry, waits),
      STATS_TYPE_CUMULATIVE },
    { "stall-time", offsetof(struct hermit_vcpu_entry, stall_ns),
      STATS_TYPE_CUMULATIVE, .is_time = true },
};

/* The stats of one result, in the order of the schema, as HMP wants them */
static StatsList *hermit_stats_of(const HermitStat *stats, size_t nr,
                                  const void *from, strList *names)
{
    StatsList *list = NULL, **tail = &list;
    size_t i;
    int j;

    for (i = 0; i < nr; i++) {
        const uint64_t *value = from + stats[i].offset;
        Stats *s;

        if (!apply_str_list_filter(stats[i].name, names)) {
            continue;
        }
        s = g_new0(Stats, 1);
        s->name = g_strdup(stats[i].name);
        s->value = g_new0(StatsValue, 1);
        if (stats[i].type == STATS_TYPE_LOG2_HISTOGRAM) {
            uint64List **bucket = &s->value->u.list;

            s->value->type = QTYPE_QLIST;
            for (j = 0; j < HERMIT_HIST_BUCKETS; j++) {
                QAPI_LIST_APPEND(bucket, value[j]);
            }
        } else {
            s->value->type = QTYPE_QNUM;
            s->value->u.scalar = *value * (stats[i].is_pages ?
                                           qemu_real_host_page_size() : 1);
        }
        QAPI_LIST_APPEND(tail, s);
    }
    return list;
}

typedef struct {
    struct hermit_stats sum;
    HermitMemory *any;          /* one of them: vCPUs are the VM's */
} HermitSum;

static void hermit_sum_one(HermitMemory *h, const struct hermit_stats *st,
                           void *opaque)
{
    HermitSum *s = opaque;
    size_t i;
    int j;

    for (i = 0; i < ARRAY_SIZE(vm_stats); i++) {
        uint64_t *to = (void *)&s->sum + vm_stats[i].offset;
        const uint64_t *from = (const void *)st + vm_stats[i].offset;
        int n = vm_stats[i].type == STATS_TYPE_LOG2_HISTOGRAM ?
                HERMIT_HIST_BUCKETS : 1;

        for (j = 0; j < n; j++) {
            to[j] += from[j];
        }
    }
    s->any = h;
}

static void hermit_stats_vcpus(StatsResultList **result, HermitMemory *h,
                               strList *names, strList *targets)
{
    static const struct hermit_vcpu_entry never;
    g_autofree struct hermit_vcpu_entry *v = NULL;
    CPUState *cpu;
    uint32_t nr;

    v = hermit_device_get_vcpus(hermit_memory_fd(h), &nr);
    CPU_FOREACH(cpu) {
        g_autofree char *path = object_get_canonical_path(OBJECT(cpu));
        const struct hermit_vcpu_entry *e;

        if (!apply_str_list_filter(path, targets)) {
            continue;
        }
        e = hermit_vcpu_find(v, nr, cpu->thread_id) ?: &never;
        add_stats_entry(result, STATS_PROVIDER_HERMIT, path,
                        hermit_stats_of(vcpu_stats, ARRAY_SIZE(vcpu_stats), e,
                                        names));
    }
}

static void hermit_stats_cb(StatsResultList **result, StatsTarget target,
                            strList *names, strList *targets, Error **errp)
{
    HermitSum s = {};

    if (target != STATS_TARGET_VM && target != STATS_TARGET_VCPU) {
        return;
    }
    if (!hermit_memory_foreach(hermit_sum_one, &s, errp) || !s.any) {
        return;
    }
    if (target == STATS_TARGET_VCPU) {
        hermit_stats_vcpus(result, s.any, names, targets);
    } else {
        add_stats_entry(result, STATS_PROVIDER_HERMIT, NULL,
                        hermit_stats_of(vm_stats, ARRAY_SIZE(vm_stats), &s.sum,
                                        names));
    }
}

static StatsSchemaValueList *hermit_schema(const HermitStat *stats, size_t nr)
{
    StatsSchemaValueList *list = NULL, **tail = &list;
    size_t i;

    for (i = 0; i < nr; i++) {
        StatsSchemaValue *v = g_new0(StatsSchemaValue, 1);

        v->name = g_strdup(stats[i].name);
        v->type = stats[i].type;
        if (stats[i].is_time) {
            v->has_unit = true;
            v->unit = STATS_UNIT_SECONDS;
            v->has_base = true;
            v->base = 10;
            v->exponent = -9;
        } else if (stats[i].is_pages) {
            v->has_unit = true;
            v->unit = STATS_UNIT_BYTES;
        }
        QAPI_LIST_APPEND(tail, v);
    }
    return list;
}

static void hermit_schemas_cb(StatsSchemaList **result, Error **errp)
{
    add_stats_schema(result, STATS_PROVIDER_HERMIT, STATS_TARGET_VM,
                     hermit_schema(vm_stats, ARRAY_SIZE(vm_stats)));
    add_stats_schema(result, STATS_PROVIDER_HERMIT, STATS_TARGET_VCPU,
                     hermit_schema(vcpu_stats, ARRAY_SIZE(vcpu_stats)));
}

static void hermit_stats_register(void)
{
    add_stats_callbacks(STATS_PROVIDER_HERMIT, hermit_stats_cb,
                        hermit_schemas_cb);
}

/* There is no type of its own; it is the time at which types register */
type_init(hermit_stats_register);
