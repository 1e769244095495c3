/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics.h"

#include <string.h>

#include "door.h"
#include "session.h"
#include "store.h"

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

/*
 * A label's value may hold anything, but for these three as they are; the names
 * that clients gave come in ASCII, escaped once already.
 */
static char *
label (const char *text)
{
  GString *escaped = g_string_new (NULL);

  for (; *text; text++)
    {
      if (*text == '\\' || *text == '"')
        g_string_append_c (escaped, '\\');
      if (*text == '\n')
        g_string_append (escaped, "\\n");
      else
        g_string_append_c (escaped, *text);
    }
  return g_string_free (escaped, FALSE);
}

/* The samples of one of a metric's histograms; @labels: "" or `name="x",`. */
static void
histogram (GString *text, const char *name, const char *labels,
           const HermitHistogram *h)
{
  g_autofree char *bare = g_strndup (labels, MAX (strlen (labels), 1) - 1);
  g_autofree char *braced
      = *bare ? g_strdup_printf ("{%s}", bare) : g_strdup ("");
  guint64 n = 0;

  for (guint i = 0; i < HERMIT_HISTOGRAM_BOUNDS; i++)
    {
      n += h->counts[i];
      g_string_append_printf (
          text, PREFIX "%s_bucket{%sle=\"%u.%06u\"} %" G_GUINT64_FORMAT "\n",
          name, labels, hermit_histogram_bounds[i] / 1000000,
          hermit_histogram_bounds[i] % 1000000, n);
    }
  n += h->counts[HERMIT_HISTOGRAM_BOUNDS];
  g_string_append_printf (text,
                          PREFIX "%s_bucket{%sle=\"+Inf\"} %" G_GUINT64_FORMAT
                                 "\n" PREFIX "%s_sum%s %" G_GUINT64_FORMAT
                                 ".%06u\n" PREFIX
                                 "%s_count%s %" G_GUINT64_FORMAT "\n",
                          name, labels, n, name, braced, h->sum / 1000000,
                          (guint)(h->sum % 1000000), name, braced, n);
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
GETTER (age, info->age)
GETTER (idle, info->idle)
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
  { "region_age_seconds", "gauge", "Since it was made", get_age },
  { "region_idle_seconds", "gauge",
    "Since its last connection left; 0: it has one", get_idle },
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
  g_autofree char *name = label (info->name);
  g_autofree char *labels
      = g_strdup_printf ("{region=\"%s\",name=\"%s\",owner=\"%s\"}",
                         info->uuid, name, info->owner);
  Visit *visit = data;

  visit->sessions++;
  for (guint i = 0; i < G_N_ELEMENTS (session_metrics); i++)
    value (visit->text[i], session_metrics[i].name, labels,
           session_metrics[i].get (info));
}

/* The doors: what came, and what became of it. */
static void
append_doors (GString *text, HermitServer *server)
{
  HermitDoorUsage door = hermit_door_usage (server->door);

  metric (text, "refused_total", "counter", "Connections refused, by reason");
  for (guint32 code = 1; code < G_N_ELEMENTS (server->refusals); code++)
    {
      g_autofree char *labels
          = g_strdup_printf ("{reason=\"%s\"}",
                             hermit_wire_refusal_name (code));

      value (text, "refused_total", labels, server->refusals[code]);
    }
  metric (text, "strangers_dropped_total", "counter",
          "Connections that ended before they had proved themselves");
  for (guint drop = 0; drop < HERMIT_DROPS; drop++)
    {
      g_autofree char *labels
          = g_strdup_printf ("{reason=\"%s\"}", hermit_drop_name (drop));

      value (text, "strangers_dropped_total", labels, door.drops[drop]);
    }
  gauge (text, "door_places", "Places for connections in their handshake",
         door.places);
  gauge (text, "door_taken", "Those that are taken", door.taken);
  gauge (text, "known_hosts", "Hosts that had a client here", door.known);
  metric (text, "handshake_seconds", "histogram",
          "From accept to the client's admission, the fence included");
  histogram (text, "handshake_seconds", "", &server->handshakes);
}

/* What passed through sockets; RDMA's pages do not. */
static void
append_requests (GString *text, HermitServer *server)
{
  static const char *const names[HERMIT_OPS]
      = { "read", "write", "discard", "ping" };

  metric (text, "received_bytes_total", "counter", "From clients, over TCP");
  value (text, "received_bytes_total", "", server->received);
  metric (text, "sent_bytes_total", "counter", "To clients, over TCP");
  value (text, "sent_bytes_total", "", server->sent);
  metric (text, "request_seconds", "histogram",
          "From the receipt of a request to its answer's way out, over TCP");
  for (guint op = 0; op < HERMIT_OPS; op++)
    {
      g_autofree char *labels = g_strdup_printf ("op=\"%s\",", names[op]);

      histogram (text, "request_seconds", labels, &server->requests[op]);
    }
}

char *
hermit_metrics_lent (HermitServer *server)
{
  HermitSessionsTotal total = hermit_sessions_total (server->sessions);
  g_autofree char *capacity
      = g_format_size_full (hermit_store_usage (server->store).capacity,
                            G_FORMAT_SIZE_IEC_UNITS);
  g_autofree char *stored
      = g_format_size_full (total.stored, G_FORMAT_SIZE_IEC_UNITS);
  const char *what = total.draining ? "Draining" : "Lending";
  GString *text;

  if (!total.regions)
    return g_strdup_printf ("%s %s: no regions", what, capacity);
  text = g_string_new (NULL);
  g_string_printf (text, "%s %s: %u region%s with %s", what, capacity,
                   total.regions, total.regions == 1 ? "" : "s", stored);
  if (total.needing < total.regions)
    g_string_append_printf (text, ", %u of which need it", total.needing);
  if (total.stuck)
    g_string_append_printf (text, ", %u find no room elsewhere", total.stuck);
  return g_string_free (text, FALSE);
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

  metric (text, "build_info", "gauge", "Which version this is");
  value (text, "build_info", "{version=\"" HERMIT_VERSION "\"}", 1);
  gauge (text, "start_time_seconds", "When it was started, since 1970",
         server->started);
  gauge (text, "capacity_bytes", "Memory to lend", usage.capacity);
  gauge (text, "taken_bytes", "Memory promised to regions", usage.taken);
  gauge (text, "backed_bytes", "Memory in use by regions", usage.backed);
  gauge (text, "idle_bytes", "Memory kept ready for regions, or being freed",
         usage.idle);
  gauge (text, "regions", "Regions", visit.sessions);
  gauge (text, "draining",
         "1: no new region is taken, 2: nor is more lent to those there are",
         (guint64)hermit_sessions_total (server->sessions).draining);
  append_doors (text, server);
  append_requests (text, server);
  for (guint i = 0; i < G_N_ELEMENTS (session_metrics); i++)
    {
      g_string_append (text, visit.text[i]->str);
      g_string_free (visit.text[i], TRUE);
    }
  return g_string_free (text, FALSE);
}
