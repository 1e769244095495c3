/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an earlier process left: regions and slots as the ledger says. */
#include <string.h>

#include "store-inside.h"
#include "wire/wire.h"

#define PAGE HERMIT_WIRE_PAGE

/* See HermitSlotOwner. */
static gboolean
store_slot_owner (guint32 slot, guint32 number, guint32 extent, gpointer data)
{
  HermitStore *store = data;
  HermitLedger *ledger = hermit_slots_ledger (store->slots);
  HermitLedgerSlot *record = hermit_ledger_slot (ledger, slot);
  HermitRegion *region;
  guint64 stored = 0, bytes;

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
  bytes = (guint64)hermit_slot_pages (record) * PAGE;
  atomic_fetch_add (&region->backed, bytes);
  region->held += bytes;
  region->held_slots++;
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
      || record->size % PAGE || record->size > HERMIT_REGION_SIZE_MAX)
    {
      memset (record, 0, sizeof (*record));
      return NULL;
    }
  region = hermit_region_alloc (
      store, record->size, record->size - MIN (record->unreserved, record->size),
      "a region that was left behind");
  if (!region->slot || !region->lent)
    g_error ("no memory to keep track of the regions that are there");
  region->number = number;
  record->adopting = TRUE;
  g_ptr_array_add (store->regions, region);
  return region;
}

void
hermit_store_adopt (HermitStore *store)
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
      hermit_region_take_adopted (region);
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
