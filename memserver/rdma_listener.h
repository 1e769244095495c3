/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_RDMA_LISTENER_H
#define HERMIT_RDMA_LISTENER_H

#include <glib.h>

#include "config.h"
#include "server.h"

typedef struct HermitRdmaListener HermitRdmaListener;

/*
 * Listen for RDMA connections, and start what comes from the default main
 * context until the listener is freed. Fails in a build without RDMA.
 */
HermitRdmaListener *hermit_rdma_listener_new (const HermitAddress *address,
                                              HermitServer *server,
                                              GError **error);
void hermit_rdma_listener_free (HermitRdmaListener *listener);

/* ADDR:PORT with the port that it really has. */
const char *hermit_rdma_listener_name (HermitRdmaListener *listener);

#endif /* HERMIT_RDMA_LISTENER_H */
