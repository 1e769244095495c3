/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the qemu hook makes of a domain's XML, each refusal, and the file it
 * leaves.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "advise.h"
#include "domain.h"
#include "element.h"
#include "policy.h"
#include "region.h"
#include "settings.h"
#include "size.h"

#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define EMULATOR "/usr/local/bin/hermit-qemu"

static char *
domain_xml (const char *attributes, const char *extra, const char *devices)
{
  return g_strdup_printf (
      "<domain type='kvm'><name>vm1</name><uuid>" UUID "</uuid><metadata>"
      "<hermit:memory xmlns:hermit='" HERMIT_XML_NAMESPACE "' %s/></metadata>"
      "<memory unit='KiB'>1048576</memory>%s<devices>%s</devices></domain>",
      attributes, extra, devices);
}

static void
test_accepted (void)
{
  static const struct
  {
    const char *attributes, *extra, *properties;
  } cases[] = {
    { "local-ratio='0.5' server='rdma:mem1:7471'", "",
      "{\"local-ratio\":0.5,\"server\":[\"rdma:mem1:7471\"]}" },
    { "local-ratio='0.5' replicas='2'"
      " server=' tcp:mem1:7471  rdma:mem2:7471\ttcp:[::1]:7471 '", "",
      "{\"local-ratio\":0.5,\"replicas\":2,\"server\":[\"tcp:mem1:7471\","
      "\"rdma:mem2:7471\",\"tcp:[::1]:7471\"]}" },
    { "local-ratio='0.5' replicas='1' server='tcp:mem1:7471'", "",
      "{\"local-ratio\":0.5,\"replicas\":1,\"server\":[\"tcp:mem1:7471\"]}" },
    { "limit='512MiB' server='local:' key-file='/etc/hermit/k' on-stall='kill'"
      " fault-timeout='5000' reclaim-threads='2'",
      "",
      "{\"limit\":536870912,\"server\":[\"local:\"],\"key-file\":"
      "\"/etc/hermit/k\",\"on-stall\":\"kill\",\"fault-timeout\":5000,"
      "\"reclaim-threads\":2}" },
    { "limit='1G' eager-fetch='off' async-io='on' prefetch='0' batch='32'"
      " fixed-threads='1' wait='park' async-pf='off' reclaim-weight='300'",
      "",
      "{\"limit\":1073741824,\"eager-fetch\":false,\"async-io\":true,"
      "\"prefetch\":0,\"batch\":32,\"fixed-threads\":1,\"wait\":\"park\","
      "\"async-pf\":\"off\","
      "\"reclaim-weight\":300}" },
    /* what pins nothing, and memory that is there from the start */
    { "limit='1G'",
      "<maxMemory slots='2' unit='KiB'>1048576</maxMemory>"
      "<devices><memory model='dimm'/><memory model='virtio-mem'/>"
      "<disk type='block'><source dev='/dev/nvme0n1'/></disk>"
      "<hostdev mode='subsystem' type='usb'/></devices>",
      "{\"limit\":1073741824}" },
    { "limit='1G'",
      "<maxMemory slots='0' unit='KiB'>1048576</maxMemory>"
      "<memtune><hard_limit unit='KiB'>1314816</hard_limit></memtune>",
      "{\"limit\":1073741824}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *xml = domain_xml (cases[i].attributes, cases[i].extra,
                                         "<emulator>" EMULATOR "</emulator>");
      g_autoptr (GError) error = NULL;
      g_autoptr (HermitSettings) settings
          = hermit_settings_read (xml, SCHEMA, &error);
      json_t *want = json_loads (cases[i].properties, 0, NULL);

      g_assert_no_error (error);
      g_assert_cmpstr (settings->name, ==, "vm1");
      g_assert_cmpstr (settings->uuid, ==, UUID);
      g_assert_true (json_equal (settings->properties, want));
      json_decref (want);
    }
}

