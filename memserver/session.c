/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include <gio/gio.h>
#include <stdatomic.h>
#include <string.h>

#include "auth.h"
#include "log.h"

/*
 * How long one waits for connections that have to go first. A thread that
 * stands still, as one that waits for a device, holds up its own session only:
 * whoever wants that comes again. A handshake is answered before its client
 * gives up.
 */
#define ATTACH_US (4 * G_USEC_PER_SEC)
#define END_US (10 * G_USEC_PER_SEC)

struct HermitSessions
{
  HermitStore *store;
  GMutex lock;
  GCond changed;       /* a connection detached, or a session changed */
  GHashTable *table;   /* uuid -> session */
  guint64 *last_epoch; /* epochs are never used twice, for any region */
  gboolean frozen;
};

/* What the store keeps of a session for the next process. */
typedef struct
{
  guint64 incarnation; /* 0: it is not complete */
  guint64 epoch;
  guint8 uuid[16];
  guint8 client_id[16];
  char name[64];
  char owner[256]; /* the identity's name: that of a file */
  guint64 reserved[10];
} SessionNote;

G_STATIC_ASSERT (sizeof (SessionNote) == HERMIT_LEDGER_NOTE);

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

static guint
uuid_hash (gconstpointer key)
{
  guint32 words[4];

  memcpy (words, key, sizeof (words));
  return words[0] ^ words[1] ^ words[2] ^ words[3];
}

static gboolean
uuid_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, 16) == 0;
}

char *
hermit_uuid_text (const guint8 uuid[16])
{
  GString *text = g_string_sized_new (37);

  for (guint i = 0; i < 16; i++)
    g_string_append_printf (text, "%s%02x",
                            i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                            uuid[i]);
  return g_string_free (text, FALSE);
}

gboolean
hermit_uuid_parse (const char *text, guint8 uuid[16])
{
  if (!g_uuid_string_is_valid (text))
    return FALSE;
  for (guint i = 0; i < 16; i++)
    {
      if (*text == '-')
        text++;
      uuid[i] = g_ascii_xdigit_value (text[0]) << 4
                | g_ascii_xdigit_value (text[1]);
      text += 2;
    }
  return TRUE;
}

static SessionNote *
session_note (HermitSession *session)
{
  return (SessionNote *)hermit_region_note (session->region);
}

/* The lock is held. Nobody is told of it before it is noted. */
static void
session_begin_epoch (HermitSession *session)
{
  session->epoch = ++*session->sessions->last_epoch;
  session_note (session)->epoch = session->epoch;
}

/* @peer may be NULL. */
static HermitLogAbout
session_about (const HermitSession *session, const char *peer)
{
  return (HermitLogAbout){ .peer = peer, .region = session->uuid_text };
}

/* A session without its region. */
static HermitSession *
session_alloc (HermitSessions *sessions, const guint8 uuid[16],
               const guint8 client_id[16], const char *name, guint64 size)
{
  HermitSession *session = g_new0 (HermitSession, 1);

  session->sessions = sessions;
  memcpy (session->uuid, uuid, sizeof (session->uuid));
  memcpy (session->client_id, client_id, sizeof (session->client_id));
  session->uuid_text = hermit_uuid_text (uuid);
  session->name = g_strescape (name, NULL);
  session->label = g_strdup_printf ("region %s \"%s\"", session->uuid_text,
                                    session->name);
  session->size = size;
  session->members = g_ptr_array_new ();
  session->created = session->left = g_get_monotonic_time ();
  return session;
}

/* What an earlier process left. */
static void
sessions_adopt (HermitSessions *sessions)
{
  HermitRegion *region;
  guint32 at = 0;

  while ((region = hermit_region_adopt (sessions->store, &at)))
    {
      SessionNote *note = (SessionNote *)hermit_region_note (region);
      g_autofree char *name = g_strndup (note->name, sizeof (note->name));
      g_autofree char *owner = g_strndup (note->owner, sizeof (note->owner));
      g_autofree char *stored = g_format_size_full (
          hermit_region_stored (region), G_FORMAT_SIZE_IEC_UNITS);
      HermitSession *session
          = session_alloc (sessions, note->uuid, note->client_id, name,
                           hermit_region_size (region));

      hermit_region_set_label (region, session->label, session->uuid_text);
      session->region = region;
      session->incarnation = note->incarnation;
      session->identity = hermit_identity_bare (owner);
      session->peer = g_strdup ("-");
      /* Connections to the other process may not join: they never end. */
      session_begin_epoch (session);
      g_hash_table_insert (sessions->table, session->uuid, session);
      hermit_log (G_LOG_LEVEL_MESSAGE, session_about (session, NULL),
                  "%s: taken over, with %s", session->label, stored);
    }
}

