/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl set, policy and follow: what the module is told, what
 * libvirt remembers, and what each says when one of the two refuses.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "fixture.h"

#define HALF "<memory local-ratio=\"0.5\"/>"
#define URI "https://hermit.example/xmlns/libvirt/1"
#define ELEMENT 2 /* VIR_DOMAIN_METADATA_ELEMENT */

#define limit_is(i, want)                                                     \
  g_assert_cmpuint (fake_hermit->regions[i].st.limit, ==, want)
#define live_is(want) g_assert_cmpstr (fake_libvirt->live, ==, want)
#define config_is(want) g_assert_cmpstr (fake_libvirt->config, ==, want)

static void
one_region (void)
{
  fixture_reset ();
  fixture_region ("vm1", "pc.ram", 256, 96);
}

static void
test_set (void)
{
  one_region ();
  hermitctl_says ("set vm1 --ratio 0.25", "", "");
  limit_is (0, 64 * MIB);
  live_is ("<memory local-ratio=\"0.25\"/>");
  config_is (HALF);
  hermitctl_says ("set vm1 -r 50%", "", "");
  limit_is (0, 128 * MIB);
  live_is ("<memory local-ratio=\"0.5\"/>");
  hermitctl_says ("set vm1 --limit 40M --config", "", "");
  limit_is (0, 40 * MIB);
  live_is ("<memory limit=\"41943040\"/>");
  config_is ("<memory limit=\"41943040\"/>");
  hermitctl_says ("set -c vm1 -l 256MiB", "", "");
  limit_is (0, 256 * MIB);
  config_is ("<memory limit=\"268435456\"/>");
  /* by UUID: libvirt is told of the domain all the same */
  hermitctl_says ("set " VM1_UUID " -l 4194304", "", "");
  limit_is (0, 4 * MIB);
  live_is ("<memory limit=\"4194304\"/>");
}

/* What it is then, as "stat" says it; nothing of a domain that is off. */
static void
test_set_json (void)
{
  g_autoptr (Program) set = NULL, policy = NULL;
  json_t *j;

  one_region ();
  set = hermitctl ("set vm1 --ratio 0.25 --json");
  g_assert_cmpint (set->status, ==, 0);
  j = json_loads (set->out, 0, NULL);
  g_assert_cmpint (json_integer_value (json_object_get (
                       json_array_get (j, 0), "limit")),
                   ==, 64 * MIB);
  json_decref (j);
  policy = hermitctl ("policy vm1 batch=16 -j");
  g_assert_cmpint (policy->status, ==, 0);
  j = json_loads (policy->out, 0, NULL);
  g_assert_cmpint (json_integer_value (json_object_get (
                       json_array_get (j, 0), "batch")),
                   ==, 16);
  json_decref (j);
  fake_hermit->nr = 0;
  fake_libvirt->running = false;
  hermitctl_says ("set vm1 --ratio 0.5 --config --json", "[]\n", "");
}

/*
 * As many pages as were asked for, whatever the size (0.29 and 0.57 times 100
 * are less than 29 and 57 in binary); those of a VM are split.
 */
static void
test_set_exact (void)
{
  static const guint mib[] = { 5, 29, 33, 57, 58, 99, 100 };

  fixture_reset ();
  fixture_region (NULL, "solo", 100, 100);
  for (guint i = 0; i < G_N_ELEMENTS (mib); i++)
    {
      g_autofree char *args = g_strdup_printf ("set solo -l %uM", mib[i]);

      hermitctl_says (args, "", "");
      limit_is (0, mib[i] * MIB);
    }
  fixture_reset ();
  fixture_region ("vm2", "ram-node0", 96, 24);
  fixture_region ("vm2", "ram-node1", 160, 40);
  hermitctl_says ("set vm2 --limit 80M", "",
                  "hermitctl: warning: limit is set, but libvirt does not "
                  "know: 'vm2': libvirt has no domain of this name or UUID\n");
  limit_is (0, 30 * MIB);
  limit_is (1, 50 * MIB);
  fake_libvirt->name = "vm2";
  hermitctl_says ("set vm2 --limit 256M", "", "");
  limit_is (0, 96 * MIB);
  limit_is (1, 160 * MIB);
  live_is ("<memory limit=\"268435456\"/>");
}

