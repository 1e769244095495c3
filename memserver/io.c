/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

ssize_t
hermit_io_receive (int fd, void *to, gsize length, gint64 deadline)
{
  for (;;)
    {
      gint64 left = deadline - g_get_monotonic_time ();
      struct pollfd pfd = { .fd = fd, .events = POLLIN };
      int ready = 0;
      ssize_t n;

      if (left > 0)
        ready = poll (&pfd, 1, (int)(left / 1000 + 1));
      if (ready < 0 && errno == EINTR)
        continue;
      if (ready == 0)
        errno = ETIMEDOUT;
      if (ready <= 0)
        return -1;
      n = recv (fd, to, length, MSG_DONTWAIT);
      if (n >= 0 || (errno != EINTR && errno != EAGAIN))
        return n;
    }
}

gboolean
hermit_io_send (int fd, const void *data, gsize length)
{
  const guint8 *at = data;

  while (length)
    {
      ssize_t n = send (fd, at, length, MSG_NOSIGNAL);

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return FALSE;
      at += n;
      length -= n;
    }
  return TRUE;
}
