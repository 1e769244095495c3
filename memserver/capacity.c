/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of the store's capacity, and of the host's memory, may be taken. */
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
