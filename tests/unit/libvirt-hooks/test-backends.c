/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of libvirt's command line: the guest's RAM is converted, all
 * else is passed on as it came.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "backends.h"

/* uuid5 (NAMESPACE_DNS, "pc.ram"), from another implementation */
#define REGIONS "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define PC_RAM_UUID "1f3e3d61-1833-56d5-b16d-dce22d590c8f"

#define RAM "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":268435456}"

static uint64_t least;

static uint64_t
floor_of (uint32_t reclaim_threads)
{
  return least << reclaim_threads;
}

static json_t *
config (const char *properties)
{
  g_autofree char *text = g_strdup_printf (
      "{\"regions\":\"" REGIONS "\",\"properties\":%s}", properties);

  return json_loads (text, 0, NULL);
}

/* A converted copy of a NULL-terminated @args, or NULL and *@error. */
static char **
convert (const char *const *args, const char *properties, char **error)
{
  char **argv = g_strdupv ((char **)args);
  int argc = g_strv_length (argv);
  /* what is not converted stays the same pointer */
  char **before = g_memdup2 (argv, (argc + 1) * sizeof (*argv));
  json_t *j = config (properties);
  gboolean ok = hermit_backends_convert (argc, argv, j, floor_of, error);

  for (int i = 0; i < argc; i++)
    if (argv[i] != before[i])
      {
        char *mine = g_strdup (argv[i]);

        free (argv[i]);
        argv[i] = mine;
        g_free (before[i]);
      }
  g_free (before);
  json_decref (j);
  if (ok)
    return argv;
  g_strfreev (argv);
  return NULL;
}

static void
expect (const char *got, const char *want)
{
  json_t *a = json_loads (got, 0, NULL), *b = json_loads (want, 0, NULL);

  g_assert_nonnull (a);
  g_assert_nonnull (b);
  if (!json_equal (a, b))
    g_error ("got %s, not %s", got, want);
  json_decref (a);
  json_decref (b);
}

static void
test_ram (void)
{
  const char *const args[]
      = { "qemu", "-machine", "pc-q35-9.2,usb=off,memory-backend=pc.ram",
          "-object",
          "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":"
          "268435456,\"x-use-canonical-path-for-ramblock-id\":false,"
          "\"prealloc\":false,\"share\":true}",
          NULL };
  char *error = NULL;
  g_auto (GStrv) argv = convert (
      args, "{\"local-ratio\":0.5,\"server\":[\"tcp:m:1\"]}", &error);

  g_assert_nonnull (argv);
  g_assert_cmpstr (argv[2], ==, args[2]);
  expect (argv[4],
          "{\"qom-type\":\"hermit-memory\",\"id\":\"pc.ram\",\"size\":"
          "268435456,\"x-use-canonical-path-for-ramblock-id\":false,"
          "\"uuid\":\"" PC_RAM_UUID "\",\"local-ratio\":0.5,\"server\":["
          "\"tcp:m:1\"]}");
}

/* Files with contents are kept, whoever else has the same backend type. */
static void
test_others (void)
{
  const char *const args[] = {
    "qemu", "-machine", "q35,memory-backend=pc.ram,nvdimm=on", "-object", RAM,
    "-object",
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"memnvdimm0\",\"mem-path\":"
    "\"/srv/nv\",\"size\":1048576}",
    "-device", "{\"driver\":\"nvdimm\",\"memdev\":\"memnvdimm0\"}", "-object",
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"shm0\",\"mem-path\":"
    "\"/dev/shm/x\",\"size\":1048576}",
    "-device", "{\"driver\":\"ivshmem-plain\",\"memdev\":\"shm0\"}", "-object",
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"memvirtiopmem0\",\"mem-path\":"
    "\"/srv/pmem\",\"size\":1048576}",
    "-device", "virtio-pmem-pci,memdev=memvirtiopmem0,id=p", "-object",
    /* for a device that is no file's */
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"other0\",\"size\":1048576}",
    "-device", "{\"driver\":\"ivshmem-plainer\",\"memdev\":\"other0\"}", "-object",
    /* not files, whoever has them */
    "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"other1\",\"size\":1048576}",
    "-device", "{\"driver\":\"ivshmem-plain\",\"memdev\":\"other1\"}", "-object",
    "{\"qom-type\":\"memory-backend-epc\",\"id\":\"other2\",\"size\":1048576}", "-object",
    "{\"qom-type\":\"secret\",\"id\":\"masterKey0\"}", "-append",
    "memory-backend=x {\"qom-type\":\"memory-backend-ram\"}", NULL
  };
  char *error = NULL;
  g_auto (GStrv) argv = convert (args, "{\"local-ratio\":1}", &error);

  g_assert_nonnull (argv);
  for (int i = 0; args[i]; i++)
    if (i != 4)
      g_assert_cmpstr (argv[i], ==, args[i]);
  /* QEMU is told of the files of devices, and of nothing else */
  expect (argv[4], "{\"qom-type\":\"hermit-memory\",\"id\":\"pc.ram\",\"size\":"
                   "268435456,\"uuid\":\"" PC_RAM_UUID "\",\"local-ratio\":1,"
                   "\"other-memory\":[\"memnvdimm0\",\"shm0\",\"memvirtiopmem0\"]}");
}

