/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_KEEPER_H
#define HERMIT_KEEPER_H
/*
 * The thread that makes and frees memory by the slot, so that no request
 * waits for it. It keeps some slots ready, frees those that are going, those
 * that are ready and that nobody needed for some seconds, and, when memory is
 * thin, that of pages within owned slots.
 */
#include "slots.h"

typedef struct HermitKeeper HermitKeeper;

/* What it asks; called by its thread, without locks. */
typedef struct
{
  /* Ready slots to have now. */
  guint32 (*ready_wanted) (gpointer data);
  /* A slot of memory more is within what may be held. */
  gboolean (*may_fill) (gpointer data, guint64 held);
  /* What is nobody's must go now: memory is thin, or too much is held. */
  gboolean (*hurry) (gpointer data, guint64 held);
  /*
   * Free what can be freed of some owned slots, in well under a millisecond.
   * FALSE if there is nothing left to do.
   */
  gboolean (*trim) (gpointer data);
} HermitKeeperOps;

/* NULL if there is no thread to be had. */
HermitKeeper *hermit_keeper_new (HermitSlots *slots,
                                 const HermitKeeperOps *ops, gpointer data,
                                 GError **error);
/* Ends the thread. */
void hermit_keeper_free (HermitKeeper *keeper);
/* Something has changed that it looks at. Any thread, any lock held. */
void hermit_keeper_wake (HermitKeeper *keeper);

#endif /* HERMIT_KEEPER_H */
