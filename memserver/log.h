/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_LOG_H
#define HERMIT_LOG_H
/*
 * The log: GLib's structured one, to the journal with fields of its own, else
 * lines on standard error. Any thread.
 */
#include <glib.h>

/* Send all messages there, but for those below "message". Once. */
void hermit_log_init (const char *program);
/* The least important that is written. */
void hermit_log_set_level (GLogLevelFlags level);

/* "error", "warning", "message" (GLib's "info" is ours too), "debug". */
gboolean hermit_log_level_parse (const char *text, GLogLevelFlags *level);

/*
 * Whom and what a message is about, for journalctl; NULL: nobody. The text has
 * to name them itself.
 */
typedef struct
{
  const char *peer;   /* HERMIT_PEER=, a connection's */
  const char *region; /* HERMIT_REGION=, the UUID: a session's as well */
  const char *listen; /* HERMIT_LISTEN=, an address of our own */
} HermitLogAbout;

void hermit_log (GLogLevelFlags level, HermitLogAbout about,
                 const char *format, ...) G_GNUC_PRINTF (3, 4);

/*
 * The same about a peer that has not proved itself. Whoever can reach the server
 * can make it say these, so they are few: some at once, then one a second;
 * what was left out is counted, and said with the next.
 */
void hermit_log_stranger (GLogLevelFlags level, HermitLogAbout about,
                          const char *format, ...) G_GNUC_PRINTF (3, 4);

#endif /* HERMIT_LOG_H */
