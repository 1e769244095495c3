/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one process leaves and the next takes over, in one process: memory and
 * ledger as they lie there, whole and damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fallocate.h"
#include "session.h"
#include "store-fixture.h"

typedef struct
{
  int memory, ledger;
} Left;

/* With what is left, or, if that is nothing, with new memory. */
static HermitStore *
store_open (Left left, guint64 capacity, gboolean overcommit)
{
  g_autoptr (GError) error = NULL;
  HermitStore *store
      = hermit_store_new (&(HermitStoreConfig){ .capacity = capacity,
                                                .overcommit = overcommit,
                                                .memory = left.memory,
                                                .ledger = left.ledger },
                          &error);

  g_assert_no_error (error);
  return store;
}

/* What is there, as the death of the process would leave it. */
static Left
leave (HermitStore *store)
{
  return (Left){ dup (hermit_store_memory (store)),
                 dup (hermit_store_ledger (store)) };
}

/* The only region that was left. */
static HermitRegion *
adopt (HermitStore *store)
{
  guint32 at = 0;
  HermitRegion *region = hermit_region_adopt (store, &at);

  if (region)
    g_assert_null (hermit_region_adopt (store, &at));
  return region;
}

/* Freed as by one who leaves it. */
static void
forsake (HermitStore *store, HermitRegion *region)
{
  hermit_store_freeze (store);
  hermit_region_free (region);
  hermit_store_free (store);
}

static void
test_pages (void)
{
  for (gboolean overcommit = FALSE; overcommit <= TRUE; overcommit++)
    {
      HermitStore *store = store_open ((Left){ 0 }, 16 * EXTENT, overcommit);
      HermitRegion *region = region_new (store, 10 * EXTENT - PAGE);
      HermitStoreUsage before, after;
      Left left;

      for (guint64 at = 0; at < 10 * EXTENT - PAGE; at += 3 * PAGE)
        write_page (region, at, 1);
      hermit_region_discard (region, 2 * EXTENT, EXTENT);
      hermit_region_discard (region, 4 * EXTENT, EXTENT / 2);
      for (guint round = 2; round < 12; round++)
        {
          guint64 stored = hermit_region_stored (region);

          hermit_region_note (region)[1] = round;
          left = leave (store);
          before = hermit_store_usage (store);
          forsake (store, region);
          store = store_open (left, 16 * EXTENT, overcommit);
          region = adopt (store);
          g_assert_cmpint (hermit_region_note (region)[1], ==, round);
          g_assert_cmpint (hermit_region_size (region), ==,
                           10 * EXTENT - PAGE);
          g_assert_cmpint (hermit_region_stored (region), ==, stored);
          after = hermit_store_usage (store);
          g_assert_cmpint (after.taken, ==, before.taken);
          g_assert_cmpint (after.backed, ==, before.backed);
          for (guint64 at = 0; at < 10 * EXTENT - PAGE; at += PAGE)
            expect_page (region, at,
                         at < 3 * PAGE      ? (at ? 0 : round - 1)
                         : at % (3 * PAGE)  ? 0
                         : at / EXTENT == 2 ? 0
                         : at / EXTENT == 4 && at % EXTENT < EXTENT / 2 ? 0
                                                                        : 1);
          write_page (region, 0, round);
        }
      hermit_region_free (region);
      g_assert_cmpint (hermit_store_usage (store).taken, ==, 0);
      g_assert_cmpint (hermit_store_usage (store).backed, ==, 0);
      hermit_store_free (store);
    }
}

static gpointer
map_ledger (Left left)
{
  struct stat st;
  void *at;

  g_assert_cmpint (fstat (left.ledger, &st), ==, 0);
  at = mmap (NULL, (gsize)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
             left.ledger, 0);
  g_assert_true (at != MAP_FAILED);
  return at;
}

static HermitLedgerRegion *
record_of_region (Left left)
{
  return (HermitLedgerRegion *)((guint8 *)map_ledger (left) + 512);
}

static HermitLedgerSlot *
record_of_slot (Left left, guint32 slot)
{
  return (HermitLedgerSlot *)(record_of_region (left) + HERMIT_LEDGER_REGIONS)
         + slot - 1;
}

static guint32
slot_of_extent (Left left, guint32 extent)
{
  for (guint32 slot = 1;; slot++)
    if (record_of_slot (left, slot)->region
        && record_of_slot (left, slot)->extent == extent)
      return slot;
}