/* Any other domain is none of our business. */
static void
test_without (void)
{
  static const char *const metadata[] = {
    "",
    "<o:memory xmlns:o='http://other'/>",
    "<memory xmlns='http://openstack.org/xmlns/libvirt/nova/1.1'>512</memory>",
    "<n:i xmlns:n='http://n/1'><memory limit='1'>512</memory></n:i>",
    "<hermit:shell xmlns:hermit='https://hermits.example/1'/>",
  };

  for (guint i = 0; i < G_N_ELEMENTS (metadata); i++)
    {
      g_autofree char *xml = g_strdup_printf (
          "<domain><name>x</name><uuid>" UUID "</uuid><memoryBacking><locked/>"
          "</memoryBacking><maxMemory slots='9'>9</maxMemory>"
          "<metadata>%s</metadata><devices><emulator>/usr/bin/hermit-qemu-9"
          "</emulator><disk type='nvme'/></devices></domain>",
          metadata[i]);
      g_autoptr (GError) error = NULL;
      g_autoptr (HermitSettings) settings
          = hermit_settings_read (xml, SCHEMA, &error);

      g_assert_no_error (error);
      g_assert_null (settings->properties);
    }
}

/* It was meant for us, and would have started without a limit. */
static void
test_misplaced (void)
{
#define ELEMENT(ns) "<hermit:memory xmlns:hermit='" ns "' local-ratio='0.5'/>"
#define OURS ELEMENT (HERMIT_XML_NAMESPACE)
  static const struct
  {
    const char *metadata, *says;
  } cases[] = {
    { "", "<emulator> is " EMULATOR ", and <metadata> has no <hermit:memory>" },
    { "<o:memory xmlns:o='http://other'/>", "has no <hermit:memory>" },
    { ELEMENT (HERMIT_XML_NAMESPACE "/"), "has the namespace '" },
    { ELEMENT ("https://hermit.example/xmlns/libvirt/2"),
      "<memory> in <metadata> has the namespace "
      "'https://hermit.example/xmlns/libvirt/2', so it counts for nothing: "
      "<hermit:memory> needs xmlns:hermit='" HERMIT_XML_NAMESPACE "'" },
    { ELEMENT ("http://hermit.example/xmlns/libvirt/1"), "has the namespace" },
    { ELEMENT ("https://hremit.example/xmlns/libvirt/1"), "has the namespace" },
    { "<m:memory xmlns:m='https://hermit.exmaple/1'/>", "has the namespace" },
    { "<hermit:memory local-ratio='0.5'/>", "has the namespace ''" },
    { "<o:x xmlns:o='http://other'>" ELEMENT ("https://hermit.example/2")
      "</o:x>", "has the namespace" },
    { "<o:x xmlns:o='http://other'>" OURS "</o:x>", "inside of another" },
    { OURS "<o:x xmlns:o='http://other'>" OURS "</o:x>", "inside of another" },
    { OURS OURS, "a second element" },
    { OURS "<h:memory xmlns:h='" HERMIT_XML_NAMESPACE "' limit='1G'/>",
      "a second element" },
    { OURS "<h:other xmlns:h='" HERMIT_XML_NAMESPACE "'/>",
      "a second element" },
    { OURS ELEMENT ("https://hermit.example/xmlns/libvirt/2"),
      "has the namespace" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *xml = g_strdup_printf (
          "<domain><name>x</name><uuid>" UUID "</uuid><memory>1048576</memory>"
          "<metadata>%s</metadata><devices><emulator>" EMULATOR
          "</emulator></devices></domain>",
          cases[i].metadata);
      g_autoptr (GError) error = NULL;
      g_autoptr (HermitSettings) settings
          = hermit_settings_read (xml, SCHEMA, &error);
      g_autoptr (HermitSettings) later
          = hermit_settings_read (xml, NULL, NULL);

      if (settings || !strstr (error->message, cases[i].says))
        g_error ("case %u, '%s': %s", i, cases[i].says,
                 settings ? "accepted" : error->message);
      /* what runs is not ended for it */
      g_assert_nonnull (later);
    }
}

static void
test_refused (void)
{
  static const char *const half = "local-ratio='0.5'";
  const struct
  {
    const char *attributes, *extra, *devices, *says;
  } cases[] = {
    { half, "<memoryBacking><locked/></memoryBacking>", "", "<locked/>" },
    { half, "<memoryBacking><hugepages/></memoryBacking>", "",
      "<hugepages/>" },
    { half, "<memoryBacking><allocation mode='immediate'/></memoryBacking>",
      "", "mode='immediate'" },
    { half, "<launchSecurity type='sev'/>", "", "<launchSecurity>" },
    { half, "<numatune><memory mode='strict' nodeset='0'/></numatune>", "",
      "<numatune>" },
    { half, "<maxMemory slots='1'>1048576</maxMemory>", "",
      "<maxMemory> has slots" },
    /* no slots, but virtio-mem needs none */
    { half, "<maxMemory unit='KiB'>1048580</maxMemory>", "",
      "<maxMemory> is above <memory>" },
    { half, "<maxMemory slots='1'>4194304</maxMemory>",
      "<memory model='virtio-mem'/>", "<maxMemory> is above <memory>" },
    { half, "", "<memory model='sgx-epc'/>", "'sgx-epc'" },
    { half, "", "<disk type='nvme' device='disk'/>", "<disk type='nvme'>" },
    { half, "",
      "<disk type='file'><backingStore type='file'><backingStore type='nvme'/>"
      "</backingStore></disk>",
      "<disk type='nvme'>" },
    { half,
      "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
      "<q:arg value='-device'/><q:arg value='vfio-pci,host=01:00.0'/>"
      "</q:commandline>",
      "", "<qemu:commandline>" },
    { half,
      "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
      "<q:arg value='if=none,file=nvme://0000:01:00.0/1'/></q:commandline>",
      "", "<qemu:commandline>" },
    { half, "", "<hostdev mode='subsystem' type='pci'/>", "VFIO" },
    { half, "", "<hostdev mode='subsystem' type='mdev'/>", "VFIO" },
    { half, "", "<interface type='hostdev'/>", "VFIO" },
    { half, "", "<interface type='vdpa'/>", "vDPA" },
    { half, "", "<disk type='vhostvdpa'/>", "vDPA" },
    { half, "", "<emulator>/usr/bin/qemu-system-x86_64</emulator>",
      "<emulator> is /usr/bin/qemu-system-x86_64" },
    /* a page below what test_accepted() has */
    { "limit='1G'",
      "<memtune><hard_limit unit='KiB'>1314812</hard_limit></memtune>", "",
      "the host would kill QEMU" },
    { "limit='2G'", "", "", "is above the domain's memory" },
    { "limit='1G' local-ratio='0.5'", "", "", "give either" },
    { "", "", "", "give either" },
    { "local-ratio='0'", "", "", "not a ratio" },
    { "local-ratio='1.01'", "", "", "not a ratio" },
    { "local-ratio='nan'", "", "", "not a ratio" },
    { "local-ratio='0,5'", "", "", "not a ratio" },
    { "limit='0'", "", "", "not a size" },
    { "limit='-1'", "", "", "not a size" },
    { "limit='99999999999999999999'", "", "", "not a size" },
    { "limit='1X'", "", "", "not a size" },
    { "local-ratio='0.5' server='udp:x:1'", "", "", "attribute server" },
    { "local-ratio='0.5' server='tcp:x:1 tcp:y'", "", "", "attribute server" },
    { "local-ratio='0.5' server=''", "", "", "attribute server" },
    { "local-ratio='0.5' server='tcp:x:1 tcp:y:1 tcp:x:1'", "", "",
      "server 'tcp:x:1' is named twice" },
    { "local-ratio='0.5' server='tcp:x:1 local:lz4'", "", "",
      "server 'local:lz4' is memory of this host" },
    { "local-ratio='0.5' server='tcp:a:1 tcp:b:1 tcp:c:1 tcp:d:1 tcp:e:1'", "",
      "", "5 servers are named, at most 4 can be" },
    { "local-ratio='0.5' server='tcp:x:1 tcp:y:1' replicas='3'", "", "",
      "replicas 3 is more than there are servers, 2" },
    { "local-ratio='0.5' replicas='2'", "", "",
      "replicas 2 is more than there are servers, 1" },
    { "local-ratio='0.5' server='tcp:x:1 tcp:y:1' replicas='0'", "", "",
      "attribute replicas" },
    { "local-ratio='0.5' server='tcp:x:1 tcp:y:1' replicas='both'", "", "",
      "attribute replicas" },
    { "local-ratio='0.5' sever='tcp:x:1'", "", "", "attribute sever" },
    { "local-ratio='0.5' key-file='key'", "", "", "attribute key-file" },
    { "local-ratio='0.5' on-stall='wait'", "", "", "attribute on-stall" },
    { "local-ratio='0.5' fault-timeout='0'", "", "",
      "attribute fault-timeout" },
    { "local-ratio='0.5' eager-fetch='true'", "", "", "eager-fetch: 'true'" },
    { "local-ratio='0.5' wait='sleep'", "", "", "none of: auto, spin, park" },
    { "local-ratio='0.5' prefetch='-1'", "", "", "prefetch: '-1'" },
    { "local-ratio='0.5' prefetch='33'", "", "", "attribute prefetch" },
    { "local-ratio='0.5' batch='0'", "", "", "attribute batch" },
    { "local-ratio='0.5' reclaim-weight='0'", "", "",
      "attribute reclaim-weight" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *devices
          = g_strconcat (strstr (cases[i].devices, "<emulator>")
                             ? ""
                             : "<emulator>" EMULATOR "</emulator>",
                         cases[i].devices, NULL);
      g_autofree char *xml
          = domain_xml (cases[i].attributes, cases[i].extra, devices);
      g_autoptr (GError) error = NULL;
      g_autoptr (HermitSettings) settings
          = hermit_settings_read (xml, SCHEMA, &error);

      if (settings || !strstr (error->message, cases[i].says))
        g_error ("case %u, '%s': %s", i, cases[i].says,
                 settings ? "accepted" : error->message);
    }
}

static void
test_file (void)
{
  g_autofree char *dir = g_dir_make_tmp ("hermit-XXXXXX", NULL);
  g_autofree char *machine = g_build_filename (dir, "machine-id", NULL);
  g_autoptr (GError) error = NULL;
  HermitDomain domain = { .name = (char *)"vm1", .uuid = (char *)UUID };
  json_t *properties = json_pack ("{s:f}", "local-ratio", 0.5);
  g_autoptr (GPtrArray) domains = NULL, none = NULL;
  const HermitDomain *found;
  HermitUuid other;

  g_assert_false (
      hermit_domain_derive (UUID, machine, domain.regions, &error));
  g_clear_error (&error);
  g_assert_true (g_file_set_contents (machine, "m1\n", -1, NULL));
  g_assert_true (hermit_domain_derive (UUID, machine, domain.regions, &error));
  /* what images have that many hosts are made of */
  for (guint i = 0; i < 3; i++)
    {
      static const char *const none[] = { "", " \n", "uninitialized\n" };
      static const char *const says[]
          = { " is empty: ", " is empty: ", " is uninitialized: " };

      g_assert_true (g_file_set_contents (machine, none[i], -1, NULL));
      g_assert_false (hermit_domain_derive (UUID, machine, other, &error));
      g_assert_nonnull (strstr (error->message, says[i]));
      g_clear_error (&error);
    }
  /* each host has its own */
  g_assert_true (g_file_set_contents (machine, "m2\n", -1, NULL));
  g_assert_true (hermit_domain_derive (UUID, machine, other, &error));
  g_assert_cmpint (memcmp (domain.regions, other, sizeof (other)), !=, 0);

  g_assert_true (hermit_domain_save (dir, &domain, properties, &error));
  json_decref (properties);
  domains = hermit_domains_load (dir);
  g_assert_cmpuint (domains->len, ==, 1);
  found = domains->pdata[0];
  g_assert_cmpstr (found->name, ==, "vm1");
  g_assert_cmpstr (found->uuid, ==, UUID);
  g_assert_cmpmem (found->regions, sizeof (other), domain.regions,
                   sizeof (other));
  hermit_domain_remove (dir, UUID);
  none = hermit_domains_load (dir);
  g_assert_cmpuint (none->len, ==, 0);
  g_unlink (machine);
  g_rmdir (dir);
}

static void
test_element (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *xml
      = hermit_element_change ("<memory local-ratio='0.5' server='tcp:m:1'/>",
                               "limit", "4096", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (xml, ==, "<memory server=\"tcp:m:1\" limit=\"4096\"/>");
  g_assert_null (hermit_element_change ("<memory", "limit", "1", &error));
}

/* A switch is added to the element and read back; the limit stays. */
static void
test_policy (void)
{
  struct hermit_policy policy;
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = hermit_element_change ("<memory local-ratio='0.5'/>",
                                                "wait", "spin", &error);

  g_assert_cmpstr (xml, ==, "<memory local-ratio=\"0.5\" wait=\"spin\"/>");
  g_assert_true (hermit_element_policy (xml, &policy, &error));
  g_assert_cmpuint (policy.set, ==, HERMIT_POLICY_WAIT);
  g_assert_cmpuint (policy.wait, ==, HERMIT_POLICY_WAIT_SPIN);
  g_assert_true (hermit_policy_set (&policy, "batch", "7", &error));
  g_assert_cmpuint (policy.batch, ==, 7);
  g_assert_cmpuint (policy.set, ==, HERMIT_POLICY_WAIT | HERMIT_POLICY_BATCH);
  g_assert_false (
      hermit_element_policy ("<memory batch='x'/>", &policy, &error));
  g_clear_error (&error);
  g_assert_false (hermit_policy_set (&policy, "bath", "7", &error));
  /* every switch that the kernel has can be set here */
  policy.set = 0;
  for (guint i = 0; hermit_policy_name (i); i++)
    {
      const char *name = hermit_policy_name (i);
      g_autofree char *text = hermit_policy_text (&policy, name);

      g_assert_true (hermit_policy_set (&policy, name, text, NULL));
    }
  g_assert_cmpuint (policy.set, ==, HERMIT_POLICY_ALL);
}

/* Every switch is read from the element, the first too. */
static void
test_element_policy (void)
{
  struct hermit_policy policy;
  g_autoptr (GError) error = NULL;

  g_assert_true (hermit_element_policy (
      "<memory eager-fetch='on' reclaim-weight='9'/>", &policy, &error));
  g_assert_cmpuint (policy.set, ==,
                    HERMIT_POLICY_EAGER | HERMIT_POLICY_WEIGHT);
  g_assert_cmpuint (policy.eager, ==, 1);
  g_assert_cmpuint (policy.weight, ==, 9);
}

/* Whole pages, rounded down; and no unit above TiB. */
static void
test_size (void)
{
  static const struct
  {
    const char *text;
    guint64 size;
  } cases[] = { { "4096", 4096 },        { "8191", 4096 },
                { "12345678", 12345344 }, { "7k", 4096 },
                { "3GiB", 3ULL << 30 },   { "2T", 2ULL << 40 } };
  static const char *const none[]
      = { "",      "k",        "-4096",     " 4096",     "4096X",
          "8Kb",   "8KiBs",    "16777217T", "17179869185G" };
  g_autofree char *large = hermit_size_format (5ULL << 50);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      guint64 size;

      g_assert_true (hermit_size_parse (cases[i].text, &size, NULL));
      g_assert_cmpuint (size, ==, cases[i].size);
    }
  for (guint i = 0; i < G_N_ELEMENTS (none); i++)
    {
      g_autoptr (GError) error = NULL;
      guint64 size;

      g_assert_false (hermit_size_parse (none[i], &size, &error));
      g_assert_nonnull (error);
    }
  g_assert_cmpstr (large, ==, "5120.0 TiB");
}

/*
 * 1000 pages in use all the time, 800 touched once in 80 periods each, 500
 * never again: that is 10 faults per period without the 800.
 */
static void
test_advise (void)
{
  HermitAges ages
      = { .pages = { 1000, 10, 20, 40, 80, 160, 320, 170, 500 }, .period = 5 };

  g_assert_cmpuint (hermit_ages_keep (&ages, 0), ==, 1000);
  g_assert_cmpuint (hermit_ages_keep (&ages, 8), ==, 2300);
  g_assert_cmpfloat (hermit_ages_seconds (&ages, 0), ==, 5);
  g_assert_cmpfloat (hermit_ages_seconds (&ages, 4), ==, 80);
  g_assert_cmpfloat_with_epsilon (hermit_ages_faults (&ages, 0), 2, 1e-6);
  g_assert_cmpfloat_with_epsilon (hermit_ages_faults (&ages, 5), 2, 1e-6);
  /* what is older is no more than this: the bucket has no end */
  g_assert_cmpfloat_with_epsilon (hermit_ages_faults (&ages, 7),
                                  500.0 / 128 / 5, 1e-6);
  g_assert_cmpfloat (hermit_ages_faults (&ages, 8), ==, 0);
  for (guint i = 0; i < HERMIT_IDLE_BUCKETS - 1; i++)
    g_assert_cmpfloat (hermit_ages_faults (&ages, i), >=,
                       hermit_ages_faults (&ages, i + 1));
  g_assert_cmpuint (hermit_ages_choose (&ages, 100), ==, 0);
  g_assert_cmpuint (hermit_ages_choose (&ages, 1), ==, 6);
  g_assert_cmpuint (hermit_ages_choose (&ages, 0), ==, 8);
}

/* A quantile lies in its bucket, and they do not cross. */
static void
test_quantile (void)
{
  __u64 hist[HERMIT_HIST_BUCKETS] = { 0 };

  g_assert_cmpuint (hermit_hist_quantile (hist, 0.5), ==, 0);
  hist[10] = 98;
  hist[20] = 2;
  g_assert_cmpuint (hermit_hist_count (hist), ==, 100);
  g_assert_cmpuint (hermit_hist_quantile (hist, 0.5), >=, 1 << 10);
  g_assert_cmpuint (hermit_hist_quantile (hist, 0.5), <, 1 << 11);
  g_assert_cmpuint (hermit_hist_quantile (hist, 0.99), >=, 1 << 20);
  g_assert_cmpuint (hermit_hist_quantile (hist, 0.99), <=, 1 << 21);
  g_assert_cmpuint (hermit_hist_quantile (hist, 0.999), >=,
                    hermit_hist_quantile (hist, 0.99));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/settings/accepted", test_accepted);
  g_test_add_func ("/settings/without", test_without);
  g_test_add_func ("/settings/misplaced", test_misplaced);
  g_test_add_func ("/settings/refused", test_refused);
  g_test_add_func ("/settings/file", test_file);
  g_test_add_func ("/settings/element", test_element);
  g_test_add_func ("/settings/policy", test_policy);
  g_test_add_func ("/settings/element-policy", test_element_policy);
  g_test_add_func ("/settings/size", test_size);
  g_test_add_func ("/region/quantile", test_quantile);
  g_test_add_func ("/advise", test_advise);
  return g_test_run ();
}
