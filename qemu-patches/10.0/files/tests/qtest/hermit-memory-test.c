/*
 * QTest for hermit-memory
 *
 * What is refused before the kernel is asked is tested everywhere.  The rest
 * needs /dev/hermit, and is skipped without it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "libqtest.h"
#include "qobject/qbool.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "qemu/units.h"

#define DEVICE "/dev/hermit"
#define SIZE (256 * MiB)
#define PAGE 4096
#define CHUNK (256 * KiB)
#define DATA (16 * MiB)         /* more than the limit */
#define NO_MACHINE "-machine none -nodefaults "

static void expect_error(QDict *resp, const char *part)
{
    const char *desc;

    g_assert(qdict_haskey(resp, "error"));
    desc = qdict_get_str(qdict_get_qdict(resp, "error"), "desc");
    if (!strstr(desc, part)) {
        g_test_message("wanted '%s' in '%s'", part, desc);
        g_test_fail();
    }
    qobject_unref(resp);
}

/* Run QEMU to its end, which must be an error that has all the parts */
static void expect_exit(const char *args, const char *part)
{
    g_autofree char *command = g_strdup_printf(
        "%s -display none -nodefaults -accel qtest %s",
        getenv("QTEST_QEMU_BINARY"), args);
    g_autofree char *err = NULL;
    int status = 0;

    g_assert(g_spawn_command_line_sync(command, NULL, &err, &status, NULL));
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    if (!strstr(err, part)) {
        g_test_message("wanted '%s' in '%s'", part, err);
        g_test_fail();
    }
}

/* --- refused before the kernel is asked --- */

static const struct {
    const char *name;
    const char *props;          /* JSON, besides qom-type and id */
    const char *error;
} refusals[] = {
    { "size-0", "'size': 0", "doesn't take value '0'" },
    { "size-unaligned", "'size': 1000", "size 1000 is not a multiple" },
    { "ratio-0", "'local-ratio': 0", "local-ratio must be above 0" },
    { "ratio-negative", "'local-ratio': -0.5", "local-ratio must be above 0" },
    { "ratio-high", "'local-ratio': 1.01", "local-ratio must be above 0" },
    { "limit-0", "'limit': 0", "limit must be above 0" },
    { "limit-high", "'size': 8192, 'limit': 12288",
      "limit 12288 is above size 8192" },
    { "both", "'limit': 4096, 'local-ratio': 0.5",
      "either limit or local-ratio, not both" },
    { "scheme", "'server': ['smtp:127.0.0.1:25']",
      "server 'smtp:127.0.0.1:25': unknown transport" },
    { "second-server", "'server': ['tcp:127.0.0.1:1', 'nowhere']",
      "server 'nowhere': unknown transport" },
    { "no-port", "'server': ['tcp:127.0.0.1']",
      "is not of the form tcp:HOST:PORT" },
    { "no-host", "'server': ['rdma::7471']",
      "is not of the form rdma:HOST:PORT" },
    { "extra", "'server': ['tcp:127.0.0.1:7471,ipv4=on']",
      "is not of the form tcp:HOST:PORT" },
    { "bad-address", "'server': ['tcp:[::z]:7471']",
      "cannot resolve the address" },
    { "many-servers", "'server': ['local:', 'local:', 'local:', 'local:', "
      "'local:']", "at most 4 can be given" },
    { "uuid", "'uuid': 'xyz'", "uuid 'xyz' is not a UUID" },
    { "uuid-0", "'uuid': '00000000-0000-0000-0000-000000000000'",
      "is not a UUID or all zeros" },
    { "key-file", "'key-file': '/nonexistent/key'",
      "key-file: cannot open /nonexistent/key" },
    { "replicas-0", "'replicas': 0", "replicas must be above 0" },
    { "threads-0", "'reclaim-threads': 0", "reclaim-threads must be above 0" },
    { "timeout-0", "'fault-timeout': 0", "fault-timeout must be above 0" },
    { "on-stall", "'on-stall': 'wait'", "does not accept value 'wait'" },
    { "share", "'share': false", "share=off is not supported" },
    { "prealloc", "'prealloc': true", "prealloc=on is not supported" },
    { "merge", "'merge': true", "merge=on is not supported" },
    { "dump", "'dump': true", "dump=on is not supported" },
    { "policy", "'policy': 'bind', 'host-nodes': [0]", "is not supported" },
};

