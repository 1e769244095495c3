/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the capacity is taken, and what happens when it, or the host's memory,
 * is used up.
 */
#include <errno.h>

#include "fallocate.h"
#include "room.h"
#include "store-fixture.h"

static void
test_reserve (void)
{
  HermitStore *store = store_new (8 * MIB, FALSE);
  HermitRegion *a = region_new (store, 5 * MIB);
  HermitRegion *b;

  expect_no_region (store, 4 * MIB);
  expect_no_region (store, ~0ULL - PAGE + 1);
  b = region_new (store, 3 * MIB);
  expect_no_region (store, PAGE);
  hermit_region_free (a);
  a = region_new (store, 5 * MIB);
  hermit_region_free (a);
  hermit_region_free (b);
  expect_usage (store, 0, 0);
  hermit_store_free (store);
}

static void
test_overcommit (void)
{
  HermitStore *store = store_new (2 * EXTENT + PAGE, TRUE);
  HermitRegion *a = region_new (store, 100 * EXTENT);
  HermitRegion *b = region_new (store, 100 * EXTENT);
  guint8 page[PAGE] = { 1 };

  expect_no_region (store, 1ULL << 50);
  expect_usage (store, 0, 0);
  write_page (a, 0, 1);
  write_page (b, 7 * EXTENT, 1);
  /* Pages cost what they are, not what an extent is. */
  expect_usage (store, 32 * PAGE, 32 * PAGE);
  for (guint64 i = 0; i < 2 * EXTENT / PAGE; i++)
    write_page_when_possible (a, i % 100 * EXTENT + i % 512 * PAGE, 1);
  g_assert_cmpint (hermit_region_stored (a), ==, 2 * EXTENT);

  /* Full for new pages, not for what is granted. */
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*capacity is used up*");
  g_assert_cmpint (hermit_region_write (b, EXTENT, page), ==,
                   HERMIT_WIRE_ENOSPC);
  g_assert_cmpint (hermit_region_write (b, 7 * EXTENT + PAGE, page), ==,
                   HERMIT_WIRE_ENOSPC);
  g_test_assert_expected_messages ();
  expect_usage (store, 2 * EXTENT + PAGE, 2 * EXTENT + PAGE);
  expect_true_accounts (store);
  expect_page (b, EXTENT, 0);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "*again*");
  write_page (b, 7 * EXTENT, 2);
  g_test_assert_expected_messages ();

  /* What the one gives back the other can have. */
  hermit_region_discard (a, 0, 100 * EXTENT);
  write_page (b, EXTENT, 2);
  expect_page (b, EXTENT, 2);
  hermit_region_free (b);
  expect_usage (store, 0, 0);
  hermit_region_free (a);
  hermit_store_free (store);
}

static void
expect_no_memory (HermitRegion *region, guint64 offset, const char *why)
{
  guint8 page[PAGE] = { 1 };

  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, why);
  g_assert_cmpint (hermit_region_write (region, offset, page), ==,
                   HERMIT_WIRE_ENOSPC);
  g_test_assert_expected_messages ();
}

/*
 * A region that reserves less than it has: that much is its own, whatever others
 * do, and beyond that it has what nobody else does, also of theirs once they gave
 * it back.
 */
static void
test_share (void)
{
  HermitStore *store = store_new (8 * EXTENT, FALSE);
  HermitRegion *a = region_new_share (store, 100 * EXTENT, 3 * EXTENT);
  HermitRegion *b = region_new_share (store, 100 * EXTENT, 2 * EXTENT);
  HermitRegion *c;

  g_assert_cmpint (hermit_region_reserved (a), ==, 3 * EXTENT);
  expect_usage (store, 5 * EXTENT, 0);
  expect_no_region (store, 4 * EXTENT);
  /* Its own first: nothing more is taken. */
  for (guint64 at = 0; at < 3 * EXTENT; at += PAGE)
    write_page (a, 7 * EXTENT + at, 1);
  expect_usage (store, 5 * EXTENT, 3 * EXTENT);
  for (guint64 at = 3 * EXTENT; at < 6 * EXTENT; at += PAGE)
    write_page (a, 7 * EXTENT + at, 1);
  expect_usage (store, 8 * EXTENT, 6 * EXTENT);
  expect_no_memory (a, 90 * EXTENT, "*capacity is used up*");
  expect_usage (store, 8 * EXTENT, 6 * EXTENT);

  /* What the other has reserved is there for it, and not more. */
  for (guint64 at = 0; at < 2 * EXTENT; at += PAGE)
    write_page (b, at, 1);
  expect_no_memory (b, 2 * EXTENT, "*capacity is used up*");
  expect_usage (store, 8 * EXTENT, 8 * EXTENT);

  /* First goes what it has beyond its reserve. */
  hermit_region_discard (a, 7 * EXTENT, 2 * EXTENT);
  expect_usage (store, 6 * EXTENT, 6 * EXTENT);
  c = region_new (store, 2 * EXTENT);
  hermit_region_discard (a, 9 * EXTENT, 2 * EXTENT);
  expect_usage (store, 7 * EXTENT, 4 * EXTENT);
  hermit_region_free (c);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "*again*");
  write_page_when_possible (b, 2 * EXTENT, 1);
  g_test_assert_expected_messages ();
  for (guint64 at = 11 * EXTENT; at < 13 * EXTENT; at += PAGE)
    expect_page (a, at, 1);
  hermit_region_free (a);
  hermit_region_free (b);
  expect_usage (store, 0, 0);
  expect_true_accounts (store);
  hermit_store_free (store);
}

