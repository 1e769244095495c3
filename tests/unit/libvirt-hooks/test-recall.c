/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl recall: all of a VM comes home, it says how far that is, and asks
 * again for what did not come.
 */
#include <errno.h>

#include "fixture.h"

/* What a step of 4096 pages takes, of this clock. */
static gint64 step_time;

static int
timed_step (unsigned long request, struct fake_region *r, void *arg)
{
  const struct hermit_recall *c = arg;

  if (request != HERMIT_RECALL)
    return 0;
  g_assert_cmpuint (c->nr_pages, <=, 4096);
  g_assert_cmpuint (c->start_page + c->nr_pages, <=,
                    r->st.region_size / 4096);
  fixture_clock += step_time;
  return 0;
}

static void
test_recall (void)
{
  struct fake_region *r;

  fixture_reset ();
  fixture_region ("vm1", "pc.ram", 256, 96);
  r = &fake_hermit->regions[0];
  r->st.resident = 24576;
  r->st.remote = 40960;
  step_time = G_USEC_PER_SEC;
  fake_hermit->answer = timed_step;
  hermitctl_says ("recall vm1", "",
                  "pc.ram: 32.0 MiB of 160.0 MiB are back, 16.0 MiB/s\n"
                  "pc.ram: 64.0 MiB of 160.0 MiB are back, 16.0 MiB/s\n"
                  "pc.ram: 96.0 MiB of 160.0 MiB are back, 16.0 MiB/s\n"
                  "pc.ram: 128.0 MiB of 160.0 MiB are back, 16.0 MiB/s\n"
                  "pc.ram: 160.0 MiB of 160.0 MiB are back, 16.0 MiB/s\n"
                  "pc.ram: 160.0 MiB of 160.0 MiB are back, 13.3 MiB/s\n"
                  "pc.ram: 160.0 MiB of 160.0 MiB are back, 11.4 MiB/s\n"
                  "pc.ram: 160.0 MiB of 160.0 MiB are back, 10.0 MiB/s\n"
                  "pc.ram: 160.0 MiB of 160.0 MiB are back, 10.0 MiB/s\n");
  g_assert_cmpuint (r->st.remote, ==, 0);
  g_assert_cmpuint (r->st.resident, ==, 65536);
  g_assert_cmpuint (r->st.limit, ==, 256 * MIB);
  g_assert_cmpstr (fake_libvirt->live, ==, "<memory local-ratio=\"1\"/>");
}

/* On a terminal a line is written over, and more often. */
static void
test_recall_tty (void)
{
  struct fake_region *r;

  fixture_reset ();
  r = fixture_region ("vm1", "pc.ram", 40, 20);
  r->st.remote = 5120;
  fixture_tty = TRUE;
  step_time = G_USEC_PER_SEC;
  fake_hermit->answer = timed_step;
  hermitctl_says ("recall vm1", "",
                  "\r\033[Kpc.ram: 16.0 MiB of 20.0 MiB are back, 16.0 MiB/s"
                  "\r\033[Kpc.ram: 20.0 MiB of 20.0 MiB are back, 10.0 MiB/s"
                  "\r\033[Kpc.ram: 20.0 MiB of 20.0 MiB are back, 6.7 MiB/s"
                  "\r\033[Kpc.ram: 20.0 MiB of 20.0 MiB are back, 6.7 MiB/s"
                  "\n");

  /* five times a second at most: of steps of 199 ms every other one */
  r->st.remote = 5120;
  r->st.resident = 0;
  step_time = 199000;
  hermitctl_says ("recall vm1", "",
                  "\r\033[Kpc.ram: 20.0 MiB of 20.0 MiB are back, 50.3 MiB/s"
                  "\r\033[Kpc.ram: 20.0 MiB of 20.0 MiB are back, 33.5 MiB/s"
                  "\n");
}

/* What leaves meanwhile is asked for again, three times in all. */
static guint leaves;

static int
some_leave (unsigned long request, struct fake_region *r, void *arg)
{
  if (request == HERMIT_GET_STATS && leaves && r->st.resident)
    {
      leaves--;
      r->st.remote += 1024;
      r->st.resident -= 1024;
    }
  return 0;
}

static void
test_recall_again (void)
{
  struct fake_region *r;

  fixture_reset ();
  r = fixture_region ("vm1", "pc.ram", 16, 8);
  r->st.remote = 2048;
  fake_hermit->answer = some_leave;
  leaves = 2;
  hermitctl_says ("recall vm1", "",
                  "pc.ram: 16.0 MiB of 16.0 MiB are back, 15.3 TiB/s\n");
  g_assert_cmpuint (r->st.remote, ==, 0);
  r->st.remote = 2048;
  r->st.resident = 1024;
  leaves = 4;
  hermitctl_fails ("recall vm1", 1,
                   "pc.ram: 20.0 MiB of 20.0 MiB are back, 19.1 TiB/s\n"
                   "hermitctl: pc.ram: 4.0 MiB are still remote; is the limit "
                   "lowered meanwhile?\n");
}

/* The server does not answer at first; then the limit is lowered. */
static guint silent;

static int
late (unsigned long request, struct fake_region *r, void *arg)
{
  struct hermit_recall *c = arg;

  if (request != HERMIT_RECALL || !silent)
    return 0;
  silent--;
  c->next_page = c->start_page + 100;
  c->fetched = 100;
  r->st.remote -= 100;
  r->st.resident += 100;
  return ETIMEDOUT;
}

static int
lowered (unsigned long request, struct fake_region *r, void *arg)
{
  if (request == HERMIT_RECALL)
    r->st.limit = 8 * MIB;
  return 0;
}

static void
test_recall_refused (void)
{
  struct fake_region *r;

  fixture_reset ();
  r = fixture_region ("vm1", "pc.ram", 16, 8);
  r->st.remote = 2048;
  fake_hermit->answer = late;
  silent = 2;
  hermitctl_says ("recall vm1", "",
                  "hermitctl: pc.ram: page 100: it did not come for 5 s: the "
                  "server does not answer, or this host has no memory; trying "
                  "again\n"
                  "hermitctl: pc.ram: page 200: it did not come for 5 s: the "
                  "server does not answer, or this host has no memory; trying "
                  "again\n"
                  "pc.ram: 8.0 MiB of 8.0 MiB are back, 7.6 TiB/s\n");
  g_assert_cmpuint (r->st.remote, ==, 0);

  fake_hermit->answer = lowered;
  r->st.resident = 1024;
  r->st.remote = 2048;
  hermitctl_fails ("recall vm1", 1,
                   "hermitctl: pc.ram: page 1024: the limit has no room for "
                   "it\n");
  fake_hermit->answer = NULL;
  hermitctl_fails ("recall nobody", 1,
                   "hermitctl: 'nobody': no running VM of this host with "
                   "hermit memory; see hermitctl list\n");
  r->st.floor = 32 * MIB;
  hermitctl_fails ("recall vm1", 1,
                   "hermitctl: pc.ram: limit 16777216: below 33554432 "
                   "bytes\n");
}

int
main (int argc, char **argv)
{
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/recall/all", test_recall);
  g_test_add_func ("/recall/tty", test_recall_tty);
  g_test_add_func ("/recall/again", test_recall_again);
  g_test_add_func ("/recall/refused", test_recall_refused);
  ret = g_test_run ();
  fixture_end ();
  return ret;
}