HermitSessions *
hermit_sessions_new (HermitStore *store)
{
  HermitSessions *sessions = g_new0 (HermitSessions, 1);

  sessions->store = store;
  g_mutex_init (&sessions->lock);
  g_cond_init (&sessions->changed);
  sessions->table = g_hash_table_new (uuid_hash, uuid_equal);
  /* Not those of a process that left nothing, nor, by a clock set back, ours. */
  sessions->last_epoch = hermit_store_epoch (store);
  *sessions->last_epoch
      = MAX (*sessions->last_epoch, (guint64)g_get_real_time ());
  sessions_adopt (sessions);
  return sessions;
}

void
hermit_sessions_freeze (HermitSessions *sessions)
{
  g_mutex_lock (&sessions->lock);
  sessions->frozen = TRUE;
  /* For those who wait to attach. */
  g_cond_broadcast (&sessions->changed);
  g_mutex_unlock (&sessions->lock);
}

void
hermit_sessions_settle (HermitSessions *sessions)
{
  GHashTableIter iter;
  gpointer value;

  g_mutex_lock (&sessions->lock);
  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((HermitSession *)value)->changing)
      {
        g_cond_wait (&sessions->changed, &sessions->lock);
        g_hash_table_iter_init (&iter, sessions->table);
      }
  g_mutex_unlock (&sessions->lock);
}

void
hermit_sessions_thaw (HermitSessions *sessions)
{
  g_mutex_lock (&sessions->lock);
  sessions->frozen = FALSE;
  g_mutex_unlock (&sessions->lock);
}

static void
session_free (HermitSession *session)
{
  g_assert (session->members->len == 0);
  g_ptr_array_unref (session->members);
  g_free (session->uuid_text);
  g_free (session->name);
  g_free (session->label);
  g_free (session->peer);
  hermit_identity_unref (session->identity);
  g_free (session);
}

void
hermit_sessions_free (HermitSessions *sessions)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      HermitSession *session = value;

      hermit_region_free (session->region);
      session_free (session);
    }
  g_hash_table_unref (sessions->table);
  g_cond_clear (&sessions->changed);
  g_mutex_clear (&sessions->lock);
  g_free (sessions);
}

static HermitSession *
session_new (HermitSessions *sessions, HermitIdentity *identity,
             const struct hermit_wire_hello *hello, GError **error)
{
  HermitSession *session
      = session_alloc (sessions, hello->uuid, hello->client_id, hello->name,
                       le64_to_cpu (hello->region_size));
  SessionNote *note;

  session->identity = hermit_identity_ref (identity);
  while (!session->incarnation)
    hermit_random (&session->incarnation, sizeof (session->incarnation));
  session->region = hermit_region_new (sessions->store, session->size,
                                       session->label, error);
  if (!session->region)
    {
      session_free (session);
      return NULL;
    }
  hermit_region_set_label (session->region, session->label,
                           session->uuid_text);
  note = session_note (session);
  memcpy (note->uuid, session->uuid, sizeof (note->uuid));
  memcpy (note->client_id, session->client_id, sizeof (note->client_id));
  g_strlcpy (note->name, hello->name, sizeof (note->name));
  g_strlcpy (note->owner, identity->name, sizeof (note->owner));
  session_begin_epoch (session);
  /* Last: with it the note is complete. */
  atomic_store ((_Atomic guint64 *)&note->incarnation, session->incarnation);
  g_hash_table_insert (sessions->table, session->uuid, session);
  return session;
}

/* Tell all members but @spare to go; from now on nobody joins them. */
static void
session_fence (HermitSession *session, HermitMember *spare)
{
  session->epoch = 0;
  for (guint i = 0; i < session->members->len; i++)
    {
      HermitMember *member = session->members->pdata[i];

      if (member != spare)
        member->fence (member);
    }
  /* For an opener that is not the newest any more. */
  g_cond_broadcast (&session->sessions->changed);
}

