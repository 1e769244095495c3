/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store's memory: where it comes from, how it is mapped, who frees it. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fallocate.h"
#include "keeper.h"
#include "store-fixture.h"

/*
 * No request waits for memory to be freed, or for 2 MiB of it to be made; nor
 * does the end of a region, or the next one.
 */
static void
test_slow_keeper (void)
{
  HermitStore *store = store_new (64 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 64 * EXTENT);

  for (guint64 i = 0; i < 60; i++)
    write_page (region, i * EXTENT, 1);
  fallocate_hold_up ();
  /* Some of these have but a part of their memory: the keeper frees it. */
  hermit_region_discard (region, 0, 30 * EXTENT);
  fallocate_wait_held_up ();

  for (guint64 i = 0; i < 60; i++)
    expect_page (region, i * EXTENT, i < 30 ? 0 : 1);
  for (guint64 i = 0; i < 64; i++)
    write_page (region, i * EXTENT + PAGE, 2);
  for (guint64 i = 0; i < 64; i++)
    {
      expect_page (region, i * EXTENT, i < 30 || i >= 60 ? 0 : 1);
      expect_page (region, i * EXTENT + PAGE, 2);
    }
  hermit_region_free (region);
  region = region_new (store, 64 * EXTENT);
  for (guint64 i = 0; i < 64; i++)
    {
      write_page (region, i * EXTENT + PAGE, 3);
      expect_page (region, i * EXTENT, 0);
      expect_page (region, i * EXTENT + PAGE, 3);
    }
  fallocate_let_go ();
  hermit_region_free (region);
  expect_true_accounts (store);
  hermit_store_free (store);
}

/*
 * The host has no memory for the slots that are to be ready: all the more it
 * gets back what nobody needs.
 */
static void
test_host_short (void)
{
  HermitStore *store = store_new (16 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 3 * EXTENT - PAGE);

  wait_idle (store, 2 * EXTENT);
  write_page (region, 2 * EXTENT, 1); /* short: it has a part of its memory */
  expect_usage (store, 3 * EXTENT - PAGE, 16 * PAGE);
  fallocate_refuse_with (ENOMEM);
  write_page (region, 0, 1); /* one of two that are to be ready */
  hermit_region_discard (region, 2 * EXTENT, PAGE);
  wait_idle (store, EXTENT);
  expect_true_accounts (store);
  fallocate_refuse_with (0);
  wait_idle (store, 2 * EXTENT);
  hermit_region_free (region);
  hermit_store_free (store);
}

static _Atomic gint64 stands; /* the clock, in us; 0: it goes */

gint64 __real_g_get_monotonic_time (void);
gint64 __wrap_g_get_monotonic_time (void);

gint64
__wrap_g_get_monotonic_time (void)
{
  gint64 at = atomic_load (&stands);

  return at ? at : __real_g_get_monotonic_time ();
}

static _Atomic guint looks; /* that the keeper took */

static guint32
two_wanted (gpointer data G_GNUC_UNUSED)
{
  atomic_fetch_add (&looks, 1);
  return 2;
}

static gboolean
not_now (gpointer data G_GNUC_UNUSED, guint64 held G_GNUC_UNUSED)
{
  return FALSE;
}

static gboolean
nothing (gpointer data G_GNUC_UNUSED)
{
  return FALSE;
}

static void
let_look (HermitKeeper *keeper, guint times)
{
  guint until = atomic_load (&looks) + times;

  while (atomic_load (&looks) < until)
    {
      hermit_keeper_wake (keeper);
      g_usleep (100);
    }
}

/* Ready slots are kept for a while, and then those that nobody needed go. */
static void
test_linger (void)
{
  static const HermitKeeperOps ops = { .ready_wanted = two_wanted,
                                       .may_fill = not_now,
                                       .hurry = not_now,
                                       .trim = nothing };
  HermitSlots *slots = hermit_slots_new (64, FALSE, NULL);
  HermitKeeper *keeper;

  for (guint i = 0; i < 8; i++)
    g_assert_true (hermit_slots_fill (slots));
  atomic_store (&stands, g_get_monotonic_time ());
  keeper = hermit_keeper_new (slots, &ops, NULL, NULL);
  let_look (keeper, 50);
  g_assert_cmpuint (hermit_slots_usage (slots).ready, ==, 8);
  atomic_fetch_add (&stands, 60 * G_USEC_PER_SEC);
  while (hermit_slots_usage (slots).ready > 2)
    let_look (keeper, 1);
  let_look (keeper, 50);
  g_assert_cmpuint (hermit_slots_usage (slots).ready, ==, 2);
  hermit_keeper_free (keeper);
  hermit_slots_free (slots);
  atomic_store (&stands, 0);
}

