/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SPIN_H
#define HERMIT_SPIN_H
/*
 * Whether to look for the next request for a moment instead of sleeping until
 * it comes. Waking a sleeping processor takes longer than answering a page,
 * for the client as well as for us, and longest in a virtual machine; but
 * looking costs time of a processor. It pays when requests come one by one,
 * the gaps between them are short, and no other thread of the host waits for a
 * processor.
 */
#include <glib.h>

/* What a connection remembers; zeroed at first. Its thread's alone. */
typedef struct
{
  guint gap_us;   /* eight times the mean of the last gaps */
  gboolean known; /* there was one */
} HermitSpin;

/* The longest to look, in us: no longer than sleeping and waking would take. */
#define HERMIT_SPIN_US 50

/* After @requests came together. */
gboolean hermit_spin_pays (HermitSpin *spin, guint requests);
/* The next ones came @gap us later, however they were waited for. */
void hermit_spin_learn (HermitSpin *spin, gint64 gap);

#endif /* HERMIT_SPIN_H */
