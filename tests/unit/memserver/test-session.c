/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions by themselves: members are made up here, there is no connection,
 * and the order in which they come and go is the test's.
 */
#include <string.h>

#include "session.h"
#include "client.h"

#define SIZE (4 * MIB)

typedef struct
{
  HermitMember member; /* first */
  gint fenced;         /* how often; atomic */
  gint attached;       /* by a thread; atomic */
  HermitSession *session;
  guint64 epoch;
  HermitIdentity *who; /* NULL: anybody */
} Member;

static HermitIdentity *anybody;

static HermitStore *store;
static HermitSessions *sessions;

static void
on_fence (HermitMember *member)
{
  g_atomic_int_inc (&((Member *)member)->fenced);
}

static guint32
attach (Member *m, gboolean open, guint64 epoch)
{
  struct hermit_wire_hello hello = {
    .flags = cpu_to_le32 (open ? HERMIT_HELLO_OPEN : 0),
    .uuid = { 1 },
    .client_id = { 2 },
    .region_size = cpu_to_le64 (SIZE),
    .epoch = cpu_to_le64 (epoch),
    .name = "test",
  };
  struct hermit_wire_welcome welcome;
  g_autofree char *why = NULL;
  guint32 code;

  m->member.fence = on_fence;
  code = hermit_sessions_attach (sessions, &m->member, "peer", m->who ? m->who : anybody,
                                 &hello, 0,
                                 &m->session, &welcome, &why);
  g_assert_cmpint (code != 0, ==, why != NULL);
  if (!code)
    m->epoch = le64_to_cpu (welcome.epoch);
  return code;
}

static void
detach (Member *m)
{
  hermit_session_detach (m->session, &m->member);
}

static void
wait_fenced (Member *m)
{
  while (!g_atomic_int_get (&m->fenced))
    g_usleep (100);
}

static void
setup (void)
{
  g_autoptr (HermitIdentities) all = hermit_identities_new (NULL, NULL, NULL);
  g_autoptr (GPtrArray) list = hermit_identities_all (all);

  anybody = hermit_identity_ref (list->pdata[0]);
  store
      = hermit_store_new (&(HermitStoreConfig){ .capacity = 16 * MIB }, NULL);
  sessions = hermit_sessions_new (store);
}

static void
forget (void)
{
  const guint8 uuid[16] = { 1 };

  g_assert_true (hermit_sessions_forget (sessions, uuid, FALSE, NULL));
}

static void
teardown (void)
{
  hermit_sessions_free (sessions);
  g_assert_cmpint (hermit_store_usage (store).taken, ==, 0);
  hermit_store_free (store);
  hermit_identity_unref (anybody);
}

static gpointer
open_thread (gpointer data)
{
  Member *m = data;

  g_assert_cmpint (attach (m, TRUE, 0), ==, 0);
  g_atomic_int_set (&m->attached, 1);
  return NULL;
}

/* A new epoch fences all there are, and waits for the last. */
static void
test_fence (void)
{
  Member old[3] = { 0 }, new = { 0 };
  GThread *thread;

  setup ();
  g_assert_cmpint (attach (&old[0], TRUE, 0), ==, 0);
  for (guint i = 1; i < 3; i++)
    g_assert_cmpint (attach (&old[i], FALSE, old[0].epoch), ==, 0);
  thread = g_thread_new ("open", open_thread, &new);
  for (guint i = 0; i < 3; i++)
    wait_fenced (&old[i]);
  for (guint i = 0; i < 3; i++)
    {
      /* The session is the newcomer's only when nobody is left. */
      g_assert_false (g_atomic_int_get (&new.attached));
      detach (&old[i]);
    }
  g_thread_join (thread);
  g_assert_cmpint (new.epoch, >, old[0].epoch);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (old[i].fenced, ==, 1);
  g_assert_cmpint (new.fenced, ==, 0);
  detach (&new);
  forget ();
  teardown ();
}

static gpointer
join_thread (gpointer data)
{
  Member *m = data;

  /* Of an epoch that is over by the time it is let in. */
  g_assert_cmpint (attach (m, FALSE, m->epoch), ==, HERMIT_REFUSE_EPOCH);
  return NULL;
}

/*
 * While one opens an epoch others come. They wait, and go on when it is done,
 * though nothing else happens to the session then.
 */
