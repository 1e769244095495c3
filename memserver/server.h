/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SERVER_H
#define HERMIT_SERVER_H
/*
 * What the parts of the server share. Made by main, and but for the atomic ones
 * never changed afterwards; each part does its own locking.
 *
 *   main loop:  signals, accept; threads for control and metrics
 *       |  a socket                                    | asks
 *       v                                              |
 *   door: one thread for all that are not proved       |
 *       |  a client                                    v
 *   conn: a thread each  --attach, detach, end-->  sessions: who uses what
 *       |                                              |
 *       +-------------read, write, discard----------> store: the memory
 *                                                      |
 *                     keeper: a thread that makes and frees it, in slots
 */
#include <glib.h>
#include <stdatomic.h>

#include "histogram.h"
#include "identity.h"
#include "wire/wire.h"

struct HermitStore;
struct HermitSessions;
struct HermitConns;
struct HermitDoor;

/* READ, WRITE, DISCARD, PING */
#define HERMIT_OPS (HERMIT_MSG_PING - HERMIT_MSG_READ + 1)

typedef struct
{
  struct HermitStore *store;
  struct HermitSessions *sessions;
  struct HermitConns *conns;
  struct HermitDoor *door; /* NULL: whoever serves a socket does it alone */
  HermitIdentities *identities;
  guint64 started;       /* seconds since 1970 */
  _Atomic gboolean draining;
  /* by enum hermit_wire_refusal */
  _Atomic guint64 refusals[HERMIT_REFUSE_PROTOCOL + 1];
  HermitHistogram handshakes;
  HermitHistogram requests[HERMIT_OPS]; /* from READ on, as wire.h has them */
  _Atomic guint64 received, sent;       /* bytes, over sockets */
  GMainLoop *loop;
  /*
   * The socket of who wants to take over, see handover.h; -1: nobody. Who sets
   * it quits the loop.
   */
  _Atomic int successor;
} HermitServer;

#endif /* HERMIT_SERVER_H */
