/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of the other rdma files, in a build without librdmacm. */
#include <gio/gio.h>

#include "rdma_listener.h"

HermitRdmaListener *
hermit_rdma_listener_new (const HermitAddress *address,
                          HermitServer *server G_GNUC_UNUSED, GError **error)
{
  g_autofree char *name = hermit_address_text (address);

  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               "cannot listen on rdma:%s: hermit-memserver was built without "
               "RDMA; build it with librdmacm-dev and libibverbs-dev",
               name);
  return NULL;
}

void
hermit_rdma_listener_free (HermitRdmaListener *listener G_GNUC_UNUSED)
{
}

const char *
hermit_rdma_listener_name (HermitRdmaListener *listener G_GNUC_UNUSED)
{
  return "";
}