static void test_refusals(void)
{
    QTestState *qts = qtest_init(NO_MACHINE);
    int i;

    for (i = 0; i < ARRAY_SIZE(refusals); i++) {
        g_autofree char *props = g_strdup_printf(
            "{ 'execute': 'object-add', 'arguments': {"
            " 'qom-type': 'hermit-memory', 'id': 'm' %s %s, %s } }",
            strstr(refusals[i].props, "'size'") ? "" : ",",
            strstr(refusals[i].props, "'size'") ? "" : "'size': 67108864",
            refusals[i].props);

        g_test_message("%s", refusals[i].name);
        expect_error(qtest_qmp(qts, "%p", qobject_from_json(props, NULL)),
                     refusals[i].error);
    }
    /* and nothing of it is left */
    expect_error(qtest_qmp(qts, "{ 'execute': 'object-del',"
                           " 'arguments': { 'id': 'm' } }"), "not found");
    qtest_quit(qts);
}

/* What is there already, and would be outside of the limit, is named */
static void test_other_memory(void)
{
    static const char *const others[] = {
        "'qom-type': 'memory-backend-ram'",
        "'qom-type': 'memory-backend-memfd'",
        "'qom-type': 'memory-backend-file', 'mem-path': '/tmp'",
        "'qom-type': 'memory-backend-file', 'mem-path': '/tmp',"
        " 'share': true",
    };
    QTestState *qts = qtest_init(NO_MACHINE);
    int i;

    for (i = 0; i < ARRAY_SIZE(others); i++) {
        g_autofree char *add = g_strdup_printf(
            "{ 'execute': 'object-add', 'arguments': { 'id': 'o',"
            " 'size': 1048576, %s } }", others[i]);
        QDict *resp = qtest_qmp(qts, "%p", qobject_from_json(add, NULL));

        g_test_message("%s", others[i]);
        g_assert(qdict_haskey(resp, "return"));
        qobject_unref(resp);
        expect_error(qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': {"
                               " 'qom-type': 'hermit-memory', 'id': 'm',"
                               " 'size': 67108864, 'other-memory': [ 'O',"
                               " 'o1', '' ] } }"),
                     "hermit-memory 'm': its limit would not bound what "
                     "memory-backend-");
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-del',"
                                 " 'arguments': { 'id': 'o' } }");
    }
    qtest_quit(qts);
    /* nor can one cell of two be something else */
    expect_exit("-m 256M -machine q35 -object memory-backend-ram,id=a,size=128M"
                " -object hermit-memory,id=b,size=128M"
                " -numa node,memdev=a -numa node,memdev=b",
                "hermit-memory 'b': its limit would not bound what "
                "memory-backend-ram 'a' takes");
}

static void test_key_files(void)
{
    static const struct {
        int length, mode;
        const char *error;
    } keys[] = {
        { 15, 0600, "does not hold 16 to 64 bytes of key" },
        { 65, 0600, "does not hold 16 to 64 bytes of key" },
        { 32, 0644, "is open to every user of this host (mode 0644)" },
    };
    QTestState *qts = qtest_init(NO_MACHINE);
    g_autofree char *path = NULL;
    int fd, i;

    fd = g_file_open_tmp("hermit-key-XXXXXX", &path, NULL);
    g_assert(fd >= 0);
    for (i = 0; i < ARRAY_SIZE(keys); i++) {
        char key[128];

        memset(key, 'k', sizeof(key));
        g_assert(!ftruncate(fd, 0));
        g_assert(pwrite(fd, key, keys[i].length, 0) == keys[i].length);
        g_assert(!fchmod(fd, keys[i].mode));
        expect_error(qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': {"
                               " 'qom-type': 'hermit-memory', 'id': 'm',"
                               " 'size': 67108864, 'key-file': %s } }", path),
                     keys[i].error);
    }
    close(fd);
    unlink(path);
    qtest_quit(qts);
}

