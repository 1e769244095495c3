/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* Where this thread goes on if the copy it is in is hit; else NULL. */
static __thread sigjmp_buf *volatile guard_jump;

static void
guard_on_sigbus (int signo)
{
  sigjmp_buf *jump = guard_jump;

  if (jump)
    {
      guard_jump = NULL;
      siglongjmp (*jump, 1);
    }
  /* Not ours: the access is repeated and kills the process as it should. */
  signal (signo, SIG_DFL);
}

void
hermit_guard_init (void)
{
  struct sigaction sa = { .sa_handler = guard_on_sigbus };

  sigemptyset (&sa.sa_mask);
  /* The handler is left by a jump that does not restore the signal mask. */
  sa.sa_flags = SA_NODEFER;
  sigaction (SIGBUS, &sa, NULL);
}

gboolean
hermit_guard_copy (void *to, const void *from, gsize length)
{
  sigjmp_buf jump;

  if (sigsetjmp (jump, 0))
    return FALSE;
  guard_jump = &jump;
  /* Keep the copy between the two stores; the handler is this thread. */
  atomic_signal_fence (memory_order_seq_cst);
  memcpy (to, from, length);
  atomic_signal_fence (memory_order_seq_cst);
  guard_jump = NULL;
  return TRUE;
}
