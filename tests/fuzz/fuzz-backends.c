/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermit-qemu: any command line, with any settings. The input is the settings
 * (JSON), a line break, and one argument a line. Whatever comes of it, the
 * arguments that are not the guest's RAM stay what they are, and what became
 * hermit-memory is good JSON with a size, its id, and a limit within it.
 */
#include <stdlib.h>
#include <string.h>

#include "backends.h"
#include "fuzz.h"

#define ARGS_MAX 64

/* The hook is root's, and writes none of these. */
static bool
plausible (const json_t *config)
{
  static const char *const own[] = { "qom-type", "id", "size", "uuid" };
  json_t *properties = json_object_get (config, "properties");

  for (size_t i = 0; i < sizeof (own) / sizeof (own[0]); i++)
    if (json_object_get (properties, own[i]))
      return false;
  return true;
}

/* What hermit-memory is told of one object. */
static void
check_object (const char *before, const char *after)
{
  json_t *old = json_loads (before, 0, NULL);
  json_t *new = json_loads (after, 0, NULL);
  const char *type = json_string_value (json_object_get (new, "qom-type"));
  json_t *limit = json_object_get (new, "limit");
  json_int_t size = json_integer_value (json_object_get (new, "size"));

  require (old && new);
  require (type && !strcmp (type, "hermit-memory"));
  require (json_equal (json_object_get (old, "id"),
                       json_object_get (new, "id")));
  require (json_is_string (json_object_get (new, "uuid")));
  require (size > 0);
  if (json_is_integer (limit))
    require (json_integer_value (limit) <= size);
  json_decref (old);
  json_decref (new);
}

static uint64_t
floor_of (uint32_t reclaim_threads)
{
  return reclaim_threads * 4096ULL;
}

static void
convert (int argc, char **argv, const json_t *config)
{
  char *before[ARGS_MAX];
  char *error = NULL;
  int changed = 0;
  bool ok;

  memcpy (before, argv, argc * sizeof (*argv));
  ok = hermit_backends_convert (argc, argv, config, floor_of, &error);
  require (ok || (error && *error));
  for (int i = 0; i < argc; i++)
    {
      if (argv[i] == before[i])
        continue;
      changed++;
      require (i > 1 && !strcmp (argv[i - 1], "-object"));
      if (ok)
        check_object (before[i], argv[i]);
      free (argv[i]);
    }
  require (!ok || changed);
  free (error);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char *text = malloc (size + 1), *line = text, *next;
  char *argv[ARGS_MAX + 1] = { (char *)"hermit-qemu" };
  json_t *config = NULL;
  int argc = 1;

  memcpy (text, data, size);
  text[size] = '\0';
  for (; line; line = next)
    {
      next = strchr (line, '\n');
      if (next)
        *next++ = '\0';
      if (line == text)
        config = json_loads (line, 0, NULL);
      else if (argc < ARGS_MAX)
        argv[argc++] = line;
    }
  if (config && plausible (config))
    {
      hermit_args_find (argc, argv, "-uuid");
      convert (argc, argv, config);
    }
  json_decref (config);
  free (text);
  return 0;
}

#define SETTINGS                                                              \
  "{\"regions\":\"7d2f6a3e-0000-4000-8000-000000000001\",\"properties\":{"    \
  "\"limit\":1073741824,\"server\":\"tcp:192.0.2.7:7471\"}}\n"
#define RAM "\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\""
#define OBJECT(rest) "-object\n{" rest "}\n"

size_t
fuzz_seed (unsigned int i, uint8_t *data)
{
  static const char *const seeds[] = {
    SETTINGS "-uuid\n7d2f6a3e-0000-4000-8000-000000000001\n"
      OBJECT (RAM ",\"size\":2147483648") "-machine\n"
      "q35,accel=kvm,memory-backend=pc.ram",
    SETTINGS
      OBJECT ("\"qom-type\":\"memory-backend-memfd\",\"id\":\"ram-node0\","
              "\"share\":true,\"size\":1073741824,\"host-nodes\":[0],"
              "\"policy\":\"bind\"")
      "-numa\nnode,nodeid=0,cpus=0,memdev=ram-node0\n"
      OBJECT ("\"qom-type\":\"memory-backend-file\",\"id\":\"ram-node1\","
              "\"mem-path\":\"/dev/shm\",\"prealloc\":false,"
              "\"size\":1073741824")
      "-numa\nnode,nodeid=1,cpus=1,memdev=ram-node1",
    SETTINGS OBJECT (RAM ",\"size\":536870912")
      "-machine\nmemory-backend=pc.ram\n"
      OBJECT ("\"qom-type\":\"memory-backend-ram\",\"id\":\"memdimm0\","
              "\"reserve\":false,\"size\":268435456")
      "-device\n{\"driver\":\"pc-dimm\",\"memdev\":\"memdimm0\"}\n"
      OBJECT ("\"qom-type\":\"memory-backend-file\",\"id\":\"memnvdimm0\","
              "\"size\":268435456")
      "-device\n{\"driver\":\"nvdimm\",\"memdev\":\"memnvdimm0\"}",
    SETTINGS "-object\nmemory-backend-ram,id=a,,b,size=1G\n"
             "-machine\nmemory-backend=a,,b",
    SETTINGS OBJECT (RAM ",\"size\":4096,\"hugetlb\":true")
      "-machine\n{\"memory-backend\":\"pc.ram\"}",
    SETTINGS OBJECT (RAM ",\"size\":9223372036854775807") OBJECT (
      "\"qom-type\":\"memory-backend-ram\",\"id\":\"b\","
      "\"size\":9223372036854775807") "-numa\nmemdev=b\n-machine\n"
                                      "memory-backend=pc.ram",
    "{\"properties\":{}}\n-object",
  };
  size_t size;

  if (i >= sizeof (seeds) / sizeof (seeds[0]))
    return 0;
  size = strlen (seeds[i]);
  memcpy (data, seeds[i], size);
  return size;
}
