/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "handover.h"
#include "io.h"
#include "metrics.h"
#include "session.h"
#include "uuid.h"

#define THREADS 4
#define QUESTION_MAX 4096
/* For the question to arrive, and for each part of the answer to leave. */
#define PATIENCE_S 5

struct HermitControl
{
  HermitServer *server;
  GThreadPool *pool; /* of descriptors, which are not 0; has its threads */
  gint closing;      /* atomic: no more questions */
};

/* What one identity has. */
typedef struct
{
  const char *name;
  guint64 bytes;
  guint regions, connections;
} Used;

static void
list_session (const HermitSessionInfo *info, gpointer data)
{
  g_string_append_printf (data,
                          "%s size %" G_GUINT64_FORMAT
                          " reserved %" G_GUINT64_FORMAT
                          " stored %" G_GUINT64_FORMAT
                          " backed %" G_GUINT64_FORMAT
                          " connections %u epoch %" G_GUINT64_FORMAT
                          " owner %s peer %s age %" G_GUINT64_FORMAT
                          " idle %" G_GUINT64_FORMAT " name %s\n",
                          info->uuid, info->size, info->reserved, info->stored,
                          info->backed, info->connections, info->epoch, info->owner,
                          info->peer, info->age, info->idle, info->name);
}

static void
count_used (const HermitSessionInfo *info, gpointer data)
{
  Used *used = data;

  if (strcmp (info->owner, used->name))
    return;
  used->regions++;
  used->bytes += info->size;
  used->connections += info->connections;
}

/* " what N", and " of M" if there is a limit. */
static void
append_limited (GString *text, const char *what, guint64 n, guint64 limit,
                guint64 none)
{
  g_string_append_printf (text, " %s %" G_GUINT64_FORMAT, what, n);
  if (limit != none)
    g_string_append_printf (text, " of %" G_GUINT64_FORMAT, limit);
}

static char *
answer_identities (HermitServer *server)
{
  g_autoptr (GPtrArray) all = hermit_identities_all (server->identities);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < all->len; i++)
    {
      const HermitIdentity *identity = all->pdata[i];
      Used used = { .name = identity->name };

      hermit_sessions_visit (server->sessions, count_used, &used);
      g_string_append_printf (text, "%s keys %u", identity->name,
                              !!identity->keys[0] + !!identity->keys[1]);
      append_limited (text, "bytes", used.bytes, identity->bytes, G_MAXUINT64);
      append_limited (text, "regions", used.regions, identity->regions,
                      G_MAXUINT);
      append_limited (text, "connections", used.connections,
                      identity->connections, G_MAXUINT);
      g_string_append_c (text, '\n');
    }
  return g_string_free (text, FALSE);
}

static char *
answer_reload (HermitServer *server)
{
  g_autoptr (GError) error = NULL;

  if (hermit_identities_reload (server->identities, &error))
    return g_strdup ("ok\n");
  return g_strdup_printf ("error: %s; the keys stay as they were\n",
                          error->message);
}

static char *
answer_forget_older (HermitServer *server, const char *time)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *size = NULL;
  guint64 seconds, bytes;
  guint n;

  if (!hermit_duration_parse (time, &seconds, &error))
    return g_strdup_printf ("error: %s\n", error->message);
  n = hermit_sessions_forget_older (server->sessions, seconds, &bytes);
  size = g_format_size_full (bytes, G_FORMAT_SIZE_IEC_UNITS);
  return g_strdup_printf ("%u regions forgotten, %s freed\n", n, size);
}

static char *
answer_forget (HermitServer *server, char **words)
{
  g_autoptr (GError) error = NULL;
  gboolean force = words[1] && words[2] && !strcmp (words[2], "force");
  guint8 uuid[16];

  if (words[1] && !strcmp (words[1], "--older") && words[2] && !words[3])
    return answer_forget_older (server, words[2]);
  if (!words[1] || (words[2] && (!force || words[3])))
    return g_strdup ("error: usage: forget UUID [force], or forget --older "
                     "TIME\n");
  if (!hermit_uuid_parse (words[1], uuid))
    return g_strdup_printf ("error: '%s' is not a UUID\n", words[1]);
  if (!hermit_sessions_forget (server->sessions, uuid, force, &error))
    return g_strdup_printf ("error: %s\n", error->message);
  return g_strdup ("ok\n");
}