static void test_no_device(void)
{
    QTestState *qts;

    if (!access(DEVICE, F_OK)) {
        g_test_skip("there is a " DEVICE);
        return;
    }
    qts = qtest_init(NO_MACHINE);
    expect_error(qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': {"
                           " 'qom-type': 'hermit-memory', 'id': 'm',"
                           " 'size': 67108864, 'server': ["
                           " 'tcp:127.0.0.1:7471' ] } }"),
                 "hermit-memory 'm': " DEVICE " is missing: load the kernel "
                 "module");
    qtest_quit(qts);
}

static void test_command_line(void)
{
    /* a number, a repeated option, and an error that shows both were read */
    expect_exit("-machine none -object hermit-memory,id=m,size=64M,"
                "local-ratio=0.5,server=tcp:127.0.0.1:1,server=other:1",
                "server 'other:1': unknown transport");
    expect_exit("-machine none -object hermit-memory,id=m,size=64M,"
                "local-ratio=half", "'local-ratio' expects a number");
    expect_exit("-machine none -object hermit-memory,id=m,size=64M,"
                "local-ratio=2", "local-ratio must be above 0");
    expect_exit("-machine none -object hermit-memory,id=m,size=64M,"
                "replicas=two", "Parameter 'replicas' expects");
    expect_exit("-machine none -mem-prealloc "
                "-object hermit-memory,id=m,size=64M",
                "prealloc=on is not supported");
    expect_exit("-machine none -object hermit-memory,id=m,size=64M,merge=on",
                "merge=on is not supported");
}

/* Every property says what it is for */
static void test_help(void)
{
    static const char *const names[] = {
        "size", "limit", "local-ratio", "server", "replicas", "key-file",
        "uuid", "reclaim-threads", "fault-timeout", "on-stall", "other-memory",
        "eager-fetch", "async-io", "prefetch", "batch", "fixed-threads",
        "reclaim-weight", "wait", "async-pf",
    };
    g_autofree char *command = g_strdup_printf(
        "%s -machine none -object hermit-memory,help",
        getenv("QTEST_QEMU_BINARY"));
    g_autofree char *out = NULL;
    g_auto(GStrv) lines = NULL;
    int i, j;

    g_assert(g_spawn_command_line_sync(command, &out, NULL, NULL, NULL));
    lines = g_strsplit(out, "\n", -1);
    for (i = 0; i < ARRAY_SIZE(names); i++) {
        g_autofree char *begin = g_strdup_printf("  %s=", names[i]);

        j = 0;
        while (lines[j] && !g_str_has_prefix(lines[j], begin)) {
            j++;
        }
        if (!lines[j] || !strstr(lines[j], " - ")) {
            g_test_message("wanted a description of '%s'", names[i]);
            g_test_fail();
        }
    }
}

static void test_mem_lock(void)
{
    if (mlockall(MCL_CURRENT) < 0) {
        g_test_skip("memory cannot be locked here");
        return;
    }
    munlockall();
    expect_exit("-machine none -overcommit mem-lock=on "
                "-object hermit-memory,id=m,size=64M",
                "mem-lock is not supported");
    expect_exit("-machine none -overcommit mem-lock=on-fault "
                "-object hermit-memory,id=m,size=64M",
                "mem-lock is not supported");
}

/* --- with the kernel --- */

static QTestState *device_start(const char *extra)
{
    return qtest_initf("-machine q35,memory-backend=ram0 -m 256M -nodefaults "
                       "-object hermit-memory,id=ram0,size=256M%s", extra);
}

static bool device_missing(void)
{
    if (access(DEVICE, R_OK | W_OK)) {
        g_test_skip("needs " DEVICE);
        return true;
    }
    return false;
}

static QDict *query(QTestState *qts)
{
    QDict *resp = qtest_qmp(qts, "{ 'execute': 'query-hermit-memory' }");
    QList *list = qdict_get_qlist(resp, "return");
    QDict *info;

    g_assert(list);
    g_assert_cmpint(qlist_size(list), ==, 1);
    info = qobject_to(QDict, qlist_peek(list));
    qobject_ref(info);
    qobject_unref(resp);
    return info;
}

