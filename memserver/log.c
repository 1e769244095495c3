/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdio.h>
#include <string.h>

/* Of messages about strangers: so many at once, and one more in each period. */
#define STRANGERS_BURST 20
#define STRANGERS_PERIOD_US G_USEC_PER_SEC

static const char *log_program;
static GLogLevelFlags log_least = G_LOG_LEVEL_MESSAGE;

static struct
{
  GMutex lock;
  guint tokens;
  gint64 filled; /* when the last one was added */
  guint64 left_out;
} strangers = { .tokens = STRANGERS_BURST };

static GLogWriterOutput
log_write (GLogLevelFlags level, const GLogField *fields, gsize n_fields,
           gpointer data)
{
  const char *message = "";

  /* Smaller bits are more important. */
  if ((level & G_LOG_LEVEL_MASK) > log_least)
    return G_LOG_WRITER_HANDLED;
  if (g_log_writer_is_journald (fileno (stderr)))
    return g_log_writer_journald (level, fields, n_fields, data);
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

static void
log_say (GLogLevelFlags level, const char *peer, const char *region,
         const char *message)
{
  const GLogField fields[] = {
    { "MESSAGE", message, -1 },
    { "GLIB_DOMAIN", G_LOG_DOMAIN, -1 },
    { "PRIORITY", level & G_LOG_LEVEL_WARNING   ? "4"
                  : level & G_LOG_LEVEL_MESSAGE ? "5"
                                                : "7",
      -1 },
    { "HERMIT_PEER", peer, -1 },
    { "HERMIT_REGION", region, -1 },
  };

  g_log_structured_array (level, fields,
                          G_N_ELEMENTS (fields) - (region ? 0 : 1));
}

void
hermit_log (GLogLevelFlags level, const char *peer, const char *region,
            const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  log_say (level, peer, region, message);
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
hermit_log_stranger (GLogLevelFlags level, const char *peer,
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
  log_say (level, peer, NULL, whole ? whole : message);
}
