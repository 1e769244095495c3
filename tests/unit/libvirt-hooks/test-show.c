/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl list, stat and policy, to the letter, also of a module that is
 * newer or older. Figures of a region are made up, each is another one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "fixture.h"

/* As they are listed, and what full_region() has in them. */
static const struct
{
  const char *name;
  guint value;
} counters[] = {
  { "faults-guest", 1001 },
  { "faults-host", 1002 },
  { "first-touch", 1003 },
  { "fetches", 1004 },
  { "prefetches", 1005 },
  { "prefetch-hits", 1006 },
  { "prefetch-misses", 1027 },
  { "early-refaults", 1028 },
  { "standby-hits", 79 },
  { "eager-pauses", 1029 },
  { "conflicts", 1007 },
  { "read-errors", 1008 },
  { "mismatches", 77 },
  { "evicted-clean", 1009 },
  { "evicted-dirty", 1010 },
  { "evicted-zero", 1011 },
  { "rescued", 1012 },
  { "pinned", 1013 },
  { "kept", 1014 },
  { "write-errors", 1015 },
  { "moved", 78 },
  { "discarded", 1016 },
  { "poisoned", 1033 },
  { "direct-reclaims", 1017 },
  { "zap-batches", 1018 },
  { "zapped", 1019 },
  { "scanned", 1020 },
  { "unaged", 1051 },
  { "room-waits", 1021 },
  { "turn-waits", 1031 },
  { "parked", 1022 },
  { "spun", 1023 },
  { "async-faults", 1032 },
  { "waits-in-kvm", 1024 },
  { "waits-mmap-long", 1025 },
  { "stall-time", 1026 },
};

#define PC_RAM "vm1 pc.ram d78616a7-7e49-5f41-b1ef-1f07b84cd731\n"
#define HEAD_OF_LIST                                                          \
  "DOMAIN               REGION       UUID                                 "    \
  "       SIZE       LIMIT    RESIDENT\n"
static void
test_list (void)
{
  fixture_reset ();
  hermitctl_says ("list", HEAD_OF_LIST, "");
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  fixture_region ("vm2", "ram-node1", 160, 40);
  fixture_region ("vm2", "ram-node0", 96, 24);
  fixture_region (NULL, "solo", 2 << 20, 64 << 10);
  hermitctl_says (
      "list",
      HEAD_OF_LIST
      "-                    solo         eeeeeeee-eeee-eeee-eeee-eeeeeeeeee03 "
      "    2.0 TiB    64.0 GiB     0.0 KiB\n"
      "vm1                  pc.ram       d78616a7-7e49-5f41-b1ef-1f07b84cd731 "
      "  256.0 MiB    96.0 MiB    78.1 MiB\n"
      "vm2                  ram-node0    a4dad594-4e93-574c-97cc-7620278071b3 "
      "   96.0 MiB    24.0 MiB     0.0 KiB\n"
      "vm2                  ram-node1    1d0cdf9a-5065-5319-8813-34ce407e03e6 "
      "  160.0 MiB    40.0 MiB     0.0 KiB\n",
      "");
}

/* More than are asked for at first, and one that ends between two questions. */
static int
ends (unsigned long request, struct fake_region *r, void *arg)
{
  struct hermit_open *o = arg;

  return request == HERMIT_OPEN && o->uuid[15] == 7 ? ENOENT : 0;
}

static void
test_many (void)
{
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  for (guint i = 0; i < FAKE_REGIONS; i++)
    fixture_region (NULL, "r", 64, 64);
  fake_hermit->answer = ends;
  p = hermitctl ("list");
  g_assert_cmpint (p->status, ==, 0);
  for (guint i = 0; i < FAKE_REGIONS; i++)
    {
      g_autofree char *uuid = fixture_uuid (i);

      if (!strstr (p->out, uuid) != (i == 7))
        g_error ("region %u of %u: %s", i, FAKE_REGIONS, p->out);
    }
}

