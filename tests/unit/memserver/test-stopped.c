/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread of one connection stands still for ten minutes: a debugger, that is
 * we, holds it. Its client, who comes again, is refused with a sentence; the
 * operator who forgets the region by force is told why not yet; other sessions
 * are untouched, and new ones come and go. Nothing piles up. Let go, the thread
 * leaves, and its client has its region again, with what it wrote.
 *
 *   held    region 1 ── a thread of hermit-memserver that stands still
 *   writer  region 2 ── writes, and reads what it wrote, all the time
 *   guests  regions 3 ── opened, written, ended, in turn
 *
 * HERMIT_TEST_SECONDS=20 for less. How long answers took is printed, and nothing
 * is made of it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "control.h"
#include "uuid.h"

#define SECONDS 600
/* The server's own: main, door, keeper, GLib's, control's; and these clients'. */
#define THREADS_MAX 24
#define DESCRIPTORS_MAX 64

static Server *server;
static gint over;    /* atomic */
static gint written; /* atomic */
static gint64 longest_write;

static char *
proc_path (const char *what)
{
  return g_strdup_printf ("/proc/%s/%s",
                          g_subprocess_get_identifier (server->process), what);
}

/* The only thread of a connection. */
static pid_t
connection_thread (void)
{
  g_autofree char *tasks = proc_path ("task");
  g_autoptr (GDir) dir = g_dir_open (tasks, 0, NULL);
  const char *name;
  pid_t found = 0;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)))
    {
      g_autofree char *path = g_build_filename (tasks, name, "comm", NULL);
      g_autofree char *comm = NULL;

      if (!g_file_get_contents (path, &comm, NULL, NULL)
          || strcmp (comm, "conn\n"))
        continue;
      g_assert_cmpint (found, ==, 0);
      found = atoi (name);
    }
  g_assert_cmpint (found, !=, 0);
  return found;
}

/* Whoever holds a thread is the one that lets it go. FALSE: we may not. */
static gboolean
hold (pid_t thread)
{
  int status;

  if (ptrace (PTRACE_SEIZE, thread, NULL, NULL))
    {
      g_assert_cmpint (errno, ==, EPERM);
      return FALSE;
    }
  g_assert_cmpint (ptrace (PTRACE_INTERRUPT, thread, NULL, NULL), ==, 0);
  g_assert_cmpint (waitpid (thread, &status, __WALL), ==, thread);
  g_assert_true (WIFSTOPPED (status));
  return TRUE;
}

static gpointer
writer_main (gpointer data)
{
  Client client = client_new (server, 2, 2, 8 * MIB);
  int fd = client_open (&client);
  guint64 page[PAGE / 8];

  for (guint i = 0; !g_atomic_int_get (&over); i++)
    {
      guint64 offset = (guint64)(i * 7919 % 2048) * PAGE;
      gint64 begun = g_get_monotonic_time ();

      fill_page (page, 2, offset, i);
      g_assert_cmpint (do_write (fd, offset, page), ==, HERMIT_WIRE_OK);
      longest_write = MAX (longest_write, g_get_monotonic_time () - begun);
      memset (page, 0, sizeof (page));
      g_assert_cmpint (do_read (fd, offset, page), ==, HERMIT_WIRE_OK);
      g_assert_true (page_is (page, 2, offset, i));
      g_atomic_int_inc (&written);
      g_usleep (10000);
    }
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
  return NULL;
}

static void
guest_comes_and_goes (void)
{
  Client client = client_new (server, 3, 3, 8 * MIB);
  guint64 page[PAGE / 8];
  int fd = client_open (&client);

  fill_page (page, 3, 0, 0);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_cmpint (do_end (fd), ==, HERMIT_WIRE_OK);
  close (fd);
}

