/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_SESSION_INSIDE_H
#define HERMIT_SESSION_INSIDE_H
/*
 * What session.c and admission.c, which calls it, share. Nobody else includes
 * this. The sessions' lock is held in all functions here.
 */
#include "log.h"
#include "session.h"

struct HermitSessions
{
  HermitStore *store;
  GMutex lock;
  GCond changed;       /* a connection detached, or a session changed */
  GHashTable *table;   /* uuid -> session */
  guint64 *last_epoch; /* epochs are never used twice, for any region */
  gboolean frozen;
};

struct HermitSession
{
  HermitSessions *sessions;
  guint8 uuid[16];
  guint8 client_id[16];
  char *uuid_text;
  char *name;
  char *label; /* for messages */
  HermitIdentity *identity; /* its owner, as it was at the last OPEN */
  char *peer;               /* of the last connection */
  gint64 created;
  gint64 left; /* when the last connection did */
  guint64 size;
  guint64 incarnation;
  guint64 epoch;        /* 0: its members are fenced, and nobody joins */
  HermitRegion *region; /* NULL from its end on */
  GPtrArray *members;   /* attached, not owned */
  HermitMember *opener; /* waits for them to go; the newest that came */
  gboolean changing;    /* a thread ends it */
  HermitCounters counters;
};

/* Of a client that has proved itself, with a region; NULL with @error. */
HermitSession *hermit_session_new (HermitSessions *sessions,
                                   HermitIdentity *identity,
                                   const struct hermit_wire_hello *hello,
                                   guint64 unreserved, GError **error);
/* Without members, and when it has ended. */
void hermit_session_free (HermitSession *session);

/* A new one, which is noted before anybody is told of it. */
void hermit_session_begin_epoch (HermitSession *session);
/* Tell all members but @spare to go; from now on nobody joins them. */
void hermit_session_fence (HermitSession *session, HermitMember *spare);
/*
 * Fence, free the memory, and forget the session. Drops the lock meanwhile.
 * FALSE, and nothing is freed, if a connection does not go.
 */
gboolean hermit_session_close (HermitSession *session, HermitMember *spare,
                               const char *by);

/* For a message about it; @peer may be NULL. */
HermitLogAbout hermit_session_about (const HermitSession *session,
                                     const char *peer);

#endif /* HERMIT_SESSION_INSIDE_H */