/* Regions of which the process died in the middle of making or ending them. */
static void
test_halves (void)
{
  for (guint i = 0; i < 2; i++)
    {
      HermitStore *store = store_open ((Left){ 0 }, 16 * EXTENT, FALSE);
      HermitRegion *region = region_new (store, 4 * EXTENT);
      Left left;

      write_page (region, 0, 1);
      left = leave (store);
      forsake (store, region);
      if (i)
        record_of_region (left)->note[0] = 0;
      else
        record_of_region (left)->ending = TRUE;
      store = store_open (left, 16 * EXTENT, FALSE);
      g_assert_null (adopt (store));
      g_assert_cmpint (hermit_store_usage (store).taken, ==, 0);
      g_assert_cmpint (hermit_store_usage (store).backed, ==, 0);
      /* Its record is free, and nothing of it can be seen by the next. */
      g_assert_cmpuint (record_of_region (left)->size, ==, 0);
      region = region_new (store, 4 * EXTENT);
      for (guint64 at = 0; at < 4 * EXTENT; at += EXTENT)
        {
          write_page (region, at + PAGE, 2);
          expect_page (region, at, 0);
        }
      hermit_region_free (region);
      hermit_store_free (store);
    }
}

/* Its memory was going when the process died. */
static void
let_go (Left left, guint32 slot)
{
  HermitLedgerSlot *record = record_of_slot (left, slot);

  record->changing = TRUE;
  record->region = 0;
}

/* Slots whose memory was coming or going, or that two extents claim. */
static void
test_slots (void)
{
  HermitStore *store = store_open ((Left){ 0 }, 16 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 4 * EXTENT);
  guint32 slot;
  Left left;

  for (guint64 at = 0; at < 4 * EXTENT; at += EXTENT)
    write_page (region, at, 1);
  left = leave (store);
  slot = slot_of_extent (left, 1);
  forsake (store, region);
  let_go (left, slot);
  record_of_slot (left, slot_of_extent (left, 2))->extent = 3;

  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*another one's extent 3*");
  store = store_open (left, 16 * EXTENT, FALSE);
  g_test_assert_expected_messages ();
  region = adopt (store);
  expect_page (region, 0, 1);
  expect_page (region, EXTENT, 0);
  expect_page (region, 2 * EXTENT, 0);
  hermit_region_free (region);
  g_assert_cmpint (hermit_store_usage (store).backed, ==, 0);
  hermit_store_free (store);
}

/*
 * Memory that was going, and cannot be freed at the next start either, is as any
 * other from then on: what somebody stores in it stays at the one after.
 */
static void
test_stuck (void)
{
  /* So small a server keeps no slots ready. */
  HermitStore *store = store_open ((Left){ 0 }, 4 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 2 * EXTENT);
  guint32 slot;
  Left left;

  write_page (region, 0, 1);
  for (guint64 at = EXTENT; at < 2 * EXTENT; at += PAGE)
    write_page (region, at, 1);
  left = leave (store);
  /* Another version goes by the layout: the first record is the first slot's. */
  g_assert_cmpuint (record_of_slot (left, 1)->region, !=, 0);
  slot = slot_of_extent (left, 1);
  forsake (store, region);
  let_go (left, slot);

  fallocate_fail_with (EIO);
  store = store_open (left, 4 * EXTENT, FALSE);
  region = adopt (store);
  expect_page (region, EXTENT, 0);
  /* No other has memory; the keeper, who tries to free it, may have it now. */
  write_page_when_possible (region, EXTENT, 2);
  expect_page (region, EXTENT + PAGE, 0);
  fallocate_fail_with (0);
  left = leave (store);
  g_assert_cmpint (slot_of_extent (left, 1), ==, slot);
  forsake (store, region);
  store = store_open (left, 4 * EXTENT, FALSE);
  region = adopt (store);
  expect_page (region, EXTENT, 2);
  hermit_region_free (region);
  hermit_store_free (store);
}

/* Who failed at one once does not try again, and gives it to nobody. */
static void
test_aside (void)
{
  HermitStore *store = store_open ((Left){ 0 }, 16 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 4 * EXTENT);
  guint64 backed;
  Left left;

  write_page (region, 0, 1);
  backed = hermit_store_usage (store).backed;
  left = leave (store);
  forsake (store, region);
  record_of_region (left)->adopting = TRUE;
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*set aside*");
  store = store_open (left, 16 * EXTENT, FALSE);
  g_test_assert_expected_messages ();
  g_assert_null (adopt (store));
  g_assert_cmpint (hermit_store_usage (store).backed, ==, backed);
  region = region_new (store, 4 * EXTENT);
  write_page (region, 0, 2);
  hermit_region_free (region);
  g_assert_cmpint (hermit_store_usage (store).backed, ==, backed);
  hermit_store_free (store);
}