/* A limit is split by size and never exceeded. */
static void
test_limit (void)
{
  const char *const args[] = {
    "qemu", "-object",
    "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"ram-node0\",\"size\":"
    "100663296}",
    "-numa", "node,nodeid=0,cpus=0,memdev=ram-node0", "-object",
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"ram-node1\",\"mem-path\":"
    "\"/var/lib/libvirt/qemu/ram/1-x/ram-node1\",\"size\":167772160}",
    "-numa", "node,nodeid=1,cpus=1,memdev=ram-node1", "-object",
    "{\"qom-type\":\"memory-backend-ram\",\"id\":\"memdimm0\",\"size\":"
    "134217728}",
    "-device", "{\"driver\":\"pc-dimm\",\"node\":0,\"memdev\":\"memdimm0\"}",
    NULL
  };
  static const int objects[] = { 2, 6, 10 };
  static const struct
  {
    const char *limit;
    json_int_t sum;
  } cases[] = { { "104857600", 104857600 - 3 * 4096 },
                { "402653184", 402653184 },
                { "999999999999", 402653184 } };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++)
    {
      g_autofree char *properties
          = g_strdup_printf ("{\"limit\":%s}", cases[c].limit);
      char *error = NULL;
      g_auto (GStrv) argv = convert (args, properties, &error);
      json_int_t sum = 0;

      g_assert_nonnull (argv);
      for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
        {
          json_t *j = json_loads (argv[objects[i]], 0, NULL);
          json_int_t limit = json_integer_value (json_object_get (j, "limit"));
          json_int_t size = json_integer_value (json_object_get (j, "size"));

          g_assert_cmpint (limit, >, 0);
          g_assert_cmpint (limit, <=, size);
          g_assert_cmpint (limit % 4096, ==, 0);
          g_assert_null (json_object_get (j, "mem-path"));
          sum += limit;
          json_decref (j);
        }
      g_assert_cmpint (sum, >=, cases[c].sum);
      g_assert_cmpint (sum, <=, cases[c].sum + 3 * 4096);
      g_assert_cmpint (sum, <=, atoll (cases[c].limit));
    }
}

