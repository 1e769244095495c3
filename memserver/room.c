/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "room.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/sysinfo.h>

/* To the control groups: our own stacks, buffers and tables. */
#define GROUP_MARGIN (32ULL << 20)

/* A hierarchy of control groups that counts memory. */
typedef struct
{
  const char *limit, *usage, *cache; /* files, and a word of memory.stat */
  char *mount, *group; /* the group's folder, at or below mount */
} Groups;

static Groups groups[] = {
  { "memory.max", "memory.current", "\ninactive_file ", NULL, NULL },
  { "memory.limit_in_bytes", "memory.usage_in_bytes", "\ntotal_inactive_file ",
    NULL, NULL },
};

/* The rest of the line that begins with @word; NULL if none does. */
static char *
line_after (const char *text, const char *word)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line; line++)
    if (g_str_has_prefix (*line, word))
      return g_strdup (*line + strlen (word));
  return NULL;
}

/* This process's path in the hierarchy; /proc/self/cgroup, see cgroups(7). */
static char *
groups_path (gboolean v1, const char *self)
{
  g_auto (GStrv) lines = g_strsplit (self, "\n", -1);

  if (!v1)
    return line_after (self, "0::");
  for (char **line = lines; *line; line++)
    {
      g_auto (GStrv) fields = g_strsplit (*line, ":", 3);
      g_auto (GStrv) names
          = g_strsplit (fields[0] && fields[1] ? fields[1] : "", ",", -1);

      if (g_strv_contains ((const char *const *)names, "memory") && fields[2])
        return g_strdup (fields[2]);
    }
  return NULL;
}

/* Where it is mounted; /proc/self/mountinfo, see proc_pid_mountinfo(5). */
static void
groups_find (Groups *g, gboolean v1, const char *self, const char *mounts)
{
  g_autofree char *path = groups_path (v1, self);
  g_auto (GStrv) lines = g_strsplit (mounts, "\n", -1);

  if (!path)
    return;
  for (char **line = lines; *line; line++)
    {
      g_auto (GStrv) halves = g_strsplit (*line, " - ", 2);
      g_auto (GStrv) left = g_strsplit (halves[0] ? halves[0] : "", " ", -1);
      g_auto (GStrv) right
          = g_strsplit (halves[0] && halves[1] ? halves[1] : "", " ", -1);
      g_auto (GStrv) options = NULL;
      const char *below = path;

      if (g_strv_length (left) < 5 || g_strv_length (right) < 3
          || strcmp (right[0], v1 ? "cgroup" : "cgroup2"))
        continue;
      options = g_strsplit (right[2], ",", -1);
      if (v1 && !g_strv_contains ((const char *const *)options, "memory"))
        continue;
      /* In a container only a part of the hierarchy is mounted. */
      if (strcmp (left[3], "/"))
        below
            = g_str_has_prefix (path, left[3]) ? path + strlen (left[3]) : "/";
      g->mount = g_strdup (left[4]);
      g->group = g_build_filename (left[4], below, NULL);
      if (!g_file_test (g->group, G_FILE_TEST_IS_DIR))
        {
          g_free (g->group);
          g->group = g_strdup (left[4]);
        }
      return;
    }
}

void
hermit_room_init (void)
{
  g_autofree char *self = NULL;
  g_autofree char *mounts = NULL;

  if (!g_file_get_contents ("/proc/self/cgroup", &self, NULL, NULL)
      || !g_file_get_contents ("/proc/self/mountinfo", &mounts, NULL, NULL))
    {
      g_warning ("cannot read /proc/self/cgroup and /proc/self/mountinfo: a "
                 "memory limit of the control group is not seen, and ends "
                 "this process when it is reached");
      return;
    }
  for (guint v1 = 0; v1 < G_N_ELEMENTS (groups); v1++)
    {
      g_clear_pointer (&groups[v1].mount, g_free);
      g_clear_pointer (&groups[v1].group, g_free);
      groups_find (&groups[v1], v1, self, mounts);
    }
}

/* The contents of one of its files; FALSE with @error. */
static gboolean
group_read (const char *folder, const char *file, char **text, GError **error)
{
  g_autofree char *path = g_build_filename (folder, file, NULL);

  return g_file_get_contents (path, text, NULL, error);
}

/*
 * A number of bytes; the most there is for "max", or if the file is missing.
 * @unknown if there is no descriptor, or no memory, to read it with.
 */