static void
test_waiters (void)
{
  setup ();
  for (guint round = 0; round < 20; round++)
    {
      Member old[6] = { 0 }, new = { 0 }, waiting[6] = { 0 };
      GThread *opener, *threads[6];

      g_assert_cmpint (attach (&old[0], TRUE, 0), ==, 0);
      for (guint i = 1; i < 6; i++)
        g_assert_cmpint (attach (&old[i], FALSE, old[0].epoch), ==, 0);
      opener = g_thread_new ("open", open_thread, &new);
      wait_fenced (&old[0]);
      for (guint i = 0; i < 6; i++)
        {
          waiting[i].epoch = old[0].epoch;
          threads[i] = g_thread_new ("join", join_thread, &waiting[i]);
        }
      /* Each wakes all of them, so that they queue up in another order. */
      for (guint i = 0; i < 6; i++)
        {
          g_usleep (500);
          detach (&old[i]);
        }
      g_thread_join (opener);
      for (guint i = 0; i < 6; i++)
        g_thread_join (threads[i]);
      detach (&new);
    }
  forget ();
  teardown ();
}

static gpointer
end_thread (gpointer data)
{
  Member *m = data;

  return GINT_TO_POINTER (hermit_session_end (m->session, &m->member));
}

/* END fences the others and not its own; of two that end at once one does. */
static void
test_end (void)
{
  Member a = { 0 }, b = { 0 };
  GThread *thread;

  setup ();
  g_assert_cmpint (attach (&a, TRUE, 0), ==, 0);
  g_assert_cmpint (attach (&b, FALSE, a.epoch), ==, 0);
  thread = g_thread_new ("end", end_thread, &a);
  wait_fenced (&b);
  g_assert_false (hermit_session_end (b.session, &b.member));
  g_assert_cmpint (hermit_store_usage (store).taken, ==, SIZE);
  detach (&b);
  g_assert_true (GPOINTER_TO_INT (g_thread_join (thread)));
  g_assert_cmpint (a.fenced, ==, 0);
  g_assert_cmpint (hermit_store_usage (store).taken, ==, 0);
  detach (&a);
  teardown ();
}

/* The operator does not take a region from under somebody, unless by force. */
static void
test_forget (void)
{
  const guint8 uuid[16] = { 1 }, other[16] = { 9 };
  g_autoptr (GError) busy = NULL;
  g_autoptr (GError) none = NULL;
  Member a = { 0 };

  setup ();
  g_assert_false (hermit_sessions_forget (sessions, other, TRUE, &none));
  g_assert_error (none, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpint (attach (&a, TRUE, 0), ==, 0);
  g_assert_false (hermit_sessions_forget (sessions, uuid, FALSE, &busy));
  g_assert_error (busy, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpint (a.fenced, ==, 0);
  detach (&a);
  forget ();
  teardown ();
}

static gpointer
open_code_thread (gpointer data)
{
  return GUINT_TO_POINTER (attach (data, TRUE, 0));
}

/*
 * A connection that does not go, as if its thread stood in the kernel: no wait
 * for it is endless, the newest OPEN is the one that waits, other sessions go
 * on, and when it goes the session is whole again.
 */
static void
test_stuck (void)
{
  const guint8 uuid[16] = { 1 };
  Member stuck = { 0 }, first = { 0 }, second = { 0 }, third = { 0 };
  g_autoptr (GError) error = NULL;
  GThread *thread;

  setup ();
  g_assert_cmpint (attach (&stuck, TRUE, 0), ==, 0);
  thread = g_thread_new ("open", open_code_thread, &first);
  wait_fenced (&stuck);
  /* Nobody joins an epoch that is being closed, and nobody ends it. */
  second.epoch = stuck.epoch;
  g_assert_cmpint (attach (&second, FALSE, stuck.epoch), ==,
                   HERMIT_REFUSE_EPOCH);
  g_assert_false (hermit_session_end (stuck.session, &stuck.member));
  g_assert_cmpint (attach (&second, TRUE, 0), ==, HERMIT_REFUSE_BUSY);
  g_assert_cmpint (GPOINTER_TO_UINT (g_thread_join (thread)), ==,
                   HERMIT_REFUSE_EPOCH);

  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING, "*stand still*");
  g_assert_false (hermit_sessions_forget (sessions, uuid, TRUE, &error));
  g_test_assert_expected_messages ();
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_cmpint (hermit_store_usage (store).taken, ==, SIZE);

  thread = g_thread_new ("open", open_thread, &third);
  g_usleep (10000);
  detach (&stuck);
  g_thread_join (thread);
  g_assert_cmpint (third.epoch, >, stuck.epoch);
  detach (&third);
  forget ();
  teardown ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/session/fence", test_fence);
  g_test_add_func ("/session/waiters", test_waiters);
  g_test_add_func ("/session/end", test_end);
  g_test_add_func ("/session/forget", test_forget);
  g_test_add_func ("/session/stuck", test_stuck);
  return g_test_run ();
}
