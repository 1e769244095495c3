/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_STORE_H
#define HERMIT_STORE_H
/*
 * The memory that the server lends: a store with a capacity, and regions in
 * it. A region is a sparse memfd, backed by extents of 2 MiB that are
 * allocated when one of their pages is first written and freed when the last
 * of them is discarded:
 *
 *   region   |  extent 0  |  extent 1  |  extent 2  | ..
 *   backed   |    yes     |    no      |    yes     |
 *   stored   |1101..   01 |            |0010..   00 |    a bit per page
 *
 * A page that is not stored reads as zeros, whatever its extent holds. Only
 * stored pages of backed extents are ever touched through the mapping, so no
 * access allocates: the host's lack of memory shows as a failed fallocate().
 */
#include <glib.h>

#define HERMIT_EXTENT_SIZE (2u << 20)

typedef struct HermitStore HermitStore;
typedef struct HermitRegion HermitRegion;

typedef struct
{
  guint64 capacity;
  guint64 taken; /* of it: whole regions, or backed extents if overcommitted */
  guint64 backed; /* bytes of memory the extents now hold */
} HermitStoreUsage;

/*
 * With @overcommit a region takes of the capacity only what backs it.
 * Extents are refused while the host has less than @min_free bytes available.
 */
HermitStore *hermit_store_new (guint64 capacity, gboolean overcommit,
                               guint64 min_free);
/* After the last region. */
void hermit_store_free (HermitStore *store);
HermitStoreUsage hermit_store_usage (HermitStore *store);

/*
 * A region of @size bytes, a multiple of the page. Without overcommit all of
 * it is taken from the capacity now. @label names it in messages.
 */
HermitRegion *hermit_region_new (HermitStore *store, guint64 size,
                                 const char *label, GError **error);
/* No other call on the region may be running. */
void hermit_region_free (HermitRegion *region);

/*
 * One page, or for discard any number of pages, which the caller has checked
 * to lie in the region. Any thread; operations on one page are atomic to each
 * other. Return an enum hermit_wire_status; after ENOSPC nothing is stored.
 */
guint8 hermit_region_read (HermitRegion *region, guint64 offset, void *page);
guint8 hermit_region_write (HermitRegion *region, guint64 offset,
                            const void *page);
guint8 hermit_region_discard (HermitRegion *region, guint64 offset,
                              guint64 length);

/*
 * Lend the memory of the extent at @offset, a multiple of HERMIT_EXTENT_SIZE,
 * to somebody who writes without asking: all its pages count as stored from
 * now on, those that were not are zeros. It stays where it is until the extent
 * is discarded. Returns an enum hermit_wire_status, with *@memory and *@length.
 */
guint8 hermit_region_lend (HermitRegion *region, guint64 offset,
                           void **memory, guint64 *length);

/* This page will be asked for soon. Changes nothing; @offset is in the region. */
void hermit_region_expect (HermitRegion *region, guint64 offset);

guint64 hermit_region_size (HermitRegion *region);
/* Bytes of the pages that are stored, and of the extents that hold them. */
guint64 hermit_region_stored (HermitRegion *region);
guint64 hermit_region_backed (HermitRegion *region);

#endif /* HERMIT_STORE_H */
