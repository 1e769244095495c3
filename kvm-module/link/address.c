// SPDX-License-Identifier: GPL-2.0-only
/* The address of a server. */
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/inet.h>
#include <linux/kstrtox.h>
#include <linux/string.h>
#include <net/net_namespace.h>

#include "link/transport.h"

int hermit_link_parse_address(struct net *net, const char *address,
			      struct sockaddr_storage *addr)
{
	struct sockaddr_in *in = (struct sockaddr_in *)addr;
	char host[HERMIT_SERVER_LEN], *port;
	int family = AF_INET, ret;
	char *start = host;
	u16 n;

	if (strscpy(host, address) < 0)
		return -EINVAL;
	port = strrchr(host, ':');
	if (!port)
		return -EINVAL;
	*port++ = '\0';
	if (host[0] == '[') {
		if (port - host < 3 || port[-2] != ']')
			return -EINVAL;
		port[-2] = '\0';
		start++;
		family = AF_INET6;
	}
	if (kstrtou16(port, 10, &n) || !n)
		return -EINVAL;
	ret = inet_pton_with_scope(net, family, start, NULL, addr);
	if (ret)
		return ret;
	in->sin_port = htons(n);	/* at the same place in a v6 address */
	return 0;
}
