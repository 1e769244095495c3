/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include <gio/gio.h>
#include <string.h>

#include "auth.h"

struct HermitSessions
{
  HermitStore *store;
  GMutex lock;
  GCond changed;      /* a connection detached, or a change is done */
  GHashTable *table;  /* uuid -> session */
  guint64 last_epoch; /* epochs are never used twice, for any region */
};

struct HermitSession
{
  HermitSessions *sessions;
  guint8 uuid[16];
  guint8 client_id[16];
  char *uuid_text;
  char *name;
  char *label; /* for messages */
  guint64 size;
  guint64 incarnation;
  guint64 epoch;
  HermitRegion *region; /* NULL from its end on */
  GPtrArray *members;   /* attached, not owned */
  gboolean changing;    /* a thread fences, to open an epoch or to end it */
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

HermitSessions *
hermit_sessions_new (HermitStore *store)
{
  HermitSessions *sessions = g_new0 (HermitSessions, 1);

  sessions->store = store;
  g_mutex_init (&sessions->lock);
  g_cond_init (&sessions->changed);
  sessions->table = g_hash_table_new (uuid_hash, uuid_equal);
  /* Not those of the process before this one, either. */
  sessions->last_epoch = g_get_real_time ();
  return sessions;
}

static void
session_free (HermitSession *session)
{
  g_assert (session->members->len == 0);
  g_ptr_array_unref (session->members);
  g_free (session->uuid_text);
  g_free (session->name);
  g_free (session->label);
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
session_new (HermitSessions *sessions, const struct hermit_wire_hello *hello,
             GError **error)
{
  HermitSession *session = g_new0 (HermitSession, 1);

  session->sessions = sessions;
  memcpy (session->uuid, hello->uuid, sizeof (session->uuid));
  memcpy (session->client_id, hello->client_id, sizeof (session->client_id));
  session->uuid_text = hermit_uuid_text (hello->uuid);
  session->name = g_strescape (hello->name, NULL);
  session->label = g_strdup_printf ("region %s \"%s\"", session->uuid_text,
                                    session->name);
  session->size = le64_to_cpu (hello->region_size);
  session->members = g_ptr_array_new ();
  while (!session->incarnation)
    hermit_random (&session->incarnation, sizeof (session->incarnation));
  session->region = hermit_region_new (sessions->store, session->size,
                                       session->label, error);
  if (!session->region)
    {
      session_free (session);
      return NULL;
    }
  g_hash_table_insert (sessions->table, session->uuid, session);
  return session;
}

/*
 * Fence all members but @spare and wait until their threads are out of the
 * region. The caller has set changing, so that no other attaches meanwhile.
 */
static void
session_fence (HermitSession *session, HermitMember *spare)
{
  HermitSessions *sessions = session->sessions;

  g_assert (session->changing);
  for (guint i = 0; i < session->members->len; i++)
    {
      HermitMember *member = session->members->pdata[i];

      if (member != spare)
        member->fence (member);
    }
  while (session->members->len > (spare ? 1 : 0))
    g_cond_wait (&sessions->changed, &sessions->lock);
}

/* Fence, free the memory, and forget the session. Drops the lock meanwhile. */
static void
session_end (HermitSession *session, HermitMember *spare, const char *by)
{
  HermitSessions *sessions = session->sessions;
  HermitRegion *region = session->region;
  g_autofree char *stored = NULL;

  session->changing = TRUE;
  session_fence (session, spare);
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
  g_message ("%s: ended by %s, %s freed", session->label, by, stored);
}

/* The session of @uuid, when nobody is changing it. */
static HermitSession *
sessions_settled (HermitSessions *sessions, const guint8 *uuid)
{
  for (;;)
    {
      HermitSession *session = g_hash_table_lookup (sessions->table, uuid);

      if (!session || !session->changing)
        return session;
      g_cond_wait (&sessions->changed, &sessions->lock);
    }
}

/* HELLO with OPEN: a new session, or a new epoch of the one there is. */
static guint32
sessions_open (HermitSessions *sessions, const char *peer,
               const struct hermit_wire_hello *hello, HermitSession **session,
               char **why)
{
  HermitSession *s = *session;
  g_autoptr (GError) error = NULL;
  g_autofree char *size = NULL;

  if (!s)
    {
      s = session_new (sessions, hello, &error);
      if (!s)
        {
          *why = g_strdup (error->message);
          return HERMIT_REFUSE_CAPACITY;
        }
      s->epoch = ++sessions->last_epoch;
      size = g_format_size_full (s->size, G_FORMAT_SIZE_IEC_UNITS);
      g_message ("%s: created by %s: %s, epoch %" G_GUINT64_FORMAT, s->label,
                 peer, size, s->epoch);
    }
  else
    {
      s->changing = TRUE;
      session_fence (s, NULL);
      s->changing = FALSE;
      s->epoch = ++sessions->last_epoch;
      g_cond_broadcast (&sessions->changed);
      g_message ("%s: attached again by %s, epoch %" G_GUINT64_FORMAT,
                 s->label, peer, s->epoch);
    }
  *session = s;
  return 0;
}

static guint32
sessions_attach (HermitSessions *sessions, const char *peer,
                 const struct hermit_wire_hello *hello,
                 HermitSession **session, char **why)
{
  gboolean open = le32_to_cpu (hello->flags) & HERMIT_HELLO_OPEN;
  HermitSession *s = sessions_settled (sessions, hello->uuid);

  if (s && memcmp (s->client_id, hello->client_id, sizeof (s->client_id)) != 0)
    {
      /* with what an operator gives to "forget", in less than 120 bytes */
      *why = g_strdup_printf (s->members->len
                                  ? "another client is using region %s"
                                  : "another client left region %s behind: "
                                    "forget it on the server to give it away",
                              s->uuid_text);
      return HERMIT_REFUSE_BUSY;
    }
  if (s && s->size != le64_to_cpu (hello->region_size))
    {
      *why = g_strdup_printf ("the region has %" G_GUINT64_FORMAT " bytes",
                              s->size);
      return HERMIT_REFUSE_SIZE;
    }
  *session = s;
  if (open)
    return sessions_open (sessions, peer, hello, session, why);

  if (!s || s->epoch != le64_to_cpu (hello->epoch))
    {
      *why = g_strdup ("the epoch to join is over");
      return HERMIT_REFUSE_EPOCH;
    }
  if (s->members->len >= HERMIT_SESSION_CONNECTIONS)
    {
      *why = g_strdup_printf ("the session has %u connections already",
                              s->members->len);
      return HERMIT_REFUSE_BUSY;
    }
  return 0;
}

guint32
hermit_sessions_attach (HermitSessions *sessions, HermitMember *member,
                        const char *peer,
                        const struct hermit_wire_hello *hello,
                        HermitSession **session,
                        struct hermit_wire_welcome *welcome, char **why)
{
  guint32 code;

  g_mutex_lock (&sessions->lock);
  code = sessions_attach (sessions, peer, hello, session, why);
  if (!code)
    {
      HermitSession *s = *session;

      g_ptr_array_add (s->members, member);
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
  g_cond_broadcast (&sessions->changed);
  if (!session->region)
    /* It ended, and the connection that ended it was the last. */
    session_free (session);
  else if (!session->members->len && !session->changing)
    g_message ("%s: no connection left; its memory stays", session->label);
  g_mutex_unlock (&sessions->lock);
}

gboolean
hermit_session_end (HermitSession *session, HermitMember *member)
{
  HermitSessions *sessions = session->sessions;
  gboolean mine;

  g_mutex_lock (&sessions->lock);
  mine = !session->changing;
  if (mine)
    session_end (session, member, "its client");
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
  session = sessions_settled (sessions, uuid);
  if (!session)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "there is no such region");
  else if (session->members->len && !force)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "%s has %u connections: add 'force' to free it all the same",
                 session->label, session->members->len);
  else
    {
      session_end (session, NULL, "the operator");
      session_free (session);
      ok = TRUE;
    }
  g_mutex_unlock (&sessions->lock);
  return ok;
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

void
hermit_sessions_visit (HermitSessions *sessions, HermitSessionVisit visit,
                       gpointer data)
{
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
