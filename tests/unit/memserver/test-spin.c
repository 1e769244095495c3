/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the server looks for the next request instead of sleeping: only while
 * requests come one by one and fast, and nobody else wants the processors.
 */
#include "spin.h"

/* The linker puts this in the place of GLib's, see meson.build. */
guint __wrap_g_get_num_processors (void);

static guint processors = 1 << 20;

guint
__wrap_g_get_num_processors (void)
{
  return processors;
}

static void
learn (HermitSpin *spin, gint64 gap, guint times)
{
  while (times--)
    hermit_spin_learn (spin, gap);
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

  /* One that is a bit longer changes nothing; an hour does, for a while. */
  learn (&spin, 2 * HERMIT_SPIN_US, 1);
  g_assert_true (hermit_spin_pays (&spin, 1));
  learn (&spin, (gint64)3600 * G_USEC_PER_SEC, 1);
  g_assert_false (hermit_spin_pays (&spin, 1));
  learn (&spin, 10, 30);
  g_assert_true (hermit_spin_pays (&spin, 1));
  learn (&spin, 2 * HERMIT_SPIN_US, 100);
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/spin/gaps", test_gaps);
  g_test_add_func ("/spin/crowd", test_crowd);
  return g_test_run ();
}
