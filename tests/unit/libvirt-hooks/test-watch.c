/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl top and advise, to the letter, and what every command says when
 * the module or its user cannot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define HEAD_OF_TOP                                                           \
  "DOMAIN           REGION           SIZE      LIMIT   RESIDENT     REMOTE "   \
  "FAULTS/s  EVICT/s    P50 us    P99 us   THR SERVER\n"

/* The clock stands still, but for the sleep between two tables. */
static int
busier (unsigned long request, struct fake_region *r, void *arg)
{
  if (request != HERMIT_GET_STATS)
    return 0;
  r->st.fault_hist[13] += 500;
  r->st.evicted_clean += 10;
  r->st.evicted_dirty += 20;
  r->st.evicted_zero += 30;
  return 0;
}

static void
test_top (void)
{
  static const char *const tables
      = "12:34:56  2 regions\n" HEAD_OF_TOP
        "-                a-long-nam   64.0 MiB   64.0 MiB    0.0 KiB    0.0 "
        "KiB        -        -      12.3      16.3  0/0  -\n"
        "vm1              pc.ram      256.0 MiB   96.0 MiB   78.1 MiB  117.2 "
        "MiB        -        -       7.2      82.8  1/4  up LOST 5 pages\n"
        "12:34:56  2 regions\n" HEAD_OF_TOP
        "-                a-long-nam   64.0 MiB   64.0 MiB    0.0 KiB    0.0 "
        "KiB     1000      120      12.3      16.3  0/0  -\n"
        "vm1              pc.ram      256.0 MiB   96.0 MiB   78.1 MiB  117.2 "
        "MiB     1000      120      12.3      16.3  1/4  up LOST 5 pages\n";
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471")->st.lost = 5;
  fixture_region (NULL, "a-long-name", 64, 64);
  fake_hermit->answer = busier;
  hermitctl_says ("top -n 2 -i 0.5", tables, "");
  /* of several servers how many are up, while it is not all of them */
  fake_hermit->regions[0].st.nr_servers = 3;
  fake_hermit->regions[0].st.servers[1].state = HERMIT_SERVER_UP;
  for (guint state = HERMIT_SERVER_UP; state <= HERMIT_SERVER_FULL; state++)
    {
      g_autoptr (Program) several = NULL;

      fake_hermit->regions[0].st.servers[2].state = state;
      several = hermitctl ("top -n 1");
      g_assert_nonnull (strstr (several->out, state == HERMIT_SERVER_UP
                                                  ? "1/4  up LOST"
                                                  : "1/4  2/3 up LOST"));
    }
  fake_hermit->regions[0].st.nr_servers = 1;
  /* a terminal is cleared first, each time */
  fixture_tty = TRUE;
  p = hermitctl ("top --count 2 --interval 0.5");
  g_assert_true (g_str_has_prefix (p->out, "\033[H\033[J12:34:56"));
  g_assert_nonnull (strstr (p->out, "\n\033[H\033[J12:34:56"));
  fixture_tty = FALSE;
  hermitctl_fails (
      "top -i 0 -n 1", 2,
      "hermitctl: top: --interval must be above 0, --count not below\n");
  hermitctl_fails (
      "top -n -1", 2,
      "hermitctl: top: --interval must be above 0, --count not below\n");
  hermitctl_fails (
      "top -i nan -n 1", 2,
      "hermitctl: top: --interval must be above 0, --count not below\n");
}

