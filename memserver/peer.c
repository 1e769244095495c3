/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "peer.h"

#include <netinet/in.h>
#include <string.h>

void
hermit_peer_init (HermitPeer *peer, const HermitAddress *address,
                  const char *scheme)
{
  g_autofree char *text = hermit_address_text (address);
  const struct sockaddr_in *in = (const struct sockaddr_in *)&address->addr;
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)in;

  memset (peer, 0, sizeof (*peer));
  g_snprintf (peer->name, sizeof (peer->name), "%s%s", scheme, text);
  if (address->addr.ss_family == AF_INET)
    {
      /* As IPv6 writes it, so that it is like no network of those. */
      memset (peer->host + 10, 0xff, 2);
      memcpy (peer->host + 12, &in->sin_addr, 4);
    }
  else if (address->addr.ss_family == AF_INET6)
    memcpy (peer->host, &in6->sin6_addr, 8);
}