/*
 * Fence, free the memory, and forget the session. Drops the lock meanwhile.
 * FALSE, and nothing is freed, if a connection does not go.
 */
static gboolean
session_end (HermitSession *session, HermitMember *spare, const char *by)
{
  HermitSessions *sessions = session->sessions;
  gint64 deadline = g_get_monotonic_time () + END_US;
  HermitRegion *region = session->region;
  g_autofree char *stored = NULL;

  session->changing = TRUE;
  session_fence (session, spare);
  while (session->members->len > (spare ? 1 : 0))
    if (!g_cond_wait_until (&sessions->changed, &sessions->lock, deadline)
        && session->members->len > (spare ? 1 : 0))
      {
        hermit_log (G_LOG_LEVEL_WARNING, session_about (session, NULL),
                    "%s: not ended by %s: %u connections do not go: their "
                    "threads stand still",
                    session->label, by,
                    session->members->len - (spare ? 1 : 0));
        session->changing = FALSE;
        g_cond_broadcast (&sessions->changed);
        return FALSE;
      }
  session->region = NULL;
  stored = g_format_size_full (hermit_region_stored (region),
                               G_FORMAT_SIZE_IEC_UNITS);
  /* Terabytes take a while, and other sessions go on. */
  g_mutex_unlock (&sessions->lock);
  hermit_region_free (region);
  g_mutex_lock (&sessions->lock);
  /* Still changing: who waits for that finds no session at all. */
  g_hash_table_remove (sessions->table, session->uuid);
  g_cond_broadcast (&sessions->changed);
  hermit_log (G_LOG_LEVEL_MESSAGE, session_about (session, NULL),
              "%s: ended by %s, %s freed", session->label, by, stored);
  if (hermit_store_draining (sessions->store)
      && !g_hash_table_size (sessions->table))
    g_message ("drained: nothing is lent any more");
  return TRUE;
}

static gboolean
session_is_of (const HermitSession *session, const HermitIdentity *identity)
{
  return !strcmp (session->identity->name, identity->name);
}

typedef struct
{
  guint64 bytes;
  guint regions, connections;
} Used;

/* What all sessions of @identity have. */
static Used
sessions_used (HermitSessions *sessions, const HermitIdentity *identity)
{
  Used used = { 0 };
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      HermitSession *s = value;

      if (!session_is_of (s, identity))
        continue;
      used.bytes += s->size;
      used.regions++;
      used.connections += s->members->len;
    }
  return used;
}

/* The first OPEN of a region. */
static guint32
sessions_create (HermitSessions *sessions, const char *peer,
                 HermitIdentity *identity,
                 const struct hermit_wire_hello *hello,
                 HermitSession **session, char **why)
{
  Used used = sessions_used (sessions, identity);
  g_autoptr (GError) error = NULL;
  g_autofree char *size = NULL;
  HermitSession *s;

  if (hermit_store_draining (sessions->store))
    {
      *why = g_strdup ("the server is being drained, and takes no new region");
      return HERMIT_REFUSE_CAPACITY;
    }
  if (used.regions >= identity->regions)
    {
      *why = g_strdup_printf ("%s may have %u regions and has them",
                              identity->name, identity->regions);
      return HERMIT_REFUSE_CAPACITY;
    }
  if (used.bytes > identity->bytes
      || le64_to_cpu (hello->region_size) > identity->bytes - used.bytes)
    {
      *why = g_strdup_printf ("%s may have %" G_GUINT64_FORMAT
                              " bytes and has %" G_GUINT64_FORMAT,
                              identity->name, identity->bytes, used.bytes);
      return HERMIT_REFUSE_CAPACITY;
    }
  s = session_new (sessions, identity, hello, &error);
  if (!s)
    {
      *why = g_strdup (error->message);
      return HERMIT_REFUSE_CAPACITY;
    }
  size = g_format_size_full (s->size, G_FORMAT_SIZE_IEC_UNITS);
  hermit_log (G_LOG_LEVEL_MESSAGE, session_about (s, peer),
              "%s: created by %s: %s, epoch %" G_GUINT64_FORMAT, s->label,
              peer, size, s->epoch);
  *session = s;
  return 0;
}

