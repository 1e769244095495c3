/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_EXTENT_H
#define HERMIT_EXTENT_H
/*
 * Extents of a region: which slot each has, and the memory of its pages. All is
 * under the extent's lock. region.c's alone, as store-inside.h.
 */
#include "store-inside.h"

static inline GMutex *
hermit_extent_lock (HermitRegion *region, guint64 extent)
{
  return &region->locks[extent % HERMIT_REGION_LOCKS];
}

/* The last extent may be short. */
static inline guint
hermit_extent_pages (HermitRegion *region, guint64 extent)
{
  return (guint)MIN (HERMIT_SLOT_PAGES,
                     region->size / HERMIT_WIRE_PAGE
                         - extent * HERMIT_SLOT_PAGES);
}

static inline HermitLedgerSlot *
hermit_extent_record (HermitRegion *region, guint32 slot)
{
  return hermit_ledger_slot (hermit_slots_ledger (region->store->slots), slot);
}

static inline guint8 *
hermit_extent_memory (HermitRegion *region, guint32 slot)
{
  return hermit_slots_memory (region->store->slots, slot);
}

/*
 * A slot for it. A ready one, if what is all of its memory can be taken; else
 * one without. 0, with *@why, if there is none.
 */
guint32 hermit_extent_take_slot (HermitRegion *region, guint32 extent,
                                 const char **why);
/* Memory for those of the pages that have none. NULL, or why there is none. */
const char *hermit_extent_grow (HermitRegion *region, guint32 slot,
                                guint first, guint pages);
/*
 * Memory for the page, and, if there is plenty, for those beside it. NULL, or
 * why there is none.
 */
const char *hermit_extent_back_page (HermitRegion *region, guint32 extent,
                                     guint32 slot, guint page);
/* If nothing is stored in its slot that is nobody's. */
void hermit_extent_let_go (HermitRegion *region, guint32 extent);

#endif /* HERMIT_EXTENT_H */