static char *
full_text (void)
{
  GString *text = g_string_new (
      PC_RAM "  size           256.0 MiB\n"
             "  limit          96.0 MiB (0.375 of the size; floor 4.0 MiB)\n"
             "  resident       78.1 MiB\n"
             "  remote         117.2 MiB\n"
             "  working set    31.0 MiB\n"
             "  mode           ept-hook\n"
             "  threads        1 of 4\n"
             "  faults         p50 6.2 us, p99 100.0 us, p99.9 131.1 us\n");

  for (guint i = 0; i < G_N_ELEMENTS (counters); i++)
    g_string_append_printf (text, "  %-14s %u\n", counters[i].name,
                            counters[i].value);
  g_string_append (
      text,
      "  test-show      waited 41 times, 7.7 ms\n"
      "  thread 0       waited 42 times, 0.0 ms\n"
      "  server         tcp:192.0.2.7:7471 up, 4 connections, 61.0 MiB used, "
      "round trip 12.3 us, 1039 errors, 1040 reconnects\n");
  return g_string_free (text, FALSE);
}

static void
test_stat (void)
{
  g_autofree char *text = full_text (), *uuid = NULL, *by_uuid = NULL;
  struct fake_region *r;
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  fixture_region ("vm2", "ram-node0", 96, 24);
  /* by domain, by its UUID in either case, and by the region's */
  hermitctl_says ("stat vm1", text, "");
  hermitctl_says ("stat " VM1_UUID, text, "");
  hermitctl_says ("stat 6BA7B810-9DAD-11D1-80B4-00C04FD430C8", text, "");
  uuid = fixture_uuid (0);
  by_uuid = g_strconcat ("stat ", uuid, NULL);
  hermitctl_says (by_uuid, text, "");
  /* the id of its object is no name for the region of a domain */
  hermitctl_fails ("stat pc.ram", 1,
                   "hermitctl: 'pc.ram': no running VM of this host with "
                   "hermit memory; see hermitctl list\n");

  r = fixture_region (NULL, "solo", 64, 64);
  r->st.mode = HERMIT_MODE_STOCK;
  r->st.lost = 3;
  r->st.short_copies = 2;
  p = hermitctl ("stat solo");
  g_assert_cmpint (p->status, ==, 0);
  g_assert_true (g_str_has_prefix (
      p->out, "- solo eeeeeeee-eeee-eeee-eeee-eeeeeeeeee02\n"
              "  size           64.0 MiB\n"
              "  limit          64.0 MiB (1 of the size; floor 4.0 MiB)\n"
              "  resident       0.0 KiB\n"
              "  remote         0.0 KiB\n"
              "  LOST           12.0 KiB\n"
              "  too few copies 8.0 KiB\n"
              "  mode           stock\n"
              "  threads        0 of 0\n"
              "  faults         p50 0.0 us, p99 0.0 us, p99.9 0.0 us\n"));
  fixture_region (NULL, "solo", 64, 64);
  hermitctl_fails ("stat solo", 1,
                   "hermitctl: 2 regions are named 'solo'; give the UUID of "
                   "one, see hermitctl list\n");
  hermitctl_fails ("policy solo", 1,
                   "hermitctl: 2 regions are named 'solo'; give the UUID of "
                   "one, see hermitctl list\n");
}

/* "stat @which --json", parsed. */
static json_t *
stat_json (const char *which)
{
  g_autofree char *args = g_strconcat ("--json ", which, NULL);
  g_autoptr (Program) p = hermitctl (args);
  json_t *all;

  g_assert_cmpint (p->status, ==, 0);
  g_assert_cmpstr (p->err, ==, "");
  g_assert_true (g_str_has_suffix (p->out, "]\n"));
  all = json_loads (p->out, 0, NULL);
  g_assert_nonnull (all);
  return all;
}

