/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store.h"

#include <errno.h>
#include <gio/gio.h>
#include <stdatomic.h>
#include <string.h>

#include "guard.h"
#include "keeper.h"
#include "room.h"
#include "wire/wire.h"

#define PAGE HERMIT_WIRE_PAGE
#define EXTENT_PAGES HERMIT_SLOT_PAGES
#define LOCKS 64
/* Bytes of a page to have at hand: enough to wake the processor's own guess. */
#define EXPECTED 512

/* Bounds the metadata (32 MiB for this much) that one HELLO can claim. */
#define REGION_SIZE_MAX (16ULL << 40)

/*
 * Slots for each that the capacity has memory for, so that pages far apart do
 * not use up the slots before the memory; and for small capacities. Their
 * address space is bounded by what the processor has for a process.
 */
#define SLOTS_FACTOR 64
#define SLOTS_MIN 1024
#define SLOTS_MAX ((16ULL << 40) / HERMIT_SLOT_SIZE)

/* Ready slots to keep: more than come between two turns of the keeper. */
#define READY_MAX 16
/* Memory that a slot without it gets at a time, around the page written. */
#define GROW_PAGES 16
/* Pages freed under an extent's lock: some 20 us. */
#define TRIM_PAGES 64
/* Extents looked at under the regions' lock: some 20 us again. */
#define LOOKED_AT 256
/* What may be taken between two looks at what the host has. */
#define CREDIT (8LL << 20)

struct HermitStore
{
  guint64 capacity;
  guint64 min_free;
  gboolean overcommit;
  gboolean preallocate;
  HermitSlots *slots;
  _Atomic guint64 taken;
  _Atomic gint64 credit; /* to be taken without looking */
  /* Overcommitted and nearly used up: pages that are not stored are freed. */
  _Atomic gboolean thin;

  GMutex regions_lock; /* before an extent's lock */
  GPtrArray *regions;  /* not owned */
  guint32 promised;    /* slots, if not overcommitted */

  gboolean frozen;
  GPtrArray *adopted; /* by number, until somebody takes them; or NULL */
  HermitKeeper *keeper;
  /* its own: where it looks for memory to free, and whether it found some */
  struct
  {
    guint region;
    guint32 extent;
    gboolean found;
  } trim;
};

struct HermitRegion
{
  HermitStore *store;
  char *label;
  guint64 size;
  guint32 number; /* in the ledger */
  guint32 extents;
  _Atomic guint32 *slot; /* of each extent; 0: none */
  guint8 *lent;          /* of each extent: how often */
  _Atomic guint64 stored;
  _Atomic guint64 backed;
  _Atomic gboolean full; /* the last write found no memory */
  GMutex locks[LOCKS];   /* extent i and its slot: locks[i % LOCKS] */
};

HermitStoreUsage
hermit_store_usage (HermitStore *store)
{
  HermitSlotsUsage slots = hermit_slots_usage (store->slots);

  return (HermitStoreUsage){
    .capacity = store->capacity,
    .taken = atomic_load (&store->taken),
    .backed = slots.owned,
    .idle = slots.held - slots.owned,
  };
}

/* After taken has changed. Between three quarters and seven eighths: as it is. */
static void
store_note_thin (HermitStore *store, guint64 taken)
{
  guint64 eighth = store->capacity / 8;

  if (!store->overcommit)
    return;
  if (taken > eighth * 7 && !atomic_exchange (&store->thin, TRUE))
    hermit_keeper_wake (store->keeper);
  else if (taken < eighth * 6 && atomic_load (&store->thin))
    atomic_store (&store->thin, FALSE);
}

static gboolean
store_take (HermitStore *store, guint64 bytes)
{
  guint64 taken = atomic_load (&store->taken);

  /* What was adopted may be more than the capacity is now. */
  do
    if (bytes > store->capacity - MIN (taken, store->capacity))
      return FALSE;
  while (!atomic_compare_exchange_weak (&store->taken, &taken, taken + bytes));
  store_note_thin (store, taken + bytes);
  return TRUE;
}

