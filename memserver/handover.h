/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_HANDOVER_H
#define HERMIT_HANDOVER_H
/*
 * One process of the server gives the memory of its regions to the next, over
 * the control socket:
 *
 *   next                                   the one that serves
 *     | "hand-over\n" ----------------------->  |
 *     |                                         | stops connections and the
 *     |                                         | keeper: nothing touches the
 *     | <---------------- memory, ledger -----  | memory any more
 *     | can it use them?                        |
 *     | "taken\n" --------------------------->  |
 *     |                                         | exits
 *     | has seen it die, and serves             x
 *
 * Whatever goes wrong before "taken": the old one goes on.
 */
#include <glib.h>

#define HERMIT_HANDOVER_COMMAND "hand-over"

/*
 * The one that serves, when nothing touches the memory any more. @peer is the
 * callee's. TRUE: they are the next one's, and this process has to end.
 */
gboolean hermit_handover_give (int peer, int memory, int ledger,
                               GError **error);

/*
 * The next: what the server at @control has, when that is dead. If nobody is
 * there TRUE, with *@memory and *@ledger 0.
 */
gboolean hermit_handover_take (const char *control, int *memory, int *ledger,
                               GError **error);

#endif /* HERMIT_HANDOVER_H */
