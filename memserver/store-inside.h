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
  guint64 promised;

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
  _Atomic guint32 *slot; /* of each extent; 0: none */
  guint8 *lent;          /* of each extent: how often */
  _Atomic guint64 stored;
  _Atomic guint64 backed;
  _Atomic gboolean full; /* the last write found no memory */
  GMutex locks[HERMIT_REGION_LOCKS];   /* extent i and its slot: locks[i % HERMIT_REGION_LOCKS] */
};

/* capacity.c: of the capacity. FALSE if it has not so much left. */
gboolean hermit_store_take (HermitStore *store, guint64 bytes);
void hermit_store_give_back (HermitStore *store, guint64 bytes);
/* The host and the control groups have so much. Some of it may be cached. */
gboolean hermit_store_has_room (HermitStore *store, guint64 bytes);

/* region.c: one without a number; its tables may be NULL. */
HermitRegion *hermit_region_alloc (HermitStore *store, guint64 size,
                                   const char *label);
/* What a region takes of the capacity at its start. */
guint64 hermit_region_takes (HermitStore *store, guint64 size);
/*
 * Free the memory of pages of one extent that are not stored; some of it, and
 * whether there was any. The regions' lock is held. The store is overcommitted:
 * else what a region takes of the capacity is not what backs it.
 */
gboolean hermit_region_trim (HermitRegion *region, guint32 extent);

/* adopt.c: regions and slots as the ledger says. */
void hermit_store_adopt (HermitStore *store);

#endif /* HERMIT_STORE_INSIDE_H */
