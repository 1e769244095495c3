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
  "list, stats, status, identities, reload, drain [regions|off], "            \
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
 * The other end: send @command to the server at @path and return its answer.
 * An answer that begins with "error: " is returned as an error.
 */
char *hermit_control_ask (const char *path, const char *command,
                          GError **error);

#endif /* HERMIT_CONTROL_H */
