/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is stored, what is answered, and what ends a connection. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "core/crc.h"
#include "store.h"

#define EXTENT HERMIT_EXTENT_SIZE

static void
test_pages (void)
{
  /* So small a server keeps no slots ready. */
  Server *server = server_start ("--capacity=8M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int fd = client_open (&client);
  guint8 page[PAGE];

  memset (page, 0xaa, sizeof (page));
  g_assert_cmpint (do_read (fd, 3 * PAGE, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  g_assert_cmpint (server_region (server, client.uuid, "backed"), ==, 0);

  for (guint version = 1; version <= 3; version++)
    {
      fill_page (page, 1, 3 * PAGE, version);
      g_assert_cmpint (do_write (fd, 3 * PAGE, page), ==, HERMIT_WIRE_OK);
      memset (page, 0, sizeof (page));
      g_assert_cmpint (do_read (fd, 3 * PAGE, page), ==, HERMIT_WIRE_OK);
      g_assert_true (page_is (page, 1, 3 * PAGE, version));
      g_assert_cmpint (do_ping (fd), ==, PAGE);
    }
  g_assert_cmpint (server_region (server, client.uuid, "backed"), ==,
                   16 * PAGE);

  g_assert_cmpint (do_discard (fd, 2 * PAGE, 3 * PAGE), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd, 3 * PAGE, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  g_assert_cmpint (do_ping (fd), ==, 0);
  g_assert_cmpint (server_region (server, client.uuid, "backed"), ==, 0);
  close (fd);
  server_stop (server);
}

/* A batch in one piece, more than the server's buffers hold, in odd pieces. */
static void
test_pipeline (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int fd = client_open (&client);
  const guint pages = 300;
  g_autofree guint8 *batch = g_malloc (2 * pages * FRAME_MAX);
  g_autofree guint64 *seen = g_new0 (guint64, pages);
  guint8 page[PAGE];
  gsize length = 0;

  for (guint i = 0; i < pages; i++)
    {
      fill_page (page, 1, i * PAGE, 7);
      length += make_frame (batch + length, HERMIT_MSG_WRITE, 1000 + i,
                            i * PAGE, page);
      length
          += make_frame (batch + length, HERMIT_MSG_READ, i, i * PAGE, NULL);
    }
  for (gsize at = 0; at < length; at += 99991)
    g_assert_true (send_all (fd, batch + at, MIN (99991, length - at)));

  for (guint i = 0; i < 2 * pages; i++)
    {
      struct hermit_wire_hdr reply;
      guint32 tag;

      g_assert_true (receive_all (fd, &reply, sizeof (reply)));
      g_assert_cmpint (reply.status, ==, HERMIT_WIRE_OK);
      tag = le32_to_cpu (reply.tag);
      if (reply.type == (HERMIT_MSG_WRITE | HERMIT_MSG_REPLY))
        {
          g_assert_cmpint (tag - 1000, <, pages);
          continue;
        }
      g_assert_cmpint (tag, <, pages);
      g_assert_true (receive_all (fd, page, PAGE));
      g_assert_true (page_is (page, 1, tag * PAGE, 7));
      seen[tag]++;
    }
  for (guint i = 0; i < pages; i++)
    g_assert_cmpint (seen[i], ==, 1);
  close (fd);
  server_stop (server);
}

static void
test_violation (void)
{
  static const struct
  {
    guint8 type;
    guint64 offset;
    guint32 extent;
    guint32 length;
    const char *log;
  } cases[] = {
    { HERMIT_MSG_READ, 8 * MIB, PAGE, 0, "beyond the region" },
    { HERMIT_MSG_WRITE, 8 * MIB, 0, PAGE, "beyond the region" },
    { HERMIT_MSG_WRITE, 17, 0, PAGE, "the offset is not that of a page" },
    { HERMIT_MSG_WRITE, 0, 0, 1u << 31, "WRITE does not carry one page" },
    { HERMIT_MSG_DISCARD, 8 * MIB - PAGE, 2 * PAGE, 0, "beyond the region" },
    { 99, 0, 0, 0, "not that of a request" },
    { HERMIT_MSG_HELLO, 0, 0, 168, "not that of a request" },
  };
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  guint8 page[PAGE];
  int fd, good;

  fd = client_open (&client);
  good = client_join (&client);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *line = g_strdup_printf (
          "warning: region 01000000-0000-0000-0000-0000000000ee \"test\", "
          "127.0.0.1:|%s (type %u, offset|connection closed",
          cases[i].log, cases[i].type);
      struct hermit_wire_hdr hdr;
      guint8 frame[FRAME_MAX];
      gsize length;

      /* What came before it is still answered. */
      fill_page (page, 1, 0, i + 1);
      length = make_frame (frame, HERMIT_MSG_WRITE, 5, 0, page);
      g_assert_true (send_all (fd, frame, length));
      hermit_wire_fill (&hdr, cases[i].type, 6, cases[i].offset,
                        cases[i].extent, cases[i].length);
      g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
      g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
      g_assert_cmpint (le32_to_cpu (hdr.tag), ==, 5);
      g_assert_true (is_closed (fd));
      close (fd);
      server_wait_log (server, line);

      /* It costs the connection, not the region. */
      g_assert_cmpint (do_read (good, 0, page), ==, HERMIT_WIRE_OK);
      g_assert_true (page_is (page, 1, 0, i + 1));
      fd = client_join (&client);
    }
  close (fd);
  close (good);
  server_stop (server);
}

/* DISCARD is an option: without the capability it breaks a rule. */
static void
test_no_discard (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  struct hermit_wire_hdr hdr;
  int fd;

  hello.caps = cpu_to_le64 (HERMIT_CAP_MULTICONN);
  fd = client_try (&client, client_connect (&client), &hello).fd;
  hermit_wire_fill (&hdr, HERMIT_MSG_DISCARD, 1, 0, PAGE, 0);
  g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
  g_assert_true (is_closed (fd));
  close (fd);
  server_wait_log (server, "DISCARD was not agreed upon");
  server_stop (server);
}

/*
 * What is not stored is told from zeros that are, to who has the capability; to an
 * older client on another connection of the same region it is zeros.
 */
static void
test_not_stored (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  guint8 page[PAGE], zeros[PAGE] = { 0 };
  Attempt attempt;
  int fd, old;

  hello.caps |= cpu_to_le64 (HERMIT_CAP_ENOENT);
  attempt = client_try (&client, client_connect (&client), &hello);
  client.epoch = le64_to_cpu (attempt.welcome.epoch);
  fd = attempt.fd;
  old = client_join (&client);
  for (guint64 offset = 0; offset < 8 * MIB; offset += 2 * MIB - PAGE)
    {
      memset (page, 0xaa, sizeof (page));
      g_assert_cmpint (do_read (fd, offset, page), ==, HERMIT_WIRE_ENOENT);
      g_assert_true (page_is_zero (page));
      memset (page, 0xaa, sizeof (page));
      g_assert_cmpint (do_read (old, offset, page), ==, HERMIT_WIRE_OK);
      g_assert_true (page_is_zero (page));
    }

  g_assert_cmpint (do_write (fd, 5 * PAGE, zeros), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd, 5 * PAGE, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  /* Its neighbours, in an extent that has memory now, are not stored still. */
  g_assert_cmpint (do_read (fd, 4 * PAGE, page), ==, HERMIT_WIRE_ENOENT);
  g_assert_cmpint (do_read (fd, 6 * PAGE, page), ==, HERMIT_WIRE_ENOENT);
  fill_page (page, 1, 6 * PAGE, 1);
  g_assert_cmpint (do_write (fd, 6 * PAGE, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_discard (old, 5 * PAGE, PAGE), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd, 5 * PAGE, page), ==, HERMIT_WIRE_ENOENT);
  g_assert_cmpint (do_read (fd, 6 * PAGE, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (page, 1, 6 * PAGE, 1));
  close (old);
  close (fd);
  server_stop (server);
}

/* What the server says with its answer to PING. */
static guint32
notices (int fd)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, HERMIT_MSG_PING, 1, 0, 0, 0);
  g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_PING | HERMIT_MSG_REPLY);
  return le32_to_cpu (hdr.extent);
}

/* The answer to a PING that says this. */
static guint32
ask_room (int fd, guint64 reserve, guint32 need)
{
  struct hermit_wire_hdr hdr;

  hermit_wire_fill (&hdr, HERMIT_MSG_PING, 1, reserve, need, 0);
  g_assert_true (send_all (fd, &hdr, sizeof (hdr)));
  g_assert_true (receive_all (fd, &hdr, sizeof (hdr)));
  g_assert_cmpint (hdr.type, ==, HERMIT_MSG_PING | HERMIT_MSG_REPLY);
  return le32_to_cpu (hdr.extent) >> HERMIT_NOTICE_BITS;
}

/* Opens its region by a HELLO that has these capabilities, too. */
static int
open_with (Client *client, guint64 caps)
{
  struct hermit_wire_hello hello = client_hello (client, TRUE);
  Attempt attempt;

  hello.caps |= cpu_to_le64 (caps);
  attempt = client_try (client, client_connect (client), &hello);
  client->epoch = le64_to_cpu (attempt.welcome.epoch);
  return attempt.fd;
}

/*
 * What is kept for a region follows its PINGs, as far as there is some, and is not
 * below what it uses; who does not have the capability keeps what it had.
 */
static void
test_room (void)
{
  Server *server = server_start ("--capacity=32M", NULL);
  Client client = client_new (server, 1, 1, 24 * MIB);
  Client other = client_new (server, 2, 2, 4 * MIB);
  guint8 page[PAGE] = { 1 };
  int fd = open_with (&client, HERMIT_CAP_ROOM | HERMIT_CAP_NOTICE);
  int old = open_with (&other, HERMIT_CAP_NOTICE);

  g_assert_cmpint (ask_room (fd, 0, HERMIT_NEED_ALL), ==, 12);
  g_assert_cmpint (ask_room (fd, 8 * MIB, HERMIT_NEED_ALL), ==, 4);
  g_assert_cmpint (server_region (server, client.uuid, "reserved"), ==, 8 * MIB);
  /* One page of each of five extents: four may be kept for, all are in use. */
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (do_write (fd, i * 2 * MIB, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (ask_room (fd, 2 * MIB, HERMIT_NEED_ALL), <=, 4);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (ask_room (fd, 24 * MIB, HERMIT_NEED_ALL), ==, 12);
  g_assert_cmpint (server_region (server, client.uuid, "reserved"), ==, 24 * MIB);

  g_assert_cmpint (ask_room (old, 2 * MIB, HERMIT_NEED_NONE), ==, 0);
  g_assert_cmpint (server_region (server, other.uuid, "reserved"), ==, 4 * MIB);
  close (old);
  close (fd);
  server_stop (server);
}

/* No more than there is; and who goes makes room. */
static void
test_room_is_short (void)
{
  Server *server = server_start ("--capacity=16M", NULL);
  Client client = client_new (server, 1, 1, 32 * MIB);
  Client other = client_new (server, 2, 2, 8 * MIB);
  int fd, beside = client_open (&other);

  client.unreserved = 28 * MIB;
  fd = open_with (&client, HERMIT_CAP_ROOM);
  g_assert_cmpint (ask_room (fd, 0, HERMIT_NEED_ALL), ==, 2);
  g_assert_cmpint (ask_room (fd, 16 * MIB, HERMIT_NEED_ALL), ==, 4);
  g_assert_cmpint (server_region (server, client.uuid, "reserved"), ==, 8 * MIB);
  g_assert_cmpint (do_end (beside), ==, HERMIT_WIRE_OK);
  close (beside);
  g_assert_cmpint (ask_room (fd, 16 * MIB, HERMIT_NEED_ALL), ==, 8);
  close (fd);
  server_stop (server);
}

/* Who waits for the end of a drain is let go once no client needs the server. */
static void
test_needs (void)
{
  Server *server = server_start ("--capacity=32M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int fd = open_with (&client, HERMIT_CAP_ROOM | HERMIT_CAP_NOTICE);
  static const struct
  {
    guint32 need;
    const char *needing, *status;
  } said[] = {
    { HERMIT_NEED_ALL, "1 2\n", "Draining 32.0\302\240MiB: 1 region with 0 bytes\n" },
    { HERMIT_NEED_NONE + 7, "1 2\n", "Draining 32.0\302\240MiB: 1 region with 0 bytes\n" },
    { HERMIT_NEED_ALL | HERMIT_NEED_STUCK, "1 2\n",
      "Draining 32.0\302\240MiB: 1 region with 0 bytes, 1 find no room elsewhere\n" },
    { HERMIT_NEED_NONE, "0 2\n",
      "Draining 32.0\302\240MiB: 1 region with 0 bytes, 0 of which need it\n" },
  };

  g_free (server_ask (server, "drain"));
  for (guint i = 0; i < G_N_ELEMENTS (said); i++)
    {
      g_autofree char *needing = NULL, *status = NULL;

      ask_room (fd, 0, said[i].need);
      needing = server_ask (server, "needing");
      status = server_ask (server, "status");
      g_assert_cmpstr (needing, ==, said[i].needing);
      g_assert_cmpstr (status, ==, said[i].status);
    }
  server_wait_log (server, "its pages do not leave this server");
  close (fd);
  server_stop (server);
}

/* That it is being drained it tells who asked to be told. */
static void
test_notices (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  static const char *const drains[] = { "drain", "drain regions" };
  Attempt attempt;
  int fd, old;

  hello.caps |= cpu_to_le64 (HERMIT_CAP_NOTICE);
  attempt = client_try (&client, client_connect (&client), &hello);
  client.epoch = le64_to_cpu (attempt.welcome.epoch);
  fd = attempt.fd;
  old = client_join (&client);
  for (guint i = 0; i < G_N_ELEMENTS (drains); i++)
    {
      g_assert_cmpint (notices (fd), ==, 0);
      g_free (server_ask (server, drains[i]));
      g_assert_cmpint (notices (fd), ==, HERMIT_NOTICE_DRAINING);
      g_assert_cmpint (notices (old), ==, 0);
      g_free (server_ask (server, "drain off"));
    }
  g_assert_cmpint (notices (fd), ==, 0);
  close (old);
  close (fd);
  server_stop (server);
}

/* Send @frame; its answer, checked. FALSE: the connection is over. */
static gboolean
ask_summed (int fd, const guint8 *frame, gsize length,
            struct hermit_wire_hdr *reply, guint8 *page)
{
  const char *why = "";
  guint32 crc;

  if (!send_all (fd, frame, length)
      || !receive_all (fd, reply, sizeof (*reply)))
    return FALSE;
  if (hermit_wire_check_sum (reply, &crc, &why)
      || hermit_wire_check_reply (reply, &why))
    g_error ("bad reply: %s", why);
  if (reply->length)
    g_assert_true (receive_all (fd, page, PAGE));
  return TRUE;
}

static gsize
make_summed (guint8 *frame, guint8 type, guint64 offset, const guint8 *page)
{
  gsize length = make_frame (frame, type, 5, offset, page);
  struct hermit_wire_hdr hdr;

  memcpy (&hdr, frame, sizeof (hdr));
  if (type == HERMIT_MSG_PING || type == HERMIT_MSG_END)
    hdr.extent = 0;
  hermit_wire_sum (&hdr, page ? hermit_crc_page (page) : 0);
  memcpy (frame, &hdr, sizeof (hdr));
  return length;
}

/*
 * With checksums: whatever bit of a WRITE is damaged on its way, no page is another
 * one for it; and a client that has none shares the region.
 */
static void
test_checksums (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  struct hermit_wire_hello hello = client_hello (&client, TRUE);
  guint8 page[PAGE] __attribute__ ((aligned (8))), got[PAGE];
  guint8 frame[FRAME_MAX];
  struct hermit_wire_hdr reply;
  Attempt attempt;
  gsize length;
  int fd, old;

  hello.caps |= cpu_to_le64 (HERMIT_CAP_ENOENT | HERMIT_CAP_CHECKSUM);
  attempt = client_try (&client, client_connect (&client), &hello);
  client.epoch = le64_to_cpu (attempt.welcome.epoch);
  fd = attempt.fd;
  old = client_join (&client);

  fill_page (page, 1, PAGE, 1);
  length = make_summed (frame, HERMIT_MSG_WRITE, PAGE, page);
  g_assert_true (ask_summed (fd, frame, length, &reply, NULL));
  g_assert_cmpint (reply.status, ==, HERMIT_WIRE_OK);
  length = make_summed (frame, HERMIT_MSG_READ, PAGE, NULL);
  g_assert_true (ask_summed (fd, frame, length, &reply, got));
  g_assert_cmpint (reply.status, ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (got, 1, PAGE, 1));
  length = make_summed (frame, HERMIT_MSG_PING, 0, NULL);
  g_assert_true (ask_summed (fd, frame, length, &reply, NULL));
  g_assert_cmpint (le64_to_cpu (reply.offset), ==, PAGE);
  g_assert_cmpint (do_read (old, PAGE, got), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (got, 1, PAGE, 1));

  /* Of the page: told of, and the connection stays. */
  fill_page (page, 1, PAGE, 2);
  for (guint bit = 0; bit < 8 * PAGE; bit += 331)
    {
      length = make_summed (frame, HERMIT_MSG_WRITE, PAGE, page);
      frame[sizeof (reply) + bit / 8] ^= 1 << bit % 8;
      g_assert_true (ask_summed (fd, frame, length, &reply, NULL));
      g_assert_cmpint (reply.status, ==, HERMIT_WIRE_EBADMSG);
    }
  g_assert_cmpint (do_read (old, PAGE, got), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (got, 1, PAGE, 1));

  /* Of the header, and of one without a checksum: the connection is over. */
  for (guint bit = 0; bit <= 8 * sizeof (reply); bit++)
    {
      length = make_summed (frame, HERMIT_MSG_WRITE, PAGE, page);
      if (bit < 8 * sizeof (reply))
        frame[bit / 8] ^= 1 << bit % 8;
      else
        length = make_frame (frame, HERMIT_MSG_WRITE, 5, PAGE, page);
      g_assert_false (ask_summed (fd, frame, length, &reply, NULL));
      close (fd);
      hello.flags = 0;
      hello.epoch = cpu_to_le64 (client.epoch);
      fd = client_try (&client, client_connect (&client), &hello).fd;
      g_assert_cmpint (fd, >=, 0);
    }
  g_assert_cmpint (do_read (old, PAGE, got), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (got, 1, PAGE, 1));
  g_assert_cmpint (do_ping (old), ==, PAGE);

  length = make_summed (frame, HERMIT_MSG_END, 0, NULL);
  g_assert_true (ask_summed (fd, frame, length, &reply, NULL));
  g_assert_cmpint (reply.status, ==, HERMIT_WIRE_OK);
  close (old);
  close (fd);
  server_stop (server);
}

static void
test_full (void)
{
  /* Two pages for two clients. */
  Server *server = server_start ("--capacity=8K", "--overcommit", NULL);
  Client a = client_new (server, 1, 1, 8 * MIB);
  Client b = client_new (server, 2, 2, 8 * MIB);
  int fd_a = client_open (&a), fd_b = client_open (&b);
  guint8 page[PAGE];

  fill_page (page, 1, 0, 1);
  g_assert_cmpint (do_write (fd_a, 0, page), ==, HERMIT_WIRE_OK);
  fill_page (page, 2, 0, 1);
  g_assert_cmpint (do_write (fd_b, EXTENT, page), ==, HERMIT_WIRE_OK);

  g_assert_cmpint (do_write (fd_a, EXTENT, page), ==, HERMIT_WIRE_ENOSPC);
  g_assert_cmpint (do_read (fd_a, EXTENT, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  g_assert_cmpint (do_ping (fd_a), ==, PAGE);
  server_wait_log (server, "writes are refused|01000000-");

  /* The connection goes on, and so does all that is stored. */
  fill_page (page, 1, 0, 2);
  g_assert_cmpint (do_write (fd_a, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd_b, EXTENT, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (page, 2, 0, 1));

  g_assert_cmpint (do_discard (fd_b, EXTENT, PAGE), ==, HERMIT_WIRE_OK);
  fill_page (page, 1, EXTENT, 2);
  g_assert_cmpint (do_write (fd_a, EXTENT, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_read (fd_a, EXTENT, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (page, 1, EXTENT, 2));
  server_wait_log (server, "there is memory again|01000000-");

  /* And the end of one gives to the other. */
  g_assert_cmpint (do_write (fd_b, 0, page), ==, HERMIT_WIRE_ENOSPC);
  g_assert_cmpint (do_end (fd_a), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_write (fd_b, 0, page), ==, HERMIT_WIRE_OK);
  close (fd_a);
  close (fd_b);
  server_stop (server);
}

static void
test_end (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  guint64 incarnation;
  g_autofree char *list = NULL;
  guint8 page[PAGE] = { 1 };
  int fd[3];

  fd[0] = client_open (&client);
  fd[1] = client_join (&client);
  fd[2] = client_join (&client);
  incarnation = client.incarnation;
  g_assert_cmpint (do_write (fd[0], 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_end (fd[1]), ==, HERMIT_WIRE_OK);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_true (is_closed (fd[i]));
      close (fd[i]);
    }
  list = server_ask (server, "list");
  g_assert_cmpstr (list, ==, "");
  server_wait_log (server, "ended by its client|4.0");

  client_refused (&client, FALSE, HERMIT_REFUSE_EPOCH);
  fd[0] = client_open (&client);
  g_assert_cmpint (client.incarnation, !=, incarnation);
  g_assert_cmpint (do_read (fd[0], 0, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is_zero (page));
  close (fd[0]);
  server_stop (server);
}

#define CLIENTS 4
#define CONNECTIONS 2
#define ROUNDS 3000

typedef struct
{
  Client *client;
  int fd;
  guint half; /* which pages of the region are this connection's */
} Worker;

static gpointer
work (gpointer data)
{
  Worker *w = data;
  guint pages = w->client->size / PAGE / CONNECTIONS;
  guint64 owner = w->client->uuid[0];
  g_autofree guint64 *versions = g_new0 (guint64, pages);
  g_autoptr (GRand) random
      = g_rand_new_with_seed (owner * CONNECTIONS + w->half);
  guint8 page[PAGE];

  for (guint64 round = 1; round <= ROUNDS; round++)
    {
      guint i = g_rand_int_range (random, 0, pages);
      guint64 offset = ((guint64)i * CONNECTIONS + w->half) * PAGE;

      switch (g_rand_int_range (random, 0, 8))
        {
        case 0:
          g_assert_cmpint (do_discard (w->fd, offset, PAGE), ==,
                           HERMIT_WIRE_OK);
          versions[i] = 0;
          break;
        case 1:
        case 2:
        case 3:
          fill_page (page, owner, offset, round);
          g_assert_cmpint (do_write (w->fd, offset, page), ==, HERMIT_WIRE_OK);
          versions[i] = round;
          break;
        default:
          g_assert_cmpint (do_read (w->fd, offset, page), ==, HERMIT_WIRE_OK);
          g_assert_true (versions[i]
                             ? page_is (page, owner, offset, versions[i])
                             : page_is_zero (page));
        }
    }
  return NULL;
}

static void
test_clients (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client clients[CLIENTS];
  Worker workers[CLIENTS][CONNECTIONS];
  GThread *threads[CLIENTS][CONNECTIONS];

  for (guint c = 0; c < CLIENTS; c++)
    {
      clients[c] = client_new (server, 1 + c, 1 + c, 4 * MIB);
      for (guint i = 0; i < CONNECTIONS; i++)
        workers[c][i] = (Worker){
          .client = &clients[c],
          .fd = i ? client_join (&clients[c]) : client_open (&clients[c]),
          .half = i,
        };
    }
  for (guint c = 0; c < CLIENTS; c++)
    for (guint i = 0; i < CONNECTIONS; i++)
      threads[c][i] = g_thread_new ("worker", work, &workers[c][i]);
  for (guint c = 0; c < CLIENTS; c++)
    for (guint i = 0; i < CONNECTIONS; i++)
      g_thread_join (threads[c][i]);
  for (guint c = 0; c < CLIENTS; c++)
    for (guint i = 0; i < CONNECTIONS; i++)
      close (workers[c][i].fd);
  server_stop (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  hermit_crc_init ();
  g_test_add_func ("/requests/pages", test_pages);
  g_test_add_func ("/requests/pipeline", test_pipeline);
  g_test_add_func ("/requests/violation", test_violation);
  g_test_add_func ("/requests/no-discard", test_no_discard);
  g_test_add_func ("/requests/not-stored", test_not_stored);
  g_test_add_func ("/requests/room", test_room);
  g_test_add_func ("/requests/room-is-short", test_room_is_short);
  g_test_add_func ("/requests/needs", test_needs);
  g_test_add_func ("/requests/notices", test_notices);
  g_test_add_func ("/requests/checksums", test_checksums);
  g_test_add_func ("/requests/full", test_full);
  g_test_add_func ("/requests/end", test_end);
  g_test_add_func ("/requests/clients", test_clients);
  return g_test_run ();
}
