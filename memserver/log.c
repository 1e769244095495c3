/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdio.h>
#include <string.h>

/* Of messages about strangers: so many at once, and one more in each period. */
#define STRANGERS_BURST 20
#define STRANGERS_PERIOD_US G_USEC_PER_SEC

static const char *log_program;
static GLogLevelFlags log_least = G_LOG_LEVEL_MESSAGE;

/* Of the message that this thread is about to write; or NULL. */
static _Thread_local const HermitLogAbout *log_about;

static struct
{
  GMutex lock;
  guint tokens;
  gint64 filled; /* when the last one was added */
  guint64 left_out;
} strangers = { .tokens = STRANGERS_BURST };

/* With the fields that @log_about has besides. */
static GLogWriterOutput
log_write_journal (GLogLevelFlags level, const GLogField *fields,
                   gsize n_fields)
{
  const GLogField more[] = {
    { "HERMIT_PEER", log_about ? log_about->peer : NULL, -1 },
    { "HERMIT_REGION", log_about ? log_about->region : NULL, -1 },
    { "HERMIT_LISTEN", log_about ? log_about->listen : NULL, -1 },
  };
  g_autofree GLogField *all
      = g_new (GLogField, n_fields + G_N_ELEMENTS (more));

  memcpy (all, fields, n_fields * sizeof (*fields));
  for (guint i = 0; i < G_N_ELEMENTS (more); i++)
    if (more[i].value)
      all[n_fields++] = more[i];
  return g_log_writer_journald (level, all, n_fields, NULL);
}

static GLogWriterOutput
log_write (GLogLevelFlags level, const GLogField *fields, gsize n_fields,
           gpointer data G_GNUC_UNUSED)
{
  const char *message = "";

  /* Smaller bits are more important. */
  if ((level & G_LOG_LEVEL_MASK) > log_least)
    return G_LOG_WRITER_HANDLED;
  if (g_log_writer_is_journald (fileno (stderr)))
    return log_write_journal (level, fields, n_fields);
  for (gsize i = 0; i < n_fields; i++)
    if (!strcmp (fields[i].key, "MESSAGE"))
      message = fields[i].value;
  fprintf (stderr, "%s: %s%s\n", log_program,
           level & G_LOG_LEVEL_WARNING ? "warning: " : "", message);
  return G_LOG_WRITER_HANDLED;
}

void
hermit_log_init (const char *program)
{
  log_program = program;
  g_log_set_writer_func (log_write, NULL, NULL);
}

void
hermit_log_set_level (GLogLevelFlags level)
{
  log_least = level;
}

gboolean
hermit_log_level_parse (const char *text, GLogLevelFlags *level)
{
  static const struct
  {
    const char *name;
    GLogLevelFlags level;
  } levels[] = {
    { "error", G_LOG_LEVEL_CRITICAL },
    { "warning", G_LOG_LEVEL_WARNING },
    { "message", G_LOG_LEVEL_MESSAGE },
    { "debug", G_LOG_LEVEL_DEBUG },
  };

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    if (!strcmp (text, levels[i].name))
      {
        *level = levels[i].level;
        return TRUE;
      }
  return FALSE;
}

/* By g_log(), since that is what tests can expect messages of. */
static void
log_say (GLogLevelFlags level, const HermitLogAbout *about,
         const char *message)
{
  log_about = about;
  g_log (G_LOG_DOMAIN, level, "%s", message);
  log_about = NULL;
}

void
hermit_log (GLogLevelFlags level, HermitLogAbout about, const char *format,
            ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  log_say (level, &about, message);
}

/* TRUE if one may be said; *@left_out were not, since the last. */
static gboolean
strangers_token (guint64 *left_out)
{
  gint64 now = g_get_monotonic_time ();
  gint64 periods;
  gboolean granted;

  g_mutex_lock (&strangers.lock);
  periods = (now - strangers.filled) / STRANGERS_PERIOD_US;
  if (periods > 0)
    {
      strangers.tokens
          = (guint)MIN (STRANGERS_BURST, strangers.tokens + periods);
      strangers.filled = now;
    }
  granted = strangers.tokens > 0;
  if (granted)
    {
      strangers.tokens--;
      *left_out = strangers.left_out;
      strangers.left_out = 0;
    }
  else
    strangers.left_out++;
  g_mutex_unlock (&strangers.lock);
  return granted;
}

void
hermit_log_stranger (GLogLevelFlags level, HermitLogAbout about,
                     const char *format, ...)
{
  g_autofree char *message = NULL;
  g_autofree char *whole = NULL;
  guint64 left_out = 0;
  va_list args;

  if (!strangers_token (&left_out))
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  if (left_out)
    whole = g_strdup_printf ("%s (%" G_GUINT64_FORMAT " more like it were "
                             "left out)",
                             message, left_out);
  log_say (level, &about, whole ? whole : message);
}
