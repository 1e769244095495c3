/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DOOR_H
#define HERMIT_DOOR_H
/*
 * Connections that have not proved themselves. One thread polls all of them;
 * each has a place, of which there are so many, and a deadline.
 *
 *   accept -> place: HELLO .. AUTH -> proved(): a thread of its own
 *               |  refused            | its end
 *               `-> lingers, at most a second, until the peer has read why
 *
 * Who gets a place. A host that had a client here is *known*; half of the
 * places are for known hosts, half for strangers, so a stranger never displaces
 * a known host. Within its half, a host that has too many places, else the one
 * who came first, goes when somebody comes: a handshake takes as long as a
 * round trip or two, and is over before so many others have come.
 */
#include <glib.h>

#include "handshake.h"
#include "peer.h"
#include "server.h"

typedef struct HermitDoor HermitDoor;

/*
 * Places for sockets; each holds a descriptor. A stranger's host may have one
 * in STRANGER_SHARE, a known one one in KNOWN_SHARE.
 */
#define HERMIT_DOOR_PLACES 512
#define HERMIT_DOOR_STRANGER_SHARE 16
#define HERMIT_DOOR_KNOWN_SHARE 4
/* And for connections whose handshake runs in a thread of their own. */
#define HERMIT_DOOR_THREADS 64

/* Why a connection went before it had proved itself, or was refused. */
typedef enum
{
  HERMIT_DROP_SILENT,  /* its time was over */
  HERMIT_DROP_LEFT,    /* the peer hung up */
  HERMIT_DROP_CROWDED, /* its place was needed */
} HermitDrop;
#define HERMIT_DROPS (HERMIT_DROP_CROWDED + 1)

const char *hermit_drop_name (HermitDrop drop);

/*
 * Has @fd from now on, and what @proved has, which is cleared. By the door's
 * thread, locked.
 */
typedef void (*HermitProved) (HermitServer *server, int fd,
                              const HermitPeer *peer,
                              HermitHandshake *proved);

/*
 * @places: at least 32. Who has proved himself goes to @proved. The thread
 * starts at once; NULL if there is none to be had.
 */
HermitDoor *hermit_door_new (HermitServer *server, guint places,
                             HermitProved proved, GError **error);

/* Any thread, all of them; none waits. @fd is owned by the callee. */
void hermit_door_admit (HermitDoor *door, int fd, const HermitPeer *peer);
/* @fd has been sent its last: close it when the peer has read that. */
void hermit_door_linger (HermitDoor *door, int fd, const HermitPeer *peer);
/* @peer's host has a client: it is known from now on. */
void hermit_door_know (HermitDoor *door, const HermitPeer *peer);

/*
 * A place for a connection that shakes hands in a thread of its own, until
 * hermit_door_leave(); FALSE if there is none. @evict is called, once at most
 * and with the door's lock held, if the place is needed: it must not wait, and
 * the thread is to end soon.
 */
gboolean hermit_door_enter (HermitDoor *door, const HermitPeer *peer,
                            void (*evict) (gpointer data), gpointer data);
void hermit_door_leave (HermitDoor *door, gpointer data);

/* Tell all to come again later, and admit nobody any more. */
void hermit_door_close (HermitDoor *door);
/* Closed, or not; waits for those that linger. */
void hermit_door_free (HermitDoor *door);

typedef struct
{
  guint places, taken, known; /* known: hosts */
  guint64 drops[HERMIT_DROPS];
} HermitDoorUsage;

HermitDoorUsage hermit_door_usage (HermitDoor *door);

#endif /* HERMIT_DOOR_H */