static void
store_give_back (HermitStore *store, guint64 bytes)
{
  store_note_thin (store, atomic_fetch_sub (&store->taken, bytes) - bytes);
}

/*
 * The host kills processes before its allocations fail, and spares this one;
 * a control group kills this one: stop early instead.
 */
static gboolean
store_has_room (HermitStore *store, guint64 bytes)
{
  gint64 credit = atomic_load (&store->credit);
  guint64 left;

  while (credit >= (gint64)bytes)
    if (atomic_compare_exchange_weak (&store->credit, &credit,
                                      credit - (gint64)bytes))
      return TRUE;
  left = hermit_room_left (store->min_free);
  if (left < bytes)
    return FALSE;
  atomic_store (&store->credit, MIN ((gint64)(left - bytes) / 2, CREDIT));
  return TRUE;
}

/* ---- extents ---- */

static GMutex *
region_lock (HermitRegion *region, guint64 extent)
{
  return &region->locks[extent % LOCKS];
}

/* The last extent may be short. */
static guint
extent_pages (HermitRegion *region, guint64 extent)
{
  return (guint)MIN (EXTENT_PAGES,
                     region->size / PAGE - extent * EXTENT_PAGES);
}

static HermitLedgerSlot *
slot_record (HermitRegion *region, guint32 slot)
{
  return hermit_ledger_slot (hermit_slots_ledger (region->store->slots), slot);
}

static guint8 *
slot_memory (HermitRegion *region, guint32 slot)
{
  return hermit_slots_memory (region->store->slots, slot);
}

/*
 * Under the extent's lock: a slot for it. A ready one, if what is all of its
 * memory can be taken; else one without. 0, with *@why, if there is none.
 */
static guint32
extent_take_slot (HermitRegion *region, guint32 extent, const char **why)
{
  HermitStore *store = region->store;
  gboolean whole
      = extent_pages (region, extent) == EXTENT_PAGES || store->preallocate;
  guint32 slot = 0;

  if (whole && (!store->overcommit || store_take (store, HERMIT_SLOT_SIZE)))
    {
      slot = hermit_slots_take_ready (store->slots, region->number, extent);
      if (!slot && store->overcommit)
        store_give_back (store, HERMIT_SLOT_SIZE);
    }
  if (slot)
    {
      atomic_fetch_add (&region->backed, HERMIT_SLOT_SIZE);
      hermit_keeper_wake (store->keeper);
    }
  else
    slot = hermit_slots_take_empty (store->slots, region->number, extent);
  if (slot)
    atomic_store_explicit (&region->slot[extent], slot, memory_order_release);
  else
    *why = "the server has no slot left";
  return slot;
}

static guint64
record_missing (const HermitLedgerSlot *record, guint first, guint pages)
{
  guint64 bytes = 0;

  for (guint i = first; i < first + pages; i++)
    if (!hermit_slot_has (record, i))
      bytes += PAGE;
  return bytes;
}

/*
 * Under the extent's lock: memory for those of the pages that have none. NULL,
 * or why there is none.
 */
static const char *
extent_grow (HermitRegion *region, guint32 slot, guint first, guint pages)
{
  HermitStore *store = region->store;
  HermitLedgerSlot *record = slot_record (region, slot);
  guint64 wanted = record_missing (record, first, pages);
  const char *why = NULL;
  guint64 missing = 0;

  if (!wanted)
    return NULL;
  if (store->overcommit && !store_take (store, wanted))
    return "the server's capacity is used up";
  if (!store_has_room (store, wanted))
    {
      why = "the host or the control group is short of memory (--min-free)";
      missing = wanted;
    }
  else if (!hermit_slots_grow (store->slots, slot, first, pages))
    {
      why = "the host has no memory";
      missing = record_missing (record, first, pages);
    }
  atomic_fetch_add (&region->backed, wanted - missing);
  if (store->overcommit && missing)
    store_give_back (store, missing);
  /* What is nobody's has to go sooner. */
  if (hermit_slots_held (store->slots) > store->capacity)
    hermit_keeper_wake (store->keeper);
  return why;
}

