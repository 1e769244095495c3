/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_STREAM_H
#define HERMIT_STREAM_H
/*
 * The requests of a socket, and their answers: all that one recv() brought are
 * answered with one send(), or with several if that takes its time.
 */
#include <glib.h>

#include "conn.h"

/*
 * Serve @fd for @member, which is attached to @session, until its end, or END,
 * or until *@stop, a HermitStop that is set atomically by whoever then wakes the
 * socket. By the connection's thread; when it returns, it touches no memory of
 * the region any more.
 */
void hermit_stream_serve (HermitServer *server, int fd, const HermitPeer *peer,
                          HermitSession *session, HermitMember *member,
                          gint *stop, guint64 caps);

#endif /* HERMIT_STREAM_H */