static void
test_json (void)
{
  json_t *all, *r, *hist, *counts;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  fixture_region ("vm2", "ram-node0", 96, 24)->st.lost = 7;
  all = stat_json ("stat vm1");
  g_assert_cmpuint (json_array_size (all), ==, 1);
  r = json_array_get (all, 0);
  hist = json_object_get (json_object_get (r, "fault-latency"), "histogram");
  g_assert_cmpuint (json_array_size (hist), ==, HERMIT_HIST_BUCKETS);
  for (guint i = 0; i < HERMIT_HIST_BUCKETS; i++)
    g_assert_cmpint (json_integer_value (json_array_get (hist, i)), ==,
                     fake_hermit->regions[0].st.fault_hist[i]);
  json_object_del (json_object_get (r, "fault-latency"), "histogram");
  counts = json_object_get (r, "counters");
  g_assert_cmpuint (json_object_size (counts), ==, G_N_ELEMENTS (counters));
  for (guint i = 0; i < G_N_ELEMENTS (counters); i++)
    g_assert_cmpint (
        json_integer_value (json_object_get (counts, counters[i].name)), ==,
        counters[i].value);
  json_object_del (r, "counters");
  r = json_array_get (json_object_get (r, "vcpus"), 0);
  g_assert_cmpint (json_integer_value (json_object_get (r, "thread-id")), ==,
                   getpid ());
  json_object_set_new (r, "thread-id", json_integer (1));
  expect_json (
      all,
      "[{\"domain\":\"vm1\",\"id\":\"pc.ram\",\"uuid\":"
      "\"d78616a7-7e49-5f41-b1ef-1f07b84cd731\",\"size\":268435456,"
      "\"limit\":100663296,\"local-ratio\":0.375,\"floor\":4194304,"
      "\"mode\":\"ept-hook\",\"bindings\":2,\"resident\":81920000,"
      "\"resident-max\":98304000,\"local\":77824000,\"in-flight\":1228800,"
      "\"pool\":2867200,\"remote\":122880000,\"zero\":67731456,\"lost\":0,"
      "\"short-copies\":0,\"replicas\":0,"
      "\"host-mapped\":45056,\"metadata\":524800,"
      "\"idle\":{\"period\":5000000000,\"sampled\":67108864,"
      "\"busy\":123456,\"working-set\":32505856,\"histogram\":[1048576,"
      "2097152,4194304,8388608,16777216,33554432,67108864,134217728,"
      "268435456]},"
      "\"reclaim\":{\"threads\":1,\"threads-max\":4,\"watermark-low\":"
      "262144,\"watermark-high\":1048576,\"turnaround\":77000,"
      "\"busy-time\":1030},"
      "\"fault-latency\":{\"count\":1000,\"p50\":6185,\"p99\":100028,"
      "\"p999\":131072},"
      "\"vcpus\":[{\"name\":\"test-show\",\"thread-id\":1,\"waits\":41,"
      "\"stall-time\":7654321},{\"name\":\"thread 0\",\"thread-id\":0,"
      "\"waits\":42,\"stall-time\":99}],"
      "\"servers\":[{\"address\":\"tcp:192.0.2.7:7471\",\"state\":\"up\","
      "\"state-time\":90000000000,\"connections\":4,\"epoch\":1034,\"incarnation\":1035,\"used\":"
      "63963136,\"reads\":1036,\"writes\":1037,\"discards\":1038,"
      "\"errors\":1039,\"reconnects\":1040,\"in-flight\":1041,"
      "\"round-trip\":12300}]}]");
  json_decref (all);

  /* all of them, by list as well; one without a domain and without figures */
  fixture_region (NULL, "solo", 1, 1)->st.region_size = 0;
  all = stat_json ("stat");
  g_assert_cmpuint (json_array_size (all), ==, 3);
  r = json_array_get (all, 0);
  g_assert_true (json_is_null (json_object_get (r, "domain")));
  g_assert_true (
      json_real_value (json_object_get (r, "local-ratio")) == 0);
  g_assert_cmpint (json_integer_value (json_object_get (r, "zero")), ==, 0);
  g_assert_null (json_object_get (r, "idle"));
  r = json_array_get (all, 2);
  g_assert_cmpint (json_integer_value (json_object_get (r, "lost")), ==,
                   7 * 4096);
  g_assert_cmpint (json_integer_value (json_object_get (r, "zero")), ==,
                   96 * MIB - 7 * 4096);
  json_decref (all);
  all = stat_json ("list");
  g_assert_cmpuint (json_array_size (all), ==, 3);
  json_decref (all);
}

