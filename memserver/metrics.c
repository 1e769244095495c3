/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics.h"

#include "session.h"

#define PREFIX "hermit_memserver_"

static void
metric (GString *text, const char *name, const char *type, const char *help)
{
  g_string_append_printf (text,
                          "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n",
                          name, help, name, type);
}

static void
value (GString *text, const char *name, const char *labels, guint64 n)
{
  g_string_append_printf (text, PREFIX "%s%s %" G_GUINT64_FORMAT "\n", name,
                          labels, n);
}

static void
gauge (GString *text, const char *name, const char *help, guint64 n)
{
  metric (text, name, "gauge", help);
  value (text, name, "", n);
}

/* One metric of every session; the format wants them side by side. */
typedef struct
{
  const char *name, *type, *help;
  guint64 (*get) (const HermitSessionInfo *info);
} SessionMetric;

#define GETTER(name, expression)                                              \
  static guint64 get_##name (const HermitSessionInfo *info)                   \
  {                                                                           \
    return expression;                                                        \
  }

GETTER (size, info->size)
GETTER (stored, info->stored)
GETTER (backed, info->backed)
GETTER (connections, info->connections)
GETTER (reads, info->counters->reads)
GETTER (writes, info->counters->writes)
GETTER (discards, info->counters->discards)
GETTER (no_space, info->counters->no_space)
GETTER (errors, info->counters->errors)

static const SessionMetric session_metrics[] = {
  { "region_size_bytes", "gauge", "Size of the region", get_size },
  { "region_stored_bytes", "gauge", "Pages of the region that are stored",
    get_stored },
  { "region_backed_bytes", "gauge", "Memory that holds them", get_backed },
  { "region_connections", "gauge", "Connections of its client",
    get_connections },
  { "region_reads_total", "counter", "READ requests", get_reads },
  { "region_writes_total", "counter", "WRITE requests", get_writes },
  { "region_discards_total", "counter", "DISCARD requests", get_discards },
  { "region_no_space_total", "counter", "Writes refused for lack of memory",
    get_no_space },
  { "region_errors_total", "counter", "Requests answered with another error",
    get_errors },
};

typedef struct
{
  GString *text[G_N_ELEMENTS (session_metrics)];
  guint sessions;
} Visit;

static void
visit_session (const HermitSessionInfo *info, gpointer data)
{
  g_autofree char *labels = g_strdup_printf ("{region=\"%s\",name=\"%s\"}",
                                             info->uuid, info->name);
  Visit *visit = data;

  visit->sessions++;
  for (guint i = 0; i < G_N_ELEMENTS (session_metrics); i++)
    value (visit->text[i], session_metrics[i].name, labels,
           session_metrics[i].get (info));
}

char *
hermit_metrics_text (HermitServer *server)
{
  HermitStoreUsage usage = hermit_store_usage (server->store);
  GString *text = g_string_new (NULL);
  Visit visit = { .sessions = 0 };

  for (guint i = 0; i < G_N_ELEMENTS (session_metrics); i++)
    {
      const SessionMetric *m = &session_metrics[i];

      visit.text[i] = g_string_new (NULL);
      metric (visit.text[i], m->name, m->type, m->help);
    }
  hermit_sessions_visit (server->sessions, visit_session, &visit);

  gauge (text, "capacity_bytes", "Memory to lend", usage.capacity);
  gauge (text, "taken_bytes", "Memory promised to regions", usage.taken);
  gauge (text, "backed_bytes", "Memory in use by regions", usage.backed);
  gauge (text, "idle_bytes", "Memory kept ready for regions, or being freed",
         usage.idle);
  gauge (text, "regions", "Regions", visit.sessions);
  metric (text, "refused_total", "counter", "Connections refused, by reason");
  for (guint32 code = 1; code < G_N_ELEMENTS (server->refusals); code++)
    {
      g_autofree char *labels
          = g_strdup_printf ("{reason=\"%s\"}",
                             hermit_wire_refusal_name (code));

      value (text, "refused_total", labels, server->refusals[code]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (session_metrics); i++)
    {
      g_string_append (text, visit.text[i]->str);
      g_string_free (visit.text[i], TRUE);
    }
  return g_string_free (text, FALSE);
}
