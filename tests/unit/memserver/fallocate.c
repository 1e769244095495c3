/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fallocate.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker puts these in the place of the two, see meson.build. */
int __real_fallocate64 (int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate64 (int fd, int mode, off_t offset, off_t length);
int __real_madvise (void *addr, size_t length, int advice);
int __wrap_madvise (void *addr, size_t length, int advice);

/* A page and those beside it. */
#define SOME (64 << 10)

static gint fail_with;    /* atomic */
static gint refuse_with;  /* atomic */
static gint held_up;      /* atomic */
static gint waiting;      /* atomic: somebody does */
static GThread *requests; /* the thread that must not wait */

/* FALSE with errno if the host is not to do it. */
static gboolean
may (gboolean frees, size_t length)
{
  int error = g_atomic_int_get (&fail_with);

  if (!error && !frees)
    error = g_atomic_int_get (&refuse_with);
  if (error)
    {
      errno = error;
      return FALSE;
    }
  if (g_atomic_int_get (&held_up) && g_thread_self () == requests)
    {
      g_assert_false (frees);
      g_assert_cmpuint (length, <=, SOME);
    }
  else
    while (g_atomic_int_get (&held_up))
      {
        g_atomic_int_set (&waiting, 1);
        g_usleep (1000);
      }
  return TRUE;
}

int
__wrap_fallocate64 (int fd, int mode, off_t offset, off_t length)
{
  gboolean frees = mode & FALLOC_FL_PUNCH_HOLE;

  /* It locks the file: 2 MiB take longer than a request is to wait. */
  if (!frees)
    g_assert_cmpint (length, <=, SOME);
  return may (frees, length) ? __real_fallocate64 (fd, mode, offset, length)
                             : -1;
}

int
__wrap_madvise (void *addr, size_t length, int advice)
{
  if (advice == MADV_POPULATE_WRITE && !may (FALSE, length))
    return -1;
  return __real_madvise (addr, length, advice);
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