/* Few slots, as with locked memory: nobody has those that another reserved. */
static void
test_share_slots (void)
{
  HermitStore *store = hermit_store_new (
      &(HermitStoreConfig){ .capacity = 8 * EXTENT, .lock = TRUE }, NULL);
  HermitRegion *whole, *share;
  guint handler, written = 0;
  guint8 page[PAGE] = { 1 };
  GLogLevelFlags fatal;

  if (!store)
    {
      g_test_skip ("memory cannot be locked here");
      return;
    }
  whole = region_new (store, 4 * EXTENT);
  share = region_new_share (store, 100 * EXTENT, 3 * EXTENT);
  fatal = g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  handler = g_log_set_handler (G_LOG_DOMAIN,
                               G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE,
                               say_nothing, NULL);
  /* A page in each of many extents, of which there are nine slots in all. */
  for (guint64 i = 0; i < 100; i++)
    written += hermit_region_write (share, i * EXTENT, page) == HERMIT_WIRE_OK;
  g_assert_cmpint (written, >=, 3);
  g_assert_cmpint (written, <=, 5);
  for (guint64 at = 0; at < 4 * EXTENT; at += PAGE)
    write_page (whole, at, 1);
  hermit_region_discard (share, 0, 100 * EXTENT);
  for (guint64 i = 0; i < 3; i++)
    write_page (share, i * 7 * EXTENT, 1);
  g_log_remove_handler (G_LOG_DOMAIN, handler);
  g_log_set_always_fatal (fatal);
  hermit_region_free (share);
  hermit_region_free (whole);
  expect_usage (store, 0, 0);
  hermit_store_free (store);
}

/*
 * Extents of which little is left, when the capacity is nearly used up: the
 * memory of what is not stored any more is taken from them.
 */
static void
test_thin (void)
{
  HermitStore *store = store_new (8 * EXTENT, TRUE);
  HermitRegion *region = region_new (store, 32 * EXTENT);

  for (guint64 at = 0; at < 8 * EXTENT; at += PAGE)
    write_page_when_possible (region, at, 1);
  expect_usage (store, 8 * EXTENT, 8 * EXTENT);
  /* One page of each stays. */
  for (guint64 at = 0; at < 8 * EXTENT; at += EXTENT)
    hermit_region_discard (region, at + PAGE, EXTENT - PAGE);
  g_assert_cmpint (hermit_region_stored (region), ==, 8 * PAGE);

  /* Twice the capacity in extents, though not in pages. */
  for (guint64 i = 8; i < 24; i++)
    for (guint64 at = 0; at < 128 * PAGE; at += PAGE)
      write_page_when_possible (region, i * EXTENT + at, 2);
  for (guint64 i = 0; i < 24; i++)
    {
      expect_page (region, i * EXTENT, i < 8 ? 1 : 2);
      expect_page (region, i * EXTENT + PAGE, i < 8 ? 0 : 2);
    }
  expect_true_accounts (store);
  hermit_region_free (region);
  hermit_store_free (store);
}

