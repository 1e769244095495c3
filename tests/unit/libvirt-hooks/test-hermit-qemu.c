/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermit-qemu by the command line that QEMU gets: a script in its place prints
 * it. What cannot be as the domain's settings say must not start at all.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"
#include "uapi/hermit.h"

int hermit_qemu_main (int argc, char **argv);
int __lsan_is_turned_off (void);

/* It becomes QEMU or ends at once, and frees nothing before. */
int
__lsan_is_turned_off (void)
{
  return 1;
}

#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define REGIONS "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
#define FILE_OF_UUID "run/" UUID ".json"
#define RAM                                                                   \
  "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":268435456}"
#define HERMIT_RAM                                                            \
  "{\"id\":\"pc.ram\",\"size\":268435456,\"qom-type\":\"hermit-memory\","     \
  "\"uuid\":\"eb8fbfd1-15ac-5e3c-b8df-4fdd890a1c68\""

/* hermit.ko, of which the file "device" is there or not: it refuses. */
int __wrap_ioctl (int fd, unsigned long request, ...);

int
__wrap_ioctl (int fd, unsigned long request, ...)
{
  struct hermit_create *c;
  va_list args;

  va_start (args, request);
  c = va_arg (args, struct hermit_create *);
  va_end (args);
  if (request != HERMIT_CREATE || c->size != sizeof (*c)
      || c->version != HERMIT_UAPI_VERSION || c->limit
      || c->region_size % 4096 || c->region_size > 1ULL << 46)
    abort ();
  c->floor = (8 + c->reclaim_threads) << 20;
  errno = ERANGE;
  return -1;
}

static void
settings (const char *text)
{
  g_assert_true (g_file_set_contents (FILE_OF_UUID, text, -1, NULL));
}

static void
properties (const char *text)
{
  g_autofree char *all = g_strdup_printf (
      "{\"domain\":\"vm1\",\"uuid\":\"" UUID "\",\"regions\":\"" REGIONS
      "\",\"properties\":%s}",
      text);

  settings (all);
}

static Program *
hermit_qemu (const char *args)
{
  g_autofree char *line = g_strconcat ("hermit-qemu ", args, NULL);

  return program_run (hermit_qemu_main, line, NULL);
}

/* QEMU gets @args, in the words that a shell makes of them, as they are. */
static void
unchanged (const char *args)
{
  g_autoptr (Program) p = hermit_qemu (args);
  g_autofree char *line = g_strconcat ("./qemu ", args, NULL), *want = NULL;
  g_auto (GStrv) words = NULL;

  g_assert_true (g_shell_parse_argv (line, NULL, &words, NULL));
  want = g_strjoinv ("\n", words);
  line = (g_free (line), g_strconcat (want, "\n", NULL));
  program_expect (p, 0, line, "");
}

/* Whatever is no start of a domain passes through. */
static void
test_through (void)
{
  static const char *const args[] = {
    "",
    "-version",
    "-S -no-user-config -nodefaults -machine none,accel=kvm:tcg -qmp "
    "unix:/x/capabilities.monitor.sock,server=on,wait=off -daemonize",
    "-machine q35,memory-backend=pc.ram -object '" RAM "'",
    /* the last word has no value */
    "-machine q35 -uuid",
    "-uuid",
    "-object",
    "'-uuid ' " UUID,
    "-uuids " UUID,
    "-append 'a  b' '' -name 'guest=x,debug-threads=on'",
  };

  properties ("{\"local-ratio\":0.5}");
  for (guint i = 0; i < G_N_ELEMENTS (args); i++)
    unchanged (args[i]);
}

