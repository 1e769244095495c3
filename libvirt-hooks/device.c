/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* More than a host has at once; asked again if it does. */
#define FIRST_ROOM 64

static int
device_open (GError **error)
{
  int fd = g_open (HERMIT_DEVICE, O_RDWR | O_CLOEXEC, 0), err = errno;

  if (fd >= 0)
    return fd;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err), "%s: %s%s",
               HERMIT_DEVICE, g_strerror (err),
               err == ENOENT ? "; is hermit.ko loaded? (modprobe hermit)"
               : err == EACCES || err == EPERM
                   ? "; run as root or as a member of its group"
                   : "");
  return -1;
}

static int
region_open (const HermitUuid region, GError **error)
{
  struct hermit_open o = { .size = sizeof (o) };
  int fd = device_open (error), err;
  char text[HERMIT_UUID_TEXT];

  if (fd < 0)
    return -1;
  memcpy (o.uuid, region, sizeof (o.uuid));
  if (ioctl (fd, HERMIT_OPEN, &o) == 0)
    return fd;
  err = errno;
  hermit_uuid_format (region, text);
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err),
               "region %s: %s", text,
               err == ENOENT ? "there is none on this host; see hermitctl list"
                             : g_strerror (err));
  close (fd);
  return -1;
}

GArray *
hermit_device_list (GError **error)
{
  g_autoptr (GArray) regions
      = g_array_new (FALSE, TRUE, sizeof (struct hermit_list_entry));
  struct hermit_list l = { .size = sizeof (l),
                           .entry_size = sizeof (struct hermit_list_entry),
                           .nr = FIRST_ROOM };
  int fd = device_open (error), err = 0;

  if (fd < 0)
    return NULL;
  do
    {
      g_array_set_size (regions, l.nr);
      l.nr = regions->len;
      l.entries = (guintptr)regions->data;
      if (ioctl (fd, HERMIT_LIST, &l) < 0)
        err = errno;
    }
  while (!err && l.nr > regions->len);
  close (fd);
  if (err)
    {
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err),
                   "%s: cannot list the regions: %s", HERMIT_DEVICE,
                   err == EPERM    ? "run as root (CAP_SYS_ADMIN)"
                   : err == ENOTTY ? "the loaded hermit.ko is older than "
                                     "hermitctl"
                                   : g_strerror (err));
      return NULL;
    }
  g_array_set_size (regions, l.nr);
  return g_steal_pointer (&regions);
}

gboolean
hermit_device_stats (const HermitUuid region, struct hermit_stats *st,
                     GError **error)
{
  int fd = region_open (region, error), err;

  if (fd < 0)
    return FALSE;
  /* A kernel older than us fills in less. */
  memset (st, 0, sizeof (*st));
  st->size = sizeof (*st);
  err = ioctl (fd, HERMIT_GET_STATS, st) < 0 ? errno : 0;
  close (fd);
  if (err)
    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err),
                 "%s: cannot read statistics: %s", HERMIT_DEVICE,
                 g_strerror (err));
  return !err;
}

gboolean
hermit_device_set_limit (const HermitUuid region, guint64 limit,
                         GError **error)
{
  struct hermit_limit l = { .size = sizeof (l), .limit = limit };
  int fd = region_open (region, error), err;

  if (fd < 0)
    return FALSE;
  err = ioctl (fd, HERMIT_SET_LIMIT, &l) < 0 ? errno : 0;
  close (fd);
  l.error[sizeof (l.error) - 1] = 0;
  if (err)
    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err), "%s",
                 l.error[0] ? l.error : g_strerror (err));
  return !err;
}

gboolean
hermit_device_policy (const HermitUuid region, struct hermit_policy *policy,
                      GError **error)
{
  int fd = region_open (region, error), err;

  if (fd < 0)
    return FALSE;
  policy->size = sizeof (*policy);
  err = ioctl (fd, HERMIT_SET_POLICY, policy) < 0 ? errno : 0;
  close (fd);
  policy->error[sizeof (policy->error) - 1] = 0;
  if (err)
    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err), "%s",
                 policy->error[0] ? policy->error : g_strerror (err));
  return !err;
}

gboolean
hermit_device_change_server (const HermitUuid region,
                             struct hermit_server_change *change,
                             GError **error)
{
  int fd = region_open (region, error), err;

  if (fd < 0)
    return FALSE;
  change->size = sizeof (*change);
  change->error[0] = 0;
  err = ioctl (fd, HERMIT_CHANGE_SERVER, change) < 0 ? errno : 0;
  close (fd);
  change->error[sizeof (change->error) - 1] = 0;
  if (err)
    g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (err), "%s",
                 err == ENOTTY ? "the loaded hermit.ko is older than "
                                 "hermitctl: it cannot change servers"
                 : change->error[0] ? change->error
                                    : g_strerror (err));
  return !err;
}

gboolean
hermit_device_recall (const HermitUuid region, guint64 *next, guint64 pages,
                      guint64 *fetched, GError **error)
{
  struct hermit_recall c
      = { .size = sizeof (c), .start_page = *next, .nr_pages = pages };
  int fd = region_open (region, error), err;

  *fetched = 0;
  if (fd < 0)
    return FALSE;
  err = ioctl (fd, HERMIT_RECALL, &c) < 0 ? errno : 0;
  close (fd);
  if (!err || err == ENOSPC || err == ETIMEDOUT || err == EINTR)
    {
      *next = c.next_page;
      *fetched = c.fetched;
    }
  if (err == ENOTTY)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                 "the loaded hermit.ko is older than hermitctl: it cannot "
                 "recall");
  else if (err)
    g_set_error (error, G_FILE_ERROR,
                 err == ETIMEDOUT ? G_FILE_ERROR_AGAIN
                                  : g_file_error_from_errno (err),
                 "page %" G_GUINT64_FORMAT ": %s", (guint64)c.next_page,
                 err == ENOSPC      ? "the limit has no room for it"
                 : err == ETIMEDOUT ? "it did not come for 5 s: the server "
                                      "does not answer, or this host has no "
                                      "memory"
                                    : g_strerror (err));
  return !err;
}

GArray *
hermit_device_vcpus (const HermitUuid region)
{
  g_autoptr (GArray) vcpus
      = g_array_new (FALSE, TRUE, sizeof (struct hermit_vcpu_entry));
  struct hermit_vcpus l = { .size = sizeof (l),
                            .entry_size = sizeof (struct hermit_vcpu_entry),
                            .nr = FIRST_ROOM };
  int fd = region_open (region, NULL), err = 0;

  if (fd < 0)
    return NULL;
  do
    {
      g_array_set_size (vcpus, l.nr);
      l.nr = vcpus->len;
      l.entries = (guintptr)vcpus->data;
      if (ioctl (fd, HERMIT_GET_VCPUS, &l) < 0)
        err = errno;
    }
  while (!err && l.nr > vcpus->len);
  close (fd);
  if (err)
    return NULL;
  g_array_set_size (vcpus, l.nr);
  return g_steal_pointer (&vcpus);
}
