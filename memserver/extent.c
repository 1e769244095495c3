/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "extent.h"

#define PAGE HERMIT_WIRE_PAGE
#define EXTENT_PAGES HERMIT_SLOT_PAGES
/* Memory that a slot without it gets at a time, around the page written. */
#define GROW_PAGES 16

guint32
hermit_extent_take_slot (HermitRegion *region, guint32 extent, const char **why)
{
  HermitStore *store = region->store;
  gboolean whole
      = hermit_extent_pages (region, extent) == EXTENT_PAGES
        || store->preallocate;
  guint32 slot = 0;

  if (hermit_store_draining (store) == HERMIT_DRAIN_ALL)
    {
      *why = "the server is being drained";
      return 0;
    }
  *why = "the server has no slot left";
  if (!hermit_region_take_slot (region))
    return 0;
  if (whole && hermit_region_take (region, HERMIT_SLOT_SIZE))
    {
      slot = hermit_slots_take_ready (store->slots, region->number, extent);
      if (!slot)
        hermit_region_give_back (region, HERMIT_SLOT_SIZE);
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
    hermit_region_give_back_slot (region);
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

const char *
hermit_extent_grow (HermitRegion *region, guint32 slot, guint first,
                    guint pages)
{
  HermitStore *store = region->store;
  HermitLedgerSlot *record = hermit_extent_record (region, slot);
  guint64 wanted = record_missing (record, first, pages);
  const char *why = NULL;
  guint64 missing = 0;

  if (!wanted)
    return NULL;
  if (!hermit_region_take (region, wanted))
    return "the server's capacity is used up";
  if (!hermit_store_has_room (store, wanted))
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
  if (missing)
    hermit_region_give_back (region, missing);
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

void
hermit_extent_let_go (HermitRegion *region, guint32 extent)
{
  HermitStore *store = region->store;
  guint32 slot = atomic_load (&region->slot[extent]);
  guint64 bytes;

  if (!slot || region->lent[extent]
      || slot_stores (hermit_extent_record (region, slot)))
    return;
  bytes = (guint64)hermit_slot_pages (hermit_extent_record (region, slot))
          * PAGE;
  atomic_store (&region->slot[extent], 0);
  hermit_slots_give_back (store->slots, slot);
  atomic_fetch_sub (&region->backed, bytes);
  hermit_region_give_back (region, bytes);
  hermit_region_give_back_slot (region);
  hermit_keeper_wake (store->keeper);
}

const char *
hermit_extent_back_page (HermitRegion *region, guint32 extent, guint32 slot,
                  guint page)
{
  HermitLedgerSlot *record = hermit_extent_record (region, slot);
  guint first = page - page % GROW_PAGES;

  if (hermit_slot_has (record, page))
    return NULL;
  if (!atomic_load (&region->store->thin)
      && !hermit_extent_grow (
          region, slot, first,
          MIN (GROW_PAGES, hermit_extent_pages (region, extent) - first)))
    return NULL;
  return hermit_extent_grow (region, slot, page, 1);
}
