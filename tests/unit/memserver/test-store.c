/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store by itself: what is kept, what is accounted, and what happens when
 * the host gives no memory, or takes it away.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "request.h"
#include "room.h"
#include "store.h"

#define EXTENT HERMIT_EXTENT_SIZE

/* The linker puts these in the place of fallocate(), see meson.build. */
int __real_fallocate64 (int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate64 (int fd, int mode, off_t offset, off_t length);

static gint fallocate_error; /* atomic */
/*
 * While it is set no memory is freed: the keeper, who wants to, waits, and
 * anybody else who does so, or who makes more of it at a time than a page and
 * some beside it, fails the test.
 */
static gint held_up;      /* atomic */
static gint waiting;      /* atomic: the keeper does */
static GThread *requests; /* the thread that is not the keeper */

int
__wrap_fallocate64 (int fd, int mode, off_t offset, off_t length)
{
  int error = g_atomic_int_get (&fallocate_error);

  if (error)
    {
      errno = error;
      return -1;
    }
  if (g_atomic_int_get (&held_up) && g_thread_self () == requests)
    {
      g_assert_false (mode & FALLOC_FL_PUNCH_HOLE);
      g_assert_cmpint (length, <=, 64 << 10);
    }
  else
    while (g_atomic_int_get (&held_up))
      {
        g_atomic_int_set (&waiting, 1);
        g_usleep (1000);
      }
  return __real_fallocate64 (fd, mode, offset, length);
}

static int
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

/* The memory that the kernel says there is. */
static guint64
memory_of_kernel (void)
{
  struct stat st;

  g_assert_cmpint (fstat (memory_fd (), &st), ==, 0);
  return (guint64)st.st_blocks * 512;
}

/*
 * The accounts agree with the kernel's, as soon as the keeper has nothing in
 * its hands.
 */
static void
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

/* Wait until the keeper has done its part. */
static void
wait_idle (HermitStore *store, guint64 bytes)
{
  while (hermit_store_usage (store).idle != bytes)
    g_usleep (1000);
}

static HermitStore *
store_new (guint64 capacity, gboolean overcommit)
{
  return hermit_store_new (
      &(HermitStoreConfig){ .capacity = capacity, .overcommit = overcommit },
      NULL);
}

static HermitRegion *
region_new (HermitStore *store, guint64 size)
{
  g_autoptr (GError) error = NULL;
  HermitRegion *region = hermit_region_new (store, size, "test", &error);

  g_assert_no_error (error);
  return region;
}

static void
write_page (HermitRegion *region, guint64 offset, guint64 version)
{
  guint8 page[PAGE];

  fill_page (page, 1, offset, version);
  g_assert_cmpint (hermit_region_write (region, offset, page), ==,
                   HERMIT_WIRE_OK);
}

static void
say_nothing (const char *domain G_GNUC_UNUSED,
             GLogLevelFlags level G_GNUC_UNUSED,
             const char *message G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
}

/* As a client does: a page that finds no memory comes again. */
static void
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

static void
expect_page (HermitRegion *region, guint64 offset, guint64 version)
{
  guint8 page[PAGE];

  memset (page, 0xaa, sizeof (page));
  g_assert_cmpint (hermit_region_read (region, offset, page), ==,
                   HERMIT_WIRE_OK);
  g_assert_true (version ? page_is (page, 1, offset, version)
                         : page_is_zero (page));
}

static void
expect_usage (HermitStore *store, guint64 taken, guint64 backed)
{
  HermitStoreUsage usage = hermit_store_usage (store);

  g_assert_cmpint (usage.taken, ==, taken);
  g_assert_cmpint (usage.backed, ==, backed);
}

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

static void
test_discard (void)
{
  HermitStore *store = store_new (16 * MIB, FALSE);
  HermitRegion *region = region_new (store, 16 * MIB);

  for (guint64 at = 0; at < 16 * MIB; at += PAGE)
    write_page (region, at, 1);
  /* The keeper may have made one ready while the last ones were written. */
  wait_idle (store, 0);
  g_assert_cmpint (memory_of_kernel (), ==, 16 * MIB);
  expect_usage (store, 16 * MIB, 16 * MIB);

  /* One page: gone, but its extent serves the others. */
  hermit_region_discard (region, 5 * PAGE, PAGE);
  expect_page (region, 4 * PAGE, 1);
  expect_page (region, 5 * PAGE, 0);
  expect_page (region, 6 * PAGE, 1);
  g_assert_cmpint (hermit_region_stored (region), ==, 16 * MIB - PAGE);
  g_assert_cmpint (memory_of_kernel (), ==, 16 * MIB);

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

static void
expect_no_region (HermitStore *store, guint64 size)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (hermit_region_new (store, size, "test", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
}

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
      g_atomic_int_set (&fallocate_error, overcommit ? ENOSPC : ENOMEM);
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
      g_atomic_int_set (&fallocate_error, 0);
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
  g_atomic_int_set (&fallocate_error, ENOSPC);
  for (guint64 i = 0; i < 5; i++)
    write_page (a, i * EXTENT, 1);
  for (guint64 i = 0; i < 3; i++)
    write_page (b, i * EXTENT, 1);
  g_atomic_int_set (&fallocate_error, 0);
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

/*
 * No request waits for memory to be freed, or for 2 MiB of it to be made; nor
 * does the end of a region, or the next one.
 */
static void
test_slow_keeper (void)
{
  HermitStore *store = store_new (64 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 64 * EXTENT);

  requests = g_thread_self ();
  for (guint64 i = 0; i < 60; i++)
    write_page (region, i * EXTENT, 1);
  g_atomic_int_set (&held_up, 1);
  /* Some of these have but a part of their memory: the keeper frees it. */
  hermit_region_discard (region, 0, 30 * EXTENT);
  while (!g_atomic_int_get (&waiting))
    g_usleep (1000);

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
  g_atomic_int_set (&held_up, 0);
  requests = NULL;
  hermit_region_free (region);
  expect_true_accounts (store);
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

/* ---- requests ---- */

static gsize
answer (HermitRegion *region, HermitCounters *counters, guint8 type,
        guint64 offset, guint32 extent, guint8 status)
{
  static const guint8 payload[PAGE] = { 1 };
  guint8 reply[HERMIT_REPLY_MAX];
  struct hermit_wire_hdr hdr, got;
  const char *why;
  gsize length;

  hermit_wire_fill (&hdr, type, 77, offset, extent, 0);
  length = hermit_request_answer (region, counters, &hdr, payload, reply);
  memcpy (&got, reply, sizeof (got));
  g_assert_cmpint (hermit_wire_check_reply (&got, &why), ==, 0);
  g_assert_cmpint (got.type, ==, type | HERMIT_MSG_REPLY);
  g_assert_cmpint (got.status, ==, status);
  g_assert_cmpint (le32_to_cpu (got.tag), ==, 77);
  g_assert_cmpint (le32_to_cpu (got.extent), ==, extent);
  if (type == HERMIT_MSG_PING)
    g_assert_cmpint (le64_to_cpu (got.offset), ==,
                     hermit_region_stored (region));
  else
    g_assert_cmpint (le64_to_cpu (got.offset), ==, offset);
  g_assert_cmpint (length, ==, sizeof (got) + le32_to_cpu (got.length));
  return length;
}

static void
expect_counters (const HermitCounters *c, guint64 reads, guint64 writes,
                 guint64 discards, guint64 no_space, guint64 errors)
{
  g_assert_cmpint (c->reads, ==, reads);
  g_assert_cmpint (c->writes, ==, writes);
  g_assert_cmpint (c->discards, ==, discards);
  g_assert_cmpint (c->no_space, ==, no_space);
  g_assert_cmpint (c->errors, ==, errors);
}

/* Each request counts as what it is, and as what came of it. */
static void
test_counters (void)
{
  HermitStore *store = store_new (8 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 4 * EXTENT);
  HermitCounters c = { 0 };

  answer (region, &c, HERMIT_MSG_PING, 0, 0, HERMIT_WIRE_OK);
  expect_counters (&c, 0, 0, 0, 0, 0);
  answer (region, &c, HERMIT_MSG_WRITE, 0, 0, HERMIT_WIRE_OK);
  answer (region, &c, HERMIT_MSG_WRITE, PAGE, 0, HERMIT_WIRE_OK);
  expect_counters (&c, 0, 2, 0, 0, 0);
  answer (region, &c, HERMIT_MSG_PING, 0, 0, HERMIT_WIRE_OK);
  answer (region, &c, HERMIT_MSG_READ, PAGE, PAGE, HERMIT_WIRE_OK);
  expect_counters (&c, 1, 2, 0, 0, 0);
  answer (region, &c, HERMIT_MSG_DISCARD, PAGE, PAGE, HERMIT_WIRE_OK);
  expect_counters (&c, 1, 2, 1, 0, 0);
  g_assert_cmpint (hermit_region_stored (region), ==, PAGE);

  wait_idle (store, EXTENT);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*host has no memory*");
  g_atomic_int_set (&fallocate_error, ENOSPC);
  write_page (region, 2 * EXTENT, 1); /* what was ready */
  answer (region, &c, HERMIT_MSG_WRITE, EXTENT, 0, HERMIT_WIRE_ENOSPC);
  g_atomic_int_set (&fallocate_error, 0);
  expect_counters (&c, 1, 3, 1, 1, 0);

  g_assert_cmpint (ftruncate (memory_fd (), 0), ==, 0);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*cannot be read*");
  g_assert_cmpint (answer (region, &c, HERMIT_MSG_READ, 0, PAGE,
                           HERMIT_WIRE_EIO),
                   ==, sizeof (struct hermit_wire_hdr));
  g_test_assert_expected_messages ();
  expect_counters (&c, 2, 3, 1, 1, 1);
  hermit_region_free (region);
  hermit_store_free (store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store/sparse", test_sparse);
  g_test_add_func ("/store/discard", test_discard);
  g_test_add_func ("/store/reserve", test_reserve);
  g_test_add_func ("/store/overcommit", test_overcommit);
  g_test_add_func ("/store/thin", test_thin);
  g_test_add_func ("/store/host-full", test_host_full);
  g_test_add_func ("/store/slow-keeper", test_slow_keeper);
  g_test_add_func ("/store/lend", test_lend);
  g_test_add_func ("/store/lend-again", test_lend_again);
  g_test_add_func ("/store/huge", test_huge);
  g_test_add_func ("/store/min-free", test_min_free);
  g_test_add_func ("/store/preallocate", test_preallocate);
  g_test_add_func ("/store/no-room", test_no_room);
  g_test_add_func ("/store/numa", test_numa);
  g_test_add_func ("/store/sigbus", test_sigbus);
  g_test_add_func ("/store/threads", test_threads);
  g_test_add_func ("/store/mapping", test_mapping);
  g_test_add_func ("/store/counters", test_counters);
  return g_test_run ();
}
