/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "region.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "domain.h"
#include "size.h"

void
hermit_region_free (HermitRegion *region)
{
  g_free (region->domain);
  g_free (region);
}

/* The domain of a region: the one that would have given it this UUID. */
static const HermitDomain *
region_domain (const struct hermit_stats *st, GPtrArray *domains)
{
  for (guint i = 0; i < domains->len; i++)
    {
      const HermitDomain *domain = domains->pdata[i];
      HermitUuid uuid;

      hermit_uuid_derive (domain->regions, st->name, uuid);
      if (!memcmp (uuid, st->uuid, sizeof (uuid)))
        return domain;
    }
  return NULL;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  const HermitRegion *x = *(HermitRegion *const *)a;
  const HermitRegion *y = *(HermitRegion *const *)b;

  return g_strcmp0 (x->domain, y->domain) ?: strcmp (x->st.name, y->st.name);
}

static gboolean
is_wanted (const HermitRegion *region, const HermitDomain *domain,
           const char *which)
{
  return !which || !g_strcmp0 (region->domain, which)
         || (domain && !g_ascii_strcasecmp (domain->uuid, which))
         || !g_ascii_strcasecmp (region->uuid, which)
         || (!domain && !strcmp (region->st.name, which));
}

/* Numbers that no server has (any more) are of no interest to anybody. */
static void
drop_gaps (struct hermit_stats *st)
{
  guint nr = MIN (st->nr_servers, HERMIT_MAX_SERVERS);

  st->nr_servers = 0;
  for (guint i = 0; i < nr; i++)
    {
      if (st->servers[i].state == HERMIT_SERVER_NONE
          && !st->servers[i].address[0])
        continue;
      st->servers[st->nr_servers] = st->servers[i];
      st->server_state_ns[st->nr_servers++] = st->server_state_ns[i];
    }
}

GPtrArray *
hermit_regions_find (const char *which, GError **error)
{
  g_autoptr (GArray) list = hermit_device_list (error);
  g_autoptr (GPtrArray) domains = NULL, regions = NULL;
  guint by_name = 0;

  if (!list)
    return NULL;
  domains = hermit_domains_load (HERMIT_RUN_DIR);
  regions
      = g_ptr_array_new_with_free_func ((GDestroyNotify)hermit_region_free);
  for (guint i = 0; i < list->len; i++)
    {
      const struct hermit_list_entry *e
          = &g_array_index (list, struct hermit_list_entry, i);
      g_autoptr (GError) local = NULL;
      HermitRegion *region = g_new0 (HermitRegion, 1);
      const HermitDomain *domain;

      if (!hermit_device_stats (e->uuid, &region->st, &local))
        {
          g_free (region);
          /* One that ended meanwhile is none. */
          if (g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            continue;
          g_propagate_error (error, g_steal_pointer (&local));
          return NULL;
        }
      region->st.name[sizeof (region->st.name) - 1] = 0;
      drop_gaps (&region->st);
      hermit_uuid_format (e->uuid, region->uuid);
      domain = region_domain (&region->st, domains);
      region->domain = domain ? g_strdup (domain->name) : NULL;
      if (!is_wanted (region, domain, which))
        {
          hermit_region_free (region);
          continue;
        }
      by_name += which && !domain && !strcmp (region->st.name, which);
      g_ptr_array_add (regions, region);
    }
  if (by_name > 1)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                   "%u regions are named '%s'; give the UUID of one, see "
                   "hermitctl list",
                   by_name, which);
      return NULL;
    }
  if (which && !regions->len)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                   "'%s': no running VM of this host with hermit memory; see "
                   "hermitctl list",
                   which);
      return NULL;
    }
  g_ptr_array_sort (regions, compare);
  return g_steal_pointer (&regions);
}

guint64
hermit_hist_count (const __u64 hist[HERMIT_HIST_BUCKETS])
{
  guint64 n = 0;

  for (guint i = 0; i < HERMIT_HIST_BUCKETS; i++)
    n += hist[i];
  return n;
}