/* May the client of @hello have anything to do with @session? */
static guint32
session_check (HermitSession *session, const HermitIdentity *identity,
               const struct hermit_wire_hello *hello, char **why)
{
  if (!session_is_of (session, identity))
    {
      *why = g_strdup_printf ("region %s was made with another key than that "
                              "of %s",
                              session->uuid_text, identity->name);
      return HERMIT_REFUSE_KEY;
    }
  if (memcmp (session->client_id, hello->client_id,
              sizeof (session->client_id))
      != 0)
    {
      /* with what an operator gives to "forget", in less than 120 bytes */
      *why = g_strdup_printf (session->members->len
                                  ? "another client is using region %s"
                                  : "another client left region %s behind: "
                                    "forget it on the server to give it away",
                              session->uuid_text);
      return HERMIT_REFUSE_BUSY;
    }
  if (session->size != le64_to_cpu (hello->region_size))
    {
      *why = g_strdup_printf ("the region has %" G_GUINT64_FORMAT " bytes",
                              session->size);
      return HERMIT_REFUSE_SIZE;
    }
  return 0;
}

/* May @identity have one more connection? An OPEN ends those of @session. */
static guint32
sessions_check_connections (HermitSessions *sessions,
                            const HermitIdentity *identity,
                            const HermitSession *session, gboolean open,
                            char **why)
{
  guint used = sessions_used (sessions, identity).connections;

  if (session && open)
    used -= session->members->len;
  if (used < identity->connections)
    return 0;
  *why = g_strdup_printf ("%s may have %u connections and has them",
                          identity->name, identity->connections);
  return HERMIT_REFUSE_BUSY;
}

/* HELLO without OPEN: one more connection of the epoch it names. */
static guint32
session_join (HermitSession *session, const struct hermit_wire_hello *hello,
              char **why)
{
  if (!session || session->epoch != le64_to_cpu (hello->epoch))
    {
      *why = g_strdup ("the epoch to join is over");
      return HERMIT_REFUSE_EPOCH;
    }
  if (session->members->len >= HERMIT_SESSION_CONNECTIONS)
    {
      *why = g_strdup_printf ("the session has %u connections already",
                              session->members->len);
      return HERMIT_REFUSE_BUSY;
    }
  return 0;
}

/*
 * HELLO with OPEN of a region that is there: @member is its opener until the
 * members of older epochs are gone, unless a newer one of its client comes.
 * *@waits_for: the incarnation it is the opener of, 0 at first. FALSE: not yet.
 */
static gboolean
session_open (HermitSession *session, HermitMember *member, const char *peer,
              HermitIdentity *identity, guint64 *waits_for, guint32 *code, char **why)
{
  *code = 0;
  if (*waits_for != session->incarnation)
    {
      *waits_for = session->incarnation;
      session->opener = member;
      session_fence (session, NULL);
    }
  else if (session->opener != member)
    {
      *why = g_strdup ("a newer connection of this client opens the region");
      *code = HERMIT_REFUSE_EPOCH;
      return TRUE;
    }
  if (session->members->len)
    return FALSE;
  session_begin_epoch (session);
  /* Its limits may have changed meanwhile. */
  hermit_identity_unref (session->identity);
  session->identity = hermit_identity_ref (identity);
  hermit_log (G_LOG_LEVEL_MESSAGE, session_about (session, peer),
              "%s: attached again by %s, epoch %" G_GUINT64_FORMAT,
              session->label, peer, session->epoch);
  return TRUE;
}

/*
 * May another client of @identity, whose own @session is, take it over? Never
 * one that is connected; what it holds is freed, and nothing is inherited.
 */
static gboolean
session_is_left (const HermitSession *session, const HermitIdentity *identity,
                 const struct hermit_wire_hello *hello)
{
  gint64 idle = g_get_monotonic_time () - session->left;

  return le32_to_cpu (hello->flags) & HERMIT_HELLO_OPEN
         && session_is_of (session, identity) && !session->members->len
         && memcmp (session->client_id, hello->client_id,
                    sizeof (session->client_id))
         && (guint64)idle / G_USEC_PER_SEC >= identity->takeover;
}

