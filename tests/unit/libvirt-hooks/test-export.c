/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hermitctl export: what Prometheus reads, line by line, printed or in a file.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fixture.h"

#define VM1 "domain=\"vm1\",region=\"pc.ram\",uuid=\"d78616a7-7e49-5f41-b1ef-1f07b84cd731\""
#define SERVER VM1 ",server=\"tcp:192.0.2.7:7471\""
#define ODD                                                                   \
  "domain=\"\",region=\"a\\\\b\\\"c\\nd\",uuid=\"eeeeeeee-eeee-eeee-eeee-"     \
  "eeeeeeeeee01\""

/* The value of a sample that is there once, or NULL. */
static char *
value_of (const char *text, const char *sample)
{
  g_autofree char *line = g_strconcat ("\n", sample, " ", NULL);
  const char *at = strstr (text, line);

  if (!at)
    return NULL;
  at += strlen (line);
  g_assert_null (strstr (at, line));
  return g_strndup (at, strcspn (at, "\n"));
}

static char *
export (void)
{
  g_autoptr (Program) p = hermitctl ("export");

  if (p->status || *p->err)
    g_error ("exit code %d: %s", p->status, p->err);
  return g_steal_pointer (&p->out);
}

static void
test_values (void)
{
  static const struct
  {
    const char *sample, *value;
  } cases[] = {
    { "hermit_size_bytes{" VM1 "}", "268435456" },
    { "hermit_limit_bytes{" VM1 "}", "100663296" },
    { "hermit_floor_bytes{" VM1 "}", "4194304" },
    { "hermit_metadata_bytes{" VM1 "}", "524800" },
    { "hermit_resident_bytes{" VM1 "}", "81920000" },
    { "hermit_local_bytes{" VM1 "}", "77824000" },
    { "hermit_remote_bytes{" VM1 "}", "122880000" },
    { "hermit_lost_bytes{" VM1 "}", "0" },
    { "hermit_lost_bytes{" ODD "}", "8192" },
    { "hermit_size_bytes{" ODD "}", "67108864" },
    { "hermit_faults_guest_total{" VM1 "}", "1001" },
    { "hermit_fetches_total{" VM1 "}", "1004" },
    { "hermit_fetches_total{" ODD "}", "0" },
    { "hermit_waits_in_kvm_total{" VM1 "}", "1024" },
    { "hermit_mismatches_total{" VM1 "}", "77" },
    { "hermit_moved_total{" VM1 "}", "78" },
    { "hermit_stall_seconds_total{" VM1 "}", "0.000001026" },
    { "hermit_stall_seconds_total{" ODD "}", "4294967296.000000000" },
    { "hermit_server_state{" SERVER ",state=\"up\"}", "1" },
    { "hermit_server_state{" SERVER ",state=\"none\"}", "0" },
    { "hermit_server_state{" SERVER ",state=\"failed\"}", "0" },
    { "hermit_server_state{" SERVER ",state=\"draining\"}", "0" },
    { "hermit_server_state{" SERVER ",state=\"drained\"}", "0" },
    { "hermit_server_state_seconds{" SERVER "}", "90.000000000" },
    { "hermit_server_used_bytes{" SERVER "}", "63963136" },
    { "hermit_server_round_trip_seconds{" SERVER "}", "0.000012300" },
    { "hermit_server_errors_total{" SERVER "}", "1039" },
    { "hermit_server_reconnects_total{" SERVER "}", "1040" },
    /* it has none */
    { "hermit_server_state{" ODD ",server=\"\",state=\"none\"}", NULL },
  };
  g_autofree char *text = NULL;
  struct fake_region *odd;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  odd = fixture_region (NULL, "a\\b\"c\nd", 64, 64);
  odd->st.lost = 2;
  odd->st.stall_ns = (1ULL << 32) * 1000000000;
  text = export ();
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *value = value_of (text, cases[i].sample);

      if (g_strcmp0 (value, cases[i].value))
        g_error ("%s is %s, not %s", cases[i].sample, value, cases[i].value);
    }
}

