/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SESSION_H
#define HERMIT_SESSION_H
/*
 * Who uses which region: sessions, epochs, fences. See "Sessions" in wire.h.
 *
 * A session is made by the first OPEN of its region and lasts until END or
 * forget, with or without connections. Whoever begins a new epoch, or ends a
 * session, first stops the connections it must not find, and waits until their
 * threads have detached: that is the fence. At most one opens a session: a
 * newer one of the same client takes the place of the one that waits.
 *
 * Every function takes the sessions' lock; those that fence wait under it for
 * the connections concerned, a few seconds at most. A session knows of a
 * connection only that it is a member, and can be told to leave.
 */
#include <glib.h>

#include "identity.h"
#include "request.h"
#include "store.h"
#include "wire/wire.h"

/* Connections of one session, and the requests a client should keep on one. */
#define HERMIT_SESSION_CONNECTIONS 64
#define HERMIT_SESSION_INFLIGHT 1024

typedef struct HermitSession HermitSession;
typedef struct HermitSessions HermitSessions;

/* What a connection gives of itself; it is part of it. */
typedef struct HermitMember HermitMember;
struct HermitMember
{
  /*
   * Touch no memory after the request in hand, and detach. Called with the
   * sessions' lock held, while attached, by any thread; does not wait.
   */
  void (*fence) (HermitMember *member);
};

/*
 * With the sessions that an earlier process left in the store: their clients
 * find their memory as it was, in a new epoch.
 */
HermitSessions *hermit_sessions_new (HermitStore *store);
/*
 * Leave everything as it is, for another process: nobody attaches any more and
 * nothing is forgotten, until it is thawed. Connections go on.
 */
void hermit_sessions_freeze (HermitSessions *sessions);
void hermit_sessions_thaw (HermitSessions *sessions);
/* Wait for those who end a session: 10 s at most. */
void hermit_sessions_settle (HermitSessions *sessions);
/* Frees the memory of all sessions; none may have a connection. */
void hermit_sessions_free (HermitSessions *sessions);

/*
 * Attach @member, of a client that has proved itself, as @hello asks: to a new
 * epoch (fencing the older ones; waits, 4 s at most) or to the one it names.
 * Returns 0 with *@session and @welcome, or the code to refuse with and *@why.
 * @unreserved: of a region that this makes; else of no account. See wire.h.
 * A region belongs to the identity that opened it first, which may have as much
 * as its limits say.
 */
guint32 hermit_sessions_attach (HermitSessions *sessions, HermitMember *member,
                                const char *peer, HermitIdentity *identity,
                                const struct hermit_wire_hello *hello,
                                guint64 unreserved, HermitSession **session,
                                struct hermit_wire_welcome *welcome,
                                char **why);

/*
 * @member's thread has left the region for good. *@session may not be used any
 * more.
 */
void hermit_session_detach (HermitSession *session, HermitMember *member);

/*
 * END from @member: fence the others, wait for them, free the memory. @member
 * still has to detach. FALSE if @member itself is being fenced, or if another
 * does not go in 10 s.
 */
gboolean hermit_session_end (HermitSession *session, HermitMember *member);

/*
 * The operator's END. A session with connections is ended only if @force. Fails
 * as well if a connection does not go in 10 s.
 */
gboolean hermit_sessions_forget (HermitSessions *sessions,
                                 const guint8 uuid[16], gboolean force,
                                 GError **error);

/*
 * The same for every session that has had no connection for @older seconds;
 * how many there were, and *@bytes that they stored.
 */
guint hermit_sessions_forget_older (HermitSessions *sessions, guint64 older,
                                    guint64 *bytes);

/* For an attached connection, until it detaches or ends the session. */
HermitRegion *hermit_session_region (HermitSession *session);
HermitCounters *hermit_session_counters (HermitSession *session);
const char *hermit_session_label (HermitSession *session);
const char *hermit_session_uuid (HermitSession *session);

/*
 * Take no new region from now on, or again; see HermitDrain. Those that are there
 * go on, their clients come again, and at some time the last one has ended.
 */
void hermit_sessions_drain (HermitSessions *sessions, HermitDrain drain);

typedef struct
{
  guint regions;
  guint64 stored;
  guint needing; /* regions whose pages are not all on other servers */
  guint stuck;   /* of those: their clients find no room elsewhere */
  HermitDrain draining;
} HermitSessionsTotal;

HermitSessionsTotal hermit_sessions_total (HermitSessions *sessions);

typedef struct
{
  const char *uuid;
  const char *name; /* escaped */
  guint64 size;
  guint64 reserved;
  guint64 stored;
  guint64 backed;
  guint64 epoch;
  guint64 incarnation;
  guint connections;
  const char *owner; /* the identity's name */
  const char *peer;  /* where its last connection came from */
  guint64 age;       /* seconds since it was created */
  guint64 idle;      /* since its last connection left; 0: it has one */
  const HermitCounters *counters;
} HermitSessionInfo;

typedef void (*HermitSessionVisit) (const HermitSessionInfo *info,
                                    gpointer data);

/* Calls @visit for each session, with the lock held. */
void hermit_sessions_visit (HermitSessions *sessions, HermitSessionVisit visit,
                            gpointer data);

#endif /* HERMIT_SESSION_H */
