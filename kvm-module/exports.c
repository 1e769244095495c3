// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hermit.ko has for its transports in other modules, but for the
 * registry. Here, and not beside the functions: some are compiled into other
 * programs as well.
 */
#include <linux/export.h>

#include "handshake.h"
#include "transport.h"
#include "wire/wire.h"

EXPORT_SYMBOL_GPL(hermit_link_parse_address);
EXPORT_SYMBOL_GPL(hermit_identity_init);
EXPORT_SYMBOL_GPL(hermit_identity_destroy);
EXPORT_SYMBOL_GPL(hermit_handshake);
EXPORT_SYMBOL_GPL(hermit_refused);
EXPORT_SYMBOL_GPL(hermit_refused_for_good);
EXPORT_SYMBOL_GPL(hermit_wire_fill);
/* for tests that drive a link without a region */
EXPORT_SYMBOL_GPL(hermit_link_open);
EXPORT_SYMBOL_GPL(hermit_link_close);
