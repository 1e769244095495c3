/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"
#include "wire/wire.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE HERMIT_WIRE_PAGE
#define EXTENT_PAGES (HERMIT_EXTENT_SIZE / PAGE)
#define LOCKS 64
/* Bytes of a page to have at hand: enough to wake the processor's own guess. */
#define EXPECTED 512

/*
 * Bounds the address space and the metadata (0.5 GiB for this much, and only
 * where touched) that one HELLO can claim under overcommit.
 */
#define REGION_SIZE_MAX (16ULL << 40)

struct HermitStore
{
  guint64 capacity;
  guint64 min_free;
  gboolean overcommit;
  _Atomic guint64 taken;
  _Atomic guint64 backed;
};

typedef struct
{
  guint64 stored[EXTENT_PAGES / 64];
  guint16 pages; /* bits set in it */
  gboolean backed;
} Extent;

struct HermitRegion
{
  HermitStore *store;
  char *label;
  guint64 size;
  int fd;
  guint8 *base;
  Extent *extents;
  _Atomic guint64 stored;
  _Atomic guint64 backed;
  _Atomic gboolean full; /* the last write found no memory */
  GMutex locks[LOCKS];   /* extent i is guarded by locks[i % LOCKS] */
};

HermitStore *
hermit_store_new (guint64 capacity, gboolean overcommit, guint64 min_free)
{
  HermitStore *store = g_new0 (HermitStore, 1);

  store->capacity = capacity;
  store->overcommit = overcommit;
  store->min_free = min_free;
  hermit_guard_init ();
  return store;
}

void
hermit_store_free (HermitStore *store)
{
  g_assert (atomic_load (&store->taken) == 0);
  g_assert (atomic_load (&store->backed) == 0);
  g_free (store);
}

HermitStoreUsage
hermit_store_usage (HermitStore *store)
{
  return (HermitStoreUsage){
    .capacity = store->capacity,
    .taken = atomic_load (&store->taken),
    .backed = atomic_load (&store->backed),
  };
}

static gboolean
store_take (HermitStore *store, guint64 bytes)
{
  guint64 taken = atomic_load (&store->taken);

  do
    if (bytes > store->capacity - taken)
      return FALSE;
  while (!atomic_compare_exchange_weak (&store->taken, &taken, taken + bytes));
  return TRUE;
}

static void
store_give_back (HermitStore *store, guint64 bytes)
{
  atomic_fetch_sub (&store->taken, bytes);
}

/*
 * The host kills processes before its allocations fail, and spares this one:
 * stop early instead. Without a readable meminfo there is nothing to go by.
 */
static gboolean
store_host_has_room (HermitStore *store, guint64 bytes)
{
  g_autofree char *text = NULL;
  const char *line;

  if (!store->min_free
      || !g_file_get_contents ("/proc/meminfo", &text, NULL, NULL))
    return TRUE;
  line = strstr (text, "MemAvailable:");
  if (!line)
    return TRUE;
  line += strlen ("MemAvailable:");
  return g_ascii_strtoull (line, NULL, 10) * 1024 >= bytes + store->min_free;
}

static GMutex *
region_lock (HermitRegion *region, guint64 extent)
{
  return &region->locks[extent % LOCKS];
}

/* The last extent may be short. */
static guint64
extent_bytes (HermitRegion *region, guint64 extent)
{
  return MIN (HERMIT_EXTENT_SIZE, region->size - extent * HERMIT_EXTENT_SIZE);
}

static gboolean
extent_punch (HermitRegion *region, guint64 extent)
{
  return fallocate (region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(extent * HERMIT_EXTENT_SIZE),
                    (off_t)extent_bytes (region, extent))
         == 0;
}

static gboolean
extent_allocate (HermitRegion *region, guint64 extent)
{
  guint64 offset = extent * HERMIT_EXTENT_SIZE;
  guint64 bytes = extent_bytes (region, extent);
  int ret;

  /*
   * Through the mapping first: in one go instead of by 512 faults, so that we
   * learn now if the page tables do not fit, and in a huge page where the host
   * gives them to those who advise. What fallocate() allocates is never one
   * then. Kernels that do not know the advice say EINVAL.
   */
  if (madvise (region->base + offset, bytes, MADV_POPULATE_WRITE) < 0
      && errno != EINVAL)
    goto punch;
  do
    ret = fallocate (region->fd, 0, (off_t)offset, (off_t)bytes);
  while (ret < 0 && errno == EINTR);
  if (ret == 0)
    return TRUE;

punch:
  extent_punch (region, extent);
  return FALSE;
}