guint64
hermit_hist_quantile (const __u64 hist[HERMIT_HIST_BUCKETS], double share)
{
  double left = hermit_hist_count (hist) * share;

  for (guint i = 0; i < HERMIT_HIST_BUCKETS; i++)
    {
      guint64 low = i ? 1ULL << i : 0, high = 1ULL << (i + 1);

      if (hist[i] && left <= hist[i])
        return low + (high - low) * (left / hist[i]);
      left -= hist[i];
    }
  return 0;
}

const char *
hermit_mode_name (guint32 mode)
{
  return mode == HERMIT_MODE_EPT ? "ept-hook" : "stock";
}

const char *
hermit_server_state_name (guint32 state)
{
  static const char *const names[]
      = { "none", "up", "reconnecting", "full",
          "failed", "draining", "drained", "stuck" };

  return state < G_N_ELEMENTS (names) ? names[state] : "unknown";
}

/* The counters by their names in query-hermit-memory. */
static const struct
{
  const char *name;
  size_t offset; /* of a __u64 in struct hermit_stats */
} counters[] = {
#define COUNTER(name, field) { name, offsetof (struct hermit_stats, field) }
  COUNTER ("faults-guest", faults_guest),
  COUNTER ("faults-host", faults_host),
  COUNTER ("first-touch", first_touch),
  COUNTER ("fetches", fetches),
  COUNTER ("prefetches", prefetches),
  COUNTER ("prefetch-hits", prefetch_hits),
  COUNTER ("prefetch-misses", prefetch_misses),
  COUNTER ("early-refaults", refaults_early),
  COUNTER ("standby-hits", standby_hits),
  COUNTER ("eager-pauses", eager_pauses),
  COUNTER ("conflicts", conflicts),
  COUNTER ("read-errors", read_errors),
  COUNTER ("mismatches", mismatches),
  COUNTER ("evicted-clean", evicted_clean),
  COUNTER ("evicted-dirty", evicted_dirty),
  COUNTER ("evicted-zero", evicted_zero),
  COUNTER ("rescued", rescued),
  COUNTER ("pinned", pinned),
  COUNTER ("kept", kept),
  COUNTER ("write-errors", write_errors),
  COUNTER ("moved", moved),
  COUNTER ("discarded", discarded),
  COUNTER ("poisoned", poisoned),
  COUNTER ("direct-reclaims", direct_reclaims),
  COUNTER ("zap-batches", zap_batches),
  COUNTER ("zapped", zapped),
  COUNTER ("scanned", scanned),
  COUNTER ("unaged", unaged),
  COUNTER ("room-waits", room_waits),
  COUNTER ("turn-waits", reclaim_turn_waits),
  COUNTER ("parked", parked),
  COUNTER ("spun", spun),
  COUNTER ("async-faults", async_faults),
  COUNTER ("waits-in-kvm", wait_srcu),
  COUNTER ("waits-mmap-long", wait_mmap_long),
  COUNTER ("stall-time", stall_ns),
#undef COUNTER
};

const char *
hermit_region_counter (const struct hermit_stats *st, guint i, guint64 *value)
{
  __u64 n;

  if (i >= G_N_ELEMENTS (counters))
    return NULL;
  memcpy (&n, (const char *)st + counters[i].offset, sizeof (n));
  *value = n;
  return counters[i].name;
}

static json_t *
integer (guint64 n)
{
  return json_integer (MIN (n, G_MAXINT64));
}

static json_t *
bytes (guint64 pages)
{
  return integer (pages * HERMIT_PAGE_SIZE);
}

static json_t *
pool_to_json (const struct hermit_server_stats *s)
{
  double stored = s->pool_pages * HERMIT_PAGE_SIZE;

  return json_pack ("{s:o, s:o, s:o, s:o, s:f, s:o, s:o}", "stored",
                    bytes (s->pool_pages), "same-filled", bytes (s->pool_same),
                    "incompressible", bytes (s->pool_raw), "compressed",
                    integer (s->pool_bytes), "ratio",
                    s->bytes_used ? stored / s->bytes_used : 0.0,
                    "compress-time", integer (s->compress_ns),
                    "decompress-time", integer (s->decompress_ns));
}

