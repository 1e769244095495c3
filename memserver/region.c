/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions: what of them is stored, and what they take of the capacity. */
#include <errno.h>
#include <gio/gio.h>
#include <string.h>

#include "extent.h"
#include "guard.h"
#include "log.h"
#include "wire/wire.h"

#define PAGE HERMIT_WIRE_PAGE
#define EXTENT_PAGES HERMIT_SLOT_PAGES
#define LOCKS HERMIT_REGION_LOCKS
#define REGION_SIZE_MAX HERMIT_REGION_SIZE_MAX
/* Bytes of a page to have at hand: enough to wake the processor's own guess. */
#define EXPECTED 512
/* What a client needs is said each second. */
#define NEED_US (5 * G_USEC_PER_SEC)
/* Pages freed under an extent's lock: some 20 us. */
#define TRIM_PAGES 64

/* A number that no region has, under the regions' lock; 0 if all are taken. */
static guint32
store_free_number (HermitStore *store)
{
  HermitLedger *ledger = hermit_slots_ledger (store->slots);

  for (guint32 n = 1; n <= HERMIT_LEDGER_REGIONS; n++)
    if (!hermit_ledger_region (ledger, n)->size)
      return n;
  return 0;
}

/* Its place in the ledger. FALSE with @error if there is none. */
static gboolean
region_enter (HermitRegion *region, GError **error)
{
  HermitStore *store = region->store;
  HermitLedger *ledger = hermit_slots_ledger (store->slots);
  HermitLedgerRegion *record;

  g_mutex_lock (&store->regions_lock);
  region->number = store_free_number (store);
  if (!region->number)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "the server has as many regions as a server can have");
  else
    {
      record = hermit_ledger_region (ledger, region->number);
      record->unreserved = region->unreserved;
      record->size = region->size;
      g_ptr_array_add (store->regions, region);
    }
  g_mutex_unlock (&store->regions_lock);
  return region->number != 0;
}

static void
region_leave (HermitRegion *region)
{
  HermitStore *store = region->store;
  HermitLedger *ledger = hermit_slots_ledger (store->slots);

  g_mutex_lock (&store->regions_lock);
  hermit_ledger_region (ledger, region->number)->ending = TRUE;
  g_ptr_array_remove_fast (store->regions, region);
  g_mutex_unlock (&store->regions_lock);
  /* The keeper does not come here any more, nor does anybody else. */
  for (guint32 i = 0; i < region->extents; i++)
    {
      guint32 slot = atomic_load (&region->slot[i]);

      g_assert (!region->lent[i]);
      if (slot)
        hermit_slots_give_back (store->slots, slot);
    }
  g_mutex_lock (&store->regions_lock);
  memset (hermit_ledger_region (ledger, region->number), 0,
          sizeof (HermitLedgerRegion));
  g_mutex_unlock (&store->regions_lock);
}

HermitRegion *
hermit_region_alloc (HermitStore *store, guint64 size, guint64 reserved,
                     const char *label)
{
  HermitRegion *region = g_new0 (HermitRegion, 1);

  region->store = store;
  region->label = g_strdup (label);
  region->size = size;
  region->unreserved = size - reserved;
  region->extents = hermit_slots_of (size);
  if (!store->overcommit)
    {
      region->reserved_slots = hermit_slots_of (reserved);
      /* Of memory that is there in slots it takes whole ones. */
      region->reserved
          = store->preallocate
                ? (guint64)region->reserved_slots * HERMIT_SLOT_SIZE
                : reserved;
    }
  g_mutex_init (&region->account);
  for (guint i = 0; i < LOCKS; i++)
    g_mutex_init (&region->locks[i]);
  region->slot = g_try_malloc0_n (region->extents, sizeof (*region->slot));
  region->lent = g_try_malloc0_n (region->extents, sizeof (*region->lent));
  return region;
}

/* What it reserves is not to be had. */
static void
region_set_error (const HermitRegion *region, const char *lacking,
                  GError **error)
{
  HermitStore *store = region->store;
  guint64 taken = MIN (atomic_load (&store->taken), store->capacity);
  g_autofree char *want
      = g_format_size_full (region->reserved, G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *left = g_format_size_full (store->capacity - taken,
                                              G_FORMAT_SIZE_IEC_UNITS);

  if (!strcmp (lacking, "slots"))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "the server has too many small regions");
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "%s wanted, %s of the server's capacity left", want, left);
}

