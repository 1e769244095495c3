/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SLOTS_H
#define HERMIT_SLOTS_H
/*
 * The memory, in slots of 2 MiB of one memfd. There are many more slots than
 * the capacity has memory for. A slot is in one of these states:
 *
 *   empty    without memory
 *     |  grow            | fill (slow)
 *     v                  v
 *   owned  <---take--- ready    nobody's, with all its memory
 *     |                  ^  |
 *     `----give_back-----'  | free_one (slow)
 *     `----give_back---> going ----> empty     nobody's, with some memory
 *
 * A slot that is taken from ready costs no time: that is what they are kept
 * for. One that is taken empty gets memory page by page, as pages come (grow).
 * Memory is freed of slots that nobody owns, except by shrink, which takes
 * some microseconds.
 *
 * Any thread. Of an owned slot's record the owner guards all but what the
 * functions here change in it; functions about one slot exclude each other by
 * the owner's lock.
 */
#include "ledger.h"
#include "numa.h"

typedef struct HermitSlots HermitSlots;

typedef struct
{
  guint64 held;  /* bytes of memory in all slots */
  guint64 owned; /* of it: in those of regions */
  guint32 ready;
  guint32 going;
} HermitSlotsUsage;

/* With @locked what has memory stays there and is not swapped out. */
HermitSlots *hermit_slots_new (guint32 count, gboolean locked, GError **error);
/*
 * The memory and the ledger that an earlier process left; see
 * hermit_ledger_adopt(). The descriptors are the callee's, also after an
 * error. Then each slot that was used is told to @owner, in whose hands it
 * stays if it says so; all others are nobody's.
 */
HermitSlots *hermit_slots_adopt (int memory, int ledger, gboolean locked,
                                 GError **error);
typedef gboolean (*HermitSlotOwner) (guint32 slot, guint32 region,
                                     guint32 extent, gpointer data);
void hermit_slots_sort (HermitSlots *slots, HermitSlotOwner owner,
                        gpointer data);
/* Memory that is not there yet comes from these nodes. */
gboolean hermit_slots_bind (HermitSlots *slots, const HermitNuma *numa,
                            GError **error);
/* The process's descriptor of the memory. */
int hermit_slots_fd (HermitSlots *slots);
void hermit_slots_free (HermitSlots *slots);
HermitLedger *hermit_slots_ledger (HermitSlots *slots);
HermitSlotsUsage hermit_slots_usage (HermitSlots *slots);

/* Bytes of memory in all slots; no lock. */
guint64 hermit_slots_held (HermitSlots *slots);

/* Where the memory of a slot is mapped. */
guint8 *hermit_slots_memory (HermitSlots *slots, guint32 slot);
/*
 * All of its memory was zeros when its owner took it: nobody had it before. What
 * the owner has made of it since is the owner's to know.
 */
gboolean hermit_slots_clean (HermitSlots *slots, guint32 slot);

/*
 * A slot for @extent of @region, with all its memory or with none; 0: none. An empty
 * one is found as long as one has no owner: what it has of memory is freed first, or
 * the change that the keeper makes of it waited for. That takes a millisecond.
 */
guint32 hermit_slots_take_ready (HermitSlots *slots, guint32 region,
                                 guint32 extent);
guint32 hermit_slots_take_empty (HermitSlots *slots, guint32 region,
                                 guint32 extent);
void hermit_slots_give_back (HermitSlots *slots, guint32 slot);

/*
 * Memory for those of the pages [@first, @first + @pages) that have none.
 * FALSE with errno if the host has none; then some may have it.
 */
gboolean hermit_slots_grow (HermitSlots *slots, guint32 slot, guint first,
                            guint pages);
/* Free the memory of the pages, of which none is stored. FALSE with errno. */
gboolean hermit_slots_shrink (HermitSlots *slots, guint32 slot, guint first,
                              guint pages);

/* Make an empty slot ready. FALSE with errno if the host has no memory. */
gboolean hermit_slots_fill (HermitSlots *slots);
/*
 * Free the memory of a slot that is going, or else, if @ready, of one that is
 * ready. FALSE with errno, 0 if there is none.
 */
gboolean hermit_slots_free_one (HermitSlots *slots, gboolean ready);

#endif /* HERMIT_SLOTS_H */