static void
test_set_refused (void)
{
  static const struct
  {
    const char *args;
    int status;
    const char *says;
  } cases[] = {
    { "set vm1", 2, "set: give either --limit or --ratio" },
    { "set vm1 -l 64M -r 0.5", 2, "set: give either --limit or --ratio" },
    { "set vm1 -l 0", 2, "'0' is not a size of at least a page; give bytes, "
                         "or a number with K, M, G or T, such as 512M" },
    { "set vm1 -r 1.1", 2, "'1.1' is not a ratio; give a number above 0 and "
                           "at most 1, such as 0.5" },
    { "set vm1 -l 257M", 2, "limit 269484032 is above the size, 268435456" },
    { "set vm1 -l 3M", 1, "pc.ram: limit 3145728: below 4194304 bytes" },
    { "set vm1 -r 0.001", 1, "pc.ram: limit 266240: below 4194304 bytes" },
    { "set vm3 -r 0.5", 1, "'vm3': no running VM of this host with hermit "
                           "memory; see hermitctl list" },
  };

  one_region ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *err = g_strdup_printf ("hermitctl: %s\n", cases[i].says);

      hermitctl_fails (cases[i].args, cases[i].status, err);
    }
  limit_is (0, 96 * MIB);
  live_is (HALF);
  config_is (HALF);
  /* of two regions the second refuses */
  fixture_reset ();
  fixture_region ("vm2", "ram-node0", 96, 24);
  fixture_region ("vm2", "ram-node1", 160, 40)->st.floor = 100 * MIB;
  hermitctl_fails ("set vm2 -r 0.5", 1,
                   "hermitctl: ram-node1 (the others are set): limit "
                   "83886080: below 104857600 bytes\n");
  limit_is (0, 48 * MIB);
  limit_is (1, 40 * MIB);
  /* of a limit both parts are looked at before */
  hermitctl_fails ("set vm2 -l 100M", 2,
                   "hermitctl: limit 104857600 is split by size, and ram-node1 "
                   "would get 65536000 of its 167772160 bytes: it needs "
                   "104857600 on this host, so the limit has to be at least "
                   "167772160\n");
  limit_is (0, 48 * MIB);
  hermitctl_says ("set vm2 -l 167772160", "",
                  "hermitctl: warning: limit is set, but libvirt does not know: "
                  "'vm2': libvirt has no domain of this name or UUID\n");
  limit_is (0, 60 * MIB);
  limit_is (1, 100 * MIB);
}

/* A kernel that says no more than an errno. */
static void
test_errno (void)
{
  one_region ();
  fixture_fail (HERMIT_SET_LIMIT, ENXIO);
  hermitctl_fails ("set vm1 -r 0.5", 1,
                   "hermitctl: pc.ram: No such device or address\n");
  fixture_fail (HERMIT_SET_POLICY, ENXIO);
  hermitctl_fails ("policy vm1 batch=4", 1,
                   "hermitctl: pc.ram: No such device or address\n");
  hermitctl_fails ("policy vm1", 1,
                   "hermitctl: pc.ram: No such device or address\n");
  hermitctl_fails ("policy vm1 --json", 1,
                   "hermitctl: pc.ram: No such device or address\n");
  fixture_fail (HERMIT_RECALL, ENOTTY);
  hermitctl_fails ("recall vm1", 1,
                   "hermitctl: pc.ram: the loaded hermit.ko is older than "
                   "hermitctl: it cannot recall\n");
}

static int
refuses (unsigned long request, struct fake_region *r, void *arg)
{
  struct hermit_server_change *c = arg;

  if (request != HERMIT_CHANGE_SERVER)
    return 0;
  strcpy (c->error, "server tcp:192.0.2.9:1: it is not drained");
  return EBUSY;
}

