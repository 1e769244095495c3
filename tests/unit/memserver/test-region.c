/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Regions: what is kept, discarded, lent, and lost, page by page and by several
 * threads.
 */
#include <string.h>
#include <unistd.h>

#include "store-fixture.h"

static void
test_sparse (void)
{
  HermitStore *store = store_new (16 * MIB, FALSE);
  HermitRegion *region = region_new (store, 9 * MIB);

  expect_usage (store, 9 * MIB, 0);
  for (guint64 at = 0; at < 9 * MIB; at += PAGE)
    expect_page (region, at, 0);
  expect_usage (store, 9 * MIB, 0);

  /* In a slot that was ready. */
  wait_idle (store, EXTENT);
  write_page (region, 3 * MIB, 1);
  expect_page (region, 3 * MIB, 1);
  expect_page (region, 3 * MIB - PAGE, 0);
  expect_page (region, 3 * MIB + PAGE, 0);
  g_assert_cmpint (hermit_region_stored (region), ==, PAGE);
  expect_usage (store, 9 * MIB, EXTENT);

  /* The last extent is a short one: it gets memory as pages come. */
  write_page (region, 9 * MIB - PAGE, 1);
  expect_usage (store, 9 * MIB, EXTENT + 16 * PAGE);
  wait_idle (store, EXTENT);
  expect_true_accounts (store);

  write_page (region, 3 * MIB, 2);
  expect_page (region, 3 * MIB, 2);
  g_assert_cmpint (hermit_region_stored (region), ==, 2 * PAGE);

  hermit_region_free (region);
  expect_usage (store, 0, 0);
  hermit_store_free (store);
}

/*
 * The keeper may be about to make a slot ready, by what there was before the
 * last writes; it frees it then.
 */
static void
wait_memory (guint64 bytes)
{
  while (memory_of_kernel () != bytes)
    g_usleep (1000);
}

static void
test_discard (void)
{
  HermitStore *store = store_new (16 * MIB, FALSE);
  HermitRegion *region = region_new (store, 16 * MIB);

  for (guint64 at = 0; at < 16 * MIB; at += PAGE)
    write_page (region, at, 1);
  wait_memory (16 * MIB);
  expect_usage (store, 16 * MIB, 16 * MIB);

  /* One page: gone, but its extent serves the others. */
  hermit_region_discard (region, 5 * PAGE, PAGE);
  expect_page (region, 4 * PAGE, 1);
  expect_page (region, 5 * PAGE, 0);
  expect_page (region, 6 * PAGE, 1);
  g_assert_cmpint (hermit_region_stored (region), ==, 16 * MIB - PAGE);
  wait_memory (16 * MIB);

  /* Twice is as good as once. */
  hermit_region_discard (region, 5 * PAGE, PAGE);
  g_assert_cmpint (hermit_region_stored (region), ==, 16 * MIB - PAGE);

  /* Across extents: from the middle of the first to the middle of the last. */
  hermit_region_discard (region, MIB, 14 * MIB);
  expect_page (region, MIB - PAGE, 1);
  expect_page (region, MIB, 0);
  expect_page (region, 15 * MIB - PAGE, 0);
  expect_page (region, 15 * MIB, 1);
  g_assert_cmpint (hermit_region_stored (region), ==, 2 * MIB - PAGE);
  g_assert_cmpint (hermit_region_backed (region), ==, 2 * EXTENT);
  expect_usage (store, 16 * MIB, 2 * EXTENT);

  /* Its memory has another extent now, and nothing of what was there. */
  for (guint64 i = 1; i < 7; i++)
    write_page (region, i * EXTENT, 2);
  expect_usage (store, 16 * MIB, 16 * MIB);
  for (guint64 at = EXTENT; at < 7 * EXTENT; at += PAGE)
    expect_page (region, at, at % EXTENT ? 0 : 2);
  expect_true_accounts (store);
  /* Nor with a page of an extent that stayed. */
  write_page (region, 5 * PAGE, 3);
  expect_page (region, 5 * PAGE, 3);

  hermit_region_discard (region, 0, 16 * MIB);
  g_assert_cmpint (hermit_region_stored (region), ==, 0);
  expect_usage (store, 16 * MIB, 0);
  /* The host has it back in a while, but for what is kept ready. */
  wait_idle (store, EXTENT);
  expect_true_accounts (store);
  hermit_region_free (region);
  hermit_store_free (store);
}

