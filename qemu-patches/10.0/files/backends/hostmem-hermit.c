/*
 * hermit-memory: the QOM object
 *
 * Guest memory of which at most `limit` bytes are kept on this host; the rest
 * is on memory servers.  hermit.ko does the work.  It gives two files: the
 * memory, which becomes an ordinary shared RAMBlock, and the control file,
 * which only we hold and whose end is the end of the memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit.h"
#include "hostmem-hermit-device.h"
#include "hostmem-hermit-disks.h"
#include "hostmem-hermit-event.h"
#include "hostmem-hermit-region.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "hw/boards.h"
#include "hw/resettable.h"
#include "migration/blocker.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qom/object_interfaces.h"
#include "system/hostmem.h"
#include "system/reset.h"
#include "system/system.h"
#include "trace.h"

struct HermitMemory {
    HostMemoryBackend parent_obj;

    HermitRegion region;
    HermitEvents events;
    strList *other_memory;      /* ids of what may be beside it */
    bool discard_required;      /* holds ram_block_discard_require() */
    Error *cpr_blocker;
    ResettableState reset;
    bool resettable;            /* with the machine; machine_done is set, too */
    Notifier machine_done;
};

/* "hermit-memory 'ID'", or without the id while there is none */
static char *hermit_describe(HermitMemory *h)
{
    /* Objects get their id after their properties */
    if (!OBJECT(h)->parent) {
        return g_strdup(TYPE_HERMIT_MEMORY);
    }
    return g_strdup_printf(TYPE_HERMIT_MEMORY " '%s'",
                           object_get_canonical_path_component(OBJECT(h)));
}

/* The files below know no object; what they report gets its name here */
static void hermit_prepend_name(HermitMemory *h, Error **errp)
{
    g_autofree char *who = hermit_describe(h);

    error_prepend(errp, "%s: ", who);
}

int hermit_memory_fd(HermitMemory *h)
{
    return h->region.fd;
}

static bool hermit_get_stats(HermitMemory *h, struct hermit_stats *st,
                             Error **errp)
{
    ERRP_GUARD();

    if (!hermit_device_get_stats(h->region.fd, st, errp)) {
        hermit_prepend_name(h, errp);
        return false;
    }
    return true;
}

typedef struct {
    HermitMemoryFn *fn;
    void *opaque;
    Error **errp;
} HermitForeach;

static int hermit_foreach_one(Object *obj, void *opaque)
{
    HermitMemory *h = (HermitMemory *)object_dynamic_cast(obj,
                                                          TYPE_HERMIT_MEMORY);
    HermitForeach *f = opaque;
    struct hermit_stats st;

    if (!h || h->region.fd < 0) {
        return 0;
    }
    if (!hermit_get_stats(h, &st, f->errp)) {
        return 1;
    }
    f->fn(h, &st, f->opaque);
    return 0;
}

bool hermit_memory_foreach(HermitMemoryFn *fn, void *opaque, Error **errp)
{
    HermitForeach f = { fn, opaque, errp };

    return !object_child_foreach_recursive(object_get_root(),
                                           hermit_foreach_one, &f);
}

static uint64_t hermit_limit(HermitMemory *h)
{
    return hermit_region_limit(&h->region, MEMORY_BACKEND(h)->size);
}

/* What memory backends can do and this one cannot */
static bool hermit_accepts(HostMemoryBackend *backend, const char *property,
                           Error **errp)
{
    static const struct {
        const char *property;
        const char *why;
    } refused[] = {
        { "share", "share=off is not supported: the kernel takes pages away "
                   "from the guest, so they can only be mapped shared" },
        { "prealloc", "prealloc=on is not supported: the memory may be larger "
                      "than what this host keeps of it" },
        { "merge", "merge=on is not supported: its pages are not anonymous "
                   "memory, which is all that KSM merges" },
        { "dump", "dump=on is not supported: a core dump would fetch all "
                  "remote memory; use dump-guest-memory" },
        { "policy", "policy is not supported: the kernel module places pages "
                    "where they are needed" },
        { "host-nodes", "host-nodes is not supported: the kernel module "
                        "places pages where they are needed" },
    };
    g_autofree char *who = hermit_describe(HERMIT_MEMORY(backend));
    int i;

    for (i = 0; i < ARRAY_SIZE(refused); i++) {
        if (!strcmp(property, refused[i].property)) {
            error_setg(errp, "%s: %s", who, refused[i].why);
            return false;
        }
    }
    return true;
}

