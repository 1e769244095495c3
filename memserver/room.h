/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_ROOM_H
#define HERMIT_ROOM_H
/*
 * How much memory this process may have: the least of what the host has and of
 * what its control group, and each group above it, allows (versions 1 and 2).
 * Read from /proc and /sys/fs/cgroup; any thread, no locks.
 */
#include <glib.h>

/* Find out in which control groups this process is. Once, before the others. */
void hermit_room_init (void);

/*
 * Bytes that can be taken now, with @min_free left to the host and a margin to
 * the control groups; 0 if there are none.
 */
guint64 hermit_room_left (guint64 min_free);

/* The host's memory. */
guint64 hermit_room_host (void);
/*
 * The least limit of the control groups, with the file that has it in *@where;
 * G_MAXUINT64 and NULL if there is none. Free *@where.
 */
guint64 hermit_room_groups (char **where);

#endif /* HERMIT_ROOM_H */