/* A domain without settings: the hook did not run, or the UUID is not its. */
static void
test_without_settings (void)
{
#define OTHER "6ba7b812-9dad-11d1-80b4-00c04fd430c8"
#define MISSING                                                               \
  "run/" OTHER ".json is missing: no settings for this domain. Either "       \
  "libvirt did not run hermit-qemu-hook (it has to be an executable file in " \
  "libvirt's hooks/qemu.d before libvirtd is started), or the domain has no " \
  "<hermit:memory> and <emulator> should name QEMU itself"
  static const struct
  {
    const char *uuid, *says;
  } cases[] = {
    { "-uuid " OTHER, MISSING },
    { "--uuid " OTHER, MISSING },
    { "-append -uuid -uuid " UUID, "-uuid '-uuid' is not a UUID" },
    { "-uuid not-a-uuid", "-uuid 'not-a-uuid' is not a UUID" },
    { "-uuid ''", "-uuid '' is not a UUID" },
    { "-uuid ../../../../../../../../etc/passwd",
      "-uuid '../../../../../../../../etc/passwd' is not a UUID" },
    { "-uuid 6ba7b810-9dad-11d1-80b4-00c04fd430c",
      "-uuid '6ba7b810-9dad-11d1-80b4-00c04fd430c' is not a UUID" },
    { "-uuid 6ba7b810-9dad-11d1-80b4-00c04fd430c80",
      "-uuid '6ba7b810-9dad-11d1-80b4-00c04fd430c80' is not a UUID" },
    { "-uuid 6ba7b810x9dad-11d1-80b4-00c04fd430c8",
      "-uuid '6ba7b810x9dad-11d1-80b4-00c04fd430c8' is not a UUID" },
    { "-uuid 6ba7b81g-9dad-11d1-80b4-00c04fd430c8",
      "-uuid '6ba7b81g-9dad-11d1-80b4-00c04fd430c8' is not a UUID" },
    { "-uuid 6ba7b8g0-9dad-11d1-80b4-00c04fd430c8",
      "-uuid '6ba7b8g0-9dad-11d1-80b4-00c04fd430c8' is not a UUID" },
  };

  properties ("{\"local-ratio\":0.5}");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *args = g_strdup_printf (
          "%s -machine q35,memory-backend=pc.ram -object '" RAM "'",
          cases[i].uuid);
      g_autofree char *err
          = g_strdup_printf ("hermit-qemu: %s\n", cases[i].says);
      g_autoptr (Program) p = hermit_qemu (args);

      program_expect (p, 1, "", err);
    }
}

static const struct
{
  const char *name, *args, *out; /* NULL: another test's */
} machines[] = {
  { "q35", "-uuid " UUID " -machine q35,memory-backend=pc.ram -object '" RAM "'",
    "./qemu\n-uuid\n" UUID
    "\n-machine\nq35,memory-backend=pc.ram\n-object\n" HERMIT_RAM "%s}\n" },
  /* UUID in capitals, which libvirt does not write and QEMU takes */
  { "capitals",
    "-uuid 6BA7B810-9DAD-11D1-80B4-00C04FD430C8 -machine "
    "q35,memory-backend=pc.ram -object '" RAM "'",
    "./qemu\n-uuid\n6BA7B810-9DAD-11D1-80B4-00C04FD430C8"
    "\n-machine\nq35,memory-backend=pc.ram\n-object\n" HERMIT_RAM "%s}\n" },
  /* the first -uuid counts, and one as another option's value does not */
  { "json machine",
    "-object '" RAM "' -machine "
    "'{\"type\":\"q35\",\"memory-backend\":\"pc.ram\"}' -uuid " UUID,
    "./qemu\n-object\n" HERMIT_RAM
    "%s}\n-machine\n{\"type\":\"q35\",\"memory-backend\":\"pc.ram\"}\n-uuid\n" UUID
    "\n" },
  { "cell", "-uuid " UUID " -object '" RAM "' -numa node,memdev=pc.ram",
    "./qemu\n-uuid\n" UUID "\n-object\n" HERMIT_RAM
    "%s}\n-numa\nnode,memdev=pc.ram\n" },
  { "device",
    "-uuid " UUID " -object '" RAM "' -device "
    "'{\"driver\":\"virtio-mem-pci\",\"memdev\":\"pc.ram\"}'",
    "./qemu\n-uuid\n" UUID "\n-object\n" HERMIT_RAM
    "%s}\n-device\n{\"driver\":\"virtio-mem-pci\",\"memdev\":\"pc.ram\"}\n" },
  { "device, as words",
    "-uuid " UUID " -object '" RAM "' -device pc-dimm,memdev=pc.ram,id=d",
    "./qemu\n-uuid\n" UUID "\n-object\n" HERMIT_RAM
    "%s}\n-device\npc-dimm,memdev=pc.ram,id=d\n" },
};

