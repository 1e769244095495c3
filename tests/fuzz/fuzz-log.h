/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_FUZZ_LOG_H
#define HERMIT_FUZZ_LOG_H
/* A server that is fuzzed would say much, and the same over and over. */
#include <glib.h>

static inline GLogWriterOutput
fuzz_log_ignore (GLogLevelFlags level G_GNUC_UNUSED,
                 const GLogField *fields G_GNUC_UNUSED,
                 gsize n_fields G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return G_LOG_WRITER_HANDLED;
}

/* Once in a process: GLib takes no second writer. */
static inline void
fuzz_log_off (void)
{
  g_log_set_writer_func (fuzz_log_ignore, NULL, NULL);
}

#endif /* HERMIT_FUZZ_LOG_H */
