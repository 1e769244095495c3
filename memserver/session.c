/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <gio/gio.h>
#include <stdatomic.h>
#include <string.h>

#include "auth.h"
#include "id16.h"
#include "session-inside.h"
#include "uuid.h"

/* How long an end waits for connections; admission.c says what for. */
#define END_US (10 * G_USEC_PER_SEC)

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

static SessionNote *
session_note (HermitSession *session)
{
  return (SessionNote *)hermit_region_note (session->region);
}

void
hermit_session_begin_epoch (HermitSession *session)
{
  session->epoch = ++*session->sessions->last_epoch;
  session_note (session)->epoch = session->epoch;
}

HermitLogAbout
hermit_session_about (const HermitSession *session, const char *peer)
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
      hermit_session_begin_epoch (session);
      g_hash_table_insert (sessions->table, session->uuid, session);
      hermit_log (G_LOG_LEVEL_MESSAGE, hermit_session_about (session, NULL),
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
  sessions->table = g_hash_table_new (hermit_id16_hash, hermit_id16_equal);
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

void
hermit_session_free (HermitSession *session)
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
      hermit_session_free (session);
    }
  g_hash_table_unref (sessions->table);
  g_cond_clear (&sessions->changed);
  g_mutex_clear (&sessions->lock);
  g_free (sessions);
}

HermitSession *
hermit_session_new (HermitSessions *sessions, HermitIdentity *identity,
                    const struct hermit_wire_hello *hello, guint64 unreserved,
                    GError **error)
{
  HermitSession *session
      = session_alloc (sessions, hello->uuid, hello->client_id, hello->name,
                       le64_to_cpu (hello->region_size));
  SessionNote *note;

  session->identity = hermit_identity_ref (identity);
  while (!session->incarnation)
    hermit_random (&session->incarnation, sizeof (session->incarnation));
  session->region = hermit_region_new (sessions->store, session->size,
                                       session->size - unreserved,
                                       session->label, error);
  if (!session->region)
    {
      hermit_session_free (session);
      return NULL;
    }
  hermit_region_set_label (session->region, session->label,
                           session->uuid_text);
  note = session_note (session);
  memcpy (note->uuid, session->uuid, sizeof (note->uuid));
  memcpy (note->client_id, session->client_id, sizeof (note->client_id));
  g_strlcpy (note->name, hello->name, sizeof (note->name));
  g_strlcpy (note->owner, identity->name, sizeof (note->owner));
  hermit_session_begin_epoch (session);
  /* Last: with it the note is complete. */
  atomic_store ((_Atomic guint64 *)&note->incarnation, session->incarnation);
  g_hash_table_insert (sessions->table, session->uuid, session);
  return session;
}

void
hermit_session_fence (HermitSession *session, HermitMember *spare)
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

gboolean
hermit_session_close (HermitSession *session, HermitMember *spare,
                      const char *by)
{
  HermitSessions *sessions = session->sessions;
  gint64 deadline = g_get_monotonic_time () + END_US;
  HermitRegion *region = session->region;
  g_autofree char *stored = NULL;

  session->changing = TRUE;
  hermit_session_fence (session, spare);
  while (session->members->len > (spare ? 1 : 0))
    if (!g_cond_wait_until (&sessions->changed, &sessions->lock, deadline)
        && session->members->len > (spare ? 1 : 0))
      {
        hermit_log (G_LOG_LEVEL_WARNING, hermit_session_about (session, NULL),
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
  hermit_log (G_LOG_LEVEL_MESSAGE, hermit_session_about (session, NULL),
              "%s: ended by %s, %s freed", session->label, by, stored);
  if (hermit_store_draining (sessions->store)
      && !g_hash_table_size (sessions->table))
    g_message ("drained: nothing is lent any more");
  return TRUE;
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
    hermit_session_free (session);
  else if (!session->members->len && !session->changing)
    hermit_log (G_LOG_LEVEL_MESSAGE, hermit_session_about (session, NULL),
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
         && hermit_session_close (session, member, "its client");
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
  else if (!hermit_session_close (session, NULL, "the operator"))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                 "%s has %u connections that do not go, and may still use its "
                 "memory: try again later",
                 session->label, session->members->len);
  else
    {
      hermit_session_free (session);
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

      if (!hermit_session_close (session, NULL, "the operator, for its age"))
        break;
      hermit_session_free (session);
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
  guint32 need;

  g_mutex_lock (&sessions->lock);
  total.draining = hermit_store_draining (sessions->store);
  g_hash_table_iter_init (&iter, sessions->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      HermitSession *s = value;

      if (!s->region)
        continue;
      need = hermit_region_need (s->region);
      total.regions++;
      total.needing += need != HERMIT_NEED_NONE;
      total.stuck += !!(need & HERMIT_NEED_STUCK);
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
      info.reserved = hermit_region_reserved (s->region);
      info.stored = hermit_region_stored (s->region);
      info.backed = hermit_region_backed (s->region);
      visit (&info, data);
    }
  g_mutex_unlock (&sessions->lock);
}
