/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store-fixture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

int
memory_fd (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;
  int found = -1;

  while ((name = g_dir_read_name (dir)))
    {
      g_autofree char *path = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (path, NULL);

      if (!target || !strstr (target, "memfd:hermit-memory"))
        continue;
      g_assert_cmpint (found, ==, -1);
      found = atoi (name);
    }
  g_assert_cmpint (found, >=, 0);
  return found;
}

guint64
memory_of_kernel (void)
{
  struct stat st;

  g_assert_cmpint (fstat (memory_fd (), &st), ==, 0);
  return (guint64)st.st_blocks * 512;
}

void
expect_true_accounts (HermitStore *store)
{
  HermitStoreUsage usage;
  guint64 memory;

  do
    {
      g_usleep (1000);
      memory = memory_of_kernel ();
      usage = hermit_store_usage (store);
    }
  while (usage.backed + usage.idle != memory);
}

void
wait_idle (HermitStore *store, guint64 bytes)
{
  while (hermit_store_usage (store).idle != bytes)
    g_usleep (1000);
}

HermitStore *
store_new (guint64 capacity, gboolean overcommit)
{
  return hermit_store_new (
      &(HermitStoreConfig){ .capacity = capacity, .overcommit = overcommit },
      NULL);
}

HermitRegion *
region_new (HermitStore *store, guint64 size)
{
  return region_new_share (store, size, size);
}

HermitRegion *
region_new_share (HermitStore *store, guint64 size, guint64 reserved)
{
  g_autoptr (GError) error = NULL;
  HermitRegion *region
      = hermit_region_new (store, size, reserved, "test", &error);

  g_assert_no_error (error);
  /* Otherwise it is not complete, and nobody's after a restart. */
  hermit_region_note (region)[0] = 1;
  return region;
}

void
write_page (HermitRegion *region, guint64 offset, guint64 version)
{
  guint8 page[PAGE];

  fill_page (page, 1, offset, version);
  g_assert_cmpint (hermit_region_write (region, offset, page), ==,
                   HERMIT_WIRE_OK);
}

void
expect_page (HermitRegion *region, guint64 offset, guint64 version)
{
  guint8 page[PAGE], status;

  memset (page, 0xaa, sizeof (page));
  status = hermit_region_read (region, offset, page);
  /* What was lent is stored, as zeros. */
  g_assert_true (status == HERMIT_WIRE_OK
                 || (!version && status == HERMIT_WIRE_ENOENT));
  g_assert_true (version ? page_is (page, 1, offset, version)
                         : page_is_zero (page));
}

void
say_nothing (const char *domain G_GNUC_UNUSED,
             GLogLevelFlags level G_GNUC_UNUSED,
             const char *message G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
}

void
write_page_when_possible (HermitRegion *region, guint64 offset,
                          guint64 version)
{
  guint8 page[PAGE], status;
  GLogLevelFlags fatal
      = g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  guint handler = g_log_set_handler (G_LOG_DOMAIN,
                                     G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE,
                                     say_nothing, NULL);

  fill_page (page, 1, offset, version);
  while ((status = hermit_region_write (region, offset, page))
         == HERMIT_WIRE_ENOSPC)
    g_usleep (100);
  g_log_remove_handler (G_LOG_DOMAIN, handler);
  g_log_set_always_fatal (fatal);
  g_assert_cmpint (status, ==, HERMIT_WIRE_OK);
}

void
expect_usage (HermitStore *store, guint64 taken, guint64 backed)
{
  HermitStoreUsage usage = hermit_store_usage (store);

  g_assert_cmpint (usage.taken, ==, taken);
  g_assert_cmpint (usage.backed, ==, backed);
}

void
expect_no_region (HermitStore *store, guint64 size)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (hermit_region_new (store, size, size, "test", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
}