static void
test_server (void)
{
  static const struct
  {
    const char *what;
    guint32 op, flags;
  } cases[] = {
    { "add", HERMIT_SERVER_ADD, 0 },
    { "drop", HERMIT_SERVER_DROP, 0 },
    { "drop --force", HERMIT_SERVER_DROP, HERMIT_SERVER_FORCE },
    { "drain", HERMIT_SERVER_DRAIN, 0 },
    { "undrain", HERMIT_SERVER_UNDRAIN, 0 },
  };
  g_autofree char *file = NULL, *args = NULL, *says = NULL;
  struct fake_region *r;

  one_region ();
  r = &fake_hermit->regions[0];
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *line
          = g_strdup_printf ("server %s vm1 tcp:192.0.2.9:1", cases[i].what);

      hermitctl_says (line, "", "");
      g_assert_cmpuint (r->change.op, ==, cases[i].op);
      g_assert_cmpuint (r->change.flags, ==, cases[i].flags);
      g_assert_cmpstr (r->change.address, ==, "tcp:192.0.2.9:1");
      g_assert_cmpuint (r->change.key_len, ==, 0);
    }

  file = g_build_filename (g_get_tmp_dir (), "test-change-key", NULL);
  args = g_strdup_printf ("server add vm1 tcp:192.0.2.9:1 --key-file %s", file);
  g_assert_true (g_file_set_contents (file, "0123456789abcdef\n", -1, NULL));
  hermitctl_says (args, "", "");
  g_assert_cmpmem (r->change.key, r->change.key_len, "0123456789abcdef", 16);
  g_assert_true (g_file_set_contents (file, "short\n", -1, NULL));
  says = g_strdup_printf ("hermitctl: --key-file: %s does not hold 16 to 64 bytes "
                          "of key\n", file);
  hermitctl_fails (args, 2, says);
  g_remove (file);

  hermitctl_fails ("server kill vm1 tcp:192.0.2.9:1", 2,
                   "hermitctl: server: there is no 'kill'; use list, add, "
                   "drop, drain or undrain\n");
  hermitctl_fails ("server drain vm1 tcp:192.0.2.9:1 --force", 2,
                   "hermitctl: server drain: --force is for drop, --key-file for "
                   "add\n");
  fake_hermit->answer = refuses;
  hermitctl_fails ("server drop vm1 tcp:192.0.2.9:1", 1,
                   "hermitctl: pc.ram: server tcp:192.0.2.9:1: it is not "
                   "drained\n");
  fake_hermit->answer = NULL;
  fixture_fail (HERMIT_CHANGE_SERVER, ENOTTY);
  hermitctl_fails ("server drop vm1 tcp:192.0.2.9:1", 1,
                   "hermitctl: pc.ram: the loaded hermit.ko is older than "
                   "hermitctl: it cannot change servers\n");
}

/* It ends between the list and the change. */
static int
ends (unsigned long request, struct fake_region *r, void *arg)
{
  static guint opened;

  return request == HERMIT_OPEN && ++opened == 2 ? ENOENT : 0;
}

static void
test_ended (void)
{
  static const char *const args[]
      = { "set vm1 -r 0.5", "policy vm1 batch=2", "recall vm1" };

  for (guint i = 0; i < G_N_ELEMENTS (args); i++)
    {
      one_region ();
      fake_hermit->answer = ends;
      hermitctl_fails (args[i], 1,
                       "hermitctl: pc.ram: region "
                       "d78616a7-7e49-5f41-b1ef-1f07b84cd731: there is none "
                       "on this host; see hermitctl list\n");
    }
}

/* The change holds whatever libvirt says; what it cannot remember is said. */
static void
test_remember (void)
{
  static const struct
  {
    const char *fails, *says;
  } cases[] = {
    { "virConnectOpen", "cannot reach libvirt: virConnectOpen" },
    { "virDomainGetMetadata", "domain 'vm1': it has no <hermit:memory> in "
                              "<metadata>: virDomainGetMetadata" },
    { "virDomainSetMetadata", "domain 'vm1': libvirt does not take the "
                              "change: virDomainSetMetadata" },
  };

  one_region ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *warning
          = g_strdup_printf ("hermitctl: warning: limit is set, but libvirt "
                             "does not know: %s\n",
                             cases[i].says);
      g_autofree char *both = g_strdup_printf ("%shermitctl: %s\n", warning,
                                               cases[i].says);

      fake_libvirt->fails = cases[i].fails;
      fake_hermit->regions[0].st.limit = 96 * MIB;
      hermitctl_says ("set vm1 -l 64M", "", warning);
      limit_is (0, 64 * MIB);
      hermitctl_fails ("set vm1 -l 32M -c", 1, both);
      limit_is (0, 32 * MIB);
      live_is (HALF);
      config_is (HALF);
    }
  fake_libvirt->fails = NULL;
  strcpy (fake_libvirt->live, "<memory");
  hermitctl_says ("set vm1 -l 64M", "",
                  "hermitctl: warning: limit is set, but libvirt does not "
                  "know: domain 'vm1': libvirt gave metadata that is not XML: "
                  "<memory\n");
  config_is (HALF);
}

