/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_CONN_H
#define HERMIT_CONN_H
/*
 * A connection: a socket and the thread that serves it, from HELLO to its
 * end. The thread owns the socket; others may only stop it.
 */
#include <glib.h>

#include "server.h"

typedef struct HermitConn HermitConn;
typedef struct HermitConns HermitConns;

typedef enum
{
  HERMIT_STOP_NONE,
  HERMIT_STOP_DRAIN, /* do what was received, answer it, and go */
  HERMIT_STOP_FENCE, /* touch no memory after the request in hand */
} HermitStop;

HermitConns *hermit_conns_new (void);
void hermit_conns_free (HermitConns *conns);

/* Serve @fd, now owned by the callee, in a new thread. Main loop. */
void hermit_conn_start (HermitServer *server, int fd, const char *peer);

/* The same in the caller's thread; returns at the connection's end. */
void hermit_conn_run (HermitServer *server, int fd, const char *peer);

/*
 * Any thread, as long as the connection is known to exist: it is attached to
 * a session and the sessions' lock is held, or the conns' lock is.
 */
void hermit_conn_stop (HermitConn *conn, HermitStop how);

/*
 * Drain every connection and wait for the threads; those that cannot get rid
 * of their answers in a few seconds are cut. None may be started any more.
 */
void hermit_conns_drain (HermitConns *conns);

#endif /* HERMIT_CONN_H */