/* Under the extent's lock. NULL, or why there is no memory for it. */
static const char *
extent_back (HermitRegion *region, guint64 extent)
{
  HermitStore *store = region->store;
  guint64 bytes = extent_bytes (region, extent);
  const char *why;

  if (store->overcommit && !store_take (store, bytes))
    return "the server's capacity is used up";
  if (!store_host_has_room (store, bytes))
    {
      why = "the host is short of memory (--min-free)";
      goto give_back;
    }
  if (!extent_allocate (region, extent))
    {
      why = "the host has no memory";
      goto give_back;
    }
  region->extents[extent].backed = TRUE;
  atomic_fetch_add (&region->backed, bytes);
  atomic_fetch_add (&store->backed, bytes);
  return NULL;

give_back:
  if (store->overcommit)
    store_give_back (store, bytes);
  return why;
}

/* Under the extent's lock, when no page of it is stored. */
static void
extent_unback (HermitRegion *region, guint64 extent)
{
  HermitStore *store = region->store;
  guint64 bytes = extent_bytes (region, extent);

  /* If it cannot be freed it stays, and stays accounted. */
  if (!extent_punch (region, extent))
    return;
  region->extents[extent].backed = FALSE;
  atomic_fetch_sub (&region->backed, bytes);
  atomic_fetch_sub (&store->backed, bytes);
  if (store->overcommit)
    store_give_back (store, bytes);
}

HermitRegion *
hermit_region_new (HermitStore *store, guint64 size, const char *label,
                   GError **error)
{
  HermitRegion *region = NULL;
  guint64 extents = (size + HERMIT_EXTENT_SIZE - 1) / HERMIT_EXTENT_SIZE;
  guint64 taken = store->overcommit ? 0 : size;
  g_autofree char *want = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);

  if (size > REGION_SIZE_MAX)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "%s is more than a region may have", want);
      return NULL;
    }
  if (!store_take (store, taken))
    {
      g_autofree char *left
          = g_format_size_full (store->capacity - atomic_load (&store->taken),
                                G_FORMAT_SIZE_IEC_UNITS);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "%s wanted, %s of the server's capacity left", want, left);
      return NULL;
    }

  region = g_new0 (HermitRegion, 1);
  region->store = store;
  region->label = g_strdup (label);
  region->size = size;
  region->base = MAP_FAILED;
  for (guint i = 0; i < LOCKS; i++)
    g_mutex_init (&region->locks[i]);

  region->extents = g_try_new0 (Extent, extents);
  region->fd = memfd_create ("hermit-region", MFD_CLOEXEC);
  if (region->extents && region->fd >= 0
      && ftruncate (region->fd, (off_t)size) == 0)
    region->base = mmap (NULL, size, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_NORESERVE, region->fd, 0);
  if (region->base == MAP_FAILED)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "the server cannot map %s: %s", want, g_strerror (errno));
      hermit_region_free (region);
      return NULL;
    }
  /* Huge pages are worth having, not failing for. */
  madvise (region->base, size, MADV_HUGEPAGE);
  /* A core file must not hold the guest's memory. */
  madvise (region->base, size, MADV_DONTDUMP);
  return region;
}

void
hermit_region_free (HermitRegion *region)
{
  HermitStore *store = region->store;
  guint64 backed = atomic_load (&region->backed);

  if (region->base != MAP_FAILED)
    munmap (region->base, region->size);
  if (region->fd >= 0)
    close (region->fd);
  atomic_fetch_sub (&store->backed, backed);
  store_give_back (store, store->overcommit ? backed : region->size);

  for (guint i = 0; i < LOCKS; i++)
    g_mutex_clear (&region->locks[i]);
  g_free (region->extents);
  g_free (region->label);
  g_free (region);
}

/* The word and the bit of a page in its extent's bitmap. */
#define STORED_WORD(offset) ((offset) % HERMIT_EXTENT_SIZE / PAGE / 64)
#define STORED_BIT(offset) (1ULL << ((offset) / PAGE % 64))

void
hermit_region_expect (HermitRegion *region, guint64 offset)
{
  for (guint at = 0; at < EXPECTED; at += 64)
    __builtin_prefetch (region->base + offset + at);
}

guint8
hermit_region_read (HermitRegion *region, guint64 offset, void *page)
{
  guint64 i = offset / HERMIT_EXTENT_SIZE;
  Extent *extent = &region->extents[i];
  gboolean ok = TRUE;

  g_mutex_lock (region_lock (region, i));
  if (extent->stored[STORED_WORD (offset)] & STORED_BIT (offset))
    ok = hermit_guard_copy (page, region->base + offset, PAGE);
  else
    memset (page, 0, PAGE);
  g_mutex_unlock (region_lock (region, i));

  if (!ok)
    g_warning ("%s: a page at 0x%" G_GINT64_MODIFIER "x cannot be read",
               region->label, offset);
  return ok ? HERMIT_WIRE_OK : HERMIT_WIRE_EIO;
}