/* A domain that does not run, and a QEMU that libvirt does not run. */
static void
test_config (void)
{
  fixture_reset ();
  hermitctl_fails ("set vm1 -r 0.25", 1,
                   "hermitctl: 'vm1': no running VM of this host with hermit "
                   "memory; see hermitctl list\n");
  config_is (HALF);
  hermitctl_says ("set vm1 -r 0.25 --config", "", "");
  config_is ("<memory local-ratio=\"0.25\"/>");
  live_is (HALF);
  hermitctl_says ("set " VM1_UUID " -l 1G --config", "", "");
  config_is ("<memory limit=\"1073741824\"/>");
  hermitctl_says ("policy vm1 wait=park batch=16 --config", "", "");
  config_is ("<memory limit=\"1073741824\" wait=\"park\" batch=\"16\"/>");
  hermitctl_fails ("set vm3 -r 0.25 --config", 1,
                   "hermitctl: 'vm3': libvirt has no domain of this name or "
                   "UUID\n");
  /* --config does not hide that the module is not there */
  fake_hermit->open_errno = EACCES;
  hermitctl_fails ("set vm1 -r 0.5 --config", 1,
                   "hermitctl: /dev/hermit: Permission denied; run as root or "
                   "as a member of its group\n");
  fake_hermit->open_errno = 0;
  fixture_region (NULL, "solo", 64, 64);
  hermitctl_says ("set solo -r 0.5", "", "");
  limit_is (0, 32 * MIB);
  hermitctl_fails ("set solo -r 0.25 --config", 2,
                   "hermitctl: --config: libvirt does not run 'solo'; it is "
                   "set until it ends\n");
  limit_is (0, 16 * MIB);
  config_is ("<memory limit=\"1073741824\" wait=\"park\" batch=\"16\"/>");
}

static void
test_policy (void)
{
  struct hermit_policy *p;

  fixture_reset ();
  p = &fixture_region ("vm2", "ram-node0", 96, 24)->policy;
  fixture_region ("vm2", "ram-node1", 160, 40)->policy.batch = 3;
  fake_libvirt->name = "vm2";
  hermitctl_says ("policy vm2",
                  "vm2 ram-node0 a4dad594-4e93-574c-97cc-7620278071b3\n"
                  "  eager-fetch    off\n"
                  "  async-io       off\n"
                  "  prefetch       0\n"
                  "  batch          0\n"
                  "  fixed-threads  0\n"
                  "  wait           auto\n"
                  "  async-pf       auto\n"
                  "  reclaim-weight 0\n"
                  "vm2 ram-node1 1d0cdf9a-5065-5319-8813-34ce407e03e6\n"
                  "  eager-fetch    off\n"
                  "  async-io       off\n"
                  "  prefetch       0\n"
                  "  batch          3\n"
                  "  fixed-threads  0\n"
                  "  wait           auto\n"
                  "  async-pf       auto\n"
                  "  reclaim-weight 0\n",
                  "");
  hermitctl_says ("policy vm2 eager-fetch=on async-io=on prefetch=8 batch=16 "
                  "fixed-threads=2 wait=spin async-pf=off reclaim-weight=300",
                  "", "");
  for (guint i = 0; i < 2; i++)
    {
      p = &fake_hermit->regions[i].policy;
      g_assert_cmpuint (p->eager, ==, 1);
      g_assert_cmpuint (p->async_io, ==, 1);
      g_assert_cmpuint (p->prefetch, ==, 8);
      g_assert_cmpuint (p->batch, ==, 16);
      g_assert_cmpuint (p->threads, ==, 2);
      g_assert_cmpuint (p->wait, ==, HERMIT_POLICY_WAIT_SPIN);
      g_assert_cmpuint (p->async_pf, ==, HERMIT_POLICY_ASYNC_PF_OFF);
      g_assert_cmpuint (p->weight, ==, 300);
    }
  live_is ("<memory local-ratio=\"0.5\" eager-fetch=\"on\" async-io=\"on\" "
           "prefetch=\"8\" batch=\"16\" fixed-threads=\"2\" wait=\"spin\" "
           "async-pf=\"off\" reclaim-weight=\"300\"/>");
  config_is (HALF);
  /* one is changed, the others stay */
  hermitctl_says ("policy vm2 wait=park", "", "");
  g_assert_cmpuint (p->wait, ==, HERMIT_POLICY_WAIT_PARK);
  g_assert_cmpuint (p->batch, ==, 16);
}