static void
test_numa (void)
{
  static const char *const bad[]
      = { "", "x", "0-", "1-0", "0,", "1024", "interleave:", "interleave0" };
  g_autoptr (GError) nowhere = NULL;
  g_autoptr (GError) error = NULL;
  HermitStore *store;
  HermitRegion *region;
  HermitNuma numa;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) invalid = NULL;

      g_assert_false (hermit_numa_parse (bad[i], &numa, &invalid));
      g_assert_error (invalid, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
  g_assert_true (hermit_numa_parse ("interleave:0-1,64", &numa, &error));
  g_assert_true (numa.interleave);
  g_assert_cmpint (numa.nodes[0], ==, 3);
  g_assert_cmpint (numa.nodes[1], ==, 1);

  /* A node that no host has. */
  g_assert_true (hermit_numa_parse ("1023", &numa, &error));
  g_assert_null (hermit_store_new (
      &(HermitStoreConfig){ .capacity = EXTENT, .numa = &numa }, &nowhere));
  g_assert_error (nowhere, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);

  if (!hermit_numa_parse ("interleave", &numa, &error))
    {
      g_test_skip ("this kernel has no nodes");
      return;
    }
  store = hermit_store_new (
      &(HermitStoreConfig){ .capacity = 8 * EXTENT, .numa = &numa }, &error);
  g_assert_no_error (error);
  region = region_new (store, 2 * EXTENT);
  write_page (region, 0, 1);
  expect_page (region, 0, 1);
  hermit_region_free (region);
  hermit_store_free (store);
}

/*
 * Where the host gives huge pages to those who advise, a region has them. Most
 * hosts don't: then there is nothing to see.
 */
static void
test_huge (void)
{
  g_autofree char *mode = NULL, *smaps = NULL;
  HermitStore *store;
  HermitRegion *region;
  const char *at;

  g_file_get_contents ("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
                       &mode, NULL, NULL);
  if (!mode || !strstr (mode, "[advise]"))
    {
      g_test_skip ("shmem_enabled is not advise");
      return;
    }
  store = store_new (8 * EXTENT, FALSE);
  region = region_new (store, 2 * EXTENT);
  wait_idle (store, EXTENT);
  write_page (region, 0, 1);
  g_assert_true (g_file_get_contents ("/proc/self/smaps", &smaps, NULL, NULL));
  at = strstr (smaps, "memfd:hermit-memory");
  g_assert_nonnull (at);
  at = strstr (at, "ShmemPmdMapped:");
  g_assert_nonnull (at);
  g_assert_cmpint (atoi (at + strlen ("ShmemPmdMapped:")), ==, EXTENT / 1024);
  hermit_region_free (region);
  hermit_store_free (store);
}

/* A core file of the server must not hold the guests' memory. */
static void
test_mapping (void)
{
  HermitStore *store = store_new (4 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 2 * EXTENT);
  g_autofree char *smaps = NULL;
  g_autofree char *maps = NULL;
  g_auto (GStrv) words = NULL;
  char *at, *end;

  g_assert_true (g_file_get_contents ("/proc/self/smaps", &smaps, NULL, NULL));
  at = strstr (smaps, "memfd:hermit-memory");
  g_assert_nonnull (at);
  at = strstr (at, "VmFlags:");
  g_assert_nonnull (at);
  end = strchr (at, '\n');
  g_assert_nonnull (end);
  *end = '\0';
  words = g_strsplit (at, " ", -1);
  g_assert_true (g_strv_contains ((const char *const *)words, "dd"));
  hermit_region_free (region);
  hermit_store_free (store);
  /* Nor may its address space outlive it. */
  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  g_assert_null (strstr (maps, "memfd:hermit-memory"));
}

/* The thread of this process that is called @name; 0: it has no name yet. */
static pid_t
thread_called (const char *name)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *tid;

  while ((tid = g_dir_read_name (dir)))
    {
      g_autofree char *file = g_strdup_printf ("/proc/self/task/%s/comm", tid);
      g_autofree char *comm = NULL;

      if (g_file_get_contents (file, &comm, NULL, NULL)
          && !strcmp (g_strchomp (comm), name))
        return (pid_t)strtol (tid, NULL, 10);
    }
  return 0;
}

/* Who makes memory ready leaves the processor to who answers. */
static void
test_gives_way (void)
{
  HermitStore *store = store_new (16 * MIB, FALSE);
  pid_t keeper;

  while (!(keeper = thread_called ("keeper"))
         || sched_getscheduler (keeper) != SCHED_BATCH)
    g_usleep (1000);
  g_assert_cmpint (sched_getscheduler (0), ==, SCHED_OTHER);
  hermit_store_free (store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store/slow-keeper", test_slow_keeper);
  g_test_add_func ("/store/host-short", test_host_short);
  g_test_add_func ("/store/linger", test_linger);
  g_test_add_func ("/store/numa", test_numa);
  g_test_add_func ("/store/huge", test_huge);
  g_test_add_func ("/store/mapping", test_mapping);
  g_test_add_func ("/store/gives-way", test_gives_way);
  return g_test_run ();
}