static void
test_host_full (void)
{
  for (gboolean overcommit = FALSE; overcommit <= TRUE; overcommit++)
    {
      HermitStore *store = store_new (8 * EXTENT, overcommit);
      HermitRegion *region = region_new (store, 4 * EXTENT);
      guint8 page[PAGE] = { 1 };
      HermitStoreUsage before;

      wait_idle (store, EXTENT);
      write_page (region, 0, 1);
      wait_idle (store, EXTENT);
      fallocate_fail_with (overcommit ? ENOSPC : ENOMEM);
      /* One slot is ready, and no more. */
      write_page (region, EXTENT, 1);
      before = hermit_store_usage (store);
      g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                             "*host has no memory*");
      g_assert_cmpint (hermit_region_write (region, 2 * EXTENT, page), ==,
                       HERMIT_WIRE_ENOSPC);
      g_test_assert_expected_messages ();
      expect_usage (store, before.taken, before.backed);
      g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "*again*");
      write_page (region, PAGE, 1);
      g_test_assert_expected_messages ();
      expect_page (region, 2 * EXTENT, 0);

      /* What is emptied needs nothing of the host to be used again. */
      hermit_region_discard (region, 0, EXTENT);
      g_assert_cmpint (hermit_region_stored (region), ==, PAGE);
      expect_page (region, 0, 0);
      write_page (region, 3 * EXTENT, 2);
      expect_page (region, 3 * EXTENT, 2);
      expect_page (region, 3 * EXTENT + PAGE, 0);

      /* Memory that cannot be freed stays accounted. */
      hermit_region_discard (region, 0, 4 * EXTENT);
      g_assert_cmpint (hermit_store_usage (store).idle, >=, 2 * EXTENT);
      fallocate_fail_with (0);
      expect_true_accounts (store);
      write_page (region, 0, 2);
      expect_page (region, 0, 2);
      expect_page (region, PAGE, 0);
      hermit_region_free (region);
      expect_usage (store, 0, 0);
      hermit_store_free (store);
    }
}

/* The host has less than it is to keep: no host has this much. */
static void
test_min_free (void)
{
  HermitStore *store = hermit_store_new (
      &(HermitStoreConfig){
          .capacity = 8 * EXTENT, .overcommit = TRUE, .min_free = 1ULL << 60 },
      NULL);
  HermitRegion *region = region_new (store, 4 * EXTENT);
  guint8 page[PAGE] = { 1 };

  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*short of memory*");
  g_assert_cmpint (hermit_region_write (region, 0, page), ==,
                   HERMIT_WIRE_ENOSPC);
  g_test_assert_expected_messages ();
  expect_usage (store, 0, 0);
  hermit_region_free (region);
  hermit_store_free (store);
}

/* All of it is there from the start, to the last slot, and stays. */
static void
test_preallocate (void)
{
  HermitStore *store = hermit_store_new (
      &(HermitStoreConfig){ .capacity = 8 * EXTENT, .preallocate = TRUE },
      NULL);
  HermitRegion *a, *b;

  g_assert_cmpint (memory_of_kernel (), ==, 8 * EXTENT);
  a = region_new (store, 5 * EXTENT - PAGE);
  b = region_new (store, 3 * EXTENT);
  expect_no_region (store, PAGE);
  fallocate_fail_with (ENOSPC);
  for (guint64 i = 0; i < 5; i++)
    write_page (a, i * EXTENT, 1);
  for (guint64 i = 0; i < 3; i++)
    write_page (b, i * EXTENT, 1);
  fallocate_fail_with (0);
  hermit_region_free (a);
  hermit_region_free (b);
  expect_usage (store, 0, 0);
  g_assert_cmpint (memory_of_kernel (), ==, 8 * EXTENT);
  hermit_store_free (store);
}

static void
test_no_room (void)
{
  g_autoptr (GError) preallocate = NULL;
  g_autoptr (GError) capacity = NULL;

  g_assert_null (
      hermit_store_new (&(HermitStoreConfig){ .capacity = 8 * EXTENT,
                                              .preallocate = TRUE,
                                              .min_free = 1ULL << 60 },
                        &preallocate));
  g_assert_error (preallocate, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_false (hermit_room_check (64ULL << 40, &capacity));
  g_assert_error (capacity, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/capacity/reserve", test_reserve);
  g_test_add_func ("/capacity/overcommit", test_overcommit);
  g_test_add_func ("/capacity/share", test_share);
  g_test_add_func ("/capacity/share-slots", test_share_slots);
  g_test_add_func ("/capacity/thin", test_thin);
  g_test_add_func ("/capacity/host-full", test_host_full);
  g_test_add_func ("/capacity/min-free", test_min_free);
  g_test_add_func ("/capacity/preallocate", test_preallocate);
  g_test_add_func ("/capacity/no-room", test_no_room);
  return g_test_run ();
}
