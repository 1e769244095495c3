/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_NOTIFY_H
#define HERMIT_NOTIFY_H
/*
 * The service manager: what it is told, and the descriptors that it keeps for
 * the next process of the service; see sd_notify(3) and "File Descriptor
 * Store" of systemd. Without one all of this does nothing. Main thread.
 */
#include <glib.h>

/* What it passed at the start. Once, before any other file is opened. */
void hermit_notify_init (void);
/* The descriptor that has this name, now the caller's; 0: there is none. */
int hermit_notify_take (const char *name);

/* There is one. */
gboolean hermit_notify_listens (void);
/* Lines of NAME=VALUE. */
void hermit_notify (const char *format, ...) G_GNUC_PRINTF (1, 2);
/*
 * Have it keep @fd under this name, and nothing else that it had under it. Not
 * for one that it passed, which it has: between the two it would have none.
 */
void hermit_notify_keep (const char *name, int fd);

/* How often to say WATCHDOG=1, in ms; 0: nobody waits for it. */
guint hermit_notify_watchdog (void);

#endif /* HERMIT_NOTIFY_H */