static gboolean
slot_stores (const HermitLedgerSlot *record)
{
  guint64 any = 0;

  for (guint w = 0; w < HERMIT_SLOT_WORDS; w++)
    any |= record->stored[w];
  return any != 0;
}

/* Under the extent's lock: if nothing is in its slot it is nobody's. */
static void
extent_let_go (HermitRegion *region, guint32 extent)
{
  HermitStore *store = region->store;
  guint32 slot = atomic_load (&region->slot[extent]);
  guint64 bytes;

  if (!slot || region->lent[extent]
      || slot_stores (slot_record (region, slot)))
    return;
  bytes = (guint64)hermit_slot_pages (slot_record (region, slot)) * PAGE;
  atomic_store (&region->slot[extent], 0);
  hermit_slots_give_back (store->slots, slot);
  atomic_fetch_sub (&region->backed, bytes);
  if (store->overcommit)
    store_give_back (store, bytes);
  hermit_keeper_wake (store->keeper);
}

/*
 * Under the extent's lock: memory for the page, and, if there is plenty, for
 * those beside it. NULL, or why there is none.
 */
static const char *
extent_back_page (HermitRegion *region, guint32 extent, guint32 slot,
                  guint page)
{
  HermitLedgerSlot *record = slot_record (region, slot);
  guint first = page - page % GROW_PAGES;

  if (hermit_slot_has (record, page))
    return NULL;
  if (!atomic_load (&region->store->thin)
      && !extent_grow (
          region, slot, first,
          MIN (GROW_PAGES, extent_pages (region, extent) - first)))
    return NULL;
  return extent_grow (region, slot, page, 1);
}

/* ---- regions ---- */

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
  const char *lacking = NULL;

  g_mutex_lock (&store->regions_lock);
  region->number = store_free_number (store);
  if (!region->number)
    lacking = "as many regions as a server can have";
  else if (!store->overcommit
           && region->extents > hermit_ledger_slots (ledger) - store->promised)
    lacking = "too many small regions";
  if (lacking)
    {
      region->number = 0;
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "the server has %s",
                   lacking);
    }
  else
    {
      hermit_ledger_region (ledger, region->number)->size = region->size;
      g_ptr_array_add (store->regions, region);
      if (!store->overcommit)
        store->promised += region->extents;
    }
  g_mutex_unlock (&store->regions_lock);
  return !lacking;
}

static void
region_leave (HermitRegion *region)
{
  HermitStore *store = region->store;
  HermitLedger *ledger = hermit_slots_ledger (store->slots);

  g_mutex_lock (&store->regions_lock);
  hermit_ledger_region (ledger, region->number)->ending = TRUE;
  g_ptr_array_remove_fast (store->regions, region);
  if (!store->overcommit)
    store->promised -= region->extents;
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

static HermitRegion *
region_alloc (HermitStore *store, guint64 size, const char *label)
{
  HermitRegion *region = g_new0 (HermitRegion, 1);

  region->store = store;
  region->label = g_strdup (label);
  region->size = size;
  region->extents
      = (guint32)((size + HERMIT_EXTENT_SIZE - 1) / HERMIT_EXTENT_SIZE);
  for (guint i = 0; i < LOCKS; i++)
    g_mutex_init (&region->locks[i]);
  region->slot = g_try_malloc0_n (region->extents, sizeof (*region->slot));
  region->lent = g_try_malloc0_n (region->extents, sizeof (*region->lent));
  return region;
}

/* What a region takes of the capacity at its start. */
static guint64
region_takes (HermitStore *store, guint64 size)
{
  if (store->overcommit)
    return 0;
  /* Of memory that is there in slots it takes whole ones. */
  if (store->preallocate)
    return (size + HERMIT_SLOT_SIZE - 1) / HERMIT_SLOT_SIZE * HERMIT_SLOT_SIZE;
  return size;
}

HermitRegion *
hermit_region_new (HermitStore *store, guint64 size, const char *label,
                   GError **error)
{
  HermitRegion *region = NULL;
  g_autofree char *want = g_format_size_full (size, G_FORMAT_SIZE_IEC_UNITS);

  if (size > REGION_SIZE_MAX)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "%s is more than a region may have", want);
      return NULL;
    }
  if (!store_take (store, region_takes (store, size)))
    {
      g_autofree char *left
          = g_format_size_full (store->capacity - atomic_load (&store->taken),
                                G_FORMAT_SIZE_IEC_UNITS);

      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "%s wanted, %s of the server's capacity left", want, left);
      return NULL;
    }

  region = region_alloc (store, size, label);
  if (!region->slot || !region->lent)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "the server has no memory to keep track of %s", want);
  else if (region_enter (region, error))
    {
      hermit_keeper_wake (store->keeper);
      return region;
    }
  hermit_region_free (region);
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
      if (region->number)
        region_leave (region);
      /* After it left: until then the keeper may have taken some of it. */
      store_give_back (store, store->overcommit
                                  ? atomic_load (&region->backed)
                                  : region_takes (store, region->size));
      hermit_keeper_wake (store->keeper);
    }

  for (guint i = 0; i < LOCKS; i++)
    g_mutex_clear (&region->locks[i]);
  g_free (region->slot);
  g_free (region->lent);
  g_free (region->label);
  g_free (region);
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
  page = slot_memory (region, slot) + offset % HERMIT_EXTENT_SIZE;
  for (guint at = 0; at < EXPECTED; at += 64)
    __builtin_prefetch (page + at);
}