static char *
answer_status (HermitServer *server)
{
  g_autofree char *lent = hermit_metrics_lent (server);

  return g_strdup_printf ("%s\n", lent);
}

static char *
answer_drain (HermitServer *server, char **words)
{
  HermitDrain drain = HERMIT_DRAIN_ALL;

  if (words[1] && !strcmp (words[1], "regions"))
    drain = HERMIT_DRAIN_REGIONS;
  else if (words[1] && !strcmp (words[1], "off"))
    drain = HERMIT_DRAIN_OFF;
  if (words[1] && (drain == HERMIT_DRAIN_ALL || words[2]))
    return g_strdup ("error: usage: drain [regions|off]\n");
  hermit_sessions_drain (server->sessions, drain);
  return answer_status (server);
}

/* For who waits: regions that need it, and how far the drain goes. */
static char *
answer_needing (HermitServer *server)
{
  HermitSessionsTotal total = hermit_sessions_total (server->sessions);

  return g_strdup_printf ("%u %d\n", total.needing, (int)total.draining);
}

static char *
answer_command (HermitServer *server, const char *command)
{
  g_auto (GStrv) words = g_strsplit_set (command, " \t\r", -1);

  if (!g_strcmp0 (words[0], "list") && !words[1])
    {
      GString *text = g_string_new (NULL);

      hermit_sessions_visit (server->sessions, list_session, text);
      return g_string_free (text, FALSE);
    }
  if (!g_strcmp0 (words[0], "stats") && !words[1])
    return hermit_metrics_text (server);
  if (!g_strcmp0 (words[0], "status") && !words[1])
    return answer_status (server);
  if (!g_strcmp0 (words[0], "needing") && !words[1])
    return answer_needing (server);
  if (!g_strcmp0 (words[0], "identities") && !words[1])
    return answer_identities (server);
  if (!g_strcmp0 (words[0], "reload") && !words[1])
    return answer_reload (server);
  if (!g_strcmp0 (words[0], "drain"))
    return answer_drain (server, words);
  if (!g_strcmp0 (words[0], "forget"))
    return answer_forget (server, words);
  return g_strdup_printf ("error: '%s' is not one of: "
                          HERMIT_CONTROL_COMMANDS "\n",
                          command);
}

/* One line; NULL if it does not come, and *@too_long if it has no end. */
static char *
receive_line (int fd, gboolean *too_long)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_S * G_USEC_PER_SEC;
  char text[QUESTION_MAX + 1];
  gsize length = 0;
  char *end = NULL;

  while (!end && length < QUESTION_MAX)
    {
      ssize_t n = hermit_io_receive (fd, text + length, QUESTION_MAX - length,
                                     deadline);

      if (n <= 0)
        return NULL;
      length += n;
      text[length] = '\0';
      end = strchr (text, '\n');
    }
  *too_long = !end;
  return g_strndup (text, end ? end - text : 0);
}

/* What it still sends would reset the connection, and take the answer away. */
static void
swallow (int fd)
{
  gint64 deadline = g_get_monotonic_time () + PATIENCE_S * G_USEC_PER_SEC;
  char junk[QUESTION_MAX];

  shutdown (fd, SHUT_WR);
  while (hermit_io_receive (fd, junk, sizeof (junk), deadline) > 0
         && g_get_monotonic_time () < deadline)
    ;
}

