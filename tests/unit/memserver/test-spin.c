/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the server looks for the next request instead of sleeping: only while
 * requests come one by one and fast, and nobody else wants the processors.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "door.h"
#include "local-server.h"
#include "spin.h"

/* The linker puts these in the place of others, see meson.build. */
guint __wrap_g_get_num_processors (void);

static guint processors = 1 << 20;

guint
__wrap_g_get_num_processors (void)
{
  return processors;
}

static gint gaps;      /* atomic: between requests, that were learnt */
static gint pays = -1; /* atomic: does looking for the next? -1: as spin.c says */
static gint alone = -1; /* atomic: had it the processor? -1: as spin.c says */
static gint64 waited;  /* of the server's thread alone: their sum, us */
static gint looks;     /* atomic: calls of recv() that do not wait */

void __real_hermit_spin_learn (HermitSpin *spin, gint64 gap, gboolean looked);
void __wrap_hermit_spin_learn (HermitSpin *spin, gint64 gap, gboolean looked);
gboolean __real_hermit_spin_pays (HermitSpin *spin, guint requests);
gboolean __wrap_hermit_spin_pays (HermitSpin *spin, guint requests);
gboolean __real_hermit_spin_goes_on (HermitSpin *spin, gint64 us);
gboolean __wrap_hermit_spin_goes_on (HermitSpin *spin, gint64 us);
ssize_t __real_recv (int fd, void *to, size_t length, int flags);
ssize_t __wrap_recv (int fd, void *to, size_t length, int flags);

gboolean
__wrap_hermit_spin_pays (HermitSpin *spin, guint requests)
{
  gint forced = g_atomic_int_get (&pays);

  return forced < 0 ? __real_hermit_spin_pays (spin, requests) : forced;
}

gboolean
__wrap_hermit_spin_goes_on (HermitSpin *spin, gint64 us)
{
  gint forced = g_atomic_int_get (&alone);

  g_assert_cmpint (us, >=, 0);
  return forced < 0 ? __real_hermit_spin_goes_on (spin, us) : forced;
}

/* For how many other threads ours was made to wait; -1: as it is. */
static glong switches = -1;
int __real_getrusage (int who, struct rusage *usage);
int __wrap_getrusage (int who, struct rusage *usage);

int
__wrap_getrusage (int who, struct rusage *usage)
{
  int ret = __real_getrusage (who, usage);

  if (switches >= 0)
    usage->ru_nivcsw = switches;
  return ret;
}

ssize_t
__wrap_recv (int fd, void *to, size_t length, int flags)
{
  if (flags & MSG_DONTWAIT)
    g_atomic_int_inc (&looks);
  return __real_recv (fd, to, length, flags);
}

void
__wrap_hermit_spin_learn (HermitSpin *spin, gint64 gap, gboolean looked)
{
  g_assert_cmpint (gap, >=, 0);
  waited += gap;
  g_atomic_int_inc (&gaps);
  __real_hermit_spin_learn (spin, gap, looked);
}

/* Gaps that were looked through. */
static void
learn (HermitSpin *spin, gint64 gap, guint times)
{
  while (times--)
    hermit_spin_learn (spin, gap, TRUE);
}

static void
sleep_through (HermitSpin *spin, gint64 gap, guint times)
{
  while (times--)
    hermit_spin_learn (spin, gap, FALSE);
}