/* An object in a line for each table; and "-n2" as others' tools have it. */
static void
test_top_json (void)
{
  static const char *const lines
      = "{\"time\":45296,\"regions\":[{\"domain\":\"vm1\",\"id\":\"pc.ram\","
        "\"uuid\":\"d78616a7-7e49-5f41-b1ef-1f07b84cd731\",\"size\":268435456,"
        "\"limit\":100663296,\"resident\":81920000,\"remote\":122880000,"
        "\"faults-per-second\":%s,\"evictions-per-second\":%s,\"p50-us\":%s,"
        "\"p99-us\":%s,\"threads\":1,\"threads-max\":4,\"servers\":[\"up\"],"
        "\"lost\":20480}]}\n";
  g_autoptr (Program) p = NULL;
  g_auto (GStrv) got = NULL;
  json_t *j, *r;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471")->st.lost = 5;
  fake_hermit->answer = busier;
  p = hermitctl ("top -n2 -i0.5 --json");
  g_assert_cmpint (p->status, ==, 0);
  got = g_strsplit (p->out, "\n", -1);
  g_assert_cmpuint (g_strv_length (got), ==, 3);
  for (guint i = 0; i < 2; i++)
    {
      j = json_loads (got[i], 0, NULL);
      g_assert_nonnull (j);
      r = json_array_get (json_object_get (j, "regions"), 0);
      {
        g_autofree char *p50 = g_strdup_printf (
            "%.1f", json_real_value (json_object_get (r, "p50-us")));

        g_assert_cmpstr (p50, ==, i ? "12.3" : "7.2");
      }
      json_object_set_new (r, "p50-us", json_integer (0));
      json_object_set_new (r, "p99-us", json_integer (0));
      {
        g_autofree char *want
            = i ? g_strdup_printf (lines, "1000.0", "120.0", "0", "0")
                : g_strdup_printf (lines, "null", "null", "0", "0");

        expect_json (j, want);
      }
      json_decref (j);
    }
  hermitctl_fails ("top -nx", 2,
                   "hermitctl: Cannot parse integer value “x” for -n\n");
  hermitctl_fails ("export --json", 2,
                   "hermitctl: export: there is no JSON of this; see stat\n");
  hermitctl_fails ("follow -j", 2,
                   "hermitctl: follow: there is no JSON of this; see stat\n");
}

/* Without a count it goes on until something fails. */
static int
gone_after_300 (unsigned long request, struct fake_region *r, void *arg)
{
  return fake_hermit->calls > 300 ? EIO : 0;
}

static void
test_top_for_ever (void)
{
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  fake_hermit->answer = gone_after_300;
  p = hermitctl ("top");
  g_assert_cmpint (p->status, ==, 1);
  g_assert_cmpuint (fake_hermit->calls, ==, 301);
  g_assert_true (g_str_has_suffix (p->out, HEAD_OF_TOP));
  g_assert_cmpstr (
      p->err, ==,
      "hermitctl: /dev/hermit: cannot list the regions: Input/output error\n");
}

/*
 * Two regions of one VM: 8 GiB that see nothing, and 1 GiB of which 64 MiB are
 * in use all the time, and 200 pages of each age up to 128 periods.
 */