static gboolean
quit (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

/* FALSE if somebody else is taking over already. */
static gboolean
control_hand_over (HermitServer *server, int fd)
{
  int nobody = -1;

  if (!atomic_compare_exchange_strong (&server->successor, &nobody, fd))
    return FALSE;
  /* In the loop, when it runs. */
  g_idle_add (quit, server->loop);
  return TRUE;
}

static void
control_answer (gpointer task, gpointer data)
{
  int fd = GPOINTER_TO_INT (task);
  HermitControl *control = data;
  struct timeval patience = { .tv_sec = PATIENCE_S };
  g_autofree char *question = NULL;
  g_autofree char *answer = NULL;
  gboolean too_long = FALSE;

  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof (patience));
  if (!g_atomic_int_get (&control->closing))
    question = receive_line (fd, &too_long);
  if (question && !strcmp (question, HERMIT_HANDOVER_COMMAND)
      && control_hand_over (control->server, fd))
    return;
  if (question)
    {
      answer = too_long ? g_strdup_printf ("error: a question has %d bytes at "
                                           "most\n",
                                           QUESTION_MAX)
                        : answer_command (control->server, question);
      hermit_io_send (fd, answer, strlen (answer));
    }
  if (too_long)
    swallow (fd);
  close (fd);
}

HermitControl *
hermit_control_new (HermitServer *server, GError **error)
{
  HermitControl *control = g_new0 (HermitControl, 1);
  GError *lacking = NULL;

  control->server = server;
  /*
   * All of them now, and for this alone: when clients have the last thread that
   * may be, the operator still gets an answer.
   */
  control->pool
      = g_thread_pool_new (control_answer, control, THREADS, TRUE, &lacking);
  if (!lacking)
    return control;
  /* There is a pool all the same, with fewer threads, or none. */
  hermit_control_free (control);
  g_propagate_prefixed_error (error, lacking,
                              "--control: no threads for it: ");
  return NULL;
}

void
hermit_control_free (HermitControl *control)
{
  g_atomic_int_set (&control->closing, 1);
  g_thread_pool_free (control->pool, FALSE, TRUE);
  g_free (control);
}

void
hermit_control_accept (int fd, const HermitPeer *peer G_GNUC_UNUSED,
                       gpointer data)
{
  HermitControl *control = data;

  g_thread_pool_push (control->pool, GINT_TO_POINTER (fd), NULL);
}

gboolean
hermit_control_wait (const char *path, GError **error)
{
  g_autofree char *last = hermit_control_ask (path, "drain", error);
  guint needing, drain;

  if (!last)
    return FALSE;
  fputs (last, stdout);
  for (;;)
    {
      g_autofree char *status = NULL;
      g_autofree char *answer = hermit_control_ask (path, "needing", error);

      if (!answer || !(status = hermit_control_ask (path, "status", error)))
        return FALSE;
      if (sscanf (answer, "%u %u", &needing, &drain) != 2)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                       "--control: %s: it answers '%s'; is it this version's "
                       "server?",
                       path, g_strchomp (answer));
          return FALSE;
        }
      if (strcmp (status, last))
        fputs (status, stdout);
      fflush (stdout);
      g_free (last);
      last = g_steal_pointer (&status);
      if (!needing)
        return TRUE;
      if (drain != HERMIT_DRAIN_ALL)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                       "the drain was called off, and %u regions need the "
                       "server",
                       needing);
          return FALSE;
        }
      g_usleep (G_USEC_PER_SEC);
    }
}

char *
hermit_control_ask (const char *path, const char *command, GError **error)
{
  g_autofree char *line = g_strdup_printf ("%s\n", command);
  g_autoptr (GString) answer = g_string_new (NULL);
  HermitAddress address;
  char part[4096];
  ssize_t n = -1;
  int fd;

  if (!hermit_address_unix (path, &address, error))
    return NULL;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0
      && connect (fd, (struct sockaddr *)&address.addr, address.length) == 0
      && hermit_io_send (fd, line, strlen (line)))
    while ((n = recv (fd, part, sizeof (part), 0)) > 0)
      g_string_append_len (answer, part, n);
  if (n < 0)
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                 "--control: %s: %s", path, g_strerror (errno));
  if (fd >= 0)
    close (fd);
  if (n < 0)
    return NULL;
  if (g_str_has_prefix (answer->str, "error: "))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
                   g_strchomp (answer->str) + strlen ("error: "));
      return NULL;
    }
  return g_strdup (answer->str);
}