static void
test_gaps (void)
{
  HermitSpin spin = { 0 };

  g_assert_false (hermit_spin_pays (&spin, 1));
  learn (&spin, 10, 1);
  g_assert_false (hermit_spin_pays (&spin, 1));
  learn (&spin, 10, 100);
  g_assert_true (hermit_spin_pays (&spin, 1));
  g_assert_false (hermit_spin_pays (&spin, 32));

  /* One that is longer changes nothing, nor do some; most do. */
  learn (&spin, 2 * HERMIT_SPIN_US, 1);
  g_assert_true (hermit_spin_pays (&spin, 1));
  learn (&spin, (gint64)3600 * G_USEC_PER_SEC, 1);
  g_assert_true (hermit_spin_pays (&spin, 1));
  for (guint i = 0; i < 100; i++)
    {
      learn (&spin, 10, 3);
      learn (&spin, 20 * HERMIT_SPIN_US, 1);
      g_assert_true (hermit_spin_pays (&spin, 1));
    }
  for (guint i = 0; i < 100; i++)
    {
      learn (&spin, 2 * HERMIT_SPIN_US, 3);
      learn (&spin, 10, 1);
    }
  g_assert_false (hermit_spin_pays (&spin, 1));
}

/*
 * Gaps are short, but who sleeps through them has his own waking in them. Who
 * was kept from looking for a while, by a crowd, looks again.
 */
static void
test_tries (void)
{
  const gint64 gap = HERMIT_SPIN_US / 2, with_waking = 2 * HERMIT_SPIN_US;
  HermitSpin spin = { 0 };
  guint slept;

  learn (&spin, gap, 100);
  sleep_through (&spin, with_waking, 1000);
  g_assert_true (hermit_spin_pays (&spin, 1));

  /* Who has never looked finds out, and one that came is enough. */
  spin = (HermitSpin){ 0 };
  for (slept = 0; !hermit_spin_pays (&spin, 1); slept++)
    {
      g_assert_cmpuint (slept, <, 100);
      sleep_through (&spin, with_waking, 1);
    }
  hermit_spin_learn (&spin, gap, TRUE);
  g_assert_true (hermit_spin_pays (&spin, 1));
}

/* Tries in vain are few; where many come at a time, or seldom, there is none. */
static void
test_vain (void)
{
  HermitSpin spin = { 0 };
  guint tries = 0;

  for (guint i = 0; i < 100000; i++)
    {
      gboolean looks;

      g_assert_false (hermit_spin_pays (&spin, 32));
      looks = hermit_spin_pays (&spin, 1);
      tries += looks;
      hermit_spin_learn (&spin, 2 * HERMIT_SPIN_US, looks);
    }
  g_assert_cmpuint (tries, >, 1);
  g_assert_cmpuint (tries, <, 50);

  spin = (HermitSpin){ 0 };
  sleep_through (&spin, 2 * HERMIT_SPIN_SLEPT_US, 10000);
  g_assert_false (hermit_spin_pays (&spin, 1));

  /* A guess that was lucky is soon seen through, and not soon made again. */
  spin = (HermitSpin){ 0 };
  sleep_through (&spin, 2 * HERMIT_SPIN_US, 100);
  g_assert_true (hermit_spin_pays (&spin, 1));
  hermit_spin_learn (&spin, HERMIT_SPIN_US / 2, TRUE);
  for (tries = 0; hermit_spin_pays (&spin, 1); tries++)
    hermit_spin_learn (&spin, 2 * HERMIT_SPIN_US, TRUE);
  g_assert_cmpuint (tries, <, 10);
  sleep_through (&spin, 2 * HERMIT_SPIN_US, 40);
  g_assert_false (hermit_spin_pays (&spin, 1));
}

static void
test_crowd (void)
{
  HermitSpin spin = { 0 };

  learn (&spin, 10, 100);
  /* We are one that runs: more than there are processors. */
  processors = 0;
  while (hermit_spin_pays (&spin, 1))
    g_usleep (1000);
  processors = 1 << 20;
  while (!hermit_spin_pays (&spin, 1))
    g_usleep (1000);
}

