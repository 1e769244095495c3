/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_PEER_H
#define HERMIT_PEER_H

#include <glib.h>

#include "config.h"

/* Where a connection comes from. A plain value. */
typedef struct
{
  char name[80]; /* for messages */
  /*
   * Connections that are counted together: an IPv4 address, or a network of
   * 2^64 IPv6 addresses, which is what one machine can have.
   */
  guint8 host[16];
} HermitPeer;

/* @scheme goes before the name; "" for TCP. */
void hermit_peer_init (HermitPeer *peer, const HermitAddress *address,
                       const char *scheme);

#endif /* HERMIT_PEER_H */