guint8
hermit_region_read (HermitRegion *region, guint64 offset, void *page)
{
  guint32 i = EXTENT_OF (offset);
  gboolean ok = TRUE;
  guint32 slot;

  g_mutex_lock (region_lock (region, i));
  slot = atomic_load_explicit (&region->slot[i], memory_order_relaxed);
  if (slot
      && slot_record (region, slot)->stored[STORED_WORD (offset)]
             & STORED_BIT (offset))
    ok = hermit_guard_copy (
        page, slot_memory (region, slot) + offset % HERMIT_EXTENT_SIZE, PAGE);
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
  guint32 i = EXTENT_OF (offset);
  const char *lacking = NULL;
  gboolean ok = FALSE;
  guint32 slot;

  g_mutex_lock (region_lock (region, i));
  slot = atomic_load_explicit (&region->slot[i], memory_order_relaxed);
  if (!slot)
    slot = extent_take_slot (region, i, &lacking);
  if (slot)
    lacking = extent_back_page (region, i, slot, PAGE_OF (offset));
  if (!lacking)
    ok = hermit_guard_copy (
        slot_memory (region, slot) + offset % HERMIT_EXTENT_SIZE, page, PAGE);
  if (ok)
    {
      guint64 *word
          = &slot_record (region, slot)->stored[STORED_WORD (offset)];

      if (!(*word & STORED_BIT (offset)))
        {
          /* After the copy, also for who finds it when this process died. */
          atomic_signal_fence (memory_order_seq_cst);
          *word |= STORED_BIT (offset);
          atomic_fetch_add (&region->stored, PAGE);
        }
    }
  else
    extent_let_go (region, i);
  g_mutex_unlock (region_lock (region, i));

  region_note_memory (region, lacking);
  if (lacking)
    return HERMIT_WIRE_ENOSPC;
  if (!ok)
    g_warning ("%s: a page at 0x%" G_GINT64_MODIFIER "x cannot be written",
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

      g_mutex_lock (region_lock (region, i));
      slot = atomic_load_explicit (&region->slot[i], memory_order_relaxed);
      if (slot)
        {
          guint gone = slot_clear (slot_record (region, slot),
                                   PAGE_OF (offset), PAGE_OF (next - 1) + 1);

          atomic_fetch_sub (&region->stored, (guint64)gone * PAGE);
          extent_let_go (region, i);
          if (gone && atomic_load (&region->store->thin))
            hermit_keeper_wake (region->store->keeper);
        }
      g_mutex_unlock (region_lock (region, i));
      offset = next;
    }
  return HERMIT_WIRE_OK;
}