static void
test_advise (void)
{
  struct fake_region *r;
  json_t *j;
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  r = fixture_region ("vm2", "ram-node0", 8 << 10, 100);
  r->st.idle_period_ns = 2000000000;
  r->st.idle_sampled = 1000;
  r = fixture_region ("vm2", "ram-node1", 1 << 10, 200);
  r->st.idle_period_ns = 4000000000;
  r->st.idle_sampled = 24;
  r->st.idle_hist[0] = 16384;
  for (guint i = 1; i < 8; i++)
    r->st.idle_hist[i] = 200 << (i - 1);
  r->st.idle_hist[8] = 12800;
  hermitctl_says (
      "advise vm2 --faults 49",
      "vm2: 9.0 GiB, 213.2 MiB of it in use, limit now 300.0 MiB\n"
      "        KEEP  RATIO  ACCESSED WITHIN  FAULTS/s EXPECTED\n"
      "    64.0 MiB   0.01  4 s              50\n"
      "    64.8 MiB   0.01  8 s              50\n"
      "    66.3 MiB   0.01  16 s             50\n"
      "    69.5 MiB   0.01  32 s             50\n"
      "    75.7 MiB   0.01  64 s             50\n"
      "    88.2 MiB   0.01  128 s            50\n"
      "   113.2 MiB   0.02  256 s            50\n"
      "   163.2 MiB   0.02  512 s            25\n"
      "   213.2 MiB   0.03  any time         0\n"
      "advice: hermitctl set vm2 --ratio 0.03    (195.9 MiB, about 25 faults "
      "per second)\n",
      "");
  p = hermitctl ("advise vm2 --json");
  g_assert_cmpint (p->status, ==, 0);
  j = json_loads (p->out, 0, NULL);
  g_assert_nonnull (j);
  expect_json (json_array_get (json_object_get (j, "ages"), 7),
               "{\"keep\":171147264,\"ratio\":0.02,\"faults\":25.0,"
               "\"seconds\":512.0}");
  expect_json (json_array_get (json_object_get (j, "ages"), 8),
               "{\"keep\":223576064,\"ratio\":0.03,\"faults\":0.0}");
  g_assert_cmpuint (json_array_size (json_object_get (j, "ages")), ==, 9);
  json_object_del (j, "ages");
  /* 100 faults per second are no limit here */
  expect_json (j, "{\"size\":9663676416,\"limit\":314572800,\"sampled\":"
                  "4194304,\"advice\":{\"limit\":80530636,\"ratio\":0.01,"
                  "\"faults\":50.0}}");
  json_decref (j);
  /* never below the floor, never above the size */
  r->st.floor = 8ULL << 30;
  hermitctl_fails ("advise vm2 --faults -1", 2,
                   "hermitctl: advise: --faults must not be below 0\n");
  hermitctl_fails ("advise vm2 --faults nan", 2,
                   "hermitctl: advise: --faults must not be below 0\n");
  g_clear_pointer (&p, program_free);
  p = hermitctl ("advise vm2 --faults 0");
  g_assert_nonnull (strstr (p->out, "--ratio 0.89    (8.0 GiB, about 0 "));
}

/* A region without a domain is named by its UUID, which is what set takes. */
static void
test_advise_all (void)
{
  struct fake_region *r;
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  r = fixture_region (NULL, "solo", 64, 64);
  r->st.idle_period_ns = 5000000000;
  r->st.idle_hist[0] = 16384;
  p = hermitctl ("advise solo");
  g_assert_cmpint (p->status, ==, 0);
  g_assert_true (g_str_has_suffix (
      p->out, "advice: hermitctl set eeeeeeee-eeee-eeee-eeee-eeeeeeeeee00 "
              "--ratio 1.00    (64.0 MiB, about 0 faults per second)\n"));
}

/* A ratio that is printed can be given back, whatever the user's language. */
static void
test_locale (void)
{
  g_autofree char *localedef = g_find_program_in_path ("localedef");
  g_autofree char *command = NULL, *home = g_get_current_dir ();
  struct fake_region *r;
  g_autoptr (Program) p = NULL;

  fixture_reset ();
  command = g_strdup_printf ("%s -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null",
                             localedef ?: "false", home);
  if (system (command))
    {
      g_test_skip ("no localedef, or no sources of locales");
      return;
    }
  r = fixture_region (NULL, "solo", 64, 64);
  r->st.idle_period_ns = 5000000000;
  r->st.idle_hist[0] = 1024;
  g_setenv ("LOCPATH", home, TRUE);
  g_setenv ("LC_ALL", "de_DE.UTF-8", TRUE);
  p = hermitctl ("advise solo");
  g_unsetenv ("LC_ALL");
  g_unsetenv ("LOCPATH");
  g_assert_cmpint (system ("rm -r de_DE.UTF-8"), ==, 0);
  g_assert_nonnull (strstr (p->out, "set eeeeeeee-eeee-eeee-eeee-eeeeeeeeee00 "
                                    "--ratio 0.08 "));
}