static uint64_t query_size(QTestState *qts, const char *field)
{
    QDict *info = query(qts);
    uint64_t value = qdict_get_int(info, field);

    qobject_unref(info);
    return value;
}

static QDict *set(QTestState *qts, const char *property, const char *value)
{
    return qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                     " 'path': '/objects/ram0', 'property': %s, 'value': %p"
                     " } }", property, qobject_from_json(value, NULL));
}

static void set_ok(QTestState *qts, const char *property, const char *value)
{
    QDict *resp = set(qts, property, value);

    g_assert(qdict_haskey(resp, "return"));
    qobject_unref(resp);
}

static double get_number(QTestState *qts, const char *property)
{
    QDict *resp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                            " 'path': '/objects/ram0', 'property': %s } }",
                            property);
    double value = qnum_get_double(qobject_to(QNum,
                                              qdict_get(resp, "return")));

    qobject_unref(resp);
    return value;
}

static void test_query(void)
{
    static const char *const sizes[] = {
        "size", "limit", "floor", "resident", "resident-max", "local",
        "in-flight", "pool", "remote", "zero", "lost", "short-copies",
        "replicas", "host-mapped", "metadata",
    };
    QTestState *qts;
    QDict *info, *latency, *server;
    int i;

    if (device_missing()) {
        return;
    }
    qts = device_start(",local-ratio=0.5,"
                       "uuid=12345678-1234-5678-9abc-123456789abc");
    info = query(qts);
    g_assert_cmpstr(qdict_get_str(info, "id"), ==, "ram0");
    g_assert_cmpstr(qdict_get_str(info, "uuid"), ==,
                    "12345678-1234-5678-9abc-123456789abc");
    g_assert_cmpstr(qdict_get_str(info, "mode"), ==, "stock");
    g_assert_cmpint(qdict_get_int(info, "size"), ==, SIZE);
    g_assert_cmpint(qdict_get_int(info, "limit"), ==, SIZE / 2);
    g_assert_cmpfloat(qdict_get_double(info, "local-ratio"), ==, 0.5);
    g_assert_cmpint(qdict_get_int(info, "zero"), <=, SIZE);
    for (i = 0; i < ARRAY_SIZE(sizes); i++) {
        g_assert(qdict_haskey(info, sizes[i]));
    }
    latency = qdict_get_qdict(info, "fault-latency");
    g_assert_cmpint(qlist_size(qdict_get_qlist(latency, "histogram")), ==, 40);
    g_assert_cmpint(qlist_size(qdict_get_qlist(info, "servers")), ==, 1);
    server = qobject_to(QDict, qlist_peek(qdict_get_qlist(info, "servers")));
    g_assert_cmpstr(qdict_get_str(server, "address"), ==, "local:");
    g_assert_cmpint(qdict_get_int(server, "state-time"), >, 0);
    g_assert_cmpint(qdict_get_int(qdict_get_qdict(server, "local-pool"),
                                  "incompressible"), ==, 0);
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_stats(void)
{
    QTestState *qts;
    QDict *resp, *result;
    QListEntry *e;
    QList *stats;
    bool found = false;

    if (device_missing()) {
        return;
    }
    qts = device_start(",local-ratio=0.5");
    qtest_memset(qts, 1 * MiB, 1, CHUNK);
    resp = qtest_qmp(qts, "{ 'execute': 'query-stats', 'arguments': {"
                     " 'target': 'vm', 'providers': [ {"
                     " 'provider': 'hermit' } ] } }");
    result = qobject_to(QDict, qlist_peek(qdict_get_qlist(resp, "return")));
    g_assert_cmpstr(qdict_get_str(result, "provider"), ==, "hermit");
    stats = qdict_get_qlist(result, "stats");
    QLIST_FOREACH_ENTRY(stats, e) {
        QDict *s = qobject_to(QDict, qlist_entry_obj(e));

        if (!strcmp(qdict_get_str(s, "name"), "resident")) {
            g_assert_cmpint(qdict_get_int(s, "value"), >=, CHUNK);
            found = true;
        }
    }
    g_assert(found);
    qobject_unref(resp);

    /* with names, and for each virtual CPU, though it never waited */
    resp = qtest_qmp(qts, "{ 'execute': 'query-stats', 'arguments': {"
                     " 'target': 'vcpu', 'providers': [ {"
                     " 'provider': 'hermit', 'names': [ 'stall-time' ] } ] "
                     "} }");
    result = qobject_to(QDict, qlist_peek(qdict_get_qlist(resp, "return")));
    stats = qdict_get_qlist(result, "stats");
    g_assert_cmpint(qlist_size(stats), ==, 1);
    result = qobject_to(QDict, qlist_peek(stats));
    g_assert_cmpstr(qdict_get_str(result, "name"), ==, "stall-time");
    g_assert_cmpint(qdict_get_int(result, "value"), ==, 0);
    qobject_unref(resp);

    resp = qtest_qmp(qts, "{ 'execute': 'query-stats-schemas', 'arguments': {"
                     " 'provider': 'hermit' } }");
    g_assert_cmpint(qlist_size(qdict_get_qlist(resp, "return")), ==, 2);
    qobject_unref(resp);
    qtest_quit(qts);
}

static void test_set(void)
{
    QTestState *qts;
    QDict *ev;

    if (device_missing()) {
        return;
    }
    qts = device_start(",limit=128M");
    g_assert_cmpfloat(get_number(qts, "limit"), ==, 128 * MiB);
    g_assert_cmpfloat(get_number(qts, "local-ratio"), ==, 0.5);

    set_ok(qts, "limit", "201326592");
    ev = qtest_qmp_eventwait_ref(qts, "HERMIT_MEMORY_LIMIT_CHANGED");
    ev = qdict_get_qdict(ev, "data");
    g_assert_cmpstr(qdict_get_str(ev, "id"), ==, "ram0");
    g_assert_cmpint(qdict_get_int(ev, "limit"), ==, 192 * MiB);
    g_assert_cmpfloat(qdict_get_double(ev, "local-ratio"), ==, 0.75);
    g_assert_cmpfloat(get_number(qts, "local-ratio"), ==, 0.75);

    set_ok(qts, "local-ratio", "1");
    g_assert_cmpfloat(get_number(qts, "limit"), ==, SIZE);
    /* rounded down to a page */
    set_ok(qts, "limit", "201326593");
    g_assert_cmpfloat(get_number(qts, "limit"), ==, 192 * MiB);

    expect_error(set(qts, "limit", "268435457"),
                 "hermit-memory 'ram0': limit 268435457 is above size");
    expect_error(set(qts, "limit", "0"), "limit must be above 0");
    expect_error(set(qts, "limit", "4096"), "below");
    expect_error(set(qts, "local-ratio", "0"), "local-ratio must be above 0");
    expect_error(set(qts, "local-ratio", "1.5"), "local-ratio must be above");
    expect_error(set(qts, "server", "['local:']"), "server cannot be changed");
    expect_error(set(qts, "replicas", "2"), "replicas cannot be changed");
    expect_error(set(qts, "key-file", "'/k'"), "key-file cannot be changed");
    expect_error(set(qts, "uuid", "'12345678-1234-5678-9abc-123456789abc'"),
                 "uuid cannot be changed");
    expect_error(set(qts, "reclaim-threads", "2"),
                 "reclaim-threads cannot be changed");
    expect_error(set(qts, "fault-timeout", "99"),
                 "fault-timeout cannot be changed");
    expect_error(set(qts, "on-stall", "'kill'"), "on-stall cannot be changed");
    expect_error(set(qts, "other-memory", "['x']"),
                 "other-memory cannot be changed");
    expect_error(set(qts, "prealloc", "true"), "prealloc=on is not supported");
    expect_error(set(qts, "merge", "true"), "merge=on is not supported");
    expect_error(set(qts, "dump", "true"), "dump=on is not supported");
    expect_error(set(qts, "share", "false"), "share=off is not supported");
    /* none of it had an effect */
    g_assert_cmpfloat(get_number(qts, "limit"), ==, 192 * MiB);
    qtest_quit(qts);
}

static void fill(uint64_t *chunk, uint64_t addr)
{
    int i;

    for (i = 0; i < CHUNK / 8; i++) {
        chunk[i] = (addr + i * 8) ^ 0x5a5a5a5a5a5aull;
    }
}

/* More memory than the limit, written and read back: the machine's RAM */
static void test_data(void)
{
    g_autofree uint64_t *chunk = g_malloc(CHUNK);
    g_autofree uint64_t *back = g_malloc(CHUNK);
    uint64_t addr, start, end, limit, most;
    g_autofree char *value = NULL;
    QTestState *qts;
    QDict *info, *counters;

    if (device_missing()) {
        return;
    }
    qts = device_start(",reclaim-threads=1");
    limit = MAX(query_size(qts, "floor"), 8 * MiB);
    start = 1 * MiB;
    end = start + limit + DATA;
    if (end > SIZE) {
        g_test_skip("this host has too many CPUs for so little memory");
        qtest_quit(qts);
        return;
    }
    value = g_strdup_printf("%" PRIu64, limit);
    set_ok(qts, "limit", value);
    most = limit + 32 * PAGE;           /* a batch of the one thread */
    for (addr = start; addr < end; addr += CHUNK) {
        fill(chunk, addr);
        qtest_bufwrite(qts, addr, chunk, CHUNK);
        g_assert_cmpint(query_size(qts, "resident"), <=, most);
    }
    g_assert_cmpint(query_size(qts, "remote"), >=, end - start - most);
    for (addr = start; addr < end; addr += CHUNK) {
        fill(chunk, addr);
        qtest_bufread(qts, addr, back, CHUNK);
        g_assert(!memcmp(chunk, back, CHUNK));
    }
    info = query(qts);
    counters = qdict_get_qdict(info, "counters");
    g_assert_cmpint(qdict_get_int(info, "resident-max"), <=, most);
    g_assert_cmpint(qdict_get_int(counters, "evicted-dirty"), >, 0);
    g_assert_cmpint(qdict_get_int(counters, "fetches"), >, 0);
    g_assert_cmpint(qdict_get_int(qdict_get_qdict(info, "fault-latency"),
                                  "p50"), >, 0);
    g_test_message("%" PRId64 " fetches, %" PRId64 " waits for room, stalled "
                   "for %" PRId64 " ms", qdict_get_int(counters, "fetches"),
                   qdict_get_int(counters, "room-waits"),
                   qdict_get_int(counters, "stall-time") / 1000000);
    qobject_unref(info);
    qtest_quit(qts);
}

/* An object that no machine uses comes and goes */
static void test_hotplug(void)
{
    QTestState *qts;
    QDict *resp;
    int i;

    if (device_missing()) {
        return;
    }
    qts = qtest_init(NO_MACHINE);
    for (i = 0; i < 3; i++) {
        /* the UUID is free again each time: the end is not put off */
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-add',"
            " 'arguments': { 'qom-type': 'hermit-memory', 'id': 'ram0',"
            " 'size': 67108864, 'server': [ 'local:' ],"
            " 'uuid': '12345678-1234-5678-9abc-123456789abd' } }");
        g_assert_cmpint(query_size(qts, "limit"), ==, 64 * MiB);
        expect_error(qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': {"
            " 'qom-type': 'hermit-memory', 'id': 'ram1', 'size': 67108864,"
            " 'uuid': '12345678-1234-5678-9abc-123456789abd' } }"),
            "hermit-memory 'ram1': uuid");
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-del',"
                                 " 'arguments': { 'id': 'ram0' } }");
    }
    resp = qtest_qmp(qts, "{ 'execute': 'query-hermit-memory' }");
    g_assert(qlist_empty(qdict_get_qlist(resp, "return")));
    qobject_unref(resp);
    qtest_quit(qts);
}

