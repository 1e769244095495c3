/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "keeper.h"

#include <errno.h>
#include <sched.h>

/* A ready slot that nobody needed for so long is freed. */
#define LINGER_US (2 * G_USEC_PER_SEC)

struct HermitKeeper
{
  HermitSlots *slots;
  const HermitKeeperOps *ops;
  gpointer data;
  GThread *thread;

  GMutex lock; /* what follows; taken last */
  GCond work;
  gboolean stopping;
  gboolean woken; /* since the thread last began to look */

  /* the thread's own */
  gint64 round_ends;
  guint32 spare;   /* ready slots that nobody needed since the round began */
  guint32 freeing; /* ready slots still to be freed */
};

/* One thing that is to be done, if there is one; else FALSE. */
static gboolean
keeper_step (HermitKeeper *keeper, gboolean round_over)
{
  HermitSlotsUsage usage = hermit_slots_usage (keeper->slots);
  guint32 wanted = keeper->ops->ready_wanted (keeper->data);
  gboolean hurry = keeper->ops->hurry (keeper->data, usage.held);

  keeper->spare = MIN (keeper->spare, usage.ready);
  if (round_over)
    {
      keeper->freeing = keeper->spare > wanted ? keeper->spare - wanted : 0;
      keeper->spare = usage.ready;
    }
  if (hurry)
    keeper->freeing = usage.ready;
  else if (usage.ready < wanted
           && keeper->ops->may_fill (keeper->data, usage.held)
           /* Else the host is short: it shall have back what can be freed. */
           && hermit_slots_fill (keeper->slots))
    return TRUE;
  if (usage.going)
    return hermit_slots_free_one (keeper->slots, FALSE);
  if (keeper->freeing && usage.ready)
    {
      keeper->freeing--;
      return hermit_slots_free_one (keeper->slots, TRUE);
    }
  return hurry && keeper->ops->trim (keeper->data);
}

/* The lock is held. Until woken, or the round ends, if that matters. */
static void
keeper_wait (HermitKeeper *keeper)
{
  HermitSlotsUsage usage = hermit_slots_usage (keeper->slots);

  if (usage.ready || usage.going
      || keeper->ops->hurry (keeper->data, usage.held))
    g_cond_wait_until (&keeper->work, &keeper->lock, keeper->round_ends);
  else
    g_cond_wait (&keeper->work, &keeper->lock);
}

/*
 * What the keeper does can wait: when it is woken it does not take the processor
 * from who is answering. Else that one waits for as many slots as are lacking.
 */
static void
keeper_give_way (void)
{
  const struct sched_param none = { 0 };

  if (sched_setscheduler (0, SCHED_BATCH, &none))
    g_message ("the thread that makes memory ready cannot give way to others: "
               "%s; answers may take some milliseconds longer",
               g_strerror (errno));
}

static gpointer
keeper_main (gpointer data)
{
  HermitKeeper *keeper = data;

  keeper_give_way ();
  g_mutex_lock (&keeper->lock);
  while (!keeper->stopping)
    {
      gint64 now = g_get_monotonic_time ();
      gboolean round_over = now >= keeper->round_ends;
      gboolean more;

      if (round_over)
        keeper->round_ends = now + LINGER_US;
      keeper->woken = FALSE;
      g_mutex_unlock (&keeper->lock);
      more = keeper_step (keeper, round_over);
      g_mutex_lock (&keeper->lock);
      if (!more && !keeper->woken && !keeper->stopping)
        keeper_wait (keeper);
    }
  g_mutex_unlock (&keeper->lock);
  return NULL;
}

static void
keeper_free (HermitKeeper *keeper)
{
  g_mutex_clear (&keeper->lock);
  g_cond_clear (&keeper->work);
  g_free (keeper);
}

HermitKeeper *
hermit_keeper_new (HermitSlots *slots, const HermitKeeperOps *ops,
                   gpointer data, GError **error)
{
  HermitKeeper *keeper = g_new0 (HermitKeeper, 1);

  keeper->slots = slots;
  keeper->ops = ops;
  keeper->data = data;
  g_mutex_init (&keeper->lock);
  g_cond_init (&keeper->work);
  keeper->thread = g_thread_try_new ("keeper", keeper_main, keeper, error);
  if (keeper->thread)
    return keeper;
  g_prefix_error (error, "no thread for the memory: ");
  keeper_free (keeper);
  return NULL;
}

void
hermit_keeper_free (HermitKeeper *keeper)
{
  g_mutex_lock (&keeper->lock);
  keeper->stopping = TRUE;
  g_cond_signal (&keeper->work);
  g_mutex_unlock (&keeper->lock);
  g_thread_join (keeper->thread);
  keeper_free (keeper);
}

void
hermit_keeper_wake (HermitKeeper *keeper)
{
  g_mutex_lock (&keeper->lock);
  if (!keeper->woken)
    g_cond_signal (&keeper->work);
  keeper->woken = TRUE;
  g_mutex_unlock (&keeper->lock);
}