static void
region_free (HermitRegion *region)
{
  for (guint i = 0; i < LOCKS; i++)
    g_mutex_clear (&region->locks[i]);
  g_mutex_clear (&region->account);
  g_free (region->slot);
  g_free (region->lent);
  g_free (region->label);
  g_free (region->uuid);
  g_free (region);
}

HermitRegion *
hermit_region_new (HermitStore *store, guint64 size, guint64 reserved,
                   const char *label, GError **error)
{
  HermitRegion *region = NULL;
  g_autofree char *want = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);
  const char *lacking;

  g_assert (reserved <= size);
  if (size > REGION_SIZE_MAX)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "%s is more than a region may have", want);
      return NULL;
    }
  region = hermit_region_alloc (store, size, reserved, label);
  if (!region->slot || !region->lent)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "the server has no memory to keep track of %s", want);
  else if (!hermit_region_take_reserve (region, &lacking))
    region_set_error (region, lacking, error);
  else if (region_enter (region, error))
    {
      hermit_keeper_wake (store->keeper);
      return region;
    }
  else
    hermit_region_give_back_all (region);
  region_free (region);
  return NULL;
}

void
hermit_region_free (HermitRegion *region)
{
  HermitStore *store = region->store;

  if (store->frozen)
    g_ptr_array_remove_fast (store->regions, region);
  else
    {
      region_leave (region);
      /* After it left: until then the keeper may have taken some of it. */
      hermit_region_give_back_all (region);
      hermit_keeper_wake (store->keeper);
    }
  region_free (region);
}

/* A page: its extent, its place there, and the word and the bit of a bitmap. */
#define EXTENT_OF(offset) ((guint32)((offset) / HERMIT_EXTENT_SIZE))
#define PAGE_OF(offset) ((guint)((offset) % HERMIT_EXTENT_SIZE / PAGE))
#define STORED_WORD(offset) (PAGE_OF (offset) / 64)
#define STORED_BIT(offset) (1ULL << (PAGE_OF (offset) % 64))

void
hermit_region_expect (HermitRegion *region, guint64 offset)
{
  guint32 slot = atomic_load_explicit (&region->slot[EXTENT_OF (offset)],
                                       memory_order_relaxed);
  const guint8 *page;

  if (!slot)
    return;
  page = hermit_extent_memory (region, slot) + offset % HERMIT_EXTENT_SIZE;
  for (guint at = 0; at < EXPECTED; at += 64)
    __builtin_prefetch (page + at);
}

static HermitLogAbout
region_about (const HermitRegion *region)
{
  return (HermitLogAbout){ .region = region->uuid };
}

guint8
hermit_region_read (HermitRegion *region, guint64 offset, void *page)
{
  guint32 i = EXTENT_OF (offset);
  guint8 status = HERMIT_WIRE_OK;
  guint32 slot;

  g_mutex_lock (hermit_extent_lock (region, i));
  slot = atomic_load_explicit (&region->slot[i], memory_order_relaxed);
  if (!slot
      || !(hermit_extent_record (region, slot)->stored[STORED_WORD (offset)]
           & STORED_BIT (offset)))
    {
      memset (page, 0, PAGE);
      status = HERMIT_WIRE_ENOENT;
    }
  else if (!hermit_guard_copy (
               page,
               hermit_extent_memory (region, slot)
                   + offset % HERMIT_EXTENT_SIZE,
               PAGE))
    status = HERMIT_WIRE_EIO;
  g_mutex_unlock (hermit_extent_lock (region, i));

  if (status == HERMIT_WIRE_EIO)
    hermit_log (G_LOG_LEVEL_WARNING, region_about (region),
                "%s: a page at 0x%" G_GINT64_MODIFIER "x cannot be read",
                region->label, offset);
  return status;
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
    hermit_log (G_LOG_LEVEL_WARNING, region_about (region),
                "%s: writes are refused: %s", region->label, lacking);
  else
    hermit_log (G_LOG_LEVEL_MESSAGE, region_about (region),
                "%s: there is memory again", region->label);
}