static json_t *
server_to_json (const struct hermit_stats *st, guint i)
{
  const struct hermit_server_stats *s = &st->servers[i];
  g_autofree char *address
      = g_strndup (s->address, strnlen (s->address, sizeof (s->address)));
  json_t *j;

  j = json_pack (
      "{s:s, s:s, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
      "address", address, "state", hermit_server_state_name (s->state),
      "state-time", integer (st->server_state_ns[i]), "connections", (int)s->connections, "epoch", integer (s->epoch),
      "incarnation", integer (s->incarnation), "used", integer (s->bytes_used),
      "reads", integer (s->reads), "writes", integer (s->writes), "discards",
      integer (s->discards), "errors", integer (s->errors), "reconnects",
      integer (s->reconnects), "in-flight", integer (s->inflight),
      "round-trip", integer (s->rtt_ns));
  if (g_str_has_prefix (address, "local:"))
    json_object_set_new (j, "local-pool", pool_to_json (s));
  if (g_str_has_prefix (address, "rdma:"))
    json_object_set_new (j, "rdma",
                         json_pack ("{s:o, s:o, s:o}", "doorbells",
                                    integer (s->doorbells), "completions",
                                    integer (s->completions), "polled",
                                    integer (s->polled)));
  return j;
}

/* See HermitMemoryIdle in QEMU's qapi/hermit.json: the last 16 periods. */
#define WORKING_SET_BUCKETS 5

static json_t *
idle_to_json (const struct hermit_stats *st)
{
  json_t *hist = json_array ();
  guint64 recent = 0;

  for (guint i = 0; i < HERMIT_IDLE_BUCKETS; i++)
    {
      recent += i < WORKING_SET_BUCKETS ? st->idle_hist[i] : 0;
      json_array_append_new (hist, bytes (st->idle_hist[i]));
    }
  return json_pack ("{s:o, s:o, s:o, s:o, s:o}", "period",
                    integer (st->idle_period_ns), "sampled",
                    bytes (st->idle_sampled), "busy",
                    integer (st->idle_busy_ns), "working-set", bytes (recent),
                    "histogram", hist);
}

/* QEMU's name for the thread of a vCPU, "CPU 0/KVM", or its number. */
static char *
thread_name (guint32 tid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/comm", tid);
  char *name = NULL;

  if (tid && g_file_get_contents (path, &name, NULL, NULL))
    return g_strchomp (name);
  return g_strdup_printf ("thread %u", tid);
}

static GArray *
vcpus_of (const struct hermit_stats *st)
{
  GArray *vcpus = hermit_device_vcpus ((const unsigned char *)st->uuid);

  return vcpus ?: g_array_new (FALSE, TRUE, sizeof (struct hermit_vcpu_entry));
}

static json_t *
vcpus_to_json (const struct hermit_stats *st)
{
  g_autoptr (GArray) vcpus = vcpus_of (st);
  json_t *all = json_array ();

  for (guint i = 0; i < vcpus->len; i++)
    {
      const struct hermit_vcpu_entry *v
          = &g_array_index (vcpus, struct hermit_vcpu_entry, i);
      g_autofree char *name = thread_name (v->tid);

      json_array_append_new (all,
                             json_pack ("{s:s, s:i, s:o, s:o}", "name", name,
                                        "thread-id", (int)v->tid, "waits",
                                        integer (v->waits), "stall-time",
                                        integer (v->stall_ns)));
    }
  return all;
}