/* What a server has more, by its scheme. */
static void
test_servers (void)
{
  json_t *all, *s;
  struct fake_region *r;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "local:lz4");
  all = stat_json ("stat vm1");
  s = json_array_get (json_object_get (json_array_get (all, 0), "servers"), 0);
  g_assert_null (json_object_get (s, "rdma"));
  s = json_object_get (s, "local-pool");
  g_assert_cmpfloat_with_epsilon (
      json_real_value (json_object_get (s, "ratio")),
      1042 * 4096 / (61.0 * MIB), 1e-9);
  json_object_del (s, "ratio");
  expect_json (s, "{\"stored\":4268032,\"same-filled\":4272128,"
                  "\"incompressible\":4276224,\"compressed\":1045,"
                  "\"compress-time\":1046,\"decompress-time\":1047}");
  json_decref (all);

  r = fixture_full ("vm2", "ram-node0", "rdma:192.0.2.7:7471");
  r->st.servers[0].state = HERMIT_SERVER_FAILED;
  all = stat_json ("stat vm2");
  s = json_array_get (json_object_get (json_array_get (all, 0), "servers"), 0);
  g_assert_null (json_object_get (s, "local-pool"));
  g_assert_cmpstr (json_string_value (json_object_get (s, "state")), ==,
                   "failed");
  expect_json (
      json_object_get (s, "rdma"),
      "{\"doorbells\":1048,\"completions\":1049,\"polled\":1050}");
  json_decref (all);

  r->st.servers[0].state = HERMIT_SERVER_DRAINING;
  all = stat_json ("stat vm2");
  s = json_array_get (json_object_get (json_array_get (all, 0), "servers"), 0);
  g_assert_cmpstr (json_string_value (json_object_get (s, "state")), ==,
                   "draining");
  json_decref (all);

  /* an empty pool has no ratio */
  fake_hermit->regions[0].st.servers[0].bytes_used = 0;
  all = stat_json ("stat vm1");
  s = json_array_get (json_object_get (json_array_get (all, 0), "servers"), 0);
  s = json_object_get (json_object_get (s, "local-pool"), "ratio");
  g_assert_true (json_is_real (s) && json_real_value (s) == 0);
  json_decref (all);
}

#define HEAD_OF_SERVERS                                                       \
  "  SERVER                         STATE         SINCE        USED        "  \
  "READS       WRITES   ERRORS RECONNECTS\n"

