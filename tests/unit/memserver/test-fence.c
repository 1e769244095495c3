/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence: once a new epoch is welcomed, nothing that was sent on a
 * connection of an older one may land.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "control.h"

/* A WRITE that is half sent when the new epoch opens, and then goes on. */
static void
test_half_write (void)
{
  /* In the header, right after it, in the page, and all but the last byte. */
  static const gsize cuts[]
      = { 10, sizeof (struct hermit_wire_hdr), 2000, FRAME_MAX - 1 };
  Server *server = server_start ("--capacity=64M", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++)
    {
      Client client = client_new (server, 1 + i, 1, 8 * MIB);
      guint8 frame[FRAME_MAX], page[PAGE];
      int old = client_open (&client);
      int new;

      fill_page (page, 1, 0, 1);
      g_assert_cmpint (do_write (old, 0, page), ==, HERMIT_WIRE_OK);
      fill_page (page, 1, 0, 2);
      make_frame (frame, HERMIT_MSG_WRITE, 1, 0, page);
      g_assert_true (send_all (old, frame, cuts[i]));

      new = client_open (&client);
      send_all (old, frame + cuts[i], FRAME_MAX - cuts[i]);
      /* Nor does a whole one after it. */
      send_all (old, frame, FRAME_MAX);
      g_assert_true (is_closed (old));
      /* When the server's list shows one connection, the old one is gone. */
      g_assert_cmpint (server_region (server, client.uuid, "connections"), ==,
                       1);
      g_assert_cmpint (do_read (new, 0, page), ==, HERMIT_WIRE_OK);
      g_assert_true (page_is (page, 1, 0, 1));
      close (old);
      close (new);
    }
  server_stop (server);
}

typedef struct
{
  int fd;
  guint64 versions;
} Flood;

/* Write one page again and again, each time another version, without end. */
static gpointer
flood (gpointer data)
{
  Flood *f = data;
  guint8 page[PAGE], frame[FRAME_MAX];

  do
    {
      fill_page (page, 9, 0, ++f->versions);
      make_frame (frame, HERMIT_MSG_WRITE, (guint32)f->versions, 0, page);
    }
  while (send_all (f->fd, frame, sizeof (frame)));
  return NULL;
}

/* Read and throw away the replies, or the flood would stop by itself. */
static gpointer
drain (gpointer data)
{
  guint8 junk[65536];

  while (recv (((Flood *)data)->fd, junk, sizeof (junk), 0) > 0)
    ;
  return NULL;
}

/* Several connections at full speed while the epoch changes. */
static void
test_flood (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  guint8 page[PAGE];
  int fd = client_open (&client);

  for (guint round = 0; round < 20; round++)
    {
      Flood floods[3];
      GThread *senders[G_N_ELEMENTS (floods)];
      GThread *drains[G_N_ELEMENTS (floods)];
      int new;

      for (guint i = 0; i < G_N_ELEMENTS (floods); i++)
        {
          floods[i] = (Flood){ .fd = i ? client_join (&client) : fd };
          senders[i] = g_thread_new ("flood", flood, &floods[i]);
          drains[i] = g_thread_new ("drain", drain, &floods[i]);
        }
      g_usleep (2000);
      new = client_open (&client);
      fill_page (page, 1, 0, round);
      g_assert_cmpint (do_write (new, 0, page), ==, HERMIT_WIRE_OK);
      for (guint i = 0; i < 100; i++)
        {
          g_assert_cmpint (do_read (new, 0, page), ==, HERMIT_WIRE_OK);
          g_assert_true (page_is (page, 1, 0, round));
        }
      for (guint i = 0; i < G_N_ELEMENTS (floods); i++)
        {
          g_thread_join (senders[i]);
          g_thread_join (drains[i]);
          close (floods[i].fd);
        }
      g_assert_cmpint (do_read (new, 0, page), ==, HERMIT_WIRE_OK);
      g_assert_true (page_is (page, 1, 0, round));
      fd = new;
    }
  close (fd);
  server_stop (server);
}

/* A connection that takes no replies: its thread sits in send(). */
static void
test_stuck_reader (void)
{
  Server *server = server_start ("--capacity=64M", NULL);
  Client client = client_new (server, 1, 1, 8 * MIB);
  int old = client_open (&client);
  guint8 frame[FRAME_MAX];
  gsize length = make_frame (frame, HERMIT_MSG_READ, 1, 0, NULL);
  gsize sent = 0;
  int new;

  /* Until neither side's buffers take any more. */
  for (;;)
    {
      ssize_t n = send (old, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);

      if (n < (ssize_t)length)
        break;
      sent += n;
    }
  g_assert_cmpint (sent, >, 0);
  new = client_open (&client);
  do_ping (new);
  close (old);
  close (new);
  server_stop (server);
}

typedef struct
{
  Client client;
  guint attached, ended;
} Opener;

/* Open, use, and sometimes end, all at odds with the others. */
static gpointer
open_often (gpointer data)
{
  Opener *o = data;

  for (guint round = 0; round < 200; round++)
    {
      struct hermit_wire_hello hello = client_hello (&o->client, TRUE);
      Attempt attempt
          = client_try (&o->client, client_connect (&o->client), &hello);
      guint8 frame[FRAME_MAX], page[PAGE] = { 1 };

      if (attempt.fd < 0)
        continue; /* fenced before it was welcomed */
      o->attached++;
      make_frame (frame, HERMIT_MSG_WRITE, 1, 0, page);
      send_all (attempt.fd, frame, FRAME_MAX);
      if (round % 5 == 0)
        {
          struct hermit_wire_hdr hdr;

          hermit_wire_fill (&hdr, HERMIT_MSG_END, 2, 0, 0, 0);
          send_all (attempt.fd, &hdr, sizeof (hdr));
          while (receive_all (attempt.fd, &hdr, sizeof (hdr)))
            o->ended += hdr.type == (HERMIT_MSG_END | HERMIT_MSG_REPLY);
        }
      close (attempt.fd);
    }
  return NULL;
}

/* OPEN, END and forget of one region by many at once: nothing hangs or leaks.
 */
static void
test_contest (void)
{
  Server *server = server_start ("--capacity=8M", NULL);
  Opener openers[4];
  GThread *threads[G_N_ELEMENTS (openers)];
  guint attached = 0, ended = 0;
  g_autofree char *list = NULL;
  int fd;

  for (guint i = 0; i < G_N_ELEMENTS (openers); i++)
    {
      openers[i] = (Opener){ .client = client_new (server, 1, 1, 8 * MIB) };
      threads[i] = g_thread_new ("opener", open_often, &openers[i]);
    }
  for (guint i = 0; i < 50; i++)
    {
      GError *error = NULL;

      /* It may not be there just now. */
      g_free (hermit_control_ask (
          server->control, "forget 01000000-0000-0000-0000-0000000000ee force",
          &error));
      g_clear_error (&error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (openers); i++)
    {
      g_thread_join (threads[i]);
      attached += openers[i].attached;
      ended += openers[i].ended;
    }
  g_assert_cmpint (attached, >, 0);
  g_assert_cmpint (ended, >, 0);

  fd = client_open (&openers[0].client);
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
  list = server_ask (server, "list");
  g_assert_cmpstr (list, ==, "");
  server_stop (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fence/half-write", test_half_write);
  g_test_add_func ("/fence/flood", test_flood);
  g_test_add_func ("/fence/stuck-reader", test_stuck_reader);
  g_test_add_func ("/fence/contest", test_contest);
  return g_test_run ();
}