/* A limit holds for all that the guest has, or for nothing */
static bool hermit_tolerates(HostMemoryBackend *backend,
                             HostMemoryBackend *other, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(backend);
    const char *id = object_get_canonical_path_component(OBJECT(other));
    g_autofree char *who = NULL;
    strList *s;

    if (object_dynamic_cast(OBJECT(other), TYPE_HERMIT_MEMORY)) {
        return true;
    }
    for (s = h->other_memory; s; s = s->next) {
        if (!strcmp(s->value, id)) {
            return true;
        }
    }
    who = hermit_describe(h);
    error_setg(errp, "%s: its limit would not bound what %s '%s' takes of "
               "this host: make that one hermit-memory too, or name it in "
               "other-memory", who, object_get_typename(OBJECT(other)), id);
    return false;
}

/* The options that can be judged without the kernel */
static bool hermit_check_options(HermitMemory *h, Error **errp)
{
    HostMemoryBackend *backend = MEMORY_BACKEND(h);
    g_autofree char *who = hermit_describe(h);
    uint64_t size = backend->size;

    if (!size) {
        error_setg(errp, "%s: size is missing or 0", who);
        return false;
    }
    if (!QEMU_IS_ALIGNED(size, qemu_real_host_page_size())) {
        error_setg(errp, "%s: size %" PRIu64 " is not a multiple of the page "
                   "size, %zu", who, size, qemu_real_host_page_size());
        return false;
    }
    if (h->region.limit && h->region.ratio) {
        error_setg(errp, "%s: give either limit or local-ratio, not both",
                   who);
        return false;
    }
    if (h->region.limit > size) {
        error_setg(errp, "%s: limit %" PRIu64 " is above size %" PRIu64, who,
                   h->region.limit, size);
        return false;
    }
    if (backend->guest_memfd || MACHINE(qdev_get_machine())->cgs) {
        error_setg(errp, "%s: confidential-guest-support is not supported: "
                   "the kernel cannot move encrypted pages", who);
        return false;
    }
    if (should_mlock(mlock_state)) {
        error_setg(errp, "%s: -overcommit mem-lock is not supported: locked "
                   "memory cannot leave this host", who);
        return false;
    }
    return true;
}

/* Nobody may pin the guest's memory: neither who is here nor who comes later */
static bool hermit_forbid_pinning(HermitMemory *h, Error **errp)
{
    if (ram_block_discard_require(true)) {
        g_autofree char *who = hermit_describe(h);

        error_setg(errp, "%s: a device that pins guest memory (VFIO, vDPA or "
                   "another) is in use; pinned memory cannot leave this host",
                   who);
        return false;
    }
    h->discard_required = true;
    return true;
}

/* For migration: what is not here stays where it is.  Any thread. */
static bool hermit_find_absent(void *opaque, uint64_t first, uint64_t npages,
                               unsigned long *absent)
{
    HermitMemory *h = opaque;

    return hermit_device_find_absent(h->region.fd, first, npages, absent);
}

static const RAMBlockPageOps hermit_page_ops = {
    .find_absent = hermit_find_absent,
    .read_by_fd = true,
};

/* The fd of the memory, or a negative errno */
static int hermit_create(HermitMemory *h, const char *id, Error **errp)
{
    ERRP_GUARD();
    int fd = hermit_region_create(&h->region, MEMORY_BACKEND(h)->size, id,
                                  errp);

    if (fd == -ERANGE && h->region.ratio) {
        /* The kernel speaks of the limit that came out of it */
        g_autofree char *who = hermit_describe(h);

        error_prepend(errp, "%s (local-ratio %g): ", who, h->region.ratio);
    } else if (fd < 0) {
        hermit_prepend_name(h, errp);
    }
    return fd;
}