/* Which servers a VM has, and how each is. */
static void
test_server_list (void)
{
  static const guint64 since[] = { 119, 7199, 172799, 172800 };
  static const char *const text[] = { "119s", "119min", "47h", "2d" };
  struct fake_region *r;
  json_t *all;

  fixture_reset ();
  fixture_region ("vm2", "ram-node0", 96, 24);
  r = fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  hermitctl_says (
      "server list vm1",
      "vm1 pc.ram d78616a7-7e49-5f41-b1ef-1f07b84cd731\n" HEAD_OF_SERVERS
      "  tcp:192.0.2.7:7471             up              90s    61.0 MiB        "
      " 1036         1037     1039       1040\n",
      "");
  /* two of three, of which one is away, and a module that is older */
  r->st.nr_servers = 3;
  r->st.replicas = 2;
  r->st.short_copies = 5;
  for (guint i = 1; i < 3; i++)
    {
      r->st.servers[i] = (struct hermit_server_stats){
        .state = i == 1 ? HERMIT_SERVER_RECONNECTING : HERMIT_SERVER_DRAINING,
        .reads = i, .writes = 10 * i,
      };
      g_snprintf (r->st.servers[i].address, HERMIT_SERVER_LEN,
                  "tcp:192.0.2.%u:7471", 7 + i);
    }
  r->st.server_state_ns[1] = 1;
  hermitctl_says (
      "server list vm1",
      "vm1 pc.ram d78616a7-7e49-5f41-b1ef-1f07b84cd731: each page on 2 of 3 "
      "servers, 20.0 KiB on fewer\n" HEAD_OF_SERVERS
      "  tcp:192.0.2.7:7471             up              90s    61.0 MiB        "
      " 1036         1037     1039       1040\n"
      "  tcp:192.0.2.8:7471             reconnecting     0s     0.0 KiB        "
      "    1           10        0          0\n"
      "  tcp:192.0.2.9:7471             draining          -     0.0 KiB        "
      "    2           20        0          0\n",
      "");
  for (guint i = 0; i < G_N_ELEMENTS (since); i++)
    {
      g_autofree char *want = g_strdup_printf (
          "  tcp:192.0.2.7:7471             up           %6s ", text[i]);
      g_autoptr (Program) p = NULL;

      r->st.server_state_ns[0] = since[i] * G_GUINT64_CONSTANT (1000000000);
      p = hermitctl ("server list vm1");
      if (!strstr (p->out, want))
        g_error ("'%s' is not in: %s", want, p->out);
    }
  all = stat_json ("server list vm1");
  expect_json (
      json_array_get (json_object_get (json_array_get (all, 0), "servers"), 1),
      "{\"address\":\"tcp:192.0.2.8:7471\",\"state\":\"reconnecting\","
      "\"state-time\":1,\"connections\":0,\"epoch\":0,\"incarnation\":0,"
      "\"used\":0,\"reads\":1,\"writes\":10,\"discards\":0,\"errors\":0,"
      "\"reconnects\":0,\"in-flight\":0,\"round-trip\":0}");
  json_object_del (json_array_get (all, 0), "servers");
  expect_json (all, "[{\"domain\":\"vm1\",\"id\":\"pc.ram\",\"uuid\":"
                    "\"d78616a7-7e49-5f41-b1ef-1f07b84cd731\",\"replicas\":2,"
                    "\"short-copies\":20480}]");
  json_decref (all);
  hermitctl_fails ("server list nobody", 1,
                   "hermitctl: 'nobody': no running VM of this host with "
                   "hermit memory; see hermitctl list\n");
  hermitctl_fails ("server add vm1", 2,
                   "hermitctl: do not understand 'server' with these "
                   "arguments; see hermitctl --help\n");
}

/*
 * A module that is newer: longer structs, states and words nobody here knows,
 * more servers, a name and an address without an end.
 */
static void
test_newer (void)
{
  struct fake_region *r;
  json_t *all, *j;
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  r = fixture_full ("vm1", "pc.ram", "");
  fake_hermit->stats_size = sizeof (r->st) + 400;
  r->st.nr_servers = 9;
  r->st.stall_ns = G_MAXUINT64;
  for (guint i = 0; i < HERMIT_MAX_SERVERS; i++)
    {
      memset (r->st.servers[i].address, 'x', HERMIT_SERVER_LEN);
      r->st.servers[i].state = HERMIT_SERVER_STUCK + 1 + i;
    }
  all = stat_json ("stat vm1");
  j = json_object_get (json_array_get (all, 0), "servers");
  g_assert_cmpuint (json_array_size (j), ==, HERMIT_MAX_SERVERS);
  j = json_array_get (j, 0);
  g_assert_cmpstr (json_string_value (json_object_get (j, "state")), ==,
                   "unknown");
  g_assert_cmpuint (
      strlen (json_string_value (json_object_get (j, "address"))), ==,
      HERMIT_SERVER_LEN);
  j = json_object_get (json_array_get (all, 0), "counters");
  g_assert_cmpint (json_integer_value (json_object_get (j, "stall-time")), ==,
                   G_MAXINT64);
  json_decref (all);
  p = hermitctl ("stat vm1");
  g_assert_cmpint (p->status, ==, 0);
  g_assert_nonnull (strstr (p->out, "xxx unknown, 4 connections"));

  r = fixture_region (NULL, "", 64, 64);
  memset (r->st.name, 'n', HERMIT_NAME_LEN);
  all = stat_json ("stat eeeeeeee-eeee-eeee-eeee-eeeeeeeeee01");
  j = json_object_get (json_array_get (all, 0), "id");
  g_assert_cmpuint (strlen (json_string_value (j)), ==, HERMIT_NAME_LEN - 1);
  json_decref (all);

  fixture_reset ();
  r = fixture_region ("vm1", "pc.ram", 64, 32);
  r->policy = (struct hermit_policy){ .eager = 1, .async_io = 2, .prefetch = 8,
                                      .batch = 32, .wait = 3, .async_pf = 77,
                                      .weight = G_MAXUINT32 };
  hermitctl_says ("policy vm1",
                  "vm1 pc.ram d78616a7-7e49-5f41-b1ef-1f07b84cd731\n"
                  "  eager-fetch    on\n"
                  "  async-io       2\n"
                  "  prefetch       8\n"
                  "  batch          32\n"
                  "  fixed-threads  0\n"
                  "  wait           3\n"
                  "  async-pf       77\n"
                  "  reclaim-weight 4294967295\n",
                  "");
  all = stat_json ("policy vm1");
  expect_json (
      all, "[{\"domain\":\"vm1\",\"id\":\"pc.ram\",\"uuid\":"
           "\"d78616a7-7e49-5f41-b1ef-1f07b84cd731\","
           "\"eager-fetch\":true,\"async-io\":2,\"prefetch\":8,\"batch\":32,"
           "\"fixed-threads\":0,\"wait\":3,\"async-pf\":77,"
           "\"reclaim-weight\":4294967295}]");
  json_decref (all);
}

