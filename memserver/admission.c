/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is let into which session: what becomes of a HELLO. */
#include <string.h>

#include "session-inside.h"

/*
 * How long one waits for connections that have to go first. A thread that
 * stands still, as one that waits for a device, holds up its own session only:
 * whoever wants that comes again. A handshake is answered before its client
 * gives up.
 */
#define ATTACH_US (4 * G_USEC_PER_SEC)

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
                 const struct hermit_wire_hello *hello, guint64 unreserved,
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
  s = hermit_session_new (sessions, identity, hello, unreserved, &error);
  if (!s)
    {
      *why = g_strdup (error->message);
      return HERMIT_REFUSE_CAPACITY;
    }
  size = g_format_size_full (s->size, G_FORMAT_SIZE_IEC_UNITS);
  hermit_log (G_LOG_LEVEL_MESSAGE, hermit_session_about (s, peer),
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
              HermitIdentity *identity, guint64 *waits_for, guint32 *code,
              char **why)
{
  *code = 0;
  if (*waits_for != session->incarnation)
    {
      *waits_for = session->incarnation;
      session->opener = member;
      hermit_session_fence (session, NULL);
    }
  else if (session->opener != member)
    {
      *why = g_strdup ("a newer connection of this client opens the region");
      *code = HERMIT_REFUSE_EPOCH;
      return TRUE;
    }
  if (session->members->len)
    return FALSE;
  hermit_session_begin_epoch (session);
  /* Its limits may have changed meanwhile. */
  hermit_identity_unref (session->identity);
  session->identity = hermit_identity_ref (identity);
  hermit_log (G_LOG_LEVEL_MESSAGE, hermit_session_about (session, peer),
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
                 const struct hermit_wire_hello *hello, guint64 unreserved,
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
          && hermit_session_close (s, NULL, "another client of its owner"))
        {
          hermit_session_free (s);
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
            code = sessions_create (sessions, peer, identity, hello, unreserved,
                                    &s, why);
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
                        guint64 unreserved, HermitSession **session,
                        struct hermit_wire_welcome *welcome, char **why)
{
  guint32 code;

  g_mutex_lock (&sessions->lock);
  code = sessions_attach (sessions, member, peer, identity, hello, unreserved,
                          session, why);
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