/* Every part has to be above the floor, or the whole object to be here. */
static void
test_floor (void)
{
#define CELL(id, size)                                                        \
  "-object", "{\"qom-type\":\"memory-backend-ram\",\"id\":\"" id             \
             "\",\"size\":" size "}",                                        \
      "-numa", "node,memdev=" id
  const char *const two[] = { "qemu", CELL ("a", "1073741824"),
                              CELL ("b", "2147483648"), NULL };
  const char *const tiny[] = { "qemu", CELL ("a", "4096"),
                               CELL ("b", "1099511627776"), NULL };
  const char *const one[] = { "qemu", CELL ("a", "1073741824"), NULL };
  const struct
  {
    const char *const *args;
    guint64 floor, limit;
    guint threads;
    const char *says;
  } cases[] = {
    { two, 8 << 20, 24 << 20, 0, NULL },
    { two, 8 << 20, (24 << 20) - 4096, 0,
      "<hermit:memory>: limit 25161728 is split by size among 2 memory "
      "objects, and 'a' would get 8384512 of its 1073741824 bytes: it needs "
      "8388608 on this host, so the limit has to be at least 25165824" },
    { two, 4 << 20, 24 << 20, 1, NULL },
    { two, 8 << 20, 24 << 20, 1, "at least 50331648" },
    /* not known: only what could not be in any case */
    { two, 0, 4096 * 3, 0, NULL },
    { two, 0, 4096 * 2, 0,
      "'a' would get 0 of its 1073741824 bytes: it needs 4096 on this host, "
      "so the limit has to be at least 12288" },
    { tiny, 8 << 20, 1ULL << 39, 0,
      "'a' would get 0 of its 4096 bytes: it needs 4096 on this host, so the "
      "limit has to be at least 1099511631872" },
    { tiny, 8 << 20, 1099511631872, 0, NULL },
    /* the kernel speaks of what the user wrote */
    { one, 8 << 20, 4096, 0, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *properties = g_strdup_printf (
          "{\"limit\":%" G_GUINT64_FORMAT ",\"reclaim-threads\":%u}",
          cases[i].limit, cases[i].threads);
      char *error = NULL;
      g_auto (GStrv) argv = NULL;

      least = cases[i].floor;
      argv = convert (cases[i].args, properties, &error);
      if (!argv != !!cases[i].says
          || (cases[i].says && !strstr (error, cases[i].says)))
        g_error ("case %u: %s", i, error ?: "accepted");
      free (error);
    }
  least = 0;
}

static void
test_refused (void)
{
  static const struct
  {
    const char *machine, *object, *config, *says;
  } cases[] = {
    { "q35", RAM, NULL, "no memory object that is the guest's RAM" },
    { "q35,memory-backend=pc.ram", "memory-backend-ram,id=pc.ram,size=1G",
      NULL, "not in JSON" },
    { "q35,memory-backend=pc.ram",
      "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"size\":4096,"
      "\"hugetlb\":true}",
      NULL, "<hugepages/>" },
    { "q35,memory-backend=pc.ram",
      "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\"}", NULL,
      "no size" },
    { "q35,memory-backend=pc.ram", RAM, "{}", "lacks" },
    { "q35,memory-backend=pc.ram", RAM,
      "{\"regions\":\"x\",\"properties\":{}}", "lacks" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      char *argv[] = { (char *)"qemu", (char *)"-machine",
                       (char *)cases[i].machine, (char *)"-object",
                       (char *)cases[i].object };
      json_t *j = cases[i].config ? json_loads (cases[i].config, 0, NULL)
                                  : config ("{\"local-ratio\":0.5}");
      char *error = NULL;

      g_assert_false (
          hermit_backends_convert (G_N_ELEMENTS (argv), argv, j, floor_of, &error));
      g_assert_nonnull (error);
      if (!strstr (error, cases[i].says))
        g_error ("case %u: %s", i, error);
      free (error);
      json_decref (j);
    }
}

/* Sizes that are numbers each, and none together. */
static void
test_too_large (void)
{
#define LARGE(id)                                                             \
  "{\"qom-type\":\"memory-backend-ram\",\"id\":\"" id                          \
  "\",\"size\":9223372036854771712}"
  char *argv[] = { (char *)"qemu",        (char *)"-object",
                   (char *)LARGE ("a"),   (char *)"-numa",
                   (char *)"node,memdev=a", (char *)"-object",
                   (char *)LARGE ("b"),   (char *)"-numa",
                   (char *)"node,memdev=b" };
  json_t *j = config ("{\"local-ratio\":0.5}");
  char *error = NULL;

  g_assert_false (
      hermit_backends_convert (G_N_ELEMENTS (argv), argv, j, floor_of, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error, "larger than any machine"));
  free (error);
  json_decref (j);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/backends/ram", test_ram);
  g_test_add_func ("/backends/others", test_others);
  g_test_add_func ("/backends/limit", test_limit);
  g_test_add_func ("/backends/floor", test_floor);
  g_test_add_func ("/backends/refused", test_refused);
  g_test_add_func ("/backends/too-large", test_too_large);
  return g_test_run ();
}