/* The kernel's sentence comes through, and no VM is left half started */
static void test_kernel_refusals(void)
{
    if (device_missing()) {
        return;
    }
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,limit=4096",
                "hermit-memory 'ram0': limit 4096: below");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,local-ratio=0.0001",
                "hermit-memory 'ram0' (local-ratio 0.0001): limit 24576: "
                "below");
    /* nobody listens on port 1 */
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,"
                "server=tcp:localhost:1",
                "hermit-memory 'ram0': server tcp:");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,"
                "reclaim-threads=100000",
                "hermit-memory 'ram0': reclaim-threads 100000");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,"
                "server=tcp:127.0.0.1:1,server=tcp:127.0.0.1:2,replicas=3",
                "hermit-memory 'ram0': replicas 3: more than servers, 2");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,replicas=2",
                "hermit-memory 'ram0': replicas 2: more than servers, 1");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,"
                "server=tcp:127.0.0.1:1,server=tcp:127.0.0.1:1",
                "hermit-memory 'ram0': server tcp:127.0.0.1:1: given twice");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,"
                "server=local:,server=tcp:127.0.0.1:1",
                "hermit-memory 'ram0': server local:: memory of this host, "
                "which cannot be one of several servers");
    /* the machine's own memory, without memory-backend= */
    expect_exit("-m 256M -machine q35 -object hermit-memory,id=m,size=64M",
                "hermit-memory 'm': its limit would not bound what "
                "memory-backend-ram 'pc.ram' takes");
    /* known to the kernel only, after the object has its memory */
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,batch=99",
                "hermit-memory 'ram0': batch 99: must be from 1 to 32");
    expect_exit("-m 256M -machine q35,memory-backend=ram0 "
                "-object hermit-memory,id=ram0,size=256M,"
                "reclaim-threads=2,fixed-threads=3",
                "hermit-memory 'ram0': fixed-threads 3: must be from 0 to 2");
}

