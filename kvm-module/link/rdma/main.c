// SPDX-License-Identifier: GPL-2.0-only
/*
 * hermit-rdma.ko: the rdma transport, for hermit.ko. A module of its own, so
 * that a host without the RDMA core loads hermit.ko all the same.
 */
#include <linux/module.h>

#include "link/transport.h"

static int __init hermit_rdma_init(void)
{
	return hermit_transport_register(&hermit_transport_rdma);
}

/* Every link holds a reference: there is none. */
static void __exit hermit_rdma_exit(void)
{
	hermit_transport_unregister(&hermit_transport_rdma);
}

module_init(hermit_rdma_init);
module_exit(hermit_rdma_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("RDMA transport of hermit.ko");
