/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a request counts as, and its answer as such. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fallocate.h"
#include "request.h"
#include "store-fixture.h"

static gsize
answer (HermitRegion *region, HermitCounters *counters, guint8 type,
        guint64 offset, guint32 extent, guint8 status)
{
  static const guint8 payload[PAGE] = { 1 };
  guint8 reply[HERMIT_REPLY_MAX];
  struct hermit_wire_hdr hdr, got;
  const char *why;
  gsize length;

  hermit_wire_fill (&hdr, type, 77, offset, extent, 0);
  length = hermit_request_answer (region, counters, &hdr, HERMIT_CAP_ENOENT,
                                  0, payload, reply);
  memcpy (&got, reply, sizeof (got));
  g_assert_cmpint (hermit_wire_check_reply (&got, &why), ==, 0);
  g_assert_cmpint (got.type, ==, type | HERMIT_MSG_REPLY);
  g_assert_cmpint (got.status, ==, status);
  g_assert_cmpint (le32_to_cpu (got.tag), ==, 77);
  g_assert_cmpint (le32_to_cpu (got.extent), ==, extent);
  if (type == HERMIT_MSG_PING)
    g_assert_cmpint (le64_to_cpu (got.offset), ==,
                     hermit_region_stored (region));
  else
    g_assert_cmpint (le64_to_cpu (got.offset), ==, offset);
  g_assert_cmpint (length, ==, sizeof (got) + le32_to_cpu (got.length));
  return length;
}

static void
expect_counters (const HermitCounters *c, guint64 reads, guint64 writes,
                 guint64 discards, guint64 no_space, guint64 errors)
{
  g_assert_cmpint (c->reads, ==, reads);
  g_assert_cmpint (c->writes, ==, writes);
  g_assert_cmpint (c->discards, ==, discards);
  g_assert_cmpint (c->no_space, ==, no_space);
  g_assert_cmpint (c->errors, ==, errors);
}

/* Each request counts as what it is, and as what came of it. */
static void
test_counters (void)
{
  HermitStore *store = store_new (8 * EXTENT, FALSE);
  HermitRegion *region = region_new (store, 4 * EXTENT);
  HermitCounters c = { 0 };

  answer (region, &c, HERMIT_MSG_PING, 0, 0, HERMIT_WIRE_OK);
  expect_counters (&c, 0, 0, 0, 0, 0);
  answer (region, &c, HERMIT_MSG_WRITE, 0, 0, HERMIT_WIRE_OK);
  answer (region, &c, HERMIT_MSG_WRITE, PAGE, 0, HERMIT_WIRE_OK);
  expect_counters (&c, 0, 2, 0, 0, 0);
  answer (region, &c, HERMIT_MSG_PING, 0, 0, HERMIT_WIRE_OK);
  answer (region, &c, HERMIT_MSG_READ, PAGE, PAGE, HERMIT_WIRE_OK);
  expect_counters (&c, 1, 2, 0, 0, 0);
  answer (region, &c, HERMIT_MSG_DISCARD, PAGE, PAGE, HERMIT_WIRE_OK);
  expect_counters (&c, 1, 2, 1, 0, 0);
  g_assert_cmpint (hermit_region_stored (region), ==, PAGE);
  /* Who asks whether the path passes a page does nothing wrong. */
  answer (region, &c, HERMIT_MSG_READ, PAGE, PAGE, HERMIT_WIRE_ENOENT);
  expect_counters (&c, 2, 2, 1, 0, 0);

  wait_idle (store, EXTENT);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*host has no memory*");
  fallocate_fail_with (ENOSPC);
  write_page (region, 2 * EXTENT, 1); /* what was ready */
  answer (region, &c, HERMIT_MSG_WRITE, EXTENT, 0, HERMIT_WIRE_ENOSPC);
  fallocate_fail_with (0);
  expect_counters (&c, 2, 3, 1, 1, 0);

  g_assert_cmpint (ftruncate (memory_fd (), 0), ==, 0);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_WARNING,
                         "*cannot be read*");
  g_assert_cmpint (answer (region, &c, HERMIT_MSG_READ, 0, PAGE,
                           HERMIT_WIRE_EIO),
                   ==, sizeof (struct hermit_wire_hdr));
  g_test_assert_expected_messages ();
  expect_counters (&c, 3, 3, 1, 1, 1);
  hermit_region_free (region);
  hermit_store_free (store);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/counters/counters", test_counters);
  return g_test_run ();
}
