/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_ROOM_H
#define HERMIT_ROOM_H
/*
 * How much memory this process may have: the least of what the host has and of
 * what its control group, and each group above it, allows (versions 1 and 2).
 * Read from /proc and /sys/fs/cgroup; any thread, no locks.
 */
#include <glib.h>

/* Find out in which control groups this process is. Before all others. */
void hermit_room_init (void);

/*
 * Bytes that can be taken now, with @min_free left to the host and a margin to
 * the control groups; 0 if there are none.
 */
guint64 hermit_room_left (guint64 min_free);

/*
 * Whether @capacity can be lent at all: FALSE with @error if the host does not
 * have that much memory; a warning if a control group does not allow it.
 */
gboolean hermit_room_check (guint64 capacity, GError **error);

#endif /* HERMIT_ROOM_H */
