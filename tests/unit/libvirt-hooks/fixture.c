/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "domain.h"
#include "region.h"

int hermitctl_main (int argc, char **argv);

gint64 fixture_clock;
gboolean fixture_tty, fixture_unset;

/* --- what hermitctl is linked to in place of the C library and GLib -------- */

int __real_open64 (const char *path, int flags, ...);
int __real_close (int fd);
int __real_ioctl (int fd, unsigned long request, ...);
int __wrap_open64 (const char *path, int flags, ...);
int __wrap_close (int fd);
int __wrap_ioctl (int fd, unsigned long request, ...);
int __wrap_isatty (int fd);
time_t __wrap_time (time_t *t);
gint64 __wrap_g_get_monotonic_time (void);
void __wrap_g_usleep (gulong us);
int __wrap_adjtimex (struct timex *t);

int
__wrap_open64 (const char *path, int flags, ...)
{
  va_list args;
  int mode;

  va_start (args, flags);
  mode = va_arg (args, int);
  va_end (args);
  if (strcmp (path, HERMIT_DEVICE))
    return __real_open64 (path, flags, mode);
  g_assert_cmpint (flags, ==, O_RDWR | O_CLOEXEC);
  return fake_hermit_open ();
}

int
__wrap_close (int fd)
{
  return fake_hermit_owns (fd) ? fake_hermit_close (fd) : __real_close (fd);
}

int
__wrap_ioctl (int fd, unsigned long request, ...)
{
  va_list args;
  void *arg;
  int ret;

  va_start (args, request);
  arg = va_arg (args, void *);
  va_end (args);
  if (!fake_hermit_owns (fd))
    return __real_ioctl (fd, request, arg);
  ret = fake_hermit_ioctl (fd, request, arg);
  /* What succeeds may leave any errno. */
  if (!ret)
    errno = EXDEV;
  return ret;
}

int
__wrap_isatty (int fd)
{
  g_assert_true (fd == STDOUT_FILENO || fd == STDERR_FILENO);
  return fixture_tty;
}

time_t
__wrap_time (time_t *t)
{
  return 3600 * 12 + 34 * 60 + 56;
}

gint64
__wrap_g_get_monotonic_time (void)
{
  return fixture_clock;
}

void
__wrap_g_usleep (gulong us)
{
  fixture_clock += us;
}

int
__wrap_adjtimex (struct timex *t)
{
  g_assert_cmpuint (t->modes, ==, 0);
  t->status = fixture_unset ? STA_UNSYNC : 0;
  return 0;
}

/* --- the host --------------------------------------------------------------- */

static const struct
{
  const char *name, *uuid;
} domains[] = { { "vm1", VM1_UUID }, { "vm2", VM2_UUID } };

static void *
shared (gsize size)
{
  void *p = mmap (NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  g_assert_true (p != MAP_FAILED);
  return p;
}

/* As the qemu hook of this domain would have left it. */
static void
domain_of (const char *name, HermitDomain *d)
{
  for (guint i = 0; i < G_N_ELEMENTS (domains); i++)
    if (!strcmp (domains[i].name, name))
      {
        d->name = (char *)domains[i].name;
        d->uuid = (char *)domains[i].uuid;
        g_assert_true (hermit_uuid_parse (domains[i].uuid, d->regions));
        d->regions[0] ^= 0xff;
        return;
      }
  g_assert_not_reached ();
}

static char *home;

void
fixture_reset (void)
{
  if (!home)
    {
      home = g_dir_make_tmp ("hermit-XXXXXX", NULL);
      g_assert_true (home && !chdir (home));
      fake_hermit = shared (sizeof (*fake_hermit));
      fake_libvirt = shared (sizeof (*fake_libvirt));
      g_setenv ("TZ", "UTC", TRUE);
    }
  memset (fake_hermit, 0, sizeof (*fake_hermit));
  memset (fake_libvirt, 0, sizeof (*fake_libvirt));
  fixture_clock = 0;
  fixture_tty = fixture_unset = FALSE;
  fake_libvirt->name = "vm1";
  fake_libvirt->uuid = VM1_UUID;
  fake_libvirt->running = true;
  strcpy (fake_libvirt->live, "<memory local-ratio=\"0.5\"/>");
  strcpy (fake_libvirt->config, "<memory local-ratio=\"0.5\"/>");
  for (guint i = 0; i < G_N_ELEMENTS (domains); i++)
    {
      HermitDomain d;
      json_t *none = json_object ();
      g_autoptr (GError) error = NULL;

      domain_of (domains[i].name, &d);
      g_assert_true (hermit_domain_save (HERMIT_RUN_DIR, &d, none, &error));
      json_decref (none);
    }
}

void
fixture_end_domains (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (domains); i++)
    hermit_domain_remove (HERMIT_RUN_DIR, domains[i].uuid);
  g_rmdir (HERMIT_RUN_DIR);
}