/*
 * An extent that is lent is backed, counts as stored, has what was stored and
 * zeros where there was nothing; what the borrower writes is read like any.
 */
static void
test_lend (void)
{
  HermitStore *store = store_new (2 * EXTENT, TRUE);
  HermitRegion *region = region_new (store, 3 * EXTENT - PAGE);
  guint64 length;
  void *memory, *again;

  write_page (region, PAGE, 1);
  write_page (region, 2 * PAGE, 1);
  g_assert_cmpint (hermit_region_discard (region, 2 * PAGE, PAGE), ==,
                   HERMIT_WIRE_OK);
  g_assert_cmpint (hermit_region_lend (region, 0, &memory, &length), ==,
                   HERMIT_WIRE_OK);
  g_assert_cmpint (length, ==, EXTENT);
  g_assert_cmpint (hermit_region_stored (region), ==, EXTENT);
  g_assert_true (page_is ((guint8 *)memory + PAGE, 1, PAGE, 1));
  g_assert_true (page_is_zero ((guint8 *)memory + 2 * PAGE));
  expect_page (region, 0, 0);
  fill_page ((guint8 *)memory + 3 * PAGE, 1, 3 * PAGE, 7);
  expect_page (region, 3 * PAGE, 7);
  g_assert_cmpint (hermit_region_lend (region, 0, &again, &length), ==,
                   HERMIT_WIRE_OK);
  g_assert_true (again == memory);
  expect_page (region, 3 * PAGE, 7);

  /* The last one is short; and then the capacity is used up. */
  g_assert_cmpint (
      hermit_region_lend (region, 2 * EXTENT, &memory, &length), ==,
      HERMIT_WIRE_OK);
  g_assert_cmpint (length, ==, EXTENT - PAGE);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*refused*");
  g_assert_cmpint (hermit_region_lend (region, EXTENT, &memory, &length), ==,
                   HERMIT_WIRE_ENOSPC);
  g_test_assert_expected_messages ();
  expect_usage (store, 2 * EXTENT - PAGE, 2 * EXTENT - PAGE);

  /* Discarded or not: it is nobody else's while somebody may write to it. */
  g_assert_cmpint (hermit_region_discard (region, 0, EXTENT), ==,
                   HERMIT_WIRE_OK);
  g_assert_cmpint (hermit_region_stored (region), ==, EXTENT - PAGE);
  expect_usage (store, 2 * EXTENT - PAGE, 2 * EXTENT - PAGE);
  g_assert_cmpint (hermit_region_lend (region, EXTENT, &memory, &length), ==,
                   HERMIT_WIRE_ENOSPC);
  hermit_region_take_back (region, 0);
  expect_usage (store, 2 * EXTENT - PAGE, 2 * EXTENT - PAGE);
  hermit_region_take_back (region, 0);
  expect_usage (store, EXTENT - PAGE, EXTENT - PAGE);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "*again*");
  g_assert_cmpint (hermit_region_lend (region, EXTENT, &memory, &length), ==,
                   HERMIT_WIRE_OK);
  g_test_assert_expected_messages ();
  /* What the other left in it is gone. */
  for (guint64 at = 0; at < EXTENT; at += PAGE)
    g_assert_true (page_is_zero ((guint8 *)memory + at));

  hermit_region_take_back (region, EXTENT);
  hermit_region_take_back (region, 2 * EXTENT);
  /* What is stored stays. */
  g_assert_cmpint (hermit_region_stored (region), ==, 2 * EXTENT - PAGE);
  hermit_region_free (region);
  expect_usage (store, 0, 0);
  hermit_store_free (store);
}

/*
 * Lent memory is written to without a word to the server: what was discarded
 * while it was lent is not there when it is lent once more, though nobody had
 * the slot before.
 */
