/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_LEDGER_H
#define HERMIT_LEDGER_H
/*
 * What the memory holds: which regions there are, which slot of the memory is
 * whose, and which of its pages are stored. It lies in a memfd beside the
 * memory's own, so that the two together outlive the process:
 *
 *   memory   |  slot 1  |  slot 2  |  slot 3  |  slot 4  | ..    2 MiB each
 *   ledger   header, regions:  1 "a"   2 "b"   ..
 *            slots:   a's 7     -       b's 0      a's 2
 *            stored:  1101..          0010..     1111..          a bit a page
 *            present: 1111..          0010..     1111..          a bit a page
 *
 * Rules, so that a process may die between any two instructions: a page's bit
 * in stored is set after the page was copied and before the client is told;
 * all are cleared before the slot is let go; a slot whose memory is coming or
 * going says so (changing), and what it has is freed by who finds it so.
 *
 * No locks here: who writes what is told by slots.h and store.h.
 */
#include <glib.h>

#include "wire/wire.h"

#define HERMIT_SLOT_SIZE (2u << 20)
#define HERMIT_SLOT_PAGES (HERMIT_SLOT_SIZE / HERMIT_WIRE_PAGE)
#define HERMIT_SLOT_WORDS (HERMIT_SLOT_PAGES / 64)

/* Of one server at a time; a record each, whether used or not. */
#define HERMIT_LEDGER_REGIONS 4096
#define HERMIT_LEDGER_NOTE 448

typedef struct
{
  guint64 size;     /* bytes; 0: there is no such region */
  guint64 ending;   /* its slots are being given back */
  guint64 adopting; /* a server began with it, and did not get to its end */
  /* Bytes that nothing was reserved for; versions that do not know it have 0. */
  guint64 unreserved;
  guint64 reserved[4];
  /*
   * What the region's owner wants to know of it again; see session.c. A region
   * that has none yet, only zeros in the first 8 bytes, is nobody's.
   */
  guint64 note[HERMIT_LEDGER_NOTE / 8];
} HermitLedgerRegion;

typedef struct
{
  guint64 stored[HERMIT_SLOT_WORDS];
  guint64 present[HERMIT_SLOT_WORDS]; /* pages that have memory */
  guint32 region;                     /* number of its owner, 0: nobody */
  guint32 extent;                     /* which 2 MiB of that region */
  guint32 changing;                   /* memory is coming or going */
  guint32 reserved[13];
} HermitLedgerSlot;

/* A page of the slot has memory; how many have. */
static inline gboolean
hermit_slot_has (const HermitLedgerSlot *slot, guint page)
{
  return slot->present[page / 64] >> (page % 64) & 1;
}

static inline guint
hermit_slot_pages (const HermitLedgerSlot *slot)
{
  guint pages = 0;

  for (guint w = 0; w < HERMIT_SLOT_WORDS; w++)
    pages += __builtin_popcountll (slot->present[w]);
  return pages;
}

typedef struct HermitLedger HermitLedger;

/* An empty one for @slots slots; they have the numbers from 1 on. */
HermitLedger *hermit_ledger_new (guint32 slots, GError **error);
/*
 * One that an earlier process left. It is ours from now on: no other can have
 * it as long as this process lives. @fd is the callee's, also after an error.
 */
HermitLedger *hermit_ledger_adopt (int fd, GError **error);
/* Whether @fd is one that hermit_ledger_adopt() would take. */
gboolean hermit_ledger_check (int fd, GError **error);
void hermit_ledger_free (HermitLedger *ledger);

/* Numbers from 1 to HERMIT_LEDGER_REGIONS, and to the number of slots. */
HermitLedgerRegion *hermit_ledger_region (HermitLedger *ledger,
                                          guint32 number);
HermitLedgerSlot *hermit_ledger_slot (HermitLedger *ledger, guint32 slot);
guint32 hermit_ledger_slots (HermitLedger *ledger);
/* The highest number of a slot that was ever used. */
guint32 *hermit_ledger_used (HermitLedger *ledger);
/* The last epoch that a session was given. */
guint64 *hermit_ledger_epoch (HermitLedger *ledger);
/* A HermitDrain. Versions that do not know it have 0 there. */
guint32 *hermit_ledger_draining (HermitLedger *ledger);
int hermit_ledger_fd (HermitLedger *ledger);

#endif /* HERMIT_LEDGER_H */