/* The memory of another version, or what is no ledger, is not touched. */
static void
test_format (void)
{
  for (guint i = 0; i < 3; i++)
    {
      HermitStore *store = store_open ((Left){ 0 }, 4 * EXTENT, FALSE);
      g_autoptr (GError) error = NULL;
      Left left = leave (store);

      hermit_store_free (store);
      if (i < 2)
        ((guint32 *)map_ledger (left))[i] ^= 1;
      else
        g_assert_cmpint (ftruncate (left.ledger, 4096), ==, 0);
      g_assert_null (
          hermit_store_new (&(HermitStoreConfig){ .capacity = 4 * EXTENT,
                                                  .memory = left.memory,
                                                  .ledger = left.ledger },
                            &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
    }
}

/* A capacity that is smaller than what is there: it stays, nothing is added. */
static void
test_smaller (void)
{
  HermitStore *store = store_open ((Left){ 0 }, 16 * EXTENT, TRUE);
  HermitRegion *region = region_new (store, 16 * EXTENT);
  guint8 page[PAGE] = { 1 };
  Left left;

  for (guint64 at = 0; at < 8 * EXTENT; at += PAGE)
    write_page (region, at, 1);
  left = leave (store);
  forsake (store, region);
  store = store_open (left, 4 * EXTENT, TRUE);
  region = adopt (store);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*refused*");
  g_assert_cmpint (hermit_region_write (region, 9 * EXTENT, page), ==,
                   HERMIT_WIRE_ENOSPC);
  g_test_assert_expected_messages ();
  expect_page (region, 8 * EXTENT - PAGE, 1);
  hermit_region_free (region);
  hermit_store_free (store);
}

/* What a region reserved is what it has with the next process. */
static void
test_share (void)
{
  HermitStore *store = store_open ((Left){ 0 }, 16 * EXTENT, FALSE);
  HermitRegion *region = region_new_share (store, 32 * EXTENT, 4 * EXTENT);
  Left left;

  write_page (region, 30 * EXTENT, 1);
  left = leave (store);
  forsake (store, region);
  store = store_open (left, 16 * EXTENT, FALSE);
  region = adopt (store);
  g_assert_cmpint (hermit_region_reserved (region), ==, 4 * EXTENT);
  g_assert_cmpint (hermit_store_usage (store).taken, ==, 4 * EXTENT);
  for (guint64 at = 0; at < 5 * EXTENT; at += PAGE)
    write_page (region, at, 1);
  g_assert_cmpint (hermit_store_usage (store).taken, >, 5 * EXTENT);
  left = leave (store);
  forsake (store, region);

  /* And what it has beyond that. */
  store = store_open (left, 16 * EXTENT, FALSE);
  region = adopt (store);
  g_assert_cmpint (hermit_store_usage (store).taken, ==,
                   hermit_region_backed (region));
  g_assert_cmpint (hermit_region_backed (region), >, 5 * EXTENT);
  expect_page (region, 30 * EXTENT, 1);
  hermit_region_free (region);
  expect_usage (store, 0, 0);
  hermit_store_free (store);
}

static void
expect_refusal (HermitStore *store, const char *why)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (hermit_region_new (store, PAGE, PAGE, "test", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, why));
}

/*
 * Overcommitted, and not any more: what is there is more than is to be promised,
 * in bytes or in regions, each of which may need a slot.
 */
static void
test_promises (void)
{
  HermitStore *store = store_open ((Left){ 0 }, 4 * EXTENT, TRUE);
  HermitRegion *region = region_new (store, 16 * EXTENT);
  g_autoptr (GPtrArray) small = g_ptr_array_new_with_free_func (
      (GDestroyNotify)hermit_region_free);
  guint32 slots = 1024, at = 0, adopted = 0;
  Left left = leave (store);

  forsake (store, region);
  store = store_open (left, 4 * EXTENT, FALSE);
  region = adopt (store);
  expect_refusal (store, "wanted, 0 bytes of the server's capacity left");
  hermit_region_free (region);
  hermit_store_free (store);

  store = store_open ((Left){ 0 }, 4 * EXTENT, TRUE);
  for (guint i = 0; i < slots + 10; i++)
    g_ptr_array_add (small, region_new (store, PAGE));
  left = leave (store);
  hermit_store_freeze (store);
  g_ptr_array_set_size (small, 0);
  hermit_store_free (store);
  store = store_open (left, 4 * EXTENT, FALSE);
  expect_refusal (store, "too many small regions");
  while ((region = hermit_region_adopt (store, &at)))
    {
      hermit_region_free (region);
      adopted++;
    }
  g_assert_cmpint (adopted, ==, slots + 10);
  region = region_new (store, PAGE);
  hermit_region_free (region);
  hermit_store_free (store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/adopt/pages", test_pages);
  g_test_add_func ("/adopt/halves", test_halves);
  g_test_add_func ("/adopt/slots", test_slots);
  g_test_add_func ("/adopt/stuck", test_stuck);
  g_test_add_func ("/adopt/aside", test_aside);
  g_test_add_func ("/adopt/format", test_format);
  g_test_add_func ("/adopt/smaller", test_smaller);
  g_test_add_func ("/adopt/promises", test_promises);
  g_test_add_func ("/adopt/share", test_share);
  return g_test_run ();
}