guint8
hermit_region_write (HermitRegion *region, guint64 offset, const void *page)
{
  guint32 i = EXTENT_OF (offset);
  const char *lacking = NULL;
  gboolean ok = FALSE;
  guint32 slot;

  g_mutex_lock (hermit_extent_lock (region, i));
  slot = atomic_load_explicit (&region->slot[i], memory_order_relaxed);
  if (!slot)
    slot = hermit_extent_take_slot (region, i, &lacking);
  if (slot)
    lacking = hermit_extent_back_page (region, i, slot, PAGE_OF (offset));
  if (!lacking)
    ok = hermit_guard_copy (
        hermit_extent_memory (region, slot) + offset % HERMIT_EXTENT_SIZE,
        page, PAGE);
  if (ok)
    {
      guint64 *word
          = &hermit_extent_record (region, slot)->stored[STORED_WORD (offset)];

      if (!(*word & STORED_BIT (offset)))
        {
          /* After the copy, also for who finds it when this process died. */
          atomic_signal_fence (memory_order_seq_cst);
          *word |= STORED_BIT (offset);
          atomic_fetch_add (&region->stored, PAGE);
        }
    }
  else
    hermit_extent_let_go (region, i);
  g_mutex_unlock (hermit_extent_lock (region, i));

  region_note_memory (region, lacking);
  if (lacking)
    return HERMIT_WIRE_ENOSPC;
  if (!ok)
    hermit_log (G_LOG_LEVEL_WARNING, region_about (region),
                "%s: a page at 0x%" G_GINT64_MODIFIER "x cannot be written",
                region->label, offset);
  return ok ? HERMIT_WIRE_OK : HERMIT_WIRE_EIO;
}

/* Forget the pages [@first, @end) of a slot; how many of them were stored. */
static guint
slot_clear (HermitLedgerSlot *record, guint first, guint end)
{
  guint gone = 0;

  while (first < end)
    {
      guint bits = MIN (64 - first % 64, end - first);
      guint64 mask = (~0ULL >> (64 - bits)) << (first % 64);
      guint64 *word = &record->stored[first / 64];

      gone += __builtin_popcountll (*word & mask);
      *word &= ~mask;
      first += bits;
    }
  return gone;
}

guint8
hermit_region_discard (HermitRegion *region, guint64 offset, guint64 length)
{
  guint64 end = offset + length;

  while (offset < end)
    {
      guint32 i = EXTENT_OF (offset);
      guint64 next = MIN (((guint64)i + 1) * HERMIT_EXTENT_SIZE, end);
      guint32 slot;

      g_mutex_lock (hermit_extent_lock (region, i));
      slot = atomic_load_explicit (&region->slot[i], memory_order_relaxed);
      if (slot)
        {
          guint gone = slot_clear (hermit_extent_record (region, slot),
                                   PAGE_OF (offset), PAGE_OF (next - 1) + 1);

          atomic_fetch_sub (&region->stored, (guint64)gone * PAGE);
          hermit_extent_let_go (region, i);
          if (gone && atomic_load (&region->store->thin))
            hermit_keeper_wake (region->store->keeper);
        }
      g_mutex_unlock (hermit_extent_lock (region, i));
      offset = next;
    }
  return HERMIT_WIRE_OK;
}

/*
 * Under the extent's lock: all its pages are stored, new ones as zeros. @clean:
 * all of its memory is zeros already.
 */
static gboolean
extent_store_all (HermitRegion *region, guint32 extent, guint32 slot,
                  gboolean clean)
{
  static const guint8 zeros[PAGE];
  HermitLedgerSlot *record = hermit_extent_record (region, slot);

  for (guint i = 0; i < hermit_extent_pages (region, extent); i++)
    {
      if (record->stored[i / 64] >> (i % 64) & 1)
        continue;
      /* What was discarded may still be there. */
      if (!clean
          && !hermit_guard_copy (
              hermit_extent_memory (region, slot) + i * PAGE, zeros, PAGE))
        return FALSE;
      record->stored[i / 64] |= 1ULL << (i % 64);
      atomic_fetch_add (&region->stored, PAGE);
    }
  return TRUE;
}

