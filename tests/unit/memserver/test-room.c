/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory a process may have, in control groups that are folders of this
 * test: the linker puts the functions below in the place of
 * g_file_get_contents() and sysinfo(), see meson.build.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "client.h"
#include "room.h"

#define MARGIN (32 * MIB) /* to a group's limit */

gboolean __real_g_file_get_contents (const char *path, char **text,
                                     gsize *length, GError **error);
gboolean __wrap_g_file_get_contents (const char *path, char **text,
                                     gsize *length, GError **error);

static char *mount;    /* with the groups /a and /a/b, of which ours is b */
static int no_more;    /* an errno: no file of a group can be read */
static gboolean hidden; /* is /proc/meminfo? */

gboolean
__wrap_g_file_get_contents (const char *path, char **text, gsize *length,
                            GError **error)
{
  if (hidden && !strcmp (path, "/proc/meminfo"))
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_ACCES, "%s: hidden",
                   path);
      return FALSE;
    }
  if (!strcmp (path, "/proc/self/cgroup"))
    *text = g_strdup ("0::/a/b\n");
  else if (!strcmp (path, "/proc/self/mountinfo"))
    *text = g_strdup_printf ("22 1 0:21 / /proc rw - proc proc rw\n"
                             "23 1\n"
                             "30 1 0:27 / %s rw - cgroup2 none rw\n",
                             mount);
  else if (!strcmp (path, "/proc/meminfo"))
    *text = g_strdup ("MemTotal: 1048576 kB\nMemAvailable: 1048576 kB\n");
  else if (!no_more || !g_str_has_prefix (path, mount))
    return __real_g_file_get_contents (path, text, length, error);
  else
    {
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (no_more),
                   "%s: %s", path, g_strerror (no_more));
      return FALSE;
    }
  return TRUE;
}

int __wrap_sysinfo (struct sysinfo *info);

int
__wrap_sysinfo (struct sysinfo *info)
{
  *info = (struct sysinfo){ .totalram = 9 * 256,
                            .freeram = 3 * 256,
                            .bufferram = 256,
                            .mem_unit = PAGE };
  return 0;
}

static void
put (const char *file, const char *text)
{
  g_autofree char *path = g_build_filename (mount, file, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
take (const char *file)
{
  g_autofree char *path = g_build_filename (mount, file, NULL);

  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
setup (void)
{
  g_autofree char *b = NULL;

  mount = g_dir_make_tmp ("hermit-room-XXXXXX", NULL);
  b = g_build_filename (mount, "a/b", NULL);
  g_assert_cmpint (g_mkdir_with_parents (b, 0700), ==, 0);
  hermit_room_init ();
}

static void
teardown (void)
{
  take ("a/b");
  take ("a");
  take ("");
  g_clear_pointer (&mount, g_free);
}

/* Of the host, and of each group up to the mount, what is least. */
static void
test_least (void)
{
  setup ();
  g_assert_cmpint (hermit_room_left (0), ==, 1024 * MIB);
  g_assert_cmpint (hermit_room_left (1000 * MIB), ==, 24 * MIB);
  g_assert_cmpint (hermit_room_left (2048 * MIB), ==, 0);

  put ("a/b/memory.max", "max\n");
  put ("a/b/memory.current", "1000\n");
  put ("a/memory.max", "536870912\n");     /* 512 MiB */
  put ("a/memory.current", "104857600\n"); /* 100 MiB */
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 412 * MIB - MARGIN);
  put ("a/b/memory.max", "367001600\n"); /* 350 MiB */
  put ("a/b/memory.current", "52428800\n"); /* 50 MiB */
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 300 * MIB - MARGIN);
  /* Near the limit cache counts as room. */
  put ("a/b/memory.current", "367001600\n");
  put ("a/b/memory.stat", "anon 1\ninactive_file 41943040\n");
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 40 * MIB - MARGIN);

  take ("a/b/memory.stat");
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 0);
  take ("a/b/memory.max");
  take ("a/b/memory.current");
  take ("a/memory.max");
  take ("a/memory.current");
  teardown ();
}

/* Who may not read /proc/meminfo goes by what sysinfo() tells. */
static void
test_hidden (void)
{
  setup ();
  hidden = TRUE;
  g_assert_cmpint (hermit_room_left (0), ==, 4 * MIB);
  hidden = FALSE;
  teardown ();
}

/*
 * Without a descriptor to read them with the groups' limits are not as if there
 * were none: the kernel ends who goes beyond them.
 */
static void
test_blind (void)
{
  setup ();
  put ("a/memory.max", "536870912\n");
  put ("a/memory.current", "0\n");
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 512 * MIB - MARGIN);
  no_more = EMFILE;
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 0);
  no_more = ENOMEM;
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 0);
  /* They may be hidden from this process: then it is not told of any. */
  no_more = EACCES;
  g_assert_cmpint (hermit_room_left (MARGIN), ==, 1024 * MIB - MARGIN);
  no_more = 0;
  take ("a/memory.max");
  take ("a/memory.current");
  teardown ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/room/least", test_least);
  g_test_add_func ("/room/hidden", test_hidden);
  g_test_add_func ("/room/blind", test_blind);
  return g_test_run ();
}
