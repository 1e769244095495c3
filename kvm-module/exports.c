// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hermit.ko has for its transports in other modules, but for the
 * registry. Here, and not beside the functions: some are compiled into other
 * programs as well.
 */
#include <linux/export.h>

#include "link/handshake.h"
#include "link/ping.h"
#include "link/remote.h"
#include "link/transport.h"
#include "wire/wire.h"

EXPORT_SYMBOL_GPL(hermit_remote_connect);
EXPORT_SYMBOL_GPL(hermit_remote_close);
EXPORT_SYMBOL_GPL(hermit_remote_kick);
EXPORT_SYMBOL_GPL(hermit_remote_deadline_ns);
EXPORT_SYMBOL_GPL(hermit_remote_patience);
EXPORT_SYMBOL_GPL(hermit_remote_stats);
EXPORT_SYMBOL_GPL(hermit_remote_say);
EXPORT_SYMBOL_GPL(hermit_remote_room);
EXPORT_SYMBOL_GPL(hermit_ping_fill);
EXPORT_SYMBOL_GPL(hermit_ping_answered);
EXPORT_SYMBOL_GPL(hermit_remote_list_of);
EXPORT_SYMBOL_GPL(hermit_remote_complete);
EXPORT_SYMBOL_GPL(hermit_remote_complete_list);
EXPORT_SYMBOL_GPL(hermit_handshake);
EXPORT_SYMBOL_GPL(hermit_refused);
EXPORT_SYMBOL_GPL(hermit_failed_here);
EXPORT_SYMBOL_GPL(hermit_wire_fill);
/* for tests that drive a link without a region */
EXPORT_SYMBOL_GPL(hermit_link_open);
EXPORT_SYMBOL_GPL(hermit_link_close);