/* Under the extent's lock: all its pages are stored, new ones as zeros. */
static gboolean
extent_store_all (HermitRegion *region, guint32 extent, guint32 slot)
{
  static const guint8 zeros[PAGE];
  HermitLedgerSlot *record = slot_record (region, slot);
  gboolean clean = hermit_slots_clean (region->store->slots, slot)
                   && !slot_stores (record);

  for (guint i = 0; i < extent_pages (region, extent); i++)
    {
      if (record->stored[i / 64] >> (i % 64) & 1)
        continue;
      /* What was discarded may still be there. */
      if (!clean
          && !hermit_guard_copy (slot_memory (region, slot) + i * PAGE, zeros,
                                 PAGE))
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
  guint pages = extent_pages (region, i);
  const char *lacking = NULL;
  gboolean ok = FALSE;
  guint32 slot;

  g_mutex_lock (region_lock (region, i));
  slot = atomic_load (&region->slot[i]);
  if (!slot)
    slot = extent_take_slot (region, i, &lacking);
  if (slot)
    lacking = extent_grow (region, slot, 0, pages);
  if (!lacking)
    ok = extent_store_all (region, i, slot);
  if (ok)
    region->lent[i]++;
  else
    extent_let_go (region, i);
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
  *memory = slot_memory (region, slot);
  *length = (guint64)pages * PAGE;
  return HERMIT_WIRE_OK;
}

void
hermit_region_take_back (HermitRegion *region, guint64 offset)
{
  guint32 i = EXTENT_OF (offset);

  g_mutex_lock (region_lock (region, i));
  g_assert (region->lent[i]);
  region->lent[i]--;
  extent_let_go (region, i);
  g_mutex_unlock (region_lock (region, i));
}

void
hermit_region_set_label (HermitRegion *region, const char *label)
{
  g_free (region->label);
  region->label = g_strdup (label);
}

guint64 *
hermit_region_note (HermitRegion *region)
{
  HermitLedger *ledger = hermit_slots_ledger (region->store->slots);

  return hermit_ledger_region (ledger, region->number)->note;
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

/* ---- what the keeper asks, and the store ---- */

static guint32
store_ready_wanted (gpointer data)
{
  HermitStore *store = data;
  guint regions;

  if (store->preallocate)
    return G_MAXUINT32;
  g_mutex_lock (&store->regions_lock);
  regions = store->regions->len;
  g_mutex_unlock (&store->regions_lock);
  return regions
             ? (guint32)MIN (READY_MAX, store->capacity / HERMIT_SLOT_SIZE / 8)
             : 0;
}

static gboolean
store_may_fill (gpointer data, guint64 held)
{
  HermitStore *store = data;

  return held + HERMIT_SLOT_SIZE <= store->capacity
         && store_has_room (store, HERMIT_SLOT_SIZE);
}

static gboolean
store_hurry (gpointer data, guint64 held)
{
  HermitStore *store = data;

  return held > store->capacity || atomic_load (&store->thin);
}

/* It has memory, and nothing is stored in it. */
static gboolean
page_unused (const HermitLedgerSlot *record, guint page)
{
  return hermit_slot_has (record, page)
         && !(record->stored[page / 64] >> (page % 64) & 1);
}

/* Free the memory of pages of one extent that are not stored; some of it. */
static gboolean
extent_trim (HermitRegion *region, guint32 extent)
{
  HermitStore *store = region->store;
  gboolean freed = FALSE;
  guint32 slot;

  g_mutex_lock (region_lock (region, extent));
  slot = atomic_load (&region->slot[extent]);
  if (slot && !region->lent[extent])
    {
      HermitLedgerSlot *record = slot_record (region, slot);
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
      store_give_back (store, bytes);
    }
  g_mutex_unlock (region_lock (region, extent));
  return freed;
}

/*
 * The next extent that has memory to give. FALSE at the end of a pass over all
 * of them that found none.
 */
static gboolean
store_trim (gpointer data)
{
  HermitStore *store = data;
  gboolean going_on = TRUE;
  guint looked = 0;

  if (!atomic_load (&store->thin))
    return FALSE;
  g_mutex_lock (&store->regions_lock);
  /* Not too long under this lock either. */
  while (looked < LOOKED_AT)
    {
      HermitRegion *region;

      if (store->trim.region >= store->regions->len)
        {
          going_on = store->trim.found;
          memset (&store->trim, 0, sizeof (store->trim));
          break;
        }
      region = store->regions->pdata[store->trim.region];
      if (store->trim.extent >= region->extents)
        {
          store->trim.region++;
          store->trim.extent = 0;
        }
      else if (extent_trim (region, store->trim.extent))
        {
          store->trim.found = TRUE;
          break;
        }
      else
        {
          store->trim.extent++;
          looked++;
        }
    }
  g_mutex_unlock (&store->regions_lock);
  return going_on;
}

static const HermitKeeperOps store_keeper_ops = {
  .ready_wanted = store_ready_wanted,
  .may_fill = store_may_fill,
  .hurry = store_hurry,
  .trim = store_trim,
};

/* ---- what an earlier process left ---- */

/* See HermitSlotOwner. */
static gboolean
store_slot_owner (guint32 slot, guint32 number, guint32 extent, gpointer data)
{
  HermitStore *store = data;
  HermitLedger *ledger = hermit_slots_ledger (store->slots);
  HermitLedgerSlot *record = hermit_ledger_slot (ledger, slot);
  HermitRegion *region;
  guint64 stored = 0;

  if (number > HERMIT_LEDGER_REGIONS)
    return FALSE;
  region = store->adopted->pdata[number];
  /* One that is set aside keeps what it has. */
  if (!region)
    return hermit_ledger_region (ledger, number)->adopting;
  if (extent >= region->extents || region->slot[extent])
    {
      g_warning ("%s: slot %u is another one's extent %u: freed",
                 region->label, slot, extent);
      return FALSE;
    }
  for (guint w = 0; w < HERMIT_SLOT_WORDS; w++)
    {
      record->stored[w] &= record->present[w];
      stored += __builtin_popcountll (record->stored[w]);
    }
  if (!stored)
    return FALSE;
  atomic_store (&region->slot[extent], slot);
  atomic_fetch_add (&region->stored, stored * PAGE);
  atomic_fetch_add (&region->backed,
                    (guint64)hermit_slot_pages (record) * PAGE);
  return TRUE;
}

/* The region of this record, if it can be had. */
static HermitRegion *
store_adopt_region (HermitStore *store, guint32 number)
{
  HermitLedger *ledger = hermit_slots_ledger (store->slots);
  HermitLedgerRegion *record = hermit_ledger_region (ledger, number);
  HermitRegion *region;

  if (record->adopting)
    {
      g_warning ("region number %u is set aside: a server ended while it took "
                 "it over; its memory is kept, and lost with this service",
                 number);
      return NULL;
    }
  if (!record->size || record->ending || !record->note[0]
      || record->size % PAGE || record->size > REGION_SIZE_MAX)
    {
      memset (record, 0, sizeof (*record));
      return NULL;
    }
  region = region_alloc (store, record->size, "a region that was left behind");
  if (!region->slot || !region->lent)
    g_error ("no memory to keep track of the regions that are there");
  region->number = number;
  record->adopting = TRUE;
  g_ptr_array_add (store->regions, region);
  return region;
}

/* Regions and slots as the ledger says. */
static void
store_adopt (HermitStore *store)
{
  HermitLedger *ledger = hermit_slots_ledger (store->slots);

  store->adopted = g_ptr_array_new ();
  g_ptr_array_set_size (store->adopted, HERMIT_LEDGER_REGIONS + 1);
  for (guint32 n = 1; n <= HERMIT_LEDGER_REGIONS; n++)
    store->adopted->pdata[n] = store_adopt_region (store, n);
  hermit_slots_sort (store->slots, store_slot_owner, store);
  for (guint i = 0; i < store->regions->len; i++)
    {
      HermitRegion *region = store->regions->pdata[i];

      hermit_ledger_region (ledger, region->number)->adopting = FALSE;
      atomic_fetch_add (&store->taken,
                        store->overcommit
                            ? atomic_load (&region->backed)
                            : region_takes (store, region->size));
      if (!store->overcommit)
        store->promised += region->extents;
    }
}

HermitRegion *
hermit_region_adopt (HermitStore *store, guint32 *at)
{
  while (store->adopted && ++*at <= HERMIT_LEDGER_REGIONS)
    if (store->adopted->pdata[*at])
      return g_steal_pointer (&store->adopted->pdata[*at]);
  g_clear_pointer (&store->adopted, g_ptr_array_unref);
  return NULL;
}

static void
store_free (HermitStore *store)
{
  while (store->regions->len)
    hermit_region_free (store->regions->pdata[0]);
  g_ptr_array_unref (store->regions);
  if (store->adopted)
    g_ptr_array_unref (store->adopted);
  if (store->slots)
    hermit_slots_free (store->slots);
  g_mutex_clear (&store->regions_lock);
  g_free (store);
}

static gboolean
store_preallocate (HermitStore *store, GError **error)
{
  for (guint64 at = hermit_slots_held (store->slots);
       at + HERMIT_SLOT_SIZE <= store->capacity; at += HERMIT_SLOT_SIZE)
    if (!store_has_room (store, HERMIT_SLOT_SIZE)
        || !hermit_slots_fill (store->slots))
      {
        g_autofree char *have
            = g_format_size_full (at, G_FORMAT_SIZE_IEC_UNITS);

        g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                     "--preallocate: the host, or the control group, has no "
                     "more than %s to spare (--min-free): lend less",
                     have);
        return FALSE;
      }
  return TRUE;
}

HermitStore *
hermit_store_new (const HermitStoreConfig *config, GError **error)
{
  HermitStore *store = g_new0 (HermitStore, 1);
  guint64 slots = config->capacity / HERMIT_SLOT_SIZE + 1;

  hermit_guard_init ();
  hermit_room_init ();
  store->capacity = config->capacity;
  store->overcommit = config->overcommit;
  store->preallocate = config->preallocate;
  store->min_free = config->min_free;
  store->regions = g_ptr_array_new ();
  g_mutex_init (&store->regions_lock);
  /* The limit of locked memory counts what could be there. */
  if (!config->lock)
    slots = CLAMP (slots * SLOTS_FACTOR, SLOTS_MIN, MAX (SLOTS_MAX, slots));
  if (config->memory)
    store->slots = hermit_slots_adopt (config->memory, config->ledger,
                                       config->lock, error);
  else if (slots < G_MAXUINT32)
    store->slots = hermit_slots_new ((guint32)slots, config->lock, error);
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                 "the capacity is more than a server can have");
  if (store->slots && config->memory)
    store_adopt (store);
  if (store->slots
      && (!store->preallocate || store_preallocate (store, error)))
    {
      hermit_store_thaw (store);
      return store;
    }
  if (store->slots)
    store->frozen = TRUE;
  store_free (store);
  return NULL;
}

void
hermit_store_freeze (HermitStore *store)
{
  if (store->frozen)
    return;
  hermit_keeper_free (store->keeper);
  store->keeper = NULL;
  store->frozen = TRUE;
}

void
hermit_store_thaw (HermitStore *store)
{
  store->frozen = FALSE;
  store->keeper = hermit_keeper_new (store->slots, &store_keeper_ops, store);
}

int
hermit_store_memory (HermitStore *store)
{
  return hermit_slots_fd (store->slots);
}

int
hermit_store_ledger (HermitStore *store)
{
  return hermit_ledger_fd (hermit_slots_ledger (store->slots));
}

guint64 *
hermit_store_epoch (HermitStore *store)
{
  return hermit_ledger_epoch (hermit_slots_ledger (store->slots));
}

void
hermit_store_free (HermitStore *store)
{
  if (store->keeper)
    hermit_keeper_free (store->keeper);
  g_assert (store->regions->len == 0);
  g_assert (store->frozen || atomic_load (&store->taken) == 0);
  store_free (store);
}
