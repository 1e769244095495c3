/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The side door: what is asked at the control socket. The first byte of the
 * input says whether there are regions; the rest is the question, then the asker
 * shuts its side. Two regions are there, one with a connection and a name that is
 * not nice.
 *
 * An answer is whole lines, and every line of a list is one region's. Only a
 * well-formed `forget` frees a region.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "control.h"
#include "door.h"
#include "fuzz-log.h"
#include "fuzz.h"
#include "session.h"

#define REGIONS 2

enum
{
  EMPTY = 2, /* there are no regions */
};

static HermitServer server;
static HermitControl *control;
static const HermitPeer peer = { .name = "peer" };

typedef struct
{
  HermitMember member; /* first */
  HermitSession *session;
  gint fenced; /* atomic */
} Member;

/* Of the region that somebody uses: it goes when it is told to. */
static Member user;

static gpointer
leave (gpointer data)
{
  Member *m = data;

  hermit_session_detach (m->session, &m->member);
  return NULL;
}

static GThread *leaving;

static void
on_fence (HermitMember *member)
{
  Member *m = (Member *)member;

  /* The caller holds the sessions' lock. */
  if (!g_atomic_int_exchange (&m->fenced, 1))
    leaving = g_thread_new ("leave", leave, m);
}

static HermitIdentity *anybody;

static void
open_region (Member *m, guint8 uuid)
{
  struct hermit_wire_hello hello = {
    .flags = cpu_to_le32 (HERMIT_HELLO_OPEN),
    .uuid = { uuid },
    .client_id = { 1 },
    .region_size = cpu_to_le64 (HERMIT_EXTENT_SIZE),
    .name = "a\nb \"c\" {d=\"e\"}\\ \xff",
  };
  struct hermit_wire_welcome welcome;
  char *why = NULL;

  m->member.fence = on_fence;
  m->fenced = 0;
  require (!hermit_sessions_attach (server.sessions, &m->member, "fuzz",
                                    anybody, &hello, 0, &m->session,
                                    &welcome, &why));
}

static gboolean
forget (guint8 uuid, gboolean force)
{
  const guint8 id[16] = { uuid };

  return hermit_sessions_forget (server.sessions, id, force, NULL);
}

static void
init (void)
{
  g_autoptr (GPtrArray) identities = NULL;

  fuzz_log_off ();
  server.identities = hermit_identities_new (NULL, NULL, NULL);
  server.store = hermit_store_new (
      &(HermitStoreConfig){ .capacity = REGIONS * HERMIT_EXTENT_SIZE }, NULL);
  server.sessions = hermit_sessions_new (server.store);
  identities = hermit_identities_all (server.identities);
  anybody = hermit_identity_ref (identities->pdata[0]);
  server.door = hermit_door_new (&server, HERMIT_DOOR_PLACES,
                                 hermit_conn_start, NULL);
  control = hermit_control_new (&server, NULL);
}

static guint
count_lines (const char *text)
{
  guint n = 0;

  for (; *text; text++)
    n += *text == '\n';
  return n;
}

static void
check_answer (const GString *answer, guint regions)
{
  const char *at = answer->str;

  /* No answer: the question had no end. */
  if (!answer->len)
    return;
  require (strlen (at) == answer->len);
  require (answer->str[answer->len - 1] == '\n');
  if (g_str_has_prefix (at, "error: "))
    /* One line, whatever the question was. */
    require (count_lines (at) == 1);
  else if (strcmp (at, "ok\n") && !g_str_has_prefix (at, "# HELP ")
           && !g_str_has_prefix (at, "anybody keys 0 bytes ")
           && !g_str_has_prefix (at, "Draining 4.0\302\240MiB: ")
           && !g_str_has_prefix (at, "Lending 4.0\302\240MiB: ")
           && !strstr (at, " regions forgotten, "))
    {
      require (count_lines (at) == regions);
      for (; *at; at = strchr (at, '\n') + 1)
        require (g_str_has_prefix (at + 36, " size 2097152 reserved 2097152 stored 0 "));
    }
}

static void
count_session (const HermitSessionInfo *info G_GNUC_UNUSED, gpointer data)
{
  (*(guint *)data)++;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GString) answer = g_string_new (NULL);
  guint8 flags = size ? data[0] : 0;
  guint regions = flags & EMPTY ? 0 : REGIONS, left = 0;
  Member gone = { .session = NULL };
  char part[4096];
  ssize_t n;
  int fd[2];

  if (!control)
    init ();
  if (regions)
    {
      open_region (&user, 1);
      open_region (&gone, 2);
      hermit_session_detach (gone.session, &gone.member);
    }
  require (socketpair (AF_UNIX, SOCK_STREAM, 0, fd) == 0);
  hermit_control_accept (fd[1], &peer, control);
  /* What it does not want, it need not take. */
  if (size > 1)
    require (send (fd[0], data + 1, MIN (size - 1, 16384), MSG_NOSIGNAL) != 0);
  shutdown (fd[0], SHUT_WR);
  while ((n = recv (fd[0], part, sizeof (part), 0)) > 0)
    g_string_append_len (answer, part, n);
  close (fd[0]);
  check_answer (answer, regions);
  hermit_sessions_drain (server.sessions, HERMIT_DRAIN_OFF);

  hermit_sessions_visit (server.sessions, count_session, &left);
  require (left == regions
           || (left + 1 == regions
               && (!strcmp (answer->str, "ok\n")
                   || g_str_has_prefix (answer->str,
                                        "1 regions forgotten, "))));
  if (regions)
    {
      forget (1, TRUE);
      forget (2, TRUE);
      if (leaving)
        g_thread_join (leaving);
      leaving = NULL;
    }
  require (hermit_store_usage (server.store).taken == 0);
  return 0;
}

size_t
fuzz_seed (unsigned int i, uint8_t *data)
{
  static const struct
  {
    uint8_t flags;
    const char *question;
  } seeds[] = {
    { 0, "list\n" },
    { 0, "stats\n" },
    { 0, "forget 01000000-0000-0000-0000-000000000000\n" },
    { 0, "forget 01000000-0000-0000-0000-000000000000 force\n" },
    { 0, "forget 02000000-0000-0000-0000-000000000000\n" },
    { 0, "forget 03000000-0000-0000-0000-000000000000 force\r\n" },
    { 0, "forget me\n" },
    { 0, "drain\n" },
    { 0, "drain off\n" },
    { 0, "drain regions\n" },
    { 0, "status\n" },
    { 0, "drain it\n" },
    { 0, "forget --older 1d\n" },
    { 0, "forget --older 0s\n" },
    { 0, "identities\n" },
    { 0, "reload\n" },
    { 0, "forget  \t\n" },
    { EMPTY, "list\n" },
    { EMPTY, "stats \n" },
  };
  size_t size;

  if (i >= G_N_ELEMENTS (seeds))
    return 0;
  size = strlen (seeds[i].question);
  data[0] = seeds[i].flags;
  memcpy (data + 1, seeds[i].question, size);
  return 1 + size;
}
