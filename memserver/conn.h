/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_CONN_H
#define HERMIT_CONN_H
/*
 * A connection: a socket, or what else carries frames, and the thread that
 * serves it, from the client's proof to its end. The thread owns it; others
 * only stop it: its session, or the drain of all.
 */
#include <glib.h>
#include <sys/types.h>

#include "handshake.h"
#include "peer.h"
#include "server.h"
#include "session.h"

typedef struct HermitConns HermitConns;

typedef enum
{
  HERMIT_STOP_NONE,
  HERMIT_STOP_DRAIN, /* do what was received, answer it, and go */
  HERMIT_STOP_FENCE, /* touch no memory after the request in hand */
} HermitStop;

HermitConns *hermit_conns_new (void);
void hermit_conns_free (HermitConns *conns);

/*
 * Serve @fd, now owned by the callee, in a new thread; its client is @proved,
 * which is cleared. A HermitProved.
 */
void hermit_conn_start (HermitServer *server, int fd, const HermitPeer *peer,
                        HermitHandshake *proved);

/*
 * The handshake as well, without a door, in the caller's thread; returns at the
 * connection's end.
 */
void hermit_conn_run (HermitServer *server, int fd, const HermitPeer *peer);

/*
 * What a connection that is no socket does itself. All but stop are called by
 * the connection's thread.
 */
typedef struct
{
  /* First: get what it takes to talk to the peer. */
  gboolean (*open) (gpointer io, GError **error);
  /* As hermit_io_receive() and hermit_io_send(). */
  ssize_t (*receive) (gpointer io, void *to, gsize length, gint64 deadline);
  gboolean (*send) (gpointer io, const void *data, gsize length);
  /* Any thread: no more requests; with FENCE end all that is going on. */
  void (*stop) (gpointer io, HermitStop how);
  /* The client has its session, and is about to be told. */
  void (*attached) (gpointer io);
  /* Answer requests until the end, which may be END, or the stop. */
  void (*serve) (gpointer io, HermitSession *session, HermitMember *member,
                 guint64 caps);
  /* When this returned, nothing touches the session's region any more. */
  void (*leave) (gpointer io);
  void (*free) (gpointer io);
} HermitConnOps;

/*
 * The handshake, and what follows, in a new thread, if the door has a place for
 * it; @io is now owned by the callee.
 */
void hermit_conn_start_with (HermitServer *server, const HermitConnOps *ops,
                             gpointer io, const HermitPeer *peer);

/*
 * Drain every connection that there is and wait for the threads; those that
 * cannot get rid of their answers in a few seconds are cut. One that is started
 * meanwhile is neither drained nor waited for. One thread at a time.
 */
void hermit_conns_drain (HermitConns *conns);

#endif /* HERMIT_CONN_H */