guint8
hermit_region_lend (HermitRegion *region, guint64 offset, void **memory,
                    guint64 *length)
{
  guint32 i = EXTENT_OF (offset);
  guint pages = hermit_extent_pages (region, i);
  const char *lacking = NULL;
  gboolean ok = FALSE, clean = FALSE;
  guint32 slot;

  g_mutex_lock (hermit_extent_lock (region, i));
  slot = atomic_load (&region->slot[i]);
  if (!slot)
    {
      slot = hermit_extent_take_slot (region, i, &lacking);
      /* Only now: who borrowed it before may have written to it. */
      clean = slot && hermit_slots_clean (region->store->slots, slot);
    }
  if (slot)
    lacking = hermit_extent_grow (region, slot, 0, pages);
  if (!lacking)
    ok = extent_store_all (region, i, slot, clean);
  if (ok)
    region->lent[i]++;
  else
    hermit_extent_let_go (region, i);
  g_mutex_unlock (hermit_extent_lock (region, i));

  region_note_memory (region, lacking);
  if (lacking)
    return HERMIT_WIRE_ENOSPC;
  if (!ok)
    {
      hermit_log (G_LOG_LEVEL_WARNING, region_about (region),
                  "%s: the extent at 0x%" G_GINT64_MODIFIER
                  "x cannot be written",
                  region->label, offset);
      return HERMIT_WIRE_EIO;
    }
  *memory = hermit_extent_memory (region, slot);
  *length = (guint64)pages * PAGE;
  return HERMIT_WIRE_OK;
}

void
hermit_region_take_back (HermitRegion *region, guint64 offset)
{
  guint32 i = EXTENT_OF (offset);

  g_mutex_lock (hermit_extent_lock (region, i));
  g_assert (region->lent[i]);
  region->lent[i]--;
  hermit_extent_let_go (region, i);
  g_mutex_unlock (hermit_extent_lock (region, i));
}

void
hermit_region_set_label (HermitRegion *region, const char *label,
                         const char *uuid)
{
  g_free (region->label);
  g_free (region->uuid);
  region->label = g_strdup (label);
  region->uuid = g_strdup (uuid);
}

guint64 *
hermit_region_note (HermitRegion *region)
{
  HermitLedger *ledger = hermit_slots_ledger (region->store->slots);

  return hermit_ledger_region (ledger, region->number)->note;
}

HermitStore *
hermit_region_store (HermitRegion *region)
{
  return region->store;
}

guint64
hermit_region_size (HermitRegion *region)
{
  return region->size;
}

guint64
hermit_region_reserved (HermitRegion *region)
{
  guint64 reserved;

  g_mutex_lock (&region->account);
  reserved = region->reserved;
  g_mutex_unlock (&region->account);
  return reserved;
}

void
hermit_region_set_need (HermitRegion *region, guint32 need)
{
  guint32 was = atomic_exchange (&region->need, need);

  atomic_store (&region->need_at, g_get_monotonic_time ());
  if (need & ~was & HERMIT_NEED_STUCK)
    hermit_log (G_LOG_LEVEL_WARNING, region_about (region),
                "%s: its pages do not leave this server: its client finds no "
                "room for them elsewhere; give that VM another server, make "
                "room on those it has, or call it off with \"drain off\"",
                region->label);
}

guint32
hermit_region_need (HermitRegion *region)
{
  gint64 age = g_get_monotonic_time () - atomic_load (&region->need_at);

  return age < NEED_US ? atomic_load (&region->need) : HERMIT_NEED_UNSAID;
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

/* It has memory, and nothing is stored in it. */
static gboolean
page_unused (const HermitLedgerSlot *record, guint page)
{
  return hermit_slot_has (record, page)
         && !(record->stored[page / 64] >> (page % 64) & 1);
}

gboolean
hermit_region_trim (HermitRegion *region, guint32 extent)
{
  HermitStore *store = region->store;
  gboolean freed = FALSE;
  guint32 slot;

  g_assert (store->overcommit);
  g_mutex_lock (hermit_extent_lock (region, extent));
  slot = atomic_load (&region->slot[extent]);
  if (slot && !region->lent[extent])
    {
      HermitLedgerSlot *record = hermit_extent_record (region, slot);
      guint before = hermit_slot_pages (record);
      guint left = TRIM_PAGES;
      guint64 bytes;

      for (guint i = 0; i < EXTENT_PAGES && left;)
        {
          guint n = 0;

          while (n < left && i + n < EXTENT_PAGES
                 && page_unused (record, i + n))
            n++;
          if (n && !hermit_slots_shrink (store->slots, slot, i, n))
            break;
          left -= n;
          i += MAX (n, 1);
        }
      bytes = (guint64)(before - hermit_slot_pages (record)) * PAGE;
      freed = bytes > 0;
      atomic_fetch_sub (&region->backed, bytes);
      hermit_region_give_back (region, bytes);
    }
  g_mutex_unlock (hermit_extent_lock (region, extent));
  return freed;
}