static void
test_converted (void)
{
  static const struct
  {
    const char *set, *get;
  } cases[] = {
    { "{}", "" },
    { "{\"local-ratio\":0.5}", ",\"local-ratio\":0.5" },
    { "{\"limit\":100000000}", ",\"limit\":99999744" },
    { "{\"limit\":268435456}", ",\"limit\":268435456" },
    { "{\"limit\":268435457}", ",\"limit\":268435456" },
    { "{\"limit\":4096,\"server\":[\"tcp:m:1\"],\"key-file\":\"/k\"}",
      ",\"limit\":4096,\"server\":[\"tcp:m:1\"],\"key-file\":\"/k\"" },
    { "{\"limit\":4096,\"server\":[\"tcp:m:1\",\"rdma:n:1\"],\"replicas\":2}",
      ",\"limit\":4096,\"server\":[\"tcp:m:1\",\"rdma:n:1\"],\"replicas\":2" },
    { "{\"eager-fetch\":false,\"wait\":\"park\",\"batch\":7}",
      ",\"eager-fetch\":false,\"wait\":\"park\",\"batch\":7" },
  };

  for (guint m = 0; m < G_N_ELEMENTS (machines); m++)
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
      {
        g_autoptr (Program) p = NULL;
        g_autofree char *want = g_strdup_printf (machines[m].out, cases[i].get);

        properties (cases[i].set);
        p = hermit_qemu (machines[m].args);
        program_expect (p, 0, want, "");
      }
}

/* Near misses: nothing here is the guest's RAM, so QEMU does not start. */
static void
test_no_ram (void)
{
  static const char *const args[] = {
    "-uuid " UUID,
    "-uuid " UUID " -object '" RAM "'",
    "-uuid " UUID " -object '" RAM "' -machine q35,memory-backend=pc.ra",
    "-uuid " UUID " -object '" RAM "' -machine q35,memory-backend=pc.ram2",
    "-uuid " UUID " -object '" RAM "' -machine q35,xmemory-backend=pc.ram",
    "-uuid " UUID " -object '" RAM "' -machine q35,memory-backend,pc.ram",
    "-uuid " UUID " -object '" RAM "' -machine memory-backend=x,,memory-backend=pc.ram",
    "-uuid " UUID " -object '" RAM "' -machine '{\"memory-backend\":7}'",
    "-uuid " UUID " -object '" RAM "' -machine '{\"memory-backend\":\"pc.ram\"'",
    "-uuid " UUID " -object '" RAM "' -device nvdimm,memdev=pc.ram",
    "-uuid " UUID " -object '" RAM "' -device virtio-me,memdev=pc.ram",
    "-uuid " UUID " -object '" RAM "' -device pc-dimm,mem=pc.ram",
    "-uuid " UUID " -object '" RAM "' -device '{\"memdev\":\"pc.ram\"}'",
    "-uuid " UUID " -object '" RAM "' -netdev user,memdev=pc.ram",
    "-uuid " UUID " -object '" RAM "' -append -machine,memory-backend=pc.ram",
    "-uuid " UUID " -machine q35,memory-backend=pc.ram -chardev '" RAM "'",
    "-uuid " UUID " -machine q35,memory-backend=pc.ram -object "
    "'{\"qom-type\":\"memory-backend-epc\",\"id\":\"pc.ram\",\"size\":4096}'",
    "-uuid " UUID " -machine q35,memory-backend=pc.ram -object "
    "'{\"qom-type\":\"memory-backend-ram\",\"size\":4096}'",
    "-uuid " UUID " -machine q35,memory-backend=pc.ram -object "
    "'{\"id\":\"pc.ram\",\"size\":4096}'",
    "-uuid " UUID " -machine q35,memory-backend=pc.ram -object '{'",
    "-uuid " UUID " -machine q35,memory-backend=pc.ram -object",
  };

  properties ("{\"local-ratio\":0.5}");
  for (guint i = 0; i < G_N_ELEMENTS (args); i++)
    {
      g_autoptr (Program) p = hermit_qemu (args[i]);

      if (p->status != 1)
        g_error ("%s: exit code %d: %s", args[i], p->status, p->out);
      program_expect (p, 1, "",
                      "hermit-qemu: " FILE_OF_UUID
                      ": QEMU's command line has no memory object that is the "
                      "guest's RAM\n");
    }
}