/* Say it once when memory runs out, not with every write that finds none. */
static void
region_note_memory (HermitRegion *region, const char *lacking)
{
  if (!lacking && !atomic_load (&region->full))
    return;
  if (atomic_exchange (&region->full, lacking != NULL) == (lacking != NULL))
    return;
  if (lacking)
    g_warning ("%s: writes are refused: %s", region->label, lacking);
  else
    g_message ("%s: there is memory again", region->label);
}

guint8
hermit_region_write (HermitRegion *region, guint64 offset, const void *page)
{
  guint64 i = offset / HERMIT_EXTENT_SIZE;
  guint64 word = STORED_WORD (offset);
  guint64 bit = STORED_BIT (offset);
  Extent *extent = &region->extents[i];
  const char *lacking = NULL;
  gboolean ok = TRUE;

  g_mutex_lock (region_lock (region, i));
  if (!extent->backed)
    lacking = extent_back (region, i);
  if (!lacking)
    {
      ok = hermit_guard_copy (region->base + offset, page, PAGE);
      if (ok && !(extent->stored[word] & bit))
        {
          extent->stored[word] |= bit;
          extent->pages++;
          atomic_fetch_add (&region->stored, PAGE);
        }
    }
  g_mutex_unlock (region_lock (region, i));

  region_note_memory (region, lacking);
  if (lacking)
    return HERMIT_WIRE_ENOSPC;
  if (!ok)
    g_warning ("%s: a page at 0x%" G_GINT64_MODIFIER "x cannot be written",
               region->label, offset);
  return ok ? HERMIT_WIRE_OK : HERMIT_WIRE_EIO;
}

guint8
hermit_region_discard (HermitRegion *region, guint64 offset, guint64 length)
{
  guint64 end = offset + length;

  while (offset < end)
    {
      guint64 i = offset / HERMIT_EXTENT_SIZE;
      guint64 next = MIN (end, (i + 1) * HERMIT_EXTENT_SIZE);
      Extent *extent = &region->extents[i];
      guint16 before;

      g_mutex_lock (region_lock (region, i));
      before = extent->pages;
      for (; extent->pages && offset < next; offset += PAGE)
        {
          guint64 *word = &extent->stored[STORED_WORD (offset)];

          extent->pages -= !!(*word & STORED_BIT (offset));
          *word &= ~STORED_BIT (offset);
        }
      atomic_fetch_sub (&region->stored,
                        (guint64)(before - extent->pages) * PAGE);
      if (extent->backed && !extent->pages)
        extent_unback (region, i);
      g_mutex_unlock (region_lock (region, i));
      offset = next;
    }
  return HERMIT_WIRE_OK;
}

guint8
hermit_region_lend (HermitRegion *region, guint64 offset, void **memory,
                    guint64 *length)
{
  static const guint8 zeros[PAGE];
  guint64 i = offset / HERMIT_EXTENT_SIZE;
  guint64 bytes = extent_bytes (region, i);
  Extent *extent = &region->extents[i];
  const char *lacking = NULL;
  gboolean fresh, ok = TRUE;

  g_mutex_lock (region_lock (region, i));
  fresh = !extent->backed;
  if (fresh)
    lacking = extent_back (region, i);
  for (guint64 at = offset; ok && !lacking && at < offset + bytes; at += PAGE)
    {
      guint64 *word = &extent->stored[STORED_WORD (at)];

      if (*word & STORED_BIT (at))
        continue;
      /* What was discarded may still be there. */
      if (!fresh)
        ok = hermit_guard_copy (region->base + at, zeros, PAGE);
      if (!ok)
        break;
      *word |= STORED_BIT (at);
      extent->pages++;
      atomic_fetch_add (&region->stored, PAGE);
    }
  g_mutex_unlock (region_lock (region, i));

  region_note_memory (region, lacking);
  if (lacking)
    return HERMIT_WIRE_ENOSPC;
  if (!ok)
    {
      g_warning ("%s: the extent at 0x%" G_GINT64_MODIFIER
                 "x cannot be written",
                 region->label, offset);
      return HERMIT_WIRE_EIO;
    }
  *memory = region->base + offset;
  *length = bytes;
  return HERMIT_WIRE_OK;
}

guint64
hermit_region_size (HermitRegion *region)
{
  return region->size;
}

guint64
hermit_region_stored (HermitRegion *region)
{
  return atomic_load (&region->stored);
}

guint64
hermit_region_backed (HermitRegion *region)
{
  return atomic_load (&region->backed);
}