static void
test_lend_again (void)
{
  HermitStore *store = hermit_store_new (
      &(HermitStoreConfig){ .capacity = 2 * EXTENT, .preallocate = TRUE },
      NULL);
  HermitRegion *region = region_new (store, 2 * EXTENT);
  guint64 length;
  void *memory, *again;

  g_assert_cmpint (hermit_region_lend (region, 0, &memory, &length), ==,
                   HERMIT_WIRE_OK);
  for (guint64 at = 0; at < EXTENT; at += PAGE)
    fill_page ((guint8 *)memory + at, 1, at, 1);
  expect_page (region, PAGE, 1);
  g_assert_cmpint (hermit_region_discard (region, 0, EXTENT), ==,
                   HERMIT_WIRE_OK);
  expect_page (region, PAGE, 0);
  g_assert_cmpint (hermit_region_lend (region, 0, &again, &length), ==,
                   HERMIT_WIRE_OK);
  g_assert_true (again == memory);
  for (guint64 at = 0; at < EXTENT; at += PAGE)
    expect_page (region, at, 0);
  hermit_region_take_back (region, 0);
  hermit_region_take_back (region, 0);

  /* Nor what was written by a request, and discarded. */
  for (guint64 at = 0; at < EXTENT; at += PAGE)
    write_page (region, EXTENT + at, 2);
  hermit_region_discard (region, EXTENT, EXTENT);
  g_assert_cmpint (hermit_region_lend (region, EXTENT, &memory, &length), ==,
                   HERMIT_WIRE_OK);
  for (guint64 at = 0; at < EXTENT; at += PAGE)
    expect_page (region, EXTENT + at, 0);
  hermit_region_take_back (region, EXTENT);
  hermit_region_free (region);
  hermit_store_free (store);
}

/* Memory that goes away under the server, as a broken swap device would. */
static void
test_sigbus (void)
{
  HermitStore *store = store_new (8 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 4 * EXTENT);
  guint8 page[PAGE] = { 1 };

  wait_idle (store, EXTENT);
  write_page (region, 0, 1);
  wait_idle (store, EXTENT);
  g_assert_cmpint (ftruncate (memory_fd (), 0), ==, 0);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*cannot be read*");
  g_assert_cmpint (hermit_region_read (region, 0, page), ==, HERMIT_WIRE_EIO);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*cannot be written*");
  g_assert_cmpint (hermit_region_write (region, PAGE, page), ==,
                   HERMIT_WIRE_EIO);
  g_test_assert_expected_messages ();
  expect_page (region, PAGE, 0);
  hermit_region_free (region);
  expect_usage (store, 0, 0);
  hermit_store_free (store);
}

#define THREADS 4
#define ROUNDS 20000

typedef struct
{
  HermitRegion *region;
  guint index;
  guint64 refused;
} Worker;

/*
 * Each thread owns every fourth page of a region that the capacity holds half
 * of, and knows what is in its own pages; their extents are shared by all.
 */
static gpointer
work (gpointer data)
{
  Worker *worker = data;
  guint pages = 8 * EXTENT / PAGE / THREADS;
  g_autofree guint64 *versions = g_new0 (guint64, pages);
  g_autoptr (GRand) random = g_rand_new_with_seed (worker->index);
  guint8 page[PAGE];

  for (guint64 round = 1; round <= ROUNDS; round++)
    {
      guint i = g_rand_int_range (random, 0, pages);
      guint64 offset = ((guint64)i * THREADS + worker->index) * PAGE;
      guint8 status;

      switch (g_rand_int_range (random, 0, 4))
        {
        case 0:
          hermit_region_discard (worker->region, offset, PAGE);
          versions[i] = 0;
          break;
        case 1:
          fill_page (page, 1, offset, round);
          status = hermit_region_write (worker->region, offset, page);
          if (status == HERMIT_WIRE_OK)
            versions[i] = round;
          else
            worker->refused++;
          break;
        default:
          expect_page (worker->region, offset, versions[i]);
        }
    }
  for (guint i = 0; i < pages; i++)
    {
      guint64 offset = ((guint64)i * THREADS + worker->index) * PAGE;

      expect_page (worker->region, offset, versions[i]);
      hermit_region_discard (worker->region, offset, PAGE);
    }
  return NULL;
}