/* A module that is older: what it does not fill in is 0, not what was there. */
static int
no_vcpus (unsigned long request, struct fake_region *r, void *arg)
{
  return request == HERMIT_GET_VCPUS ? ENOTTY : 0;
}

static void
test_older (void)
{
  struct fake_region *r;
  struct hermit_stats st;
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  r = fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  fake_hermit->stats_size = offsetof (struct hermit_stats, prefetch_misses);
  fake_hermit->answer = no_vcpus;
  p = hermitctl ("stat vm1");
  g_assert_cmpint (p->status, ==, 0);
  g_assert_nonnull (strstr (p->out, "\n  fetches        1004\n"));
  g_assert_nonnull (strstr (p->out, "\n  async-faults   0\n"));
  g_assert_null (strstr (p->out, "waited"));
  g_assert_null (strstr (p->out, "working set"));
  g_assert_nonnull (strstr (p->out, "tcp:192.0.2.7:7471 up"));
  memset (&st, 0xff, sizeof (st));
  g_assert_true (hermit_device_stats (r->st.uuid, &st, NULL));
  g_assert_cmpuint (st.fetches, ==, 1004);
  g_assert_cmpuint (st.async_faults, ==, 0);
  hermitctl_fails ("advise vm1", 1,
                   "hermitctl: pc.ram: nothing is known of its working set: "
                   "KVM is not patched (mode ept-hook), or the guest has run a "
                   "VM of its own, or it started a moment ago, or "
                   "idle_period_ms of hermit.ko is 0\n");
  /* more vCPUs than are asked for at first */
  fake_hermit->answer = NULL;
  r->nr_vcpus = FAKE_VCPUS;
  for (guint i = 0; i < FAKE_VCPUS; i++)
    r->vcpus[i] = (struct hermit_vcpu_entry){ .waits = 1000 + i };
  for (guint i = 0; i < 2; i++)
    {
      static const char *const how[] = { "stat vm1", "stat vm1 --json" };
      static const char *const last[] = { "waited 1099 times",
                                          "\"waits\": 1099," };
      g_autoptr (Program) q = hermitctl (how[i]);

      g_assert_nonnull (strstr (q->out, last[i]));
    }
}

int
main (int argc, char **argv)
{
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/show/list", test_list);
  g_test_add_func ("/show/many", test_many);
  g_test_add_func ("/show/stat", test_stat);
  g_test_add_func ("/show/json", test_json);
  g_test_add_func ("/show/servers", test_servers);
  g_test_add_func ("/show/server-list", test_server_list);
  g_test_add_func ("/show/newer", test_newer);
  g_test_add_func ("/show/older", test_older);
  ret = g_test_run ();
  fixture_end ();
  return ret;
}