static guint64
group_number (const char *folder, const char *file, guint64 unknown)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  if (group_read (folder, file, &text, &error))
    return g_ascii_isdigit (*text) ? g_ascii_strtoull (text, NULL, 10)
                                   : G_MAXUINT64;
  return g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_MFILE)
                 || g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NFILE)
                 || g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOMEM)
             ? unknown
             : G_MAXUINT64;
}

/* The group's own folder first, then those above it, up to the mount. */
static gboolean
group_up (const Groups *g, char *folder)
{
  char *slash = strrchr (folder, '/');

  if (!strcmp (folder, g->mount) || !slash || slash == folder)
    return FALSE;
  *slash = '\0';
  return strlen (folder) >= strlen (g->mount);
}

/* What the group at @folder can still be charged. */
static guint64
group_left (const Groups *g, const char *folder)
{
  /* A limit that cannot be looked at is taken for reached. */
  guint64 limit = group_number (folder, g->limit, 0);
  guint64 usage, left;

  if (limit == G_MAXUINT64)
    return G_MAXUINT64;
  usage = group_number (folder, g->usage, G_MAXUINT64);
  left = usage < limit ? limit - usage : 0;
  /* Cache would make room; looking costs, so only when there is little. */
  if (left < 4 * GROUP_MARGIN)
    {
      g_autofree char *stat = NULL;
      const char *at;

      if (group_read (folder, "memory.stat", &stat, NULL)
          && (at = strstr (stat, g->cache)))
        left += g_ascii_strtoull (at + strlen (g->cache), NULL, 10);
    }
  return left;
}

/*
 * A line of /proc/meminfo, in bytes. Hardening may hide it: then @otherwise,
 * which is what the kernel tells everybody.
 */
static guint64
meminfo (const char *word, guint64 otherwise)
{
  g_autofree char *text = NULL;
  g_autofree char *value = NULL;

  if (g_file_get_contents ("/proc/meminfo", &text, NULL, NULL))
    value = line_after (text, word);
  return value ? g_ascii_strtoull (value, NULL, 10) * 1024 : otherwise;
}

guint64
hermit_room_left (guint64 min_free)
{
  struct sysinfo info = { .mem_unit = 1 };
  guint64 left;

  sysinfo (&info);
  left = meminfo ("MemAvailable:",
                  (guint64)(info.freeram + info.bufferram) * info.mem_unit);
  left = left > min_free ? left - min_free : 0;
  for (guint i = 0; i < G_N_ELEMENTS (groups); i++)
    {
      g_autofree char *folder = g_strdup (groups[i].group);
      guint64 margin = MIN (min_free, GROUP_MARGIN);

      if (folder)
        do
          {
            guint64 in_group = group_left (&groups[i], folder);

            in_group = in_group > margin ? in_group - margin : 0;
            left = MIN (left, in_group);
          }
        while (group_up (&groups[i], folder));
    }
  return left;
}

/* The least limit of all groups, and the file that has it; free it. */
static guint64
groups_limit (char **where)
{
  guint64 least = G_MAXUINT64;

  for (guint i = 0; i < G_N_ELEMENTS (groups); i++)
    {
      g_autofree char *folder = g_strdup (groups[i].group);

      if (!folder)
        continue;
      do
        {
          guint64 limit
              = group_number (folder, groups[i].limit, G_MAXUINT64);

          if (limit >= least)
            continue;
          least = limit;
          g_free (*where);
          *where = g_build_filename (folder, groups[i].limit, NULL);
        }
      while (group_up (&groups[i], folder));
    }
  return least;
}

gboolean
hermit_room_check (guint64 capacity, GError **error)
{
  struct sysinfo info = { .mem_unit = 1 };
  g_autofree char *want
      = g_format_size_full (capacity, G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *where = NULL;
  g_autofree char *have = NULL;
  guint64 host, limit;

  sysinfo (&info);
  host = meminfo ("MemTotal:", (guint64)info.totalram * info.mem_unit);
  if (capacity > host)
    {
      have = g_format_size_full (host, G_FORMAT_SIZE_IEC_UNITS);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "--capacity: %s is more than the host has (%s): lend what "
                   "it can spare",
                   want, have);
      return FALSE;
    }
  limit = groups_limit (&where);
  if (limit < G_MAXUINT64 && capacity > limit - MIN (limit, GROUP_MARGIN))
    {
      have = g_format_size_full (limit, G_FORMAT_SIZE_IEC_UNITS);
      g_warning ("the control group's limit is %s (%s), too little for a "
                 "capacity of %s: clients will be refused memory that was "
                 "promised to them; raise the limit to the capacity and %u "
                 "MiB more, or lend less",
                 have, where, want, (guint)(GROUP_MARGIN >> 20));
    }
  return TRUE;
}
