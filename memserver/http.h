/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_HTTP_H
#define HERMIT_HTTP_H
/*
 * Numbers and health over HTTP, by libmicrohttpd in a thread of its own: what
 * strangers do there touches neither clients nor the control socket.
 *
 *   GET /metrics   for Prometheus
 *   GET /health    200 while the server serves, 503 when it shuts down
 */
#include "config.h"
#include "server.h"

typedef struct HermitHttp HermitHttp;

HermitHttp *hermit_http_new (HermitServer *server,
                             const HermitAddress *address, GError **error);
/* NULL is fine. */
void hermit_http_free (HermitHttp *http);

/* ADDR:PORT with the port that it really has. */
const char *hermit_http_name (HermitHttp *http);

#endif /* HERMIT_HTTP_H */