json_t *
hermit_region_to_json (const HermitRegion *region)
{
  const struct hermit_stats *st = &region->st;
  guint64 pages = st->region_size / HERMIT_PAGE_SIZE;
  guint64 elsewhere = st->local + st->remote + st->lost;
  json_t *j = json_object (), *all = json_object (), *part;
  const char *name;
  guint64 n;

  json_object_set_new (j, "domain",
                       region->domain ? json_string (region->domain)
                                      : json_null ());
  json_object_set_new (j, "id", json_string (st->name));
  json_object_set_new (j, "uuid", json_string (region->uuid));
  json_object_set_new (j, "size", integer (st->region_size));
  json_object_set_new (j, "limit", integer (st->limit));
  json_object_set_new (j, "local-ratio",
                       json_real (st->region_size
                                      ? (double)st->limit / st->region_size
                                      : 0));
  json_object_set_new (j, "floor", integer (st->floor));
  json_object_set_new (j, "mode", json_string (hermit_mode_name (st->mode)));
  json_object_set_new (j, "bindings", integer (st->bindings));
  json_object_set_new (j, "resident", bytes (st->resident));
  json_object_set_new (j, "resident-max", bytes (st->resident_max));
  json_object_set_new (j, "local", bytes (st->local));
  json_object_set_new (j, "in-flight", bytes (st->inflight));
  json_object_set_new (j, "pool", bytes (st->pool));
  json_object_set_new (j, "remote", bytes (st->remote));
  json_object_set_new (j, "zero",
                       bytes (pages > elsewhere ? pages - elsewhere : 0));
  json_object_set_new (j, "lost", bytes (st->lost));
  json_object_set_new (j, "short-copies", bytes (st->short_copies));
  json_object_set_new (j, "replicas", integer (st->replicas));
  json_object_set_new (j, "host-mapped", bytes (st->host_mapped));
  json_object_set_new (j, "metadata", integer (st->metadata_bytes));
  for (guint i = 0; (name = hermit_region_counter (st, i, &n)); i++)
    json_object_set_new (all, name, integer (n));
  json_object_set_new (j, "counters", all);
  if (st->idle_period_ns)
    json_object_set_new (j, "idle", idle_to_json (st));
  json_object_set_new (j, "reclaim",
                       json_pack ("{s:i, s:i, s:o, s:o, s:o, s:o}", "threads",
                                  (int)st->threads_now, "threads-max",
                                  (int)st->threads_max, "watermark-low",
                                  bytes (st->watermark_low), "watermark-high",
                                  bytes (st->watermark_high), "turnaround",
                                  integer (st->turnaround_ns), "busy-time",
                                  integer (st->reclaim_busy_ns)));
  part = json_array ();
  for (guint i = 0; i < HERMIT_HIST_BUCKETS; i++)
    json_array_append_new (part, integer (st->fault_hist[i]));
  json_object_set_new (
      j, "fault-latency",
      json_pack ("{s:o, s:o, s:o, s:o, s:o}", "count",
                 integer (hermit_hist_count (st->fault_hist)), "p50",
                 integer (hermit_hist_quantile (st->fault_hist, 0.5)), "p99",
                 integer (hermit_hist_quantile (st->fault_hist, 0.99)), "p999",
                 integer (hermit_hist_quantile (st->fault_hist, 0.999)),
                 "histogram", part));
  json_object_set_new (j, "vcpus", vcpus_to_json (st));
  part = json_array ();
  for (guint i = 0; i < st->nr_servers; i++)
    json_array_append_new (part, server_to_json (st, i));
  json_object_set_new (j, "servers", part);
  return j;
}

static void
print_pages (const char *what, guint64 pages)
{
  g_autofree char *size = hermit_size_format (pages * HERMIT_PAGE_SIZE);

  printf ("  %-14s %s\n", what, size);
}

