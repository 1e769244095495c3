/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_METRICS_H
#define HERMIT_METRICS_H

#include "server.h"

/* All numbers of the server, in the text format of Prometheus. Any thread. */
char *hermit_metrics_text (HermitServer *server);
/* What it lends, in a few words for people. */
char *hermit_metrics_lent (HermitServer *server);

#endif /* HERMIT_METRICS_H */
