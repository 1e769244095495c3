/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"

#include <stddef.h>
#include <string.h>

#include "region.h"
#include "size.h"

#define NS 1e-9

static const struct
{
  const char *name;
  size_t offset; /* of a __u64 in struct hermit_stats */
  guint unit;    /* bytes */
} gauges[] = {
  { "size_bytes", offsetof (struct hermit_stats, region_size), 1 },
  { "limit_bytes", offsetof (struct hermit_stats, limit), 1 },
  { "floor_bytes", offsetof (struct hermit_stats, floor), 1 },
  { "metadata_bytes", offsetof (struct hermit_stats, metadata_bytes), 1 },
  { "resident_bytes", offsetof (struct hermit_stats, resident),
    HERMIT_PAGE_SIZE },
  { "local_bytes", offsetof (struct hermit_stats, local), HERMIT_PAGE_SIZE },
  { "remote_bytes", offsetof (struct hermit_stats, remote), HERMIT_PAGE_SIZE },
  { "lost_bytes", offsetof (struct hermit_stats, lost), HERMIT_PAGE_SIZE },
  { "short_copies_bytes", offsetof (struct hermit_stats, short_copies),
    HERMIT_PAGE_SIZE },
};

static void
add_type (GString *out, const char *name, const char *type)
{
  g_string_append_printf (out, "# TYPE hermit_%s %s\n", name, type);
}

static void
add_label (GString *out, const char *name, const char *value, gsize length)
{
  g_string_append_printf (out, "%s=\"", name);
  for (gsize i = 0; i < length && value[i]; i++)
    switch (value[i])
      {
      case '\n':
        g_string_append (out, "\\n");
        break;
      case '"':
      case '\\':
        g_string_append_c (out, '\\');
        /* fall through */
      default:
        g_string_append_c (out, value[i]);
      }
  g_string_append_c (out, '"');
}

/* hermit_NAME{domain="...",region="...",uuid="..." and stays open */
static void
add_region (GString *out, const char *name, const HermitRegion *r)
{
  const char *domain = r->domain ?: "";

  g_string_append_printf (out, "hermit_%s{", name);
  add_label (out, "domain", domain, strlen (domain));
  add_label (out, ",region", r->st.name, sizeof (r->st.name));
  add_label (out, ",uuid", r->uuid, sizeof (r->uuid));
}

static void
add_integer (GString *out, guint64 value)
{
  g_string_append_printf (out, "} %" G_GUINT64_FORMAT "\n", value);
}

static void
add_seconds (GString *out, guint64 ns)
{
  g_string_append_printf (out, "} %.9f\n", ns * NS);
}

static void
add_gauges (GString *out, GPtrArray *regions)
{
  for (guint g = 0; g < G_N_ELEMENTS (gauges); g++)
    {
      add_type (out, gauges[g].name, "gauge");
      for (guint i = 0; i < regions->len; i++)
        {
          const HermitRegion *r = regions->pdata[i];
          __u64 n;

          memcpy (&n, (const char *)&r->st + gauges[g].offset, sizeof (n));
          add_region (out, gauges[g].name, r);
          add_integer (out, n * gauges[g].unit);
        }
    }
}

/* All that "stat" has, by the same names; a time is in seconds here. */
static void
add_counters (GString *out, GPtrArray *regions)
{
  static const struct hermit_stats none;
  const char *name;
  guint64 n;

  for (guint c = 0; (name = hermit_region_counter (&none, c, &n)); c++)
    {
      gboolean time = g_str_has_suffix (name, "-time");
      g_autofree char *stem
          = g_strndup (name, strlen (name) - (time ? strlen ("-time") : 0));
      g_autofree char *metric
          = g_strconcat (g_strdelimit (stem, "-", '_'),
                         time ? "_seconds_total" : "_total", NULL);

      add_type (out, metric, "counter");
      for (guint i = 0; i < regions->len; i++)
        {
          const HermitRegion *r = regions->pdata[i];

          hermit_region_counter (&r->st, c, &n);
          add_region (out, metric, r);
          if (time)
            add_seconds (out, n);
          else
            add_integer (out, n);
        }
    }
}

static void
add_server (GString *out, const char *name, const HermitRegion *r,
            const struct hermit_server_stats *s)
{
  add_region (out, name, r);
  add_label (out, ",server", s->address, sizeof (s->address));
}

/* One for each state, of which one is 1. */
static void
add_states (GString *out, const char *name, const HermitRegion *r,
            const struct hermit_server_stats *s)
{
  for (guint state = HERMIT_SERVER_NONE; state <= HERMIT_SERVER_STUCK;
       state++)
    {
      const char *text = hermit_server_state_name (state);

      add_server (out, name, r, s);
      add_label (out, ",state", text, strlen (text));
      add_integer (out, state == s->state);
    }
}

static void
add_servers (GString *out, GPtrArray *regions)
{
#define FIELD(field)                                                          \
  offsetof (struct hermit_stats, servers[0].field),                           \
      sizeof (struct hermit_server_stats)
  static const struct
  {
    const char *name, *type;
    size_t offset, stride; /* of the first's and the next's __u64; 0: states */
    gboolean time;
  } figures[]
      = { { "server_state", "gauge", 0, 0, FALSE },
          { "server_state_seconds", "gauge",
            offsetof (struct hermit_stats, server_state_ns), sizeof (__u64),
            TRUE },
          { "server_used_bytes", "gauge", FIELD (bytes_used), FALSE },
          { "server_round_trip_seconds", "gauge", FIELD (rtt_ns), TRUE },
          { "server_errors_total", "counter", FIELD (errors), FALSE },
          { "server_reconnects_total", "counter", FIELD (reconnects), FALSE } };
#undef FIELD

  for (guint f = 0; f < G_N_ELEMENTS (figures); f++)
    {
      add_type (out, figures[f].name, figures[f].type);
      for (guint i = 0; i < regions->len; i++)
        {
          const HermitRegion *r = regions->pdata[i];

          for (guint n = 0; n < r->st.nr_servers; n++)
            {
              const struct hermit_server_stats *s = &r->st.servers[n];
              __u64 value;

              if (!figures[f].offset)
                {
                  add_states (out, figures[f].name, r, s);
                  continue;
                }
              memcpy (&value,
                      (const char *)&r->st + figures[f].offset
                          + n * figures[f].stride,
                      sizeof (value));
              add_server (out, figures[f].name, r, s);
              if (figures[f].time)
                add_seconds (out, value);
              else
                add_integer (out, value);
            }
        }
    }
}

char *
hermit_export (GPtrArray *regions)
{
  GString *out = g_string_new (NULL);

  add_gauges (out, regions);
  add_counters (out, regions);
  add_servers (out, regions);
  return g_string_free (out, FALSE);
}