void
hermit_region_print (const HermitRegion *region)
{
  const struct hermit_stats *st = &region->st;
  g_autofree char *size = hermit_size_format (st->region_size);
  g_autofree char *limit = hermit_size_format (st->limit);
  g_autofree char *floor = hermit_size_format (st->floor);
  g_autoptr (GArray) vcpus = NULL;
  const char *name;
  guint64 n;

  printf ("%s %s %s\n", region->domain ?: "-", st->name, region->uuid);
  printf ("  %-14s %s\n", "size", size);
  printf ("  %-14s %s (%.3g of the size; floor %s)\n", "limit", limit,
          st->region_size ? (double)st->limit / st->region_size : 0, floor);
  print_pages ("resident", st->resident);
  print_pages ("remote", st->remote);
  if (st->lost)
    print_pages ("LOST", st->lost);
  if (st->short_copies)
    print_pages ("too few copies", st->short_copies);
  if (st->idle_period_ns)
    {
      guint64 recent = 0;

      for (guint i = 0; i < WORKING_SET_BUCKETS; i++)
        recent += st->idle_hist[i];
      print_pages ("working set", recent);
    }
  printf ("  %-14s %s\n", "mode", hermit_mode_name (st->mode));
  printf ("  %-14s %u of %u\n", "threads", st->threads_now, st->threads_max);
  printf ("  %-14s p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n", "faults",
          hermit_hist_quantile (st->fault_hist, 0.5) / 1e3,
          hermit_hist_quantile (st->fault_hist, 0.99) / 1e3,
          hermit_hist_quantile (st->fault_hist, 0.999) / 1e3);
  for (guint i = 0; (name = hermit_region_counter (st, i, &n)); i++)
    printf ("  %-14s %" G_GUINT64_FORMAT "\n", name, n);
  vcpus = vcpus_of (st);
  for (guint i = 0; i < vcpus->len; i++)
    {
      const struct hermit_vcpu_entry *v
          = &g_array_index (vcpus, struct hermit_vcpu_entry, i);
      g_autofree char *thread = thread_name (v->tid);

      printf ("  %-14s waited %" G_GUINT64_FORMAT " times, %.1f ms\n", thread,
              (guint64)v->waits, v->stall_ns / 1e6);
    }
  for (guint i = 0; i < st->nr_servers; i++)
    {
      const struct hermit_server_stats *s = &st->servers[i];
      g_autofree char *used = hermit_size_format (s->bytes_used);

      printf ("  %-14s %.*s %s, %u connections, %s used, round trip %.1f us, "
              "%" G_GUINT64_FORMAT " errors, %" G_GUINT64_FORMAT
              " reconnects\n",
              "server", (int)sizeof (s->address), s->address,
              hermit_server_state_name (s->state), s->connections, used,
              s->rtt_ns / 1e3, (guint64)s->errors, (guint64)s->reconnects);
    }
}

json_t *
hermit_region_servers_to_json (const HermitRegion *region)
{
  static const char *const kept[]
      = { "domain", "id", "uuid", "replicas", "short-copies", "servers" };
  json_t *all = hermit_region_to_json (region), *j = json_object ();

  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    json_object_set (j, kept[i], json_object_get (all, kept[i]));
  json_decref (all);
  return j;
}

/* In the largest unit of which there are two; "-" is not known. */
static char *
duration_format (guint64 ns)
{
  guint64 s = ns / G_GUINT64_CONSTANT (1000000000);

  if (!ns)
    return g_strdup ("-");
  if (s < 2 * 60)
    return g_strdup_printf ("%us", (guint)s);
  if (s < 2 * 3600)
    return g_strdup_printf ("%umin", (guint)(s / 60));
  if (s < 2 * 86400)
    return g_strdup_printf ("%uh", (guint)(s / 3600));
  return g_strdup_printf ("%" G_GUINT64_FORMAT "d", s / 86400);
}

void
hermit_region_print_servers (const HermitRegion *region)
{
  const struct hermit_stats *st = &region->st;

  printf ("%s %s %s", region->domain ?: "-", st->name, region->uuid);
  if (st->replicas)
    {
      g_autofree char *thin
          = hermit_size_format (st->short_copies * HERMIT_PAGE_SIZE);

      printf (": each page on %u of %u servers, %s on fewer",
              (guint)st->replicas, st->nr_servers, thin);
    }
  printf ("\n  %-30s %-12s %6s %11s %12s %12s %8s %10s\n", "SERVER", "STATE",
          "SINCE", "USED", "READS", "WRITES", "ERRORS", "RECONNECTS");
  for (guint i = 0; i < st->nr_servers; i++)
    {
      const struct hermit_server_stats *s = &st->servers[i];
      g_autofree char *used = hermit_size_format (s->bytes_used);
      g_autofree char *since = duration_format (st->server_state_ns[i]);

      printf ("  %-30.*s %-12s %6s %11s %12" G_GUINT64_FORMAT
              " %12" G_GUINT64_FORMAT " %8" G_GUINT64_FORMAT
              " %10" G_GUINT64_FORMAT "\n",
              (int)sizeof (s->address), s->address,
              hermit_server_state_name (s->state), since, used,
              (guint64)s->reads, (guint64)s->writes, (guint64)s->errors,
              (guint64)s->reconnects);
    }
}