/* Its own sentence comes back from the kernel. */
static int
no_batch (unsigned long request, struct fake_region *r, void *arg)
{
  struct hermit_policy *p = arg;

  if (request != HERMIT_SET_POLICY || p->batch <= 32)
    return 0;
  /* without an end */
  memset (p->error, '!', sizeof (p->error));
  memcpy (p->error, "batch: 1 to 32", strlen ("batch: 1 to 32"));
  return EINVAL;
}

static void
test_policy_refused (void)
{
  static const struct
  {
    const char *args, *says;
  } cases[] = {
    { "policy vm1 batch", "policy: 'batch' is not NAME=VALUE" },
    { "policy vm1 bath=3", "'bath' is no switch; see hermitctl policy VM" },
    { "policy vm1 batch=", "batch: '' is none of: a number" },
    { "policy vm1 batch=-1", "batch: '-1' is none of: a number" },
    { "policy vm1 batch=4294967296",
      "batch: '4294967296' is none of: a number" },
    { "policy vm1 wait=on", "wait: 'on' is none of: auto, spin, park" },
    { "policy vm1 batch=4 eager-fetch=1",
      "eager-fetch: '1' is none of: off, on" },
  };
  g_autoptr (Program) p = NULL;

  one_region ();
  fake_hermit->answer = no_batch;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *err = g_strdup_printf ("hermitctl: %s\n", cases[i].says);

      hermitctl_fails (cases[i].args, 2, err);
    }
  g_assert_cmpuint (fake_hermit->regions[0].policy.batch, ==, 0);
  live_is (HALF);
  p = hermitctl ("policy vm1 batch=4294967295");
  g_assert_cmpint (p->status, ==, 1);
  g_assert_true (g_str_has_prefix (p->err, "hermitctl: pc.ram: batch: 1 to 32!"));
  g_assert_cmpuint (strlen (p->err), ==,
                    strlen ("hermitctl: pc.ram: \n") + HERMIT_ERROR_LEN - 1);
  live_is (HALF);
  fake_hermit->answer = NULL;
  fixture_reset ();
  fixture_region ("vm2", "ram-node0", 96, 24);
  fixture_region ("vm2", "ram-node1", 160, 40)->policy.batch = 3;
  hermitctl_fails ("policy nobody batch=3", 1,
                   "hermitctl: 'nobody': no running VM of this host with "
                   "hermit memory; see hermitctl list\n");
}

/* The second region of a VM refuses. */
static int
second_refuses (unsigned long request, struct fake_region *r, void *arg)
{
  return request == HERMIT_SET_POLICY && r == &fake_hermit->regions[1] ? EINVAL
                                                                       : 0;
}

static void
test_policy_half (void)
{
  fixture_reset ();
  fixture_region ("vm2", "ram-node0", 96, 24);
  fixture_region ("vm2", "ram-node1", 160, 40);
  fake_hermit->answer = second_refuses;
  hermitctl_fails ("policy vm2 batch=3", 1,
                   "hermitctl: ram-node1 (the others are set): Invalid "
                   "argument\n");
  g_assert_cmpuint (fake_hermit->regions[0].policy.batch, ==, 3);
}

