/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FIXTURE_H
#define FIXTURE_H
/*
 * hermitctl on a host that does not exist: the stand-ins for /dev/hermit and
 * for libvirt, domains in a folder of this test, and a clock that only moves
 * when somebody sleeps.
 */
#include <glib.h>
#include <jansson.h>

#include "fake-hermit.h"
#include "fake-libvirt.h"
#include "program.h"

#define MIB (1ULL << 20)
#define VM1_UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define VM2_UUID "6ba7b811-9dad-11d1-80b4-00c04fd430c8"

extern gint64 fixture_clock;  /* us; of the next program's begin */
extern gboolean fixture_tty; /* are stdout and stderr a terminal? */
extern gboolean fixture_unset; /* does no server set the clock of this host? */

/* As in the beginning: no region; vm1 runs and has metadata. */
void fixture_reset (void);
void fixture_end (void);
/* The folder of the domains is not there. */
void fixture_end_domains (void);

/* A region more; @domain is "vm1", "vm2" or NULL. Sizes are in MiB. */
struct fake_region *fixture_region (const char *domain, const char *name,
                                    guint64 size, guint64 limit);
/*
 * One of 256 MiB, 96 of them its limit, with one server and two vCPUs. Every
 * figure is another one, so that none can stand for another.
 */
struct fake_region *fixture_full (const char *domain, const char *name,
                                  const char *server);
/* From now on @request fails with @err, and nothing else does. */
void fixture_fail (gulong request, int err);
/* The UUID of the @i-th; free it. */
char *fixture_uuid (guint i);

/* "hermitctl @args"; fails if it leaves /dev/hermit or libvirt open. */
Program *hermitctl (const char *args);
/* It succeeds and says @out, and @err on stderr. */
void hermitctl_says (const char *args, const char *out, const char *err);
/* It fails with @status, says nothing on stdout, and @err on stderr. */
void hermitctl_fails (const char *args, int status, const char *err);
/* @got is what @want says, in whatever order. */
void expect_json (json_t *got, const char *want);

#endif
