/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_LISTENER_H
#define HERMIT_LISTENER_H

#include <glib.h>

#include "config.h"
#include "peer.h"

typedef struct HermitListener HermitListener;

/* A new connection, in the main loop. The callee owns @fd. */
typedef void (*HermitAccept) (int fd, const HermitPeer *peer, gpointer data);

/*
 * Listen, and call @accept from the default main context until the listener
 * is freed. A Unix socket is open to its owner only.
 */
HermitListener *hermit_listener_tcp_new (const HermitAddress *address,
                                         HermitAccept accept, gpointer data,
                                         GError **error);
HermitListener *hermit_listener_unix_new (const char *path,
                                          HermitAccept accept, gpointer data,
                                          GError **error);
void hermit_listener_free (HermitListener *listener);

/* ADDR:PORT with the port that it really has, or the path. */
const char *hermit_listener_name (HermitListener *listener);

#endif /* HERMIT_LISTENER_H */