/* Objects that are refused, and what is left of one that libvirt describes. */
static void
test_objects (void)
{
  static const struct
  {
    const char *object, *out, *says;
  } cases[] = {
    { "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"r\",\"size\":8192,"
      "\"share\":true,\"seal\":false,\"discard-data\":true,\"align\":4096,"
      "\"mem-path\":\"/x\",\"prealloc\":false,\"merge\":false,\"dump\":false,"
      "\"hugetlb\":false,\"readonly\":false,\"pmem\":false,\"reserve\":true}",
      "{\"id\":\"r\",\"size\":8192,\"qom-type\":\"hermit-memory\",\"uuid\":"
      "\"%s\",\"limit\":8192}",
      NULL },
    /* what is on stays, for QEMU to refuse by name */
    { "{\"qom-type\":\"memory-backend-file\",\"id\":\"r\",\"size\":8192,"
      "\"prealloc\":true,\"merge\":true,\"dump\":true,\"reserve\":false,"
      "\"readonly\":true,\"pmem\":true,\"host-nodes\":[0]}",
      "{\"id\":\"r\",\"size\":8192,\"prealloc\":true,\"merge\":true,\"dump\":"
      "true,\"readonly\":true,\"pmem\":true,\"host-nodes\":[0],\"qom-type\":"
      "\"hermit-memory\",\"uuid\":\"%s\",\"limit\":8192}",
      NULL },
    { "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"r\",\"size\":8192,"
      "\"hugetlb\":true}",
      NULL,
      "memory object 'r': <hugepages/> cannot be used with <hermit:memory>: "
      "its pages come and go one by one" },
    { "memory-backend-memfd,id=r,size=8192", NULL,
      "memory object 'r' is not in JSON, which libvirt uses with QEMU 6.0 or "
      "newer: memory-backend-memfd,id=r,size=8192" },
    { "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"r\"}", NULL,
      "a memory object has no size: {\"qom-type\":\"memory-backend-memfd\","
      "\"id\":\"r\"}" },
    { "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"r\",\"size\":-4096}",
      NULL,
      "a memory object has no size: {\"qom-type\":\"memory-backend-memfd\","
      "\"id\":\"r\",\"size\":-4096}" },
  };

  properties ("{\"limit\":1099511627776}");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *args = g_strdup_printf (
          "-uuid " UUID " -machine q35,memory-backend=r -object '%s'",
          cases[i].object);
      g_autoptr (Program) p = hermit_qemu (args);
      g_autofree char *object = NULL, *out = NULL, *err = NULL;

      if (cases[i].says)
        {
          err = g_strdup_printf ("hermit-qemu: " FILE_OF_UUID ": %s\n",
                                 cases[i].says);
          program_expect (p, 1, "", err);
          continue;
        }
      object = g_strdup_printf (cases[i].out,
                                "7e989929-8095-5962-80b9-4fd06c60746b");
      out = g_strdup_printf (
          "./qemu\n-uuid\n" UUID
          "\n-machine\nq35,memory-backend=r\n-object\n%s\n",
          object);
      program_expect (p, 0, out, "");
    }
}