void
fixture_end (void)
{
  fixture_end_domains ();
  g_rmdir (home);
  g_free (home);
}

struct fake_region *
fixture_region (const char *domain, const char *name, guint64 size,
                guint64 limit)
{
  struct fake_region *r = &fake_hermit->regions[fake_hermit->nr];
  HermitDomain d;

  g_assert_cmpuint (fake_hermit->nr, <, FAKE_REGIONS);
  if (domain)
    {
      domain_of (domain, &d);
      hermit_uuid_derive (d.regions, name, r->st.uuid);
    }
  else
    {
      memset (r->st.uuid, 0xee, sizeof (r->st.uuid));
      r->st.uuid[15] = fake_hermit->nr;
    }
  fake_hermit->nr++;
  g_strlcpy (r->st.name, name, sizeof (r->st.name));
  r->st.region_size = size * MIB;
  r->st.limit = limit * MIB;
  r->st.floor = 4 * MIB;
  r->st.mode = HERMIT_MODE_EPT;
  return r;
}

struct fake_region *
fixture_full (const char *domain, const char *name, const char *server)
{
  struct fake_region *r = fixture_region (domain, name, 256, 96);
  struct hermit_stats *st = &r->st;
  struct hermit_server_stats *s = &st->servers[0];
  guint64 n = 1000;

  st->resident = 20000;
  st->local = 19000;
  st->inflight = 300;
  st->pool = 700;
  st->remote = 30000;
  st->host_mapped = 11;
  st->resident_max = 24000;
  st->metadata_bytes = 524800;
  for (__u64 *c = &st->faults_guest; c <= &st->stall_ns; c++)
    *c = ++n;
  st->threads_now = 1;
  st->threads_max = 4;
  st->watermark_low = 64;
  st->watermark_high = 256;
  st->turnaround_ns = 77000;
  st->fault_hist[12] = 980;
  st->fault_hist[16] = 19;
  st->fault_hist[20] = 1;
  st->bindings = 2;
  st->prefetch_misses = ++n;
  st->refaults_early = ++n;
  st->eager_pauses = ++n;
  st->reclaim_busy_ns = ++n;
  st->reclaim_turn_waits = ++n;
  st->async_faults = ++n;
  st->poisoned = ++n;
  st->mismatches = 77;
  st->moved = 78;
  st->standby_hits = 79;
  st->idle_period_ns = 5000000000;
  st->idle_sampled = 16384;
  st->idle_busy_ns = 123456;
  for (guint i = 0; i < HERMIT_IDLE_BUCKETS; i++)
    st->idle_hist[i] = 256 << i;
  st->nr_servers = 1;
  g_strlcpy (s->address, server, sizeof (s->address));
  s->state = HERMIT_SERVER_UP;
  s->connections = 4;
  s->bytes_used = 61 * MIB;
  for (__u64 *c = &s->epoch; c <= &s->reconnects; c++)
    *c = ++n;
  s->rtt_ns = 12300;
  for (__u64 *c = &s->inflight; c <= &s->polled; c++)
    *c = ++n;
  st->unaged = ++n;
  st->server_state_ns[0] = 90 * G_GUINT64_CONSTANT (1000000000);
  r->nr_vcpus = 2;
  r->vcpus[0] = (struct hermit_vcpu_entry){ .tid = getpid (),
                                            .waits = 41,
                                            .stall_ns = 7654321 };
  r->vcpus[1] = (struct hermit_vcpu_entry){ .waits = 42, .stall_ns = 99 };
  return r;
}

static gulong failing;
static int failing_errno;

static int
fails (unsigned long request, struct fake_region *r, void *arg)
{
  return request == failing ? failing_errno : 0;
}

void
fixture_fail (gulong request, int err)
{
  failing = request;
  failing_errno = err;
  fake_hermit->answer = fails;
}

char *
fixture_uuid (guint i)
{
  char text[HERMIT_UUID_TEXT];

  hermit_uuid_format (fake_hermit->regions[i].st.uuid, text);
  return g_strdup (text);
}

Program *
hermitctl (const char *args)
{
  g_autofree char *line = g_strconcat ("hermitctl ", args, NULL);
  Program *p = program_run (hermitctl_main, line, NULL);

  g_assert_cmpuint (fake_hermit->fds, ==, 0);
  g_assert_cmpint (fake_libvirt->open, ==, 0);
  return p;
}

void
hermitctl_says (const char *args, const char *out, const char *err)
{
  g_autoptr (Program) p = hermitctl (args);

  program_expect (p, 0, out, err);
}

void
hermitctl_fails (const char *args, int status, const char *err)
{
  g_autoptr (Program) p = hermitctl (args);

  program_expect (p, status, "", err);
}

void
expect_json (json_t *got, const char *want)
{
  json_t *j = json_loads (want, 0, NULL);

  g_assert_nonnull (j);
  if (!json_equal (got, j))
    g_error ("got %s, not %s", json_dumps (got, 0), want);
  json_decref (j);
}
