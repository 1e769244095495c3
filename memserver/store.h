/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_STORE_H
#define HERMIT_STORE_H
/*
 * The memory that the server lends: a store with a capacity, and regions in
 * it. A region is cut into extents of 2 MiB. An extent that has a stored page
 * points to a slot of the memory (slots.h); one that has none points nowhere:
 *
 *   extent   |     0      |     1      |     2      | ..
 *   slot     |    17      |     -      |     4      |
 *   stored   |1101..   01 |            |0010..   00 |    a bit per page
 *
 * A page that is not stored is told from others and reads as zeros, whatever its
 * slot holds. Only
 * pages that have memory are ever touched through the mapping, so no access
 * allocates: the host's lack of memory shows as a failed fallocate().
 *
 * No call here waits for memory to be made or freed by the 2 MiB. A thread of
 * the store, the keeper, does that: it keeps some slots ready for new extents,
 * frees the memory of those that nobody has needed for some seconds, and, when
 * an overcommitted capacity runs thin, that of pages that are not stored. What
 * an extent that was emptied holds is nobody's from that moment on.
 */
#include <glib.h>

#include "numa.h"
#include "slots.h"

#define HERMIT_EXTENT_SIZE HERMIT_SLOT_SIZE

typedef struct HermitStore HermitStore;
typedef struct HermitRegion HermitRegion;

typedef struct
{
  guint64 capacity;
  guint64 taken; /* of it: what regions reserved, or what backs them if more */
  guint64 backed; /* bytes of memory the extents now hold */
  guint64 idle; /* bytes of memory that are nobody's: ready, or being freed */
} HermitStoreUsage;

typedef struct
{
  guint64 capacity;
  /*
   * A region takes of the capacity only what backs it, whatever it reserves:
   * regions may be larger than the capacity together.
   */
  gboolean overcommit;
  /*
   * Memory is refused while the host has less than this available, or a
   * control group of this process too little.
   */
  guint64 min_free;
  /* All of the capacity has memory from the start; not with overcommit. */
  gboolean preallocate;
  /* It is never swapped out. */
  gboolean lock;
  const HermitNuma *numa; /* where it comes from; NULL: from anywhere */
  /*
   * Descriptors of the memory and the ledger that an earlier process left, or
   * 0: then both are new.
   */
  int memory, ledger;
} HermitStoreConfig;

/* NULL if the memory cannot be had. */
HermitStore *hermit_store_new (const HermitStoreConfig *config,
                               GError **error);
/* After the last region. */
void hermit_store_free (HermitStore *store);
HermitStoreUsage hermit_store_usage (HermitStore *store);

/* What is not lent any more; each refuses what those before it do. */
typedef enum
{
  HERMIT_DRAIN_OFF,
  HERMIT_DRAIN_REGIONS, /* no new region, which is the sessions' to refuse */
  HERMIT_DRAIN_ALL,     /* nor a new extent: writes to those there are go on */
} HermitDrain;

/* In the ledger: it holds for the next process as well. Any thread. */
void hermit_store_drain (HermitStore *store, HermitDrain drain);
HermitDrain hermit_store_draining (HermitStore *store);

/*
 * Leave memory and ledger as they are, for another process: nothing in them is
 * changed any more, nor when regions and store are freed. No other call that
 * would may be running or come. Until it is thawed, which needs a thread: FALSE
 * if there is none to be had.
 */
void hermit_store_freeze (HermitStore *store);
gboolean hermit_store_thaw (HermitStore *store, GError **error);
/* The store's, to be passed on. */
int hermit_store_memory (HermitStore *store);
int hermit_store_ledger (HermitStore *store);
/* See hermit_ledger_epoch(). */
guint64 *hermit_store_epoch (HermitStore *store);

/*
 * A region of @size bytes, a multiple of the page. Without overcommit @reserved
 * bytes of it, all or less, are taken from the capacity now, and of what backs
 * it beyond them as much as there is. @label names it in messages.
 */
HermitRegion *hermit_region_new (HermitStore *store, guint64 size,
                                 guint64 reserved, const char *label,
                                 GError **error);
/*
 * The next region that an earlier process left, after *@at, which is 0 at
 * first; NULL if there is none. It is the caller's as if made by
 * hermit_region_new(), and has to get a label of its own.
 */
HermitRegion *hermit_region_adopt (HermitStore *store, guint32 *at);
/* The UUID is HERMIT_REGION= of its messages. Before anybody else has it. */
void hermit_region_set_label (HermitRegion *region, const char *label,
                              const char *uuid);
/*
 * HERMIT_LEDGER_NOTE bytes that are there again for who adopts the region.
 * Only one that has something in its first 8 bytes is adopted, so they are
 * written last, and atomically.
 */
guint64 *hermit_region_note (HermitRegion *region);

/*
 * No other call on the region may be running. What it took of the capacity is
 * free at once; its memory is ready for others, and freed later.
 */
void hermit_region_free (HermitRegion *region);

/*
 * One page, or for discard any number of pages, which the caller has checked
 * to lie in the region. Any thread; operations on one page are atomic to each
 * other. Return an enum hermit_wire_status; after ENOSPC nothing is stored. With
 * ENOENT, of a page that is not, @page is zeros.
 */
guint8 hermit_region_read (HermitRegion *region, guint64 offset, void *page);
guint8 hermit_region_write (HermitRegion *region, guint64 offset,
                            const void *page);
guint8 hermit_region_discard (HermitRegion *region, guint64 offset,
                              guint64 length);

/*
 * Lend the memory of the extent at @offset, a multiple of HERMIT_EXTENT_SIZE,
 * to somebody who writes without asking: all its pages count as stored from
 * now on, those that were not are zeros. It stays where it is, and is nobody
 * else's, until it was taken back as often as it was lent, also if its pages
 * are discarded meanwhile. Returns an enum hermit_wire_status, with *@memory
 * and *@length. May take a millisecond or two.
 */
guint8 hermit_region_lend (HermitRegion *region, guint64 offset,
                           void **memory, guint64 *length);
/* Nobody writes to it any more. What is stored stays. */
void hermit_region_take_back (HermitRegion *region, guint64 offset);

/* This page will be asked for soon. Changes nothing; @offset is in the region. */
void hermit_region_expect (HermitRegion *region, guint64 offset);

/*
 * From now on keep @bytes of the capacity for it, or as much of that as there is,
 * but no less than backs it. Nothing if the capacity is overcommitted. Any thread.
 */
void hermit_region_reserve (HermitRegion *region, guint64 bytes);
/*
 * Bytes that the region may have here in all, as far as the accounts go: a
 * page where there is no extent yet takes a whole one. Any thread.
 */
guint64 hermit_region_room (HermitRegion *region);
/*
 * What its client says it still needs of this server: HERMIT_NEED_* of wire.h, which
 * is not said any more some seconds after it was. One that gets no further is told of
 * in the log, once. Any thread.
 */
void hermit_region_set_need (HermitRegion *region, guint32 need);
guint32 hermit_region_need (HermitRegion *region);

HermitStore *hermit_region_store (HermitRegion *region);
guint64 hermit_region_size (HermitRegion *region);
/* Of the capacity; 0 if that is overcommitted. */
guint64 hermit_region_reserved (HermitRegion *region);
/* Bytes of the pages that are stored, and of the extents that hold them. */
guint64 hermit_region_stored (HermitRegion *region);
guint64 hermit_region_backed (HermitRegion *region);

#endif /* HERMIT_STORE_H */