/*
 * The format: each metric's type comes first and once, its samples follow
 * without another between, and no sample is there twice.
 */
static void
test_format (void)
{
  g_autoptr (GHashTable) types
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) samples = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree char *text = NULL, *current = NULL;
  g_auto (GStrv) lines = NULL;
  guint counters = 0;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  fixture_full ("vm2", "ram-node0", "rdma:192.0.2.8:7471");
  text = export ();
  g_assert_true (g_str_has_suffix (text, "\n"));
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i + 1]; i++)
    {
      g_auto (GStrv) words = g_strsplit (lines[i], " ", -1);
      char *brace;

      if (*lines[i] == '#')
        {
          g_assert_cmpuint (g_strv_length (words), ==, 4);
          g_assert_cmpstr (words[1], ==, "TYPE");
          g_assert_true (g_hash_table_add (types, g_strdup (words[2])));
          g_assert_cmpint (!strcmp (words[3], "counter"), ==,
                           g_str_has_suffix (words[2], "_total"));
          counters += !strcmp (words[3], "counter");
          g_free (current);
          current = g_strdup (words[2]);
          continue;
        }
      g_assert_true (g_regex_match_simple (
          "^hermit_[a-z_]+\\{([a-z]+=\"[^\"]*\",?)+\\} [0-9.]+$", lines[i], 0,
          0));
      g_assert_true (g_hash_table_add (samples, lines[i]));
      brace = strchr (words[0], '{');
      *brace = 0;
      g_assert_cmpstr (words[0], ==, current);
    }
  /* as many as "stat" has, and two of the servers */
  g_assert_cmpuint (counters, ==, 36 + 2);
}

/* Nobody runs: the types alone. An error: nothing, and the file as it was. */
static void
test_file (void)
{
  g_autofree char *text = NULL, *printed = NULL;
  GStatBuf st;

  fixture_reset ();
  hermitctl_says ("export --output out.prom", "", "");
  g_assert_true (g_file_get_contents ("out.prom", &text, NULL, NULL));
  g_assert_nonnull (strstr (text, "# TYPE hermit_limit_bytes gauge\n"));
  g_assert_null (strchr (text, '{'));
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  hermitctl_says ("export -o out.prom", "", "");
  printed = export ();
  text = (g_free (text), NULL);
  g_assert_true (g_file_get_contents ("out.prom", &text, NULL, NULL));
  g_assert_cmpstr (text, ==, printed);
  /* for another user to read */
  g_assert_cmpint (g_stat ("out.prom", &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0644);
  fake_hermit->open_errno = ENOENT;
  hermitctl_fails ("export -o out.prom", 1,
                   "hermitctl: /dev/hermit: No such file or directory; is "
                   "hermit.ko loaded? (modprobe hermit)\n");
  text = (g_free (text), NULL);
  g_assert_true (g_file_get_contents ("out.prom", &text, NULL, NULL));
  g_assert_cmpstr (text, ==, printed);
  g_unlink ("out.prom");
  fake_hermit->open_errno = 0;
  {
    g_autoptr (Program) p = hermitctl ("export -o no/such/folder.prom");

    g_assert_cmpint (p->status, ==, 1);
    g_assert_nonnull (strstr (p->err, "no/such/folder.prom"));
  }
  hermitctl_fails ("export vm1", 2,
                   "hermitctl: do not understand 'export' with these "
                   "arguments; see hermitctl --help\n");
}

/* For who wants to know which figures there are: test-export --print */
static int
print (void)
{
  g_autofree char *text = NULL;

  fixture_reset ();
  fixture_full ("vm1", "pc.ram", "tcp:192.0.2.7:7471");
  text = export ();
  fputs (text, stdout);
  fixture_end ();
  return 0;
}

int
main (int argc, char **argv)
{
  int ret;

  if (argc == 2 && !strcmp (argv[1], "--print"))
    return print ();
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/export/values", test_values);
  g_test_add_func ("/export/format", test_format);
  g_test_add_func ("/export/file", test_file);
  ret = g_test_run ();
  fixture_end ();
  return ret;
}