/* Postcopy needs userfaultfd; write tracking too */
static void test_migration_refusals(void)
{
    QTestState *qts;

    if (device_missing()) {
        return;
    }
    qts = device_start(" -incoming defer");
    expect_error(qtest_qmp(qts, "{ 'execute': 'migrate-set-capabilities',"
                           " 'arguments': { 'capabilities': [ {"
                           " 'capability': 'postcopy-ram', 'state': true"
                           " } ] } }"), "Postcopy is not supported");
    qtest_quit(qts);

    /* aux-ram-share, or other memory would be the first to refuse CPR */
    qts = device_start(" -machine aux-ram-share=on");
    expect_error(qtest_qmp(qts, "{ 'execute': 'migrate-set-capabilities',"
                           " 'arguments': { 'capabilities': [ {"
                           " 'capability': 'background-snapshot',"
                           " 'state': true } ] } }"),
                 "not compatible with guest memory");
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-set-parameters',"
                             " 'arguments': { 'mode': 'cpr-transfer' } }");
    expect_error(qtest_qmp(qts, "{ 'execute': 'migrate', 'arguments': {"
                           " 'channels': [ { 'channel-type': 'main',"
                           " 'addr': { 'transport': 'socket', 'type': 'unix',"
                           " 'path': '/nonexistent/main' } },"
                           " { 'channel-type': 'cpr',"
                           " 'addr': { 'transport': 'socket', 'type': 'unix',"
                           " 'path': '/nonexistent/cpr' } } ] } }"),
                 "hermit-memory 'ram0': handing over memory (CPR) is not "
                 "supported");
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/hermit-memory/refusals", test_refusals);
    qtest_add_func("/hermit-memory/other-memory", test_other_memory);
    qtest_add_func("/hermit-memory/key-files", test_key_files);
    qtest_add_func("/hermit-memory/no-device", test_no_device);
    qtest_add_func("/hermit-memory/command-line", test_command_line);
    qtest_add_func("/hermit-memory/help", test_help);
    qtest_add_func("/hermit-memory/mem-lock", test_mem_lock);
    qtest_add_func("/hermit-memory/device/query", test_query);
    qtest_add_func("/hermit-memory/device/stats", test_stats);
    qtest_add_func("/hermit-memory/device/set", test_set);
    qtest_add_func("/hermit-memory/device/data", test_data);
    qtest_add_func("/hermit-memory/device/hotplug", test_hotplug);
    qtest_add_func("/hermit-memory/device/refusals", test_kernel_refusals);
    qtest_add_func("/hermit-memory/device/migration",
                   test_migration_refusals);
    return g_test_run();
}