/* While it looked somebody else had the processor: it is not the time to look. */
static void
test_interrupted (void)
{
  HermitSpin spin = { 0 };

  learn (&spin, 10, 100);
  while (!hermit_spin_pays (&spin, 1))
    g_usleep (1000);
  switches = 1;
  g_assert_true (hermit_spin_goes_on (&spin, 0));
  g_assert_true (hermit_spin_goes_on (&spin, HERMIT_SPIN_AWAY_US - 1));
  g_assert_false (hermit_spin_goes_on (&spin, HERMIT_SPIN_AWAY_US));
  /* Away, and for no thread of this host. */
  g_assert_true (hermit_spin_goes_on (&spin, 1000));
  /* It is forgotten soon: perhaps before we ask. */
  while (hermit_spin_pays (&spin, 1))
    {
      switches++;
      g_assert_false (hermit_spin_goes_on (&spin, 1000));
    }
  switches = -1;
  while (!hermit_spin_pays (&spin, 1))
    g_usleep (1000);
}

/*
 * Gaps do not overlap, so all of them fit between the connection's begin and its
 * end.
 */
static void
test_sum (void)
{
  const Client client = { .uuid = { 1 }, .id = { 2 }, .size = 4 * MIB };
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  const HermitPeer peer = { .name = "peer" };
  HermitServer server = { 0 };
  gint64 begun;
  int pair[2], fd;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  waited = 0;
  begun = g_get_monotonic_time ();
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  hermit_door_admit (server.door, pair[1], &peer);
  fd = client_try (&client, pair[0], &hello).fd;
  g_assert_cmpint (fd, >=, 0);
  for (guint i = 0; i < 20; i++)
    do_ping (fd);
  close (fd);
  /* With its thread. */
  local_server_stop (&server);
  g_assert_cmpint (waited, <=, g_get_monotonic_time () - begun);
}

/*
 * What decides whether a thread sleeps until the next request is learnt, and
 * obeyed: one that does not sleep looks at least once before each, and no more once
 * another thread had the processor.
 */
static void
test_obeyed (void)
{
  const Client client = { .uuid = { 1 }, .id = { 2 }, .size = 4 * MIB };
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  const HermitPeer peer = { .name = "peer" };
  HermitServer server = { 0 };
  int pair[2], fd;

  local_server_start (&server, HERMIT_DOOR_PLACES);
  g_atomic_int_set (&pays, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  hermit_door_admit (server.door, pair[1], &peer);
  fd = client_try (&client, pair[0], &hello).fd;
  g_assert_cmpint (fd, >=, 0);
  g_atomic_int_set (&gaps, 0);
  for (guint i = 0; i < 5; i++)
    do_ping (fd);
  g_assert_cmpint (g_atomic_int_get (&gaps), >=, 5);
  g_atomic_int_set (&looks, 0);
  for (guint i = 0; i < 5; i++)
    do_ping (fd);
  g_assert_cmpint (g_atomic_int_get (&looks), ==, 0);
  g_atomic_int_set (&pays, 1);
  for (guint i = 0; i < 5; i++)
    do_ping (fd);
  /* It may have gone to sleep before the first. */
  g_assert_cmpint (g_atomic_int_get (&looks), >=, 4);
  /* One look in vain is the last, but for those that were under way. */
  g_atomic_int_set (&alone, 0);
  do_ping (fd);
  g_atomic_int_set (&looks, 0);
  for (guint i = 0; i < 50; i++)
    {
      do_ping (fd);
      g_usleep (200);
    }
  g_assert_cmpint (g_atomic_int_get (&looks), <=, 52);
  g_atomic_int_set (&alone, -1);
  g_atomic_int_set (&pays, -1);
  close (fd);
  local_server_stop (&server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/spin/gaps", test_gaps);
  g_test_add_func ("/spin/tries", test_tries);
  g_test_add_func ("/spin/vain", test_vain);
  g_test_add_func ("/spin/crowd", test_crowd);
  g_test_add_func ("/spin/interrupted", test_interrupted);
  g_test_add_func ("/spin/obeyed", test_obeyed);
  g_test_add_func ("/spin/sum", test_sum);
  return g_test_run ();
}
