/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SPIN_H
#define HERMIT_SPIN_H
/*
 * Whether to look for the next request for a moment instead of sleeping until
 * it comes. Waking a sleeping processor takes longer than answering a page,
 * for the client as well as for us, and longest in a virtual machine; but
 * looking costs time of a processor. It pays when requests come one by one,
 * most of them while one looks, and no other thread of the host waits for a
 * processor.
 *
 * Most, and not the mean of the gaps: in a virtual machine most take 10 to 30 us,
 * and one in seven takes 80 to 200, when a processor was not there. Nor what is
 * measured of a gap that was slept through, unless it was short or much too long
 * all the same: our own waking is in it, which may be most of it. Where nothing is
 * known, one look is tried after some gaps, and after twice as many each time.
 */
#include <glib.h>

/* What a connection remembers; zeroed at first. Its thread's alone. */
typedef struct
{
  guint came;     /* of the last looks, as share of SPIN_ALL: spin.c */
  guint unknown;  /* gaps in a row of which nothing is known */
  guint patience; /* so many of them until the next try; 0: the least */
  gboolean tries; /* the look that pays is a try */
  glong switches; /* its thread's, for others, as they were last seen */
} HermitSpin;

/* The longest to look, in us: no longer than sleeping and waking would take. */
#define HERMIT_SPIN_US 50
/* Sleeping and waking do not make a short gap look as long as this, in us. */
#define HERMIT_SPIN_SLEPT_US 250
/* A look takes one or two, in us: in this time somebody else may have had the processor. */
#define HERMIT_SPIN_AWAY_US 10

/* After @requests came together: whether to look. */
gboolean hermit_spin_pays (HermitSpin *spin, guint requests);
/*
 * A look in vain took @us. FALSE: another thread had the processor meanwhile, perhaps
 * the very one whose request is looked for, so sleep; and for a moment no connection
 * looks at all. A hypervisor that took the processor away is no such thread: it is
 * back, and nobody of this host waits for it.
 */
gboolean hermit_spin_goes_on (HermitSpin *spin, gint64 us);
/* The next ones came @gap us later; @looked is what pays() had said. */
void hermit_spin_learn (HermitSpin *spin, gint64 gap, gboolean looked);

#endif /* HERMIT_SPIN_H */