static void
test_follow (void)
{
  static const struct
  {
    int type;
    const char *uri, *live;
  } events[] = {
    { ELEMENT, URI, "<memory local-ratio='0.25' batch='7'/>" },
    { ELEMENT, "http://other", "<memory local-ratio='1'/>" },
    { 0, URI, "<memory local-ratio='1'/>" },
    { ELEMENT, NULL, "<memory local-ratio='1'/>" },
    { ELEMENT, URI, "<memory local-ratio='0.25' limit='1G'/>" },
    { ELEMENT, URI, "<memory limit='32M' wait='what'/>" },
    { ELEMENT, URI, "<memory limit='3M'/>" },
    { ELEMENT, URI, "" },
    { ELEMENT, URI, "<memory limit='128M' wait='park'/>" },
  };
  static const char *const err
      = "hermitctl: vm1: <hermit:memory>: give either local-ratio or limit\n"
        "hermitctl: vm1: <hermit:memory>: wait: 'what' is none of: auto, "
        "spin, park\n"
        "hermitctl: vm1: pc.ram: limit 3145728: below 4194304 bytes\n"
        "hermitctl: vm1: no error\n"
        "hermitctl: libvirtd went away\n";
  g_autoptr (Program) p = NULL;

  one_region ();
  for (guint i = 0; i < G_N_ELEMENTS (events); i++)
    {
      fake_libvirt->events[i].type = events[i].type;
      fake_libvirt->events[i].uri = events[i].uri;
      fake_libvirt->events[i].live = events[i].live;
    }
  fake_libvirt->nr_events = 1;
  p = hermitctl ("follow");
  program_expect (p, 1,
                  "following\nvm1: set as its <hermit:memory> says\n",
                  "hermitctl: libvirtd went away\n");
  limit_is (0, 64 * MIB);
  g_assert_cmpuint (fake_hermit->regions[0].policy.batch, ==, 7);

  g_clear_pointer (&p, program_free);
  fake_libvirt->told = 0;
  fake_libvirt->nr_events = G_N_ELEMENTS (events);
  p = hermitctl ("follow");
  program_expect (p, 1,
                  "following\nvm1: set as its <hermit:memory> says\n"
                  "vm1: set as its <hermit:memory> says\n",
                  err);
  limit_is (0, 128 * MIB);
  g_assert_cmpuint (fake_hermit->regions[0].policy.wait, ==,
                    HERMIT_POLICY_WAIT_PARK);

  /* what changes for the next start only */
  g_clear_pointer (&p, program_free);
  fake_libvirt->told = 0;
  fake_libvirt->nr_events = 1;
  fake_libvirt->running = false;
  p = hermitctl ("follow");
  program_expect (p, 1, "following\n", "hermitctl: libvirtd went away\n");
  limit_is (0, 128 * MIB);
  fake_libvirt->running = true;
  fake_libvirt->told = 0;
  fake_hermit->nr = 0;
  g_clear_pointer (&p, program_free);
  p = hermitctl ("follow");
  program_expect (p, 1, "following\n",
                  "hermitctl: vm1: '" VM1_UUID "': no running VM of this host "
                  "with hermit memory; see hermitctl list\n"
                  "hermitctl: libvirtd went away\n");
}

static void
test_follow_refused (void)
{
  static const char *const functions[]
      = { "virEventRegisterDefaultImpl", "virConnectOpen",
          "virConnectRegisterCloseCallback", "virConnectSetKeepAlive",
          "virConnectDomainEventRegisterAny" };
  g_autoptr (Program) p = NULL;

  one_region ();
  for (guint i = 0; i < G_N_ELEMENTS (functions); i++)
    {
      g_autofree char *err = g_strdup_printf (
          "hermitctl: cannot follow libvirt: %s\n", functions[i]);

      fake_libvirt->fails = functions[i];
      hermitctl_fails ("follow", 1, err);
    }
  fake_libvirt->fails = "virEventRunDefaultImpl";
  p = hermitctl ("follow");
  program_expect (p, 1, "following\n", "hermitctl: libvirtd went away\n");
  g_clear_pointer (&p, program_free);
  fake_libvirt->fails = "virDomainGetUUIDString";
  fake_libvirt->told = 0;
  fake_libvirt->nr_events = 1;
  fake_libvirt->events[0].type = ELEMENT;
  fake_libvirt->events[0].uri = URI;
  p = hermitctl ("follow");
  program_expect (p, 1, "following\n",
                  "hermitctl: vm1: virDomainGetUUIDString\n"
                  "hermitctl: libvirtd went away\n");
}

int
main (int argc, char **argv)
{
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/change/set", test_set);
  g_test_add_func ("/change/set-json", test_set_json);
  g_test_add_func ("/change/set-exact", test_set_exact);
  g_test_add_func ("/change/set-refused", test_set_refused);
  g_test_add_func ("/change/errno", test_errno);
  g_test_add_func ("/change/server", test_server);
  g_test_add_func ("/change/ended", test_ended);
  g_test_add_func ("/change/remember", test_remember);
  g_test_add_func ("/change/config", test_config);
  g_test_add_func ("/change/policy", test_policy);
  g_test_add_func ("/change/policy-refused", test_policy_refused);
  g_test_add_func ("/change/policy-half", test_policy_half);
  g_test_add_func ("/change/follow", test_follow);
  g_test_add_func ("/change/follow-refused", test_follow_refused);
  ret = g_test_run ();
  fixture_end ();
  return ret;
}