static guint32
sessions_attach (HermitSessions *sessions, HermitMember *member,
                 const char *peer, HermitIdentity *identity,
                 const struct hermit_wire_hello *hello,
                 HermitSession **session, char **why)
{
  gboolean open = le32_to_cpu (hello->flags) & HERMIT_HELLO_OPEN;
  gint64 deadline = g_get_monotonic_time () + ATTACH_US;
  gboolean in_time = TRUE;
  guint64 waits_for = 0;
  HermitSession *s;
  guint32 code = 0;

  /* After each wait from the start: it may have ended, and begun anew. */
  for (;;)
    {
      s = g_hash_table_lookup (sessions->table, hello->uuid);
      if (sessions->frozen)
        {
          *why = g_strdup ("the server hands over to another process");
          code = HERMIT_REFUSE_DRAINING;
          break;
        }
      if (s && !s->changing && session_is_left (s, identity, hello)
          && session_end (s, NULL, "another client of its owner"))
        {
          session_free (s);
          continue;
        }
      if (!s || !s->changing)
        {
          code = s ? session_check (s, identity, hello, why) : 0;
          if (!code)
            code = sessions_check_connections (sessions, identity, s, open,
                                               why);
          if (code)
            break;
          if (!open)
            code = session_join (s, hello, why);
          else if (!s)
            code = sessions_create (sessions, peer, identity, hello, &s, why);
          else if (!session_open (s, member, peer, identity, &waits_for,
                                  &code, why))
            goto wait;
          break;
        }
    wait:
      if (!in_time)
        {
          *why = g_strdup_printf ("older connections of region %s do not go: "
                                  "come again",
                                  s->uuid_text);
          code = HERMIT_REFUSE_BUSY;
          break;
        }
      in_time = g_cond_wait_until (&sessions->changed, &sessions->lock,
                                   deadline);
    }
  if (s && s->opener == member)
    s->opener = NULL;
  *session = s;
  return code;
}

guint32
hermit_sessions_attach (HermitSessions *sessions, HermitMember *member,
                        const char *peer, HermitIdentity *identity,
                        const struct hermit_wire_hello *hello,
                        HermitSession **session,
                        struct hermit_wire_welcome *welcome, char **why)
{
  guint32 code;

  g_mutex_lock (&sessions->lock);
  code = sessions_attach (sessions, member, peer, identity, hello, session,
                          why);
  if (!code)
    {
      HermitSession *s = *session;

      g_ptr_array_add (s->members, member);
      g_free (s->peer);
      s->peer = g_strdup (peer);
      *welcome = (struct hermit_wire_welcome){
        .incarnation = cpu_to_le64 (s->incarnation),
        .epoch = cpu_to_le64 (s->epoch),
        .capacity = cpu_to_le64 (hermit_store_usage (sessions->store).capacity),
        .used = cpu_to_le64 (hermit_region_stored (s->region)),
        .max_connections = cpu_to_le32 (HERMIT_SESSION_CONNECTIONS),
        .max_inflight = cpu_to_le32 (HERMIT_SESSION_INFLIGHT),
      };
    }
  g_mutex_unlock (&sessions->lock);
  return code;
}

void
hermit_session_detach (HermitSession *session, HermitMember *member)
{
  HermitSessions *sessions = session->sessions;

  g_mutex_lock (&sessions->lock);
  g_ptr_array_remove_fast (session->members, member);
  session->left = g_get_monotonic_time ();
  g_cond_broadcast (&sessions->changed);
  if (!session->region)
    /* It ended, and the connection that ended it was the last. */
    session_free (session);
  else if (!session->members->len && !session->changing)
    hermit_log (G_LOG_LEVEL_MESSAGE, session_about (session, NULL),
                "%s: no connection left; its memory stays", session->label);
  g_mutex_unlock (&sessions->lock);
}

gboolean
hermit_session_end (HermitSession *session, HermitMember *member)
{
  HermitSessions *sessions = session->sessions;
  gboolean mine;

  g_mutex_lock (&sessions->lock);
  mine = !session->changing && session->epoch
         && session_end (session, member, "its client");
  g_mutex_unlock (&sessions->lock);
  return mine;
}