static void
test_threads (void)
{
  HermitStore *store = store_new (4 * EXTENT, TRUE);
  HermitRegion *region = region_new (store, 8 * EXTENT);
  Worker workers[THREADS];
  GThread *threads[THREADS];
  guint64 refused = 0;

  /* It is full most of the time, and says so. */
  g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  g_log_set_handler (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE,
                     say_nothing, NULL);
  for (guint i = 0; i < THREADS; i++)
    {
      workers[i] = (Worker){ .region = region, .index = i };
      threads[i] = g_thread_new ("worker", work, &workers[i]);
    }
  for (guint i = 0; i < THREADS; i++)
    {
      g_thread_join (threads[i]);
      refused += workers[i].refused;
    }
  /* It was a test of a full server only if it was full. */
  g_assert_cmpint (refused, >, 0);
  g_assert_cmpint (hermit_region_stored (region), ==, 0);
  expect_usage (store, 0, 0);
  wait_idle (store, 0);
  expect_true_accounts (store);
  hermit_region_free (region);
  hermit_store_free (store);
}

/* The pages of @n extents from @first on are refused, or taken. */
static void
expect_writes (HermitRegion *region, guint first, guint n, guint8 status)
{
  guint8 page[PAGE] = { 1 };

  for (guint i = first; i < first + n; i++)
    g_assert_cmpint (hermit_region_write (region, i * EXTENT + 5 * PAGE, page),
                     ==, status);
}

/* Nothing new is lent; what is goes on, and goes away. */
static void
test_drain (void)
{
  HermitStore *store = store_new (16 * MIB, FALSE);
  HermitRegion *region = region_new (store, 16 * MIB);
  GLogLevelFlags fatal
      = g_log_set_always_fatal (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  guint handler = g_log_set_handler (G_LOG_DOMAIN,
                                     G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE,
                                     say_nothing, NULL);
  guint64 length;
  void *memory;

  write_page (region, 0, 1);
  g_assert_cmpint (hermit_region_lend (region, EXTENT, &memory, &length), ==,
                   HERMIT_WIRE_OK);
  hermit_store_drain (store, HERMIT_DRAIN_REGIONS);
  expect_writes (region, 2, 1, HERMIT_WIRE_OK);

  hermit_store_drain (store, HERMIT_DRAIN_ALL);
  expect_writes (region, 3, 5, HERMIT_WIRE_ENOSPC);
  g_assert_cmpint (hermit_region_lend (region, 3 * EXTENT, &memory, &length),
                   ==, HERMIT_WIRE_ENOSPC);
  /* Anywhere in what it has, and as often as it likes. */
  expect_writes (region, 0, 3, HERMIT_WIRE_OK);
  write_page (region, 2 * EXTENT - PAGE, 2);
  expect_page (region, 0, 1);
  g_assert_cmpint (hermit_region_lend (region, EXTENT, &memory, &length), ==,
                   HERMIT_WIRE_OK);
  hermit_region_take_back (region, EXTENT);
  hermit_region_take_back (region, EXTENT);

  /* Nothing is kept ready for who may not come, and what went does not come back. */
  hermit_region_discard (region, 0, EXTENT);
  expect_writes (region, 0, 1, HERMIT_WIRE_ENOSPC);
  wait_idle (store, 0);
  hermit_store_drain (store, HERMIT_DRAIN_OFF);
  expect_writes (region, 0, 4, HERMIT_WIRE_OK);

  g_log_remove_handler (G_LOG_DOMAIN, handler);
  g_log_set_always_fatal (fatal);
  hermit_region_free (region);
  hermit_store_free (store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/region/sparse", test_sparse);
  g_test_add_func ("/region/discard", test_discard);
  g_test_add_func ("/region/lend", test_lend);
  g_test_add_func ("/region/lend-again", test_lend_again);
  g_test_add_func ("/region/sigbus", test_sigbus);
  g_test_add_func ("/region/threads", test_threads);
  g_test_add_func ("/region/drain", test_drain);
  return g_test_run ();
}