/*
 * What is lost is zeros from now on: a machine that is reset expects nothing of
 * its memory.  Without this it would stumble over one lost page after another.
 */
static void hermit_heal(HermitMemory *h)
{
    const uint64_t page = qemu_real_host_page_size();
    const uint64_t window = 64 * KiB;   /* pages looked at at once */
    RAMBlock *rb = MEMORY_BACKEND(h)->mr.ram_block;
    g_autofree unsigned long *lost = bitmap_new(window);
    g_autofree char *who = hermit_describe(h);
    uint64_t npages = MEMORY_BACKEND(h)->size / page;
    uint64_t first, n, start, end, healed = 0;
    struct hermit_stats st;

    if (!hermit_device_get_stats(h->region.fd, &st, NULL) || !st.lost) {
        return;
    }
    for (first = 0; first < npages; first += n) {
        n = MIN(window, npages - first);
        if (!hermit_device_find_lost(h->region.fd, first, n, lost)) {
            break;
        }
        for (start = find_first_bit(lost, n); start < n;
             start = find_next_bit(lost, n, end)) {
            end = find_next_zero_bit(lost, n, start);
            /* It says itself what is wrong */
            if (!ram_block_discard_range(rb, (first + start) * page,
                                         (end - start) * page)) {
                healed += end - start;
            }
        }
    }
    warn_report("%s: %" PRIu64 " lost pages are zeros after the reset", who,
                healed);
}

/*
 * Before anybody's hold phase, in which ROMs are copied to memory.  A machine
 * that wakes up wants its memory as it was.
 */
static void hermit_reset_enter(Object *obj, ResetType type)
{
    if (type != RESET_TYPE_WAKEUP) {
        hermit_heal(HERMIT_MEMORY(obj));
    }
}

static ResettableState *hermit_get_reset_state(Object *obj)
{
    return &HERMIT_MEMORY(obj)->reset;
}

static void hermit_machine_done(Notifier *notifier, void *data)
{
    HermitMemory *h = container_of(notifier, HermitMemory, machine_done);

    hermit_disks_check(object_get_canonical_path_component(OBJECT(h)));
}

static bool hermit_alloc(HostMemoryBackend *backend, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(backend);
    g_autofree char *name = host_memory_backend_get_name(backend);
    g_autofree char *who = hermit_describe(h);
    const char *id = object_get_canonical_path_component(OBJECT(h));
    int fd;

    if (!hermit_check_options(h, errp) || !hermit_forbid_pinning(h, errp)) {
        return false;
    }
    /* CPR would hand over the memory's fd, but the region ends with ours */
    error_setg(&h->cpr_blocker,
               "%s: handing over memory (CPR) is not supported", who);
    if (migrate_add_blocker_modes(&h->cpr_blocker, errp,
                                  MIG_MODE_CPR_TRANSFER, -1) < 0) {
        return false;
    }
    fd = hermit_create(h, id, errp);
    if (fd < 0) {
        return false;
    }
    if (!memory_region_init_ram_from_fd(&backend->mr, OBJECT(backend), name,
                                        backend->size, RAM_SHARED, fd, 0,
                                        errp)) {
        close(fd);
        return false;
    }
    backend->mr.ram_block->page_opaque = h;
    backend->mr.ram_block->page_ops = &hermit_page_ops;
    if (!hermit_events_start(&h->events, h->region.fd, id, backend->size,
                             errp)) {
        hermit_prepend_name(h, errp);
        return false;
    }
    qemu_register_resettable(OBJECT(h));
    h->resettable = true;
    h->machine_done.notify = hermit_machine_done;
    qemu_add_machine_init_done_notifier(&h->machine_done);
    return true;
}

