/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backends.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "region-uuid.h"

#define PAGE_SIZE 4096

static bool __attribute__ ((format (printf, 2, 3)))
fail (char **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (vasprintf (error, format, args) < 0)
    *error = NULL;
  va_end (args);
  return false;
}

const char *
hermit_args_find (int argc, char **argv, const char *option)
{
  for (int i = 1; i + 1 < argc; i++)
    if (!strcmp (argv[i], option)
        || (*argv[i] == '-' && !strcmp (argv[i] + 1, option)))
      return argv[i + 1];
  return NULL;
}

/*
 * An option of an argument, in either of QEMU's notations: JSON, or
 * first,key=value,... where ",," is a comma. @key "" is the first word. Free
 * it.
 */
static char *
option_get (const char *arg, const char *key, const char *json_key)
{
  size_t n = strlen (key);

  if (*arg == '{')
    {
      json_t *j = json_loads (arg, 0, NULL);
      const char *s = json_string_value (json_object_get (j, json_key));
      char *out = s ? strdup (s) : NULL;

      json_decref (j);
      return out;
    }
  for (const char *p = arg, *end; p; p = *end ? end + 1 : NULL)
    {
      for (end = p; *end && (*end != ',' || end[1] == ','); end++)
        if (*end == ',')
          end++;
      if (!n && p == arg)
        return strndup (p, end - p);
      if (n && !strncmp (p, key, n) && p[n] == '=')
        return strndup (p + n + 1, end - p - n - 1);
    }
  return NULL;
}

/* What makes a memory object RAM of the guest, by a device or otherwise... */
static const char *const ram_devices[] = { "pc-dimm", "virtio-mem", NULL };
/* ...and what makes it a file with contents. */
static const char *const file_devices[]
    = { "nvdimm", "virtio-pmem", "ivshmem-plain", NULL };

/* Is @driver, or a variant such as virtio-mem-pci, among @devices? */
static bool
is_one_of (const char *driver, const char *const *devices)
{
  for (; *devices; devices++)
    {
      size_t n = strlen (*devices);

      if (!strncmp (driver, *devices, n) && (!driver[n] || driver[n] == '-'))
        return true;
    }
  return false;
}

/* Does this argument use @id as one of @devices, or the machine do so? */
static bool
uses (const char *option, const char *arg, const char *id,
      const char *const *devices, bool machine)
{
  const char *key = !strcmp (option, "-machine") ? "memory-backend" : "memdev";
  char *value = NULL, *driver = NULL;
  bool yes;

  if (!strcmp (option, "-device")
      || (machine
          && (!strcmp (option, "-machine") || !strcmp (option, "-numa"))))
    value = option_get (arg, key, key);
  yes = value && !strcmp (value, id);
  if (yes && !strcmp (option, "-device"))
    {
      driver = option_get (arg, "", "driver");
      yes = driver && is_one_of (driver, devices);
    }
  free (value);
  free (driver);
  return yes;
}

static bool
is_ram (int argc, char **argv, const char *id)
{
  for (int i = 1; i + 1 < argc; i++)
    if (uses (argv[i], argv[i + 1], id, ram_devices, true))
      return true;
  return false;
}

static bool
is_file (int argc, char **argv, const char *id)
{
  for (int i = 1; i + 1 < argc; i++)
    if (uses (argv[i], argv[i + 1], id, file_devices, false))
      return true;
  return false;
}

/*
 * The ids of files that stay what they are: QEMU takes those beside
 * hermit-memory, and none that is plugged in later.
 */
static json_t *
find_files (int argc, char **argv)
{
  json_t *ids = json_array ();

  for (int i = 1; i + 1 < argc; i++)
    {
      char *type, *id;

      if (strcmp (argv[i], "-object"))
        continue;
      type = option_get (argv[i + 1], "", "qom-type");
      id = option_get (argv[i + 1], "id", "id");
      if (type && id && !strcmp (type, "memory-backend-file")
          && !is_ram (argc, argv, id) && is_file (argc, argv, id))
        json_array_append_new (ids, json_string (id));
      free (type);
      free (id);
    }
  return ids;
}

/* Is this -object the guest's RAM? *@object is its JSON then. */
static bool
find_ram (int argc, char **argv, int i, json_t **object, char **error)
{
  char *type = NULL, *id = NULL;
  bool found = false;

  *object = NULL;
  if (strcmp (argv[i], "-object"))
    return true;
  type = option_get (argv[i + 1], "", "qom-type");
  id = option_get (argv[i + 1], "id", "id");
  if (type && id
      && (!strcmp (type, "memory-backend-ram")
          || !strcmp (type, "memory-backend-memfd")
          || !strcmp (type, "memory-backend-file")))
    found = is_ram (argc, argv, id);
  if (found && *argv[i + 1] == '{')
    *object = json_loads (argv[i + 1], 0, NULL);
  if (found && !*object)
    fail (error,
          "memory object '%s' is not in JSON, which libvirt uses with QEMU "
          "6.0 or newer: %s",
          id, argv[i + 1]);
  free (type);
  free (id);
  return !found || *object;
}

