/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_KNOWN_H
#define HERMIT_KNOWN_H
/*
 * Hosts that had a client here, by the 16 bytes of HermitPeer.host: some
 * thousand of them, of which the one whose last client is the longest ago is
 * forgotten first. The caller has a lock.
 */
#include <glib.h>

typedef struct HermitKnown HermitKnown;

HermitKnown *hermit_known_new (void);
void hermit_known_free (HermitKnown *known);
/* It has a client, now. */
void hermit_known_add (HermitKnown *known, const guint8 host[16]);
gboolean hermit_known_has (HermitKnown *known, const guint8 host[16]);
guint hermit_known_count (HermitKnown *known);

#endif /* HERMIT_KNOWN_H */
