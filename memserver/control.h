/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_CONTROL_H
#define HERMIT_CONTROL_H
/*
 * The operator's side door: a Unix socket that takes one command per
 * connection, answered in a few threads of its own, since an answer may have to
 * wait for a fence or for a slow peer.
 */
#include "peer.h"
#include "server.h"

#define HERMIT_CONTROL_COMMANDS                                               \
  "list, stats, status, identities, reload, drain [regions|off|--wait], "     \
  "forget UUID [force], "                                                     \
  "forget --older TIME"

typedef struct HermitControl HermitControl;

/* NULL if there are no threads to be had. */
HermitControl *hermit_control_new (HermitServer *server, GError **error);
/* Waits for the answers in hand, and gives none to those who wait. */
void hermit_control_free (HermitControl *control);

/* A HermitAccept function; its data is the HermitControl. */
void hermit_control_accept (int fd, const HermitPeer *peer, gpointer data);

/*
 * "drain --wait" at the other end: have the server at @path lend no more, print what
 * its clients still need of it each time that changes, and return when none of
 * them needs it any more; FALSE if the drain is called off, or the server is gone.
 */
gboolean hermit_control_wait (const char *path, GError **error);

/*
 * The other end: send @command to the server at @path and return its answer.
 * An answer that begins with "error: " is returned as an error.
 */
char *hermit_control_ask (const char *path, const char *command,
                          GError **error);

#endif /* HERMIT_CONTROL_H */
