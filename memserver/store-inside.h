/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_STORE_INSIDE_H
#define HERMIT_STORE_INSIDE_H
/*
 * What store.c, adopt.c, region.c, extent.c and capacity.c share: the store in
 * parts, of which each calls those after it. Nobody else includes this.
 */
#include <stdatomic.h>

#include "keeper.h"
#include "slots.h"
#include "store.h"

/* Bounds the metadata (32 MiB for this much) that one HELLO can claim. */
#define HERMIT_REGION_SIZE_MAX (16ULL << 40)
#define HERMIT_REGION_LOCKS 64

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
  /* Slots, if not overcommitted; what was adopted may need more than there are. */
  _Atomic guint64 promised;

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
  char *uuid; /* for messages, as the label; NULL: none yet */
  guint64 size;
  guint32 number; /* in the ledger */
  guint32 extents;
  guint64 unreserved; /* bytes of it, as its client said */
  /* Of the capacity, and of the slots; 0 if that is overcommitted. */
  guint64 reserved;
  guint32 reserved_slots;
  GMutex account; /* a leaf but for the keeper's */
  guint64 held; /* the account's: bytes that back it, or are about to */
  guint32 held_slots;
  _Atomic guint32 *slot; /* of each extent; 0: none */
  guint8 *lent;          /* of each extent: how often */
  _Atomic guint64 stored;
  _Atomic guint64 backed;
  _Atomic gboolean full; /* the last write found no memory */
  _Atomic guint32 need; /* as its client said, at that time */
  _Atomic gint64 need_at;
  GMutex locks[HERMIT_REGION_LOCKS];   /* extent i and its slot: locks[i % HERMIT_REGION_LOCKS] */
};

/* How many slots so many bytes take. */
static inline guint32
hermit_slots_of (guint64 bytes)
{
  return (guint32)((bytes + HERMIT_SLOT_SIZE - 1) / HERMIT_SLOT_SIZE);
}

/* capacity.c: of the capacity. FALSE if it has not so much left. */
gboolean hermit_store_take (HermitStore *store, guint64 bytes);
void hermit_store_give_back (HermitStore *store, guint64 bytes);
/* The same of the slots. */
gboolean hermit_store_take_slots (HermitStore *store, guint64 slots);
/*
 * So much more backs the region: of what it reserved, and then of the store's.
 * FALSE, and nothing, if that has not so much left. And so much less.
 */
gboolean hermit_region_take (HermitRegion *region, guint64 bytes);
void hermit_region_give_back (HermitRegion *region, guint64 bytes);
/* The same for one slot. */
gboolean hermit_region_take_slot (HermitRegion *region);
void hermit_region_give_back_slot (HermitRegion *region);
/*
 * For the whole of it, at its start and at its end. FALSE, and nothing, if its
 * reserve cannot be had, of which there is *@lacking.
 */
gboolean hermit_region_take_reserve (HermitRegion *region,
                                     const char **lacking);
void hermit_region_give_back_all (HermitRegion *region);
/* As if it had been taken, whether there is so much or not. */
void hermit_region_take_adopted (HermitRegion *region);
/* The host and the control groups have so much. Some of it may be cached. */
gboolean hermit_store_has_room (HermitStore *store, guint64 bytes);

/* region.c: one without a number; its tables may be NULL. Takes nothing. */
HermitRegion *hermit_region_alloc (HermitStore *store, guint64 size,
                                   guint64 reserved, const char *label);
/*
 * Free the memory of pages of one extent that are not stored; some of it, and
 * whether there was any. The regions' lock is held. The store is overcommitted:
 * else what is freed may be of what the region reserved, and of use to nobody.
 */
gboolean hermit_region_trim (HermitRegion *region, guint32 extent);

/* adopt.c: regions and slots as the ledger says. */
void hermit_store_adopt (HermitStore *store);

#endif /* HERMIT_STORE_INSIDE_H */