static void
test_usage (void)
{
  static const struct
  {
    const char *args, *says;
  } wrong[] = {
    { "", "no command" },
    { "list vm1", "do not understand 'list' with these arguments" },
    { "stat vm1 vm2", "do not understand 'stat' with these arguments" },
    { "set", "do not understand 'set' with these arguments" },
    { "set vm1 vm2", "do not understand 'set' with these arguments" },
    { "policy", "do not understand 'policy' with these arguments" },
    { "advise", "do not understand 'advise' with these arguments" },
    { "recall", "do not understand 'recall' with these arguments" },
    { "recall vm1 vm2", "do not understand 'recall' with these arguments" },
    { "top vm1", "do not understand 'top' with these arguments" },
    { "follow vm1", "do not understand 'follow' with these arguments" },
    { "stats", "do not understand 'stats' with these arguments" },
    { "LIST", "do not understand 'LIST' with these arguments" },
  };
  g_autoptr (Program) help = NULL;

  fixture_reset ();
  fixture_region ("vm1", "pc.ram", 256, 96);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autofree char *err = g_strdup_printf (
          "hermitctl: %s; see hermitctl --help\n", wrong[i].says);

      hermitctl_fails (wrong[i].args, 2, err);
    }
  hermitctl_fails ("--bogus", 2, "hermitctl: Unknown option --bogus\n");
  hermitctl_says ("--version", "hermitctl " HERMIT_VERSION "\n", "");
  hermitctl_says ("list --version", "hermitctl " HERMIT_VERSION "\n", "");
  help = hermitctl ("--help");
  g_assert_cmpint (help->status, ==, 0);
  g_assert_nonnull (
      strstr (help->out, "list | stat [VM] | server list VM | server add|drop|drain|"));
}

/* Each way that the device cannot be used, and what to do about it. */
static void
test_device (void)
{
  static const struct
  {
    int err;
    const char *says;
  } opens[] = {
    { ENOENT, "No such file or directory; is hermit.ko loaded? (modprobe "
              "hermit)" },
    { EACCES, "Permission denied; run as root or as a member of its group" },
    { EPERM, "Operation not permitted; run as root or as a member of its "
             "group" },
    { EMFILE, "Too many open files" },
  };
  static const struct
  {
    gulong request;
    int err;
    const char *says;
  } ioctls[] = {
    { HERMIT_LIST, EPERM, "/dev/hermit: cannot list the regions: run as root "
                          "(CAP_SYS_ADMIN)" },
    { HERMIT_LIST, ENOTTY, "/dev/hermit: cannot list the regions: the loaded "
                           "hermit.ko is older than hermitctl" },
    { HERMIT_LIST, ENOMEM, "/dev/hermit: cannot list the regions: Cannot "
                           "allocate memory" },
    { HERMIT_OPEN, EMFILE, "region d78616a7-7e49-5f41-b1ef-1f07b84cd731: Too "
                           "many open files" },
    { HERMIT_GET_STATS, ENOMEM, "/dev/hermit: cannot read statistics: Cannot "
                                "allocate memory" },
  };

  fixture_reset ();
  fixture_region ("vm1", "pc.ram", 256, 96);
  for (guint i = 0; i < G_N_ELEMENTS (opens); i++)
    {
      g_autofree char *err
          = g_strdup_printf ("hermitctl: /dev/hermit: %s\n", opens[i].says);

      fake_hermit->open_errno = opens[i].err;
      hermitctl_fails ("list", 1, err);
      hermitctl_fails ("stat vm1 --json", 1, err);
    }
  fake_hermit->open_errno = 0;
  for (guint i = 0; i < G_N_ELEMENTS (ioctls); i++)
    {
      g_autofree char *err
          = g_strdup_printf ("hermitctl: %s\n", ioctls[i].says);

      fixture_fail (ioctls[i].request, ioctls[i].err);
      hermitctl_fails ("list --json", 1, err);
      hermitctl_fails ("advise vm1", 1, err);
    }
}

int
main (int argc, char **argv)
{
  int ret;

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/watch/top", test_top);
  g_test_add_func ("/watch/top-json", test_top_json);
  g_test_add_func ("/watch/top-for-ever", test_top_for_ever);
  g_test_add_func ("/watch/advise", test_advise);
  g_test_add_func ("/watch/advise-all", test_advise_all);
  g_test_add_func ("/watch/locale", test_locale);
  g_test_add_func ("/watch/usage", test_usage);
  g_test_add_func ("/watch/device", test_device);
  ret = g_test_run ();
  fixture_end ();
  return ret;
}