gboolean
hermit_sessions_forget (HermitSessions *sessions, const guint8 uuid[16],
                        gboolean force, GError **error)
{
  HermitSession *session;
  gboolean ok = FALSE;

  g_mutex_lock (&sessions->lock);
  session = g_hash_table_lookup (sessions->table, uuid);
  if (sessions->frozen)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "the server hands over to another process: ask that one");
  else if (!session)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "there is no such region");
  else if (session->changing)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "%s is being ended already: ask for the list in a while",
                 session->label);
  else if (session->members->len && !force)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "%s has %u connections: add 'force' to free it all the same",
                 session->label, session->members->len);
  else if (!session_end (session, NULL, "the operator"))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                 "%s has %u connections that do not go, and may still use its "
                 "memory: try again later",
                 session->label, session->members->len);
  else
    {
      session_free (session);
      ok = TRUE;
    }
  g_mutex_unlock (&sessions->lock);
  return ok;
}

/* One session that nobody has used since @before; NULL: there is none. */
static HermitSession *
sessions_older (HermitSessions *sessions, gint64 before)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      HermitSession *s = value;

      if (!s->changing && !s->members->len && s->left <= before)
        return s;
    }
  return NULL;
}

guint
hermit_sessions_forget_older (HermitSessions *sessions, guint64 older,
                              guint64 *bytes)
{
  gint64 before
      = g_get_monotonic_time ()
        - (gint64)MIN (older, G_MAXINT32) * G_USEC_PER_SEC;
  HermitSession *session;
  guint n = 0;

  *bytes = 0;
  g_mutex_lock (&sessions->lock);
  /* One after the other: ending it drops the lock. */
  while (!sessions->frozen && (session = sessions_older (sessions, before)))
    {
      guint64 stored = hermit_region_stored (session->region);

      if (!session_end (session, NULL, "the operator, for its age"))
        break;
      session_free (session);
      *bytes += stored;
      n++;
    }
  g_mutex_unlock (&sessions->lock);
  return n;
}

HermitRegion *
hermit_session_region (HermitSession *session)
{
  return session->region;
}

HermitCounters *
hermit_session_counters (HermitSession *session)
{
  return &session->counters;
}

const char *
hermit_session_label (HermitSession *session)
{
  return session->label;
}

const char *
hermit_session_uuid (HermitSession *session)
{
  return session->uuid_text;
}

void
hermit_sessions_drain (HermitSessions *sessions, HermitDrain drain)
{
  /* Whoever is creating one has, or finds out. */
  g_mutex_lock (&sessions->lock);
  hermit_store_drain (sessions->store, drain);
  g_mutex_unlock (&sessions->lock);
}

HermitSessionsTotal
hermit_sessions_total (HermitSessions *sessions)
{
  HermitSessionsTotal total = { 0 };
  GHashTableIter iter;
  gpointer value;

  g_mutex_lock (&sessions->lock);
  total.draining = hermit_store_draining (sessions->store);
  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      HermitSession *s = value;

      if (!s->region)
        continue;
      total.regions++;
      total.stored += hermit_region_stored (s->region);
    }
  g_mutex_unlock (&sessions->lock);
  return total;
}

void
hermit_sessions_visit (HermitSessions *sessions, HermitSessionVisit visit,
                       gpointer data)
{
  gint64 now = g_get_monotonic_time ();
  GHashTableIter iter;
  gpointer value;

  g_mutex_lock (&sessions->lock);
  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      HermitSession *s = value;
      HermitSessionInfo info = {
        .uuid = s->uuid_text,
        .name = s->name,
        .size = s->size,
        .epoch = s->epoch,
        .incarnation = s->incarnation,
        .connections = s->members->len,
        .owner = s->identity->name,
        .peer = s->peer,
        .age = (guint64)(now - s->created) / G_USEC_PER_SEC,
        .idle = s->members->len
                    ? 0
                    : (guint64)(now - s->left) / G_USEC_PER_SEC,
        .counters = &s->counters,
      };

      if (!s->region)
        continue;
      info.stored = hermit_region_stored (s->region);
      info.backed = hermit_region_backed (s->region);
      visit (&info, data);
    }
  g_mutex_unlock (&sessions->lock);
}
