/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store.h"

#include <gio/gio.h>
#include <string.h>

#include "guard.h"
#include "room.h"
#include "store-inside.h"

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
/* Extents looked at under the regions' lock: some 20 us. */
#define LOOKED_AT 256

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

/* ---- what the keeper asks ---- */

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
  return regions && hermit_store_draining (store) != HERMIT_DRAIN_ALL
             ? (guint32)MIN (READY_MAX, store->capacity / HERMIT_SLOT_SIZE / 8)
             : 0;
}

static gboolean
store_may_fill (gpointer data, guint64 held)
{
  HermitStore *store = data;

  return held + HERMIT_SLOT_SIZE <= store->capacity
         && hermit_store_has_room (store, HERMIT_SLOT_SIZE);
}

static gboolean
store_hurry (gpointer data, guint64 held)
{
  HermitStore *store = data;

  return held > store->capacity || atomic_load (&store->thin);
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
      else if (hermit_region_trim (region, store->trim.extent))
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

/* ---- the store ---- */

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
    if (!hermit_store_has_room (store, HERMIT_SLOT_SIZE)
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
    hermit_store_adopt (store);
  if (store->slots
      && (!config->numa
          || hermit_slots_bind (store->slots, config->numa, error))
      && (!store->preallocate || store_preallocate (store, error))
      && hermit_store_thaw (store, error))
    return store;
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

gboolean
hermit_store_thaw (HermitStore *store, GError **error)
{
  store->keeper
      = hermit_keeper_new (store->slots, &store_keeper_ops, store, error);
  store->frozen = !store->keeper;
  return !store->frozen;
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
