/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_IO_H
#define HERMIT_IO_H

#include <glib.h>
#include <sys/types.h>

/*
 * Receive what there is, at most @length bytes, waiting for the first until
 * @deadline (monotonic, in us). 0 at the stream's end; -1 with errno, which is
 * ETIMEDOUT after the deadline.
 */
ssize_t hermit_io_receive (int fd, void *to, gsize length, gint64 deadline);

/* Send all of it, waiting as long as the socket does. FALSE with errno. */
gboolean hermit_io_send (int fd, const void *data, gsize length);

#endif /* HERMIT_IO_H */
