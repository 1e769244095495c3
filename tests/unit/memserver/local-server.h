/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_LOCAL_SERVER_H
#define HERMIT_TEST_LOCAL_SERVER_H
/*
 * A server's parts in this process, without keys and listeners: a test gives
 * its door, or a connection's thread, the sockets.
 */
#include "server.h"

/* Of 16 MiB, with so many places at its door. */
void local_server_start (HermitServer *server, guint places);
/* Ends every connection. */
void local_server_stop (HermitServer *server);

#endif /* HERMIT_TEST_LOCAL_SERVER_H */
