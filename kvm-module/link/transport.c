// SPDX-License-Identifier: GPL-2.0-only
/* The registry of transports. */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "link/transport.h"

#define MAX_TRANSPORTS	8

static const struct hermit_transport_ops *transports[MAX_TRANSPORTS];
static DEFINE_MUTEX(transports_lock);

int hermit_transport_register(const struct hermit_transport_ops *ops)
{
	int i, ret = -ENOSPC;

	mutex_lock(&transports_lock);
	for (i = 0; i < MAX_TRANSPORTS; i++) {
		if (transports[i])
			continue;
		transports[i] = ops;
		ret = 0;
		break;
	}
	mutex_unlock(&transports_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(hermit_transport_register);

void hermit_transport_unregister(const struct hermit_transport_ops *ops)
{
	int i;

	mutex_lock(&transports_lock);
	for (i = 0; i < MAX_TRANSPORTS; i++)
		if (transports[i] == ops)
			transports[i] = NULL;
	mutex_unlock(&transports_lock);
}
EXPORT_SYMBOL_GPL(hermit_transport_unregister);

struct hermit_link *hermit_link_open(const char *server,
				     struct hermit_link_params *params)
{
	const struct hermit_transport_ops *ops = NULL;
	const char *colon = strchr(server, ':');
	struct hermit_link *link;
	size_t len;
	int i;

	len = colon ? colon - server : strlen(server);
	mutex_lock(&transports_lock);
	for (i = 0; colon && i < MAX_TRANSPORTS; i++)
		if (transports[i] && strlen(transports[i]->scheme) == len &&
		    !strncmp(transports[i]->scheme, server, len) &&
		    try_module_get(transports[i]->owner)) {
			ops = transports[i];
			break;
		}
	mutex_unlock(&transports_lock);
	if (!ops) {
		snprintf(params->error, HERMIT_ERROR_LEN,
			 "server \"%s\": no such transport; use tcp:ADDRESS:PORT or local:%s",
			 server, len == 4 && !strncmp(server, "rdma", 4) ?
			 " (for rdma load hermit-rdma.ko)" : "");
		return ERR_PTR(-EPROTONOSUPPORT);
	}
	params->address = colon + 1;
	link = ops->connect(params);
	if (IS_ERR(link))
		module_put(ops->owner);
	else
		link->ops = ops;
	return link;
}

void hermit_link_close(struct hermit_link *link, bool end)
{
	const struct hermit_transport_ops *ops = link->ops;

	ops->close(link, end);
	module_put(ops->owner);
}