/* Most properties go to the kernel once, when the memory is created */
static bool hermit_may_change(Object *obj, const char *name, Error **errp)
{
    g_autofree char *who = NULL;

    if (!host_memory_backend_mr_inited(MEMORY_BACKEND(obj))) {
        return true;
    }
    who = hermit_describe(HERMIT_MEMORY(obj));
    error_setg(errp, "%s: %s cannot be changed any more, only limit, "
               "local-ratio and the techniques' switches can", who, name);
    return false;
}

static void hermit_change_limit(HermitMemory *h, uint64_t limit, Error **errp)
{
    ERRP_GUARD();
    uint64_t size = MEMORY_BACKEND(h)->size;

    if (limit > size) {
        g_autofree char *who = hermit_describe(h);

        error_setg(errp, "%s: limit %" PRIu64 " is above size %" PRIu64, who,
                   limit, size);
        return;
    }
    /* The kernel tells of it, as it does when hermitctl changes the limit */
    if (!hermit_region_set_limit(&h->region, limit, errp)) {
        hermit_prepend_name(h, errp);
        return;
    }
    trace_hermit_memory_set_limit(
        object_get_canonical_path_component(OBJECT(h)), limit);
}

static void hermit_set_limit(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(obj);
    uint64_t value;

    if (!visit_type_size(v, name, &value, errp)) {
        return;
    }
    if (!value) {
        g_autofree char *who = hermit_describe(h);

        error_setg(errp, "%s: limit must be above 0", who);
        return;
    }
    if (host_memory_backend_mr_inited(MEMORY_BACKEND(obj))) {
        hermit_change_limit(h, value, errp);
    } else {
        h->region.limit = value;
    }
}

static void hermit_get_limit(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    uint64_t value = hermit_limit(HERMIT_MEMORY(obj));

    visit_type_size(v, name, &value, errp);
}

static void hermit_set_ratio(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(obj);
    double value;

    if (!visit_type_number(v, name, &value, errp)) {
        return;
    }
    if (!(value > 0 && value <= 1)) {
        g_autofree char *who = hermit_describe(h);

        error_setg(errp, "%s: local-ratio must be above 0 and at most 1", who);
        return;
    }
    if (host_memory_backend_mr_inited(MEMORY_BACKEND(obj))) {
        hermit_change_limit(h, MEMORY_BACKEND(obj)->size * value, errp);
    } else {
        h->region.ratio = value;
    }
}

static void hermit_get_ratio(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(obj);
    uint64_t size = MEMORY_BACKEND(obj)->size;
    double value = size ? (double)hermit_limit(h) / size : 1;

    visit_type_number(v, name, &value, errp);
}

/* server and other-memory; opaque is the offset of the field */
static void hermit_set_list(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    strList **field = (strList **)((char *)obj + (uintptr_t)opaque);
    strList *list = NULL;

    if (!hermit_may_change(obj, name, errp) ||
        !visit_type_strList(v, name, &list, errp)) {
        return;
    }
    qapi_free_strList(*field);
    *field = list;
}

static void hermit_get_list(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    visit_type_strList(v, name,
                       (strList **)((char *)obj + (uintptr_t)opaque), errp);
}

static void hermit_set_key_file(Object *obj, const char *value, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(obj);

    if (hermit_may_change(obj, "key-file", errp)) {
        g_free(h->region.key_file);
        h->region.key_file = *value ? g_strdup(value) : NULL;
    }
}

static char *hermit_get_key_file(Object *obj, Error **errp)
{
    return g_strdup(HERMIT_MEMORY(obj)->region.key_file ?: "");
}

static void hermit_set_uuid(Object *obj, const char *value, Error **errp)
{
    HermitMemory *h = HERMIT_MEMORY(obj);
    QemuUUID uuid;

    if (!hermit_may_change(obj, "uuid", errp)) {
        return;
    }
    if (qemu_uuid_parse(value, &uuid) || qemu_uuid_is_null(&uuid)) {
        g_autofree char *who = hermit_describe(h);

        error_setg(errp, "%s: uuid '%s' is not a UUID or all zeros", who,
                   value);
        return;
    }
    h->region.uuid = uuid;
}

static char *hermit_get_uuid(Object *obj, Error **errp)
{
    return qemu_uuid_unparse_strdup(&HERMIT_MEMORY(obj)->region.uuid);
}

