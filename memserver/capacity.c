/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of the store's capacity, and of the host's memory, may be taken. A
 * region has an account of its own:
 *
 *   taken of the store = MAX (reserved, held)
 *
 * so what backs it comes out of what it reserved, and only beyond that out of
 * what nobody has. The same holds for slots, of which each has 2 MiB of a region
 * at most, and perhaps a page.
 */
#include "room.h"
#include "store-inside.h"

/* What may be taken between two looks at what the host has. */
#define CREDIT (8LL << 20)

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

gboolean
hermit_store_take (HermitStore *store, guint64 bytes)
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

void
hermit_store_give_back (HermitStore *store, guint64 bytes)
{
  store_note_thin (store, atomic_fetch_sub (&store->taken, bytes) - bytes);
}

gboolean
hermit_store_take_slots (HermitStore *store, guint64 slots)
{
  guint64 all = hermit_ledger_slots (hermit_slots_ledger (store->slots));
  guint64 promised = atomic_load (&store->promised);

  do
    if (slots > all - MIN (promised, all))
      return FALSE;
  while (!atomic_compare_exchange_weak (&store->promised, &promised,
                                        promised + slots));
  return TRUE;
}

/* What of @n more than @held is beyond @reserved. */
static guint64
beyond (guint64 reserved, guint64 held, guint64 n)
{
  return MAX (reserved, held + n) - MAX (reserved, held);
}

gboolean
hermit_region_take (HermitRegion *region, guint64 bytes)
{
  guint64 more;
  gboolean ok;

  g_mutex_lock (&region->account);
  more = beyond (region->reserved, region->held, bytes);
  ok = !more || hermit_store_take (region->store, more);
  if (ok)
    region->held += bytes;
  g_mutex_unlock (&region->account);
  return ok;
}

void
hermit_region_give_back (HermitRegion *region, guint64 bytes)
{
  guint64 less;

  g_mutex_lock (&region->account);
  region->held -= bytes;
  less = beyond (region->reserved, region->held, bytes);
  if (less)
    hermit_store_give_back (region->store, less);
  g_mutex_unlock (&region->account);
}

gboolean
hermit_region_take_slot (HermitRegion *region)
{
  gboolean ok = TRUE;

  if (region->store->overcommit)
    return TRUE;
  g_mutex_lock (&region->account);
  if (beyond (region->reserved_slots, region->held_slots, 1))
    ok = hermit_store_take_slots (region->store, 1);
  region->held_slots += ok;
  g_mutex_unlock (&region->account);
  return ok;
}

void
hermit_region_give_back_slot (HermitRegion *region)
{
  if (region->store->overcommit)
    return;
  g_mutex_lock (&region->account);
  region->held_slots--;
  if (beyond (region->reserved_slots, region->held_slots, 1))
    atomic_fetch_sub (&region->store->promised, 1);
  g_mutex_unlock (&region->account);
}

gboolean
hermit_region_take_reserve (HermitRegion *region, const char **lacking)
{
  HermitStore *store = region->store;

  if (store->overcommit)
    return TRUE;
  if (!hermit_store_take (store, region->reserved))
    {
      *lacking = "capacity";
      return FALSE;
    }
  if (hermit_store_take_slots (store, region->reserved_slots))
    return TRUE;
  hermit_store_give_back (store, region->reserved);
  *lacking = "slots";
  return FALSE;
}

void
hermit_region_take_adopted (HermitRegion *region)
{
  HermitStore *store = region->store;

  atomic_fetch_add (&store->taken, MAX (region->reserved, region->held));
  if (!store->overcommit)
    atomic_fetch_add (&store->promised,
                      MAX (region->reserved_slots, region->held_slots));
}

void
hermit_region_give_back_all (HermitRegion *region)
{
  HermitStore *store = region->store;

  if (!store->overcommit)
    atomic_fetch_sub (&store->promised,
                      MAX (region->reserved_slots, region->held_slots));
  hermit_store_give_back (store, MAX (region->reserved, region->held));
}

/* The account is locked. Of the store so many bytes and slots more, or nothing. */
static gboolean
region_take_more (HermitRegion *region, guint64 bytes, guint32 slots)
{
  HermitStore *store = region->store;

  if (!hermit_store_take (store, bytes))
    return FALSE;
  if (hermit_store_take_slots (store, slots))
    return TRUE;
  hermit_store_give_back (store, bytes);
  return FALSE;
}

/* The account is locked. @bytes: at most those of the region. */
static void
region_set_reserve (HermitRegion *region, guint64 bytes)
{
  HermitStore *store = region->store;
  guint64 kept = MAX (region->reserved, region->held), taken, left;
  guint32 kept_slots = MAX (region->reserved_slots, region->held_slots);
  guint32 slots;

  if (MAX (bytes, region->held) > kept)
    {
      taken = atomic_load (&store->taken);
      left = store->capacity - MIN (taken, store->capacity);
      bytes = MIN (bytes, kept + left);
      if (store->preallocate)
        bytes -= bytes % HERMIT_SLOT_SIZE;
      if (bytes <= kept)
        return;
      slots = hermit_slots_of (bytes);
      /* Somebody else was faster: the next PING asks again. */
      if (!region_take_more (region, bytes - kept,
                             MAX (slots, kept_slots) - kept_slots))
        return;
      region->reserved = bytes;
      region->reserved_slots = slots;
      return;
    }
  slots = hermit_slots_of (bytes);
  hermit_store_give_back (store, kept - MAX (bytes, region->held));
  atomic_fetch_sub (&store->promised,
                    kept_slots - MAX (slots, region->held_slots));
  region->reserved = bytes;
  region->reserved_slots = slots;
}

void
hermit_region_reserve (HermitRegion *region, guint64 bytes)
{
  HermitStore *store = region->store;

  if (store->overcommit)
    return;
  bytes = MIN (bytes, region->size);
  if (store->preallocate)
    bytes = (guint64)hermit_slots_of (bytes) * HERMIT_SLOT_SIZE;
  g_mutex_lock (&region->account);
  if (bytes != region->reserved)
    {
      region_set_reserve (region, bytes);
      region->unreserved = region->size - MIN (region->reserved, region->size);
      hermit_ledger_region (hermit_slots_ledger (store->slots), region->number)
          ->unreserved
          = region->unreserved;
    }
  g_mutex_unlock (&region->account);
}

guint64
hermit_region_room (HermitRegion *region)
{
  HermitStore *store = region->store;
  guint64 kept, taken;

  g_mutex_lock (&region->account);
  kept = MAX (region->reserved, region->held);
  if (hermit_store_draining (store) == HERMIT_DRAIN_ALL)
    kept = region->held;
  else if (store->overcommit)
    {
      taken = atomic_load (&store->taken);
      kept += store->capacity - MIN (taken, store->capacity);
    }
  g_mutex_unlock (&region->account);
  return kept;
}

/*
 * The host kills processes before its allocations fail, and spares this one;
 * a control group kills this one: stop early instead.
 */
gboolean
hermit_store_has_room (HermitStore *store, guint64 bytes)
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

static _Atomic guint32 *
store_draining (HermitStore *store)
{
  return (_Atomic guint32 *)hermit_ledger_draining (
      hermit_slots_ledger (store->slots));
}

void
hermit_store_drain (HermitStore *store, HermitDrain drain)
{
  atomic_store (store_draining (store), drain);
}

HermitDrain
hermit_store_draining (HermitStore *store)
{
  return MIN (atomic_load (store_draining (store)), HERMIT_DRAIN_ALL);
}