/* The held one's client, who is told that it has to wait. */
static void
comes_again (const Client *client)
{
  struct hermit_wire_hello hello = client_hello (client, TRUE);
  Attempt attempt = client_try (client, client_connect (client), &hello);

  g_assert_cmpint (attempt.fd, <, 0);
  g_assert_cmpstr (hermit_wire_refusal_name (attempt.code), ==,
                   hermit_wire_refusal_name (HERMIT_REFUSE_BUSY));
  g_assert_cmpint (strlen (attempt.text), >, 0);
}

static void
forget_by_force (const Client *client)
{
  g_autofree char *uuid = hermit_uuid_text (client->uuid);
  g_autofree char *command = g_strdup_printf ("forget %s force", uuid);
  g_autoptr (GError) error = NULL;
  g_autofree char *answer
      = hermit_control_ask (server->control, command, &error);

  g_assert_null (answer);
  g_assert_nonnull (strstr (error->message, "connections that do not go"));
}

static void
test_stopped (void)
{
  const char *text = g_getenv ("HERMIT_TEST_SECONDS");
  gint64 seconds = text ? g_ascii_strtoll (text, NULL, 10) : SECONDS;
  gint64 end, longest_guest = 0, longest_forget = 0;
  guint threads = 0, descriptors = 0, refused = 0, forgets = 0, guests = 0;
  guint64 page[PAGE / 8];
  GThread *writer;
  Client client;
  pid_t thread;
  int fd, again;

  server = server_start ("--capacity=64M", NULL);
  client = client_new (server, 1, 1, 8 * MIB);
  fd = client_open (&client);
  fill_page (page, 1, 0, 7);
  g_assert_cmpint (do_write (fd, 0, page), ==, HERMIT_WIRE_OK);
  thread = connection_thread ();
  if (!hold (thread))
    {
      close (fd);
      server_stop (server);
      g_test_skip ("a thread of the server may not be traced: run it as root");
      return;
    }
  writer = g_thread_new ("writer", writer_main, NULL);

  end = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
  do
    {
      gint wrote = g_atomic_int_get (&written);
      gint64 begun = g_get_monotonic_time ();

      comes_again (&client);
      refused++;
      threads = MAX (threads, server_count (server, "task"));
      descriptors = MAX (descriptors, server_count (server, "fd"));
      begun = g_get_monotonic_time ();
      guest_comes_and_goes ();
      longest_guest = MAX (longest_guest, g_get_monotonic_time () - begun);
      guests++;
      if (refused % 10 == 1)
        {
          begun = g_get_monotonic_time ();
          forget_by_force (&client);
          longest_forget = MAX (longest_forget, g_get_monotonic_time () - begun);
          forgets++;
        }
      /* The other session was served meanwhile. */
      g_assert_cmpint (g_atomic_int_get (&written), >, wrote);
    }
  while (g_get_monotonic_time () < end);
  g_atomic_int_set (&over, 1);
  g_thread_join (writer);

  g_test_message ("refused %u times, forgotten by force %u times (the longest "
                  "%" G_GINT64_FORMAT " ms), %u regions came and went (%"
                  G_GINT64_FORMAT " ms), %d writes of another session (%"
                  G_GINT64_FORMAT " ms), at most %u threads, %u descriptors",
                  refused, forgets, longest_forget / 1000, guests,
                  longest_guest / 1000, g_atomic_int_get (&written),
                  longest_write / 1000, threads, descriptors);
  g_assert_cmpint (threads, <=, THREADS_MAX);
  g_assert_cmpint (descriptors, <=, DESCRIPTORS_MAX);

  g_assert_cmpint (ptrace (PTRACE_DETACH, thread, NULL, NULL), ==, 0);
  g_assert_true (is_closed (fd));
  close (fd);
  again = client_open (&client);
  memset (page, 0, sizeof (page));
  g_assert_cmpint (do_read (again, 0, page), ==, HERMIT_WIRE_OK);
  g_assert_true (page_is (page, 1, 0, 7));
  g_assert_cmpint (do_end (again), ==, HERMIT_WIRE_OK);
  close (again);
  server_stop (server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stopped/thread", test_stopped);
  return g_test_run ();
}