/* What libvirt says of ordinary memory, and hermit-memory is anyway. */
static bool
drop_properties (json_t *object, char **error)
{
  const char *id = json_string_value (json_object_get (object, "id"));
  static const char *const never[]
      = { "qom-type", "share", "mem-path", "discard-data", "seal", "align" };
  static const char *const if_false[]
      = { "prealloc", "merge", "dump", "hugetlb", "readonly", "pmem" };

  for (size_t i = 0; i < sizeof (never) / sizeof (never[0]); i++)
    json_object_del (object, never[i]);
  for (size_t i = 0; i < sizeof (if_false) / sizeof (if_false[0]); i++)
    if (json_is_false (json_object_get (object, if_false[i])))
      json_object_del (object, if_false[i]);
  /* it is reserved nowhere, so either is right */
  json_object_del (object, "reserve");
  if (json_object_get (object, "hugetlb"))
    return fail (error,
                 "memory object '%s': <hugepages/> cannot be used with "
                 "<hermit:memory>: its pages come and go one by one",
                 id);
  /* QEMU itself says what is wrong with the rest. */
  return true;
}

/* Its part of a limit on all of the guest's RAM. */
static json_int_t
share_of (json_int_t limit, json_int_t size, json_int_t total)
{
  json_int_t share
      = limit >= total ? size : (json_int_t)((__int128)limit * size / total);

  return share & ~(json_int_t)(PAGE_SIZE - 1);
}

/* What all objects share; the rest of the settings are each one's own. */
typedef struct
{
  HermitUuid regions;
  json_t *properties;
  json_t *files; /* ids of what stays beside them */
  json_int_t total, floor;
  int nr;
} Guest;

/*
 * The kernel would refuse a part below the floor by a number that nobody wrote.
 * A region that is smaller than the floor has to be here as a whole.
 */
static bool
check_share (const Guest *g, const char *id, json_int_t limit, json_int_t size,
             char **error)
{
  json_int_t share = share_of (limit, size, g->total);
  json_int_t least = g->floor > PAGE_SIZE ? g->floor : PAGE_SIZE;
  json_int_t need
      = (least < size ? least : size) & ~(json_int_t)(PAGE_SIZE - 1);

  if (g->nr == 1 || share >= need)
    return true;
  return fail (error,
               "<hermit:memory>: limit %lld is split by size among %d memory "
               "objects, and '%s' would get %lld of its %lld bytes: it needs "
               "%lld on this host, so the limit has to be at least %lld",
               (long long)limit, g->nr, id, (long long)share, (long long)size,
               (long long)need,
               (long long)(((__int128)need * g->total + size - 1) / size));
}

static char *
convert (const Guest *g, json_t *object, char **error)
{
  const char *id = json_string_value (json_object_get (object, "id"));
  json_int_t size = json_integer_value (json_object_get (object, "size"));
  char text[HERMIT_UUID_TEXT];
  HermitUuid uuid;
  const char *key;
  json_t *value;

  if (!drop_properties (object, error))
    return NULL;
  json_object_set_new (object, "qom-type", json_string ("hermit-memory"));
  hermit_uuid_derive (g->regions, id, uuid);
  hermit_uuid_format (uuid, text);
  json_object_set_new (object, "uuid", json_string (text));
  json_object_foreach (g->properties, key, value)
  {
    json_int_t limit = json_integer_value (value);

    if (strcmp (key, "limit"))
      {
        json_object_set (object, key, value);
        continue;
      }
    if (!check_share (g, id, limit, size, error))
      return NULL;
    json_object_set_new (object, key,
                         json_integer (share_of (limit, size, g->total)));
  }
  if (json_array_size (g->files))
    json_object_set (object, "other-memory", g->files);
  return json_dumps (object, JSON_COMPACT);
}

static bool
convert_all (const Guest *g, int argc, char **argv, char **error)
{
  json_t *object;

  for (int i = 1; i + 1 < argc; i++)
    {
      char *converted;

      if (!find_ram (argc, argv, i, &object, error))
        return false;
      if (!object)
        continue;
      converted = convert (g, object, error);
      json_decref (object);
      if (!converted)
        return false;
      /* is_ram() goes by the id, and that stays */
      argv[i + 1] = converted;
    }
  return true;
}

bool
hermit_backends_convert (int argc, char **argv, const json_t *config,
                         HermitFloor *floor, char **error)
{
  const char *text = json_string_value (json_object_get (config, "regions"));
  json_t *object;
  Guest g = { .properties = json_object_get (config, "properties") };
  bool ok;

  if (!text || !hermit_uuid_parse (text, g.regions)
      || !json_is_object (g.properties))
    return fail (error, "it lacks 'regions' or 'properties'; is the qemu hook "
                        "of the same version?");
  /* A limit is split by size, so all sizes come first. */
  for (int i = 1; i + 1 < argc; i++)
    {
      json_int_t size;

      if (!find_ram (argc, argv, i, &object, error))
        return false;
      if (!object)
        continue;
      size = json_integer_value (json_object_get (object, "size"));
      json_decref (object);
      if (size <= 0)
        return fail (error, "a memory object has no size: %s", argv[i + 1]);
      if (__builtin_add_overflow (g.total, size, &g.total))
        return fail (error, "the guest's memory objects together are larger "
                            "than any machine: %s",
                     argv[i + 1]);
      g.nr++;
    }
  if (!g.nr)
    return fail (error, "QEMU's command line has no memory object that is the "
                        "guest's RAM");
  if (g.nr > 1)
    g.floor = floor (json_integer_value (
        json_object_get (g.properties, "reclaim-threads")));
  g.files = find_files (argc, argv);
  ok = convert_all (&g, argc, argv, error);
  json_decref (g.files);
  return ok;
}
