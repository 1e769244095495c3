/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fallocate.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The linker puts these in the place of fallocate(), see meson.build. */
int __real_fallocate64 (int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate64 (int fd, int mode, off_t offset, off_t length);

static gint fail_with;    /* atomic */
static gint refuse_with;  /* atomic */
static gint held_up;      /* atomic */
static gint waiting;      /* atomic: somebody does */
static GThread *requests; /* the thread that must not wait */

int
__wrap_fallocate64 (int fd, int mode, off_t offset, off_t length)
{
  int error = g_atomic_int_get (&fail_with);

  if (!error && !(mode & FALLOC_FL_PUNCH_HOLE))
    error = g_atomic_int_get (&refuse_with);
  if (error)
    {
      errno = error;
      return -1;
    }
  if (g_atomic_int_get (&held_up) && g_thread_self () == requests)
    {
      g_assert_false (mode & FALLOC_FL_PUNCH_HOLE);
      g_assert_cmpint (length, <=, 64 << 10);
    }
  else
    while (g_atomic_int_get (&held_up))
      {
        g_atomic_int_set (&waiting, 1);
        g_usleep (1000);
      }
  return __real_fallocate64 (fd, mode, offset, length);
}

void
fallocate_fail_with (int error)
{
  g_atomic_int_set (&fail_with, error);
}

void
fallocate_refuse_with (int error)
{
  g_atomic_int_set (&refuse_with, error);
}

void
fallocate_hold_up (void)
{
  requests = g_thread_self ();
  g_atomic_int_set (&waiting, 0);
  g_atomic_int_set (&held_up, 1);
}

void
fallocate_let_go (void)
{
  g_atomic_int_set (&held_up, 0);
}

void
fallocate_wait_held_up (void)
{
  while (!g_atomic_int_get (&waiting))
    g_usleep (1000);
}