/* reclaim-threads and fault-timeout; opaque is the offset of the field */
static void hermit_set_uint32(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    uint32_t value;

    if (!hermit_may_change(obj, name, errp) ||
        !visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (!value) {
        g_autofree char *who = hermit_describe(HERMIT_MEMORY(obj));

        error_setg(errp, "%s: %s must be above 0", who, name);
        return;
    }
    *(uint32_t *)((char *)obj + (uintptr_t)opaque) = value;
}

static void hermit_get_uint32(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    visit_type_uint32(v, name, (uint32_t *)((char *)obj + (uintptr_t)opaque),
                      errp);
}

static void hermit_set_on_stall(Object *obj, int value, Error **errp)
{
    if (hermit_may_change(obj, "on-stall", errp)) {
        HERMIT_MEMORY(obj)->events.on_stall = value;
    }
}

static int hermit_get_on_stall(Object *obj, Error **errp)
{
    return HERMIT_MEMORY(obj)->events.on_stall;
}

/* The techniques' switches; opaque is the HERMIT_POLICY_* bit */
static void hermit_change_policy(HermitMemory *h, uint32_t bit, uint32_t value,
                                 Error **errp)
{
    ERRP_GUARD();

    if (!hermit_region_set_policy(&h->region, bit, value, errp)) {
        hermit_prepend_name(h, errp);
    }
}

static uint32_t hermit_policy_value(HermitMemory *h, uint32_t bit, Error **errp)
{
    ERRP_GUARD();
    uint32_t value = 0;

    if (!hermit_region_get_policy(&h->region, bit, &value, errp)) {
        hermit_prepend_name(h, errp);
    }
    return value;
}

static void hermit_set_policy_uint(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    uint32_t value;

    if (visit_type_uint32(v, name, &value, errp)) {
        hermit_change_policy(HERMIT_MEMORY(obj), (uintptr_t)opaque, value,
                             errp);
    }
}

static void hermit_get_policy_uint(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    ERRP_GUARD();
    uint32_t value = hermit_policy_value(HERMIT_MEMORY(obj),
                                         (uintptr_t)opaque, errp);

    if (!*errp) {
        visit_type_uint32(v, name, &value, errp);
    }
}

static void hermit_set_policy_bool(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    bool value;

    if (visit_type_bool(v, name, &value, errp)) {
        hermit_change_policy(HERMIT_MEMORY(obj), (uintptr_t)opaque, value,
                             errp);
    }
}

static void hermit_get_policy_bool(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    ERRP_GUARD();
    bool value = hermit_policy_value(HERMIT_MEMORY(obj), (uintptr_t)opaque,
                                     errp);

    if (!*errp) {
        visit_type_bool(v, name, &value, errp);
    }
}

QEMU_BUILD_BUG_ON((int)HERMIT_WAIT_MODE_SPIN != HERMIT_POLICY_WAIT_SPIN);
QEMU_BUILD_BUG_ON((int)HERMIT_WAIT_MODE_PARK != HERMIT_POLICY_WAIT_PARK);

/*
 * An enum's value, which has to be one that we know of: 0 and an error for what
 * a newer module has
 */
static int hermit_policy_enum(HermitMemory *h, uint32_t bit,
                              const QEnumLookup *lookup, const char *name,
                              Error **errp)
{
    uint32_t value = hermit_policy_value(h, bit, errp);

    if (value >= lookup->size) {
        g_autofree char *who = hermit_describe(h);

        error_setg(errp, "%s: hermit.ko has %s at %" PRIu32 ", which this "
                   "QEMU does not know: use matching versions", who, name,
                   value);
        return 0;
    }
    return value;
}

static void hermit_set_wait(Object *obj, int value, Error **errp)
{
    hermit_change_policy(HERMIT_MEMORY(obj), HERMIT_POLICY_WAIT, value, errp);
}

static int hermit_get_wait(Object *obj, Error **errp)
{
    return hermit_policy_enum(HERMIT_MEMORY(obj), HERMIT_POLICY_WAIT,
                              &HermitWaitMode_lookup, "wait", errp);
}

QEMU_BUILD_BUG_ON((int)ON_OFF_AUTO_AUTO != HERMIT_POLICY_ASYNC_PF_AUTO);
QEMU_BUILD_BUG_ON((int)ON_OFF_AUTO_ON != HERMIT_POLICY_ASYNC_PF_ON);
QEMU_BUILD_BUG_ON((int)ON_OFF_AUTO_OFF != HERMIT_POLICY_ASYNC_PF_OFF);

static void hermit_set_async_pf(Object *obj, int value, Error **errp)
{
    hermit_change_policy(HERMIT_MEMORY(obj), HERMIT_POLICY_ASYNC_PF, value,
                         errp);
}

static int hermit_get_async_pf(Object *obj, Error **errp)
{
    return hermit_policy_enum(HERMIT_MEMORY(obj), HERMIT_POLICY_ASYNC_PF,
                              &OnOffAuto_lookup, "async-pf", errp);
}

static void hermit_add_switch(ObjectClass *oc, const char *name, bool is_bool,
                              uint32_t bit, const char *description)
{
    object_class_property_add(oc, name, is_bool ? "bool" : "uint32",
                              is_bool ? hermit_get_policy_bool :
                                        hermit_get_policy_uint,
                              is_bool ? hermit_set_policy_bool :
                                        hermit_set_policy_uint,
                              NULL, (void *)(uintptr_t)bit);
    object_class_property_set_description(oc, name, description);
}

static void hermit_instance_init(Object *obj)
{
    HermitMemory *h = HERMIT_MEMORY(obj);

    /* The machine's defaults for anonymous memory make no sense here */
    MEMORY_BACKEND(obj)->share = true;
    MEMORY_BACKEND(obj)->merge = false;
    MEMORY_BACKEND(obj)->dump = false;
    hermit_region_init(&h->region);
}

static void hermit_instance_finalize(Object *obj)
{
    HermitMemory *h = HERMIT_MEMORY(obj);

    migrate_del_blocker(&h->cpr_blocker);
    if (h->resettable) {
        qemu_unregister_resettable(obj);
        qemu_remove_machine_init_done_notifier(&h->machine_done);
    }
    hermit_events_stop(&h->events);
    hermit_region_end(&h->region);
    qapi_free_strList(h->other_memory);
    if (h->discard_required) {
        ram_block_discard_require(false);
    }
}

static void hermit_class_init(ObjectClass *oc, void *data)
{
    HostMemoryBackendClass *bc = MEMORY_BACKEND_CLASS(oc);
    ResettableClass *rc = RESETTABLE_CLASS(oc);

    rc->get_state = hermit_get_reset_state;
    rc->phases.enter = hermit_reset_enter;
    bc->alloc = hermit_alloc;
    bc->accepts = hermit_accepts;
    bc->tolerates = hermit_tolerates;
    bc->never_pinned = true;

    object_class_property_add(oc, "limit", "size", hermit_get_limit,
                              hermit_set_limit, NULL, NULL);
    object_class_property_set_description(oc, "limit",
        "Most bytes to keep on this host; can be changed at run time");
    object_class_property_add(oc, "local-ratio", "number", hermit_get_ratio,
                              hermit_set_ratio, NULL, NULL);
    object_class_property_set_description(oc, "local-ratio",
        "The limit as a share of size, above 0 and at most 1; can be changed "
        "at run time (default: 1)");
    object_class_property_add(oc, "server", "strList", hermit_get_list,
                              hermit_set_list, NULL,
                              (void *)offsetof(HermitMemory, region.servers));
    object_class_property_set_description(oc, "server",
        "Memory server, tcp:HOST:PORT or rdma:HOST:PORT; may be repeated "
        "(default: a pool on this host)");
    object_class_property_add(oc, "replicas", "uint32", hermit_get_uint32,
                              hermit_set_uint32, NULL,
                              (void *)offsetof(HermitMemory, region.replicas));
    object_class_property_set_description(oc, "replicas",
        "On how many of several servers each page is (default: 2)");
    object_class_property_add_str(oc, "key-file", hermit_get_key_file,
                                  hermit_set_key_file);
    object_class_property_set_description(oc, "key-file",
        "File with the key shared with the servers, 16 to 64 bytes");
    object_class_property_add_str(oc, "uuid", hermit_get_uuid,
                                  hermit_set_uuid);
    object_class_property_set_description(oc, "uuid",
        "UUID that servers know the memory by (default: random)");
    object_class_property_add(oc, "reclaim-threads", "uint32",
                              hermit_get_uint32, hermit_set_uint32, NULL,
                              (void *)offsetof(HermitMemory,
                                               region.reclaim_threads));
    object_class_property_set_description(oc, "reclaim-threads",
        "Most threads that give up pages (default: the kernel's choice)");
    object_class_property_add(oc, "fault-timeout", "uint32",
                              hermit_get_uint32, hermit_set_uint32, NULL,
                              (void *)offsetof(HermitMemory,
                                               region.fault_timeout));
    object_class_property_set_description(oc, "fault-timeout",
        "Milliseconds that an access may wait for a page before on-stall "
        "(default: the kernel's choice)");
    object_class_property_add_enum(oc, "on-stall", "HermitStallAction",
                                   &HermitStallAction_lookup,
                                   hermit_get_on_stall, hermit_set_on_stall);
    object_class_property_set_description(oc, "on-stall",
        "What to do when pages do not come or are lost: stop the VM or kill "
        "QEMU (default: stop)");
    object_class_property_add(oc, "other-memory", "strList", hermit_get_list,
                              hermit_set_list, NULL,
                              (void *)offsetof(HermitMemory, other_memory));
    object_class_property_set_description(oc, "other-memory",
        "Id of a memory backend that is not hermit-memory and may be there "
        "too, outside of the limit; may be repeated (default: none)");
    hermit_add_switch(oc, "eager-fetch", true, HERMIT_POLICY_EAGER,
        "Read a page without looking whether somebody does so already");
    hermit_add_switch(oc, "async-io", true, HERMIT_POLICY_ASYNC_IO,
        "Get room for the next page after a read was sent, not before");
    hermit_add_switch(oc, "prefetch", false, HERMIT_POLICY_PREFETCH,
        "Most pages to read ahead with one fault, 0 to 32");
    hermit_add_switch(oc, "batch", false, HERMIT_POLICY_BATCH,
        "Most pages to take from the guest with one TLB flush, 1 to 32");
    hermit_add_switch(oc, "fixed-threads", false, HERMIT_POLICY_THREADS,
        "How many threads give up pages; 0: by feedback");
    hermit_add_switch(oc, "reclaim-weight", false, HERMIT_POLICY_WEIGHT,
        "Share of the host's reclaim among VMs, 1 to 10000 (default: 100)");
    object_class_property_add_enum(oc, "wait", "HermitWaitMode",
                                   &HermitWaitMode_lookup, hermit_get_wait,
                                   hermit_set_wait);
    object_class_property_set_description(oc, "wait",
        "How virtual CPUs wait for a page: auto, spin or park");
    object_class_property_add_enum(oc, "async-pf", "OnOffAuto",
                                   &OnOffAuto_lookup, hermit_get_async_pf,
                                   hermit_set_async_pf);
    object_class_property_set_description(oc, "async-pf",
        "Whether the guest is told to run something else while it waits for "
        "a page: on, off or auto (if pages take long)");
}

static const TypeInfo hermit_info = {
    .name = TYPE_HERMIT_MEMORY,
    .parent = TYPE_MEMORY_BACKEND,
    .instance_size = sizeof(HermitMemory),
    .instance_init = hermit_instance_init,
    .instance_finalize = hermit_instance_finalize,
    .class_init = hermit_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_RESETTABLE_INTERFACE },
        { }
    }
};

static void hermit_register_types(void)
{
    type_register_static(&hermit_info);
}

type_init(hermit_register_types);