/* Two cells of which one would have less than the kernel takes. */
static void
test_floor (void)
{
#define CELLS                                                                 \
  "-uuid " UUID " -object '" RAM "' -numa node,memdev=pc.ram -object "         \
  "'{\"qom-type\":\"memory-backend-ram\",\"id\":\"b\",\"size\":268435456}' "  \
  "-numa node,memdev=b"
  static const struct
  {
    const char *set, *says;
  } cases[] = {
    { "{\"limit\":16777216}", NULL },
    { "{\"limit\":16777216,\"reclaim-threads\":1}",
      "'pc.ram' would get 8388608 of its 268435456 bytes: it needs 9437184 on "
      "this host, so the limit has to be at least 18874368\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    for (guint there = 0; there < 2; there++)
      {
        g_autoptr (Program) p = NULL;

        g_unlink ("device");
        if (there)
          g_assert_true (g_file_set_contents ("device", "", -1, NULL));
        properties (cases[i].set);
        p = hermit_qemu (CELLS);
        /* without the module QEMU says what there is to say */
        if (!cases[i].says || !there)
          g_assert_cmpint (p->status, ==, 0);
        else if (p->status != 1 || !g_str_has_suffix (p->err, cases[i].says))
          g_error ("exit code %d: %s", p->status, p->err);
      }
  g_unlink ("device");
}

static void
test_settings (void)
{
  static const struct
  {
    const char *text, *says;
  } cases[] = {
    { "", ", line 1: '[' or '{' expected near end of file" },
    { "{\n\"regions\": ", ", line 2: unexpected token near end of file" },
    { "{}", ": it lacks 'regions' or 'properties'; is the qemu hook of the "
            "same version?" },
    { "[]", ": it lacks 'regions' or 'properties'; is the qemu hook of the "
            "same version?" },
    { "{\"regions\":\"" REGIONS "\"}",
      ": it lacks 'regions' or 'properties'; is the qemu hook of the same "
      "version?" },
    { "{\"regions\":\"" REGIONS "\",\"properties\":[]}",
      ": it lacks 'regions' or 'properties'; is the qemu hook of the same "
      "version?" },
    { "{\"regions\":7,\"properties\":{}}",
      ": it lacks 'regions' or 'properties'; is the qemu hook of the same "
      "version?" },
    { "{\"regions\":\"x\",\"properties\":{}}",
      ": it lacks 'regions' or 'properties'; is the qemu hook of the same "
      "version?" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *err = g_strdup_printf (
          "hermit-qemu: " FILE_OF_UUID "%s\n", cases[i].says);
      g_autoptr (Program) p = NULL;

      settings (cases[i].text);
      p = hermit_qemu (machines[0].args);
      program_expect (p, 1, "", err);
    }
}

/* The settings are there, but cannot be read: never without a limit. */
static void
test_unreadable (void)
{
  g_autoptr (Program) p = NULL;

  g_unlink (FILE_OF_UUID);
  g_assert_cmpint (symlink (UUID ".json", FILE_OF_UUID), ==, 0);
  p = hermit_qemu (machines[0].args);
  program_expect (p, 1, "",
                  "hermit-qemu: cannot open " FILE_OF_UUID
                  ": Too many levels of symbolic links\n");
  g_unlink (FILE_OF_UUID);
}

/* Without QEMU the exit code is that of a shell. */
static void
test_no_qemu (void)
{
  g_autoptr (Program) p = NULL;

  g_assert_cmpint (g_rename ("qemu", "gone"), ==, 0);
  p = hermit_qemu ("-version");
  program_expect (
      p, 127, "",
      "hermit-qemu: cannot run ./qemu: No such file or directory\n");
  g_assert_cmpint (g_rename ("gone", "qemu"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_autofree char *home = g_dir_make_tmp ("hermit-XXXXXX", NULL);
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_assert_true (home && !chdir (home) && !g_mkdir ("run", 0755));
  g_assert_true (g_file_set_contents (
      "qemu", "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\"\n", -1, NULL));
  g_assert_cmpint (chmod ("qemu", 0755), ==, 0);
  g_test_add_func ("/hermit-qemu/through", test_through);
  g_test_add_func ("/hermit-qemu/without-settings", test_without_settings);
  g_test_add_func ("/hermit-qemu/converted", test_converted);
  g_test_add_func ("/hermit-qemu/no-ram", test_no_ram);
  g_test_add_func ("/hermit-qemu/objects", test_objects);
  g_test_add_func ("/hermit-qemu/floor", test_floor);
  g_test_add_func ("/hermit-qemu/settings", test_settings);
  g_test_add_func ("/hermit-qemu/unreadable", test_unreadable);
  g_test_add_func ("/hermit-qemu/no-qemu", test_no_qemu);
  ret = g_test_run ();
  g_unlink (FILE_OF_UUID);
  g_unlink ("qemu");
  g_rmdir ("run");
  g_rmdir (home);
  return ret;
}
